// forgetting.ts: tells partitions which answers a client has, so that they remember no more than it still asks about.
import type { KnownSession, SessionDirectory } from "./sessions.ts";
import type { Shard } from "./shard.ts";

/** Done operations of a session in a partition that are worth an event to forget. */
const FORGET_MIN = 8;

export class Forgetting {
  readonly #directory: SessionDirectory;
  readonly #shards: readonly Shard[];

  constructor(directory: SessionDirectory, shards: readonly Shard[]) {
    this.#directory = directory;
    this.#shards = shards;
  }

  /** Lets a partition forget answers that the client has, when there are enough to be worth an event. */
  answered(shard: Shard, known: KnownSession): void {
    const row = shard.state.sessions.get(known.id);
    if (row === undefined || row.done.size < FORGET_MIN || known.lowest <= row.lowest) return;
    if (shard.forgetting.has(known.id)) return; // Every operation of a frame comes here before the first turn.
    shard.forgetting.add(known.id);
    this.#forget(shard.partition, known, []);
  }

  /** Acquires that were queued, whose end the client has. */
  settled(known: KnownSession, settled: readonly number[]): void {
    for (const partition of known.partitions) {
      const queued = this.#shards[partition]?.state.sessions.get(known.id)?.queued;
      if (queued === undefined || queued.size === 0) continue;
      const here = settled.filter((sequence) => queued.has(sequence));
      if (here.length > 0) this.#forget(partition, known, here);
    }
  }

  /** A client that resumes says what it still asks about: the rest is answered, as far as it is concerned. */
  allBut(known: KnownSession, open: readonly number[]): void {
    const wanted = new Set(open);
    for (const partition of known.partitions) {
      const row = this.#shards[partition]?.state.sessions.get(known.id);
      if (row === undefined) continue;
      const settled = [...row.queued.keys()].filter((sequence) => !wanted.has(sequence));
      if (settled.length > 0) this.#forget(partition, known, settled);
    }
  }

  /** What was too little to be worth an event of its own. Call it about once a second. */
  sweep(): void {
    for (const known of this.#directory) {
      for (const partition of known.partitions) {
        const row = this.#shards[partition]?.state.sessions.get(known.id);
        if (row !== undefined && row.done.size > 0 && known.lowest > row.lowest) this.#forget(partition, known, []);
      }
    }
  }

  #forget(partition: number, known: KnownSession, settled: readonly number[]): void {
    this.#shards[partition]?.submit(
      { kind: "acknowledge", sessionId: known.id, below: Math.max(1, known.lowest), settled },
      () => {
        this.#shards[partition]?.forgetting.delete(known.id);
        return undefined;
      },
      () => {},
    );
  }
}
