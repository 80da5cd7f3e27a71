// balance.ts: which partition is to go to which worker so that their processor times come closer. Pure. Not here: moving it (mover.ts).
//   B1. A worker that takes 20 % more than another, and as much as is worth a move, gives; the one that takes least gets.
//   B2. What moves is what closes the gap best, and never opens another as wide: a single hot partition stays where it is.

/** Of one worker, over one and the same stretch of time. */
export interface Load {
  readonly cpuMs: number;
  /** Events of each of its partitions. */
  readonly events: ReadonlyMap<number, number>;
}

export interface BalanceLimits {
  /** The busiest may take so many times as much as the idlest. */
  readonly ratioMax: number;
  /** Below it nobody is busy. */
  readonly cpuMsMin: number;
}

export interface BalancingMove {
  readonly partition: number;
  readonly from: number;
  readonly to: number;
}

/** Undefined: they are as close as moves of single partitions bring them, or nobody is busy. */
export function nextMove(loads: readonly Load[], { ratioMax, cpuMsMin }: BalanceLimits): BalancingMove | undefined {
  const from = indexOfMost(loads.map(({ cpuMs }) => cpuMs));
  const to = indexOfMost(loads.map(({ cpuMs }) => -cpuMs));
  const busiest = loads[from];
  const idlest = loads[to];
  if (busiest === undefined || idlest === undefined || from === to) return undefined;
  if (busiest.cpuMs < cpuMsMin || busiest.cpuMs <= idlest.cpuMs * ratioMax) return undefined; // B1
  const partition = closing(busiest, busiest.cpuMs - idlest.cpuMs);
  return partition === undefined ? undefined : { partition, from, to };
}

/** B2. Of the busiest, the one whose share of its time is nearest to half of the gap. */
function closing({ cpuMs, events }: Load, gapMs: number): number | undefined {
  const total = [...events.values()].reduce((sum, count) => sum + count, 0);
  if (total === 0) return undefined;
  let best: number | undefined;
  let bestLeftMs = gapMs;
  for (const [partition, count] of events) {
    const leftMs = Math.abs(gapMs - (2 * (cpuMs * count)) / total);
    if (count === 0 || leftMs >= bestLeftMs) continue;
    best = partition;
    bestLeftMs = leftMs;
  }
  return best;
}

function indexOfMost(values: readonly number[]): number {
  return values.reduce((most, value, index) => (value > (values[most] ?? Number.NEGATIVE_INFINITY) ? index : most), 0);
}
