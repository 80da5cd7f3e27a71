// holders.ts: which stream of the log has which partition, and which worker is to have it. Pure.
//   H1. The stream with the highest epoch of a partition has it: whoever took it over did so durably before it decided anything.
//   H2. Epochs are given once in a folder: two streams never have the same one of a partition.

/** Of a partition in a stream: epoch and sequence of its last record, or of the state that it was taken over with. */
export interface Tail {
  readonly epoch: number;
  readonly sequence: number;
}

/** H1. By partition, the index of its stream; undefined where no stream knows it. */
export function holdersOf(
  streams: readonly ReadonlyMap<number, Tail>[],
  partitions: number,
): readonly (number | undefined)[] {
  return Array.from({ length: partitions }, (_, partition) => {
    let holder: number | undefined;
    let epoch = -1;
    for (const [stream, tails] of streams.entries()) {
      const tail = tails.get(partition);
      if (tail === undefined || tail.epoch <= epoch) continue;
      holder = stream;
      epoch = tail.epoch;
    }
    return holder;
  });
}

/** The same, with every partition that is nobody's at the worker that has the fewest. */
export function withAllHeld(holders: readonly (number | undefined)[], workers: number): readonly number[] {
  const counts = countsOf(holders, workers);
  return holders.map((holder) => {
    if (holder !== undefined) return holder;
    const fewest = counts.indexOf(Math.min(...counts));
    counts[fewest] = (counts[fewest] ?? 0) + 1;
    return fewest;
  });
}

export interface Move {
  readonly partition: number;
  readonly from: number;
  readonly to: number;
}

/** The fewest moves after which no worker has two partitions more than another. */
export function evened(holders: readonly number[], workers: number): readonly Move[] {
  const counts = countsOf(holders, workers);
  const at = [...holders];
  const moves: Move[] = [];
  for (;;) {
    const from = counts.indexOf(Math.max(...counts));
    const to = counts.indexOf(Math.min(...counts));
    if ((counts[from] ?? 0) - (counts[to] ?? 0) <= 1) return moves;
    const partition = at.lastIndexOf(from);
    at[partition] = to;
    counts[from] = (counts[from] ?? 0) - 1;
    counts[to] = (counts[to] ?? 0) + 1;
    moves.push({ partition, from, to });
  }
}

function countsOf(holders: readonly (number | undefined)[], workers: number): number[] {
  const counts = new Array<number>(workers).fill(0);
  for (const holder of holders) if (holder !== undefined) counts[holder] = (counts[holder] ?? 0) + 1;
  return counts;
}
