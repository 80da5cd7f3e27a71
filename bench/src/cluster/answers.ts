// answers.ts: when answers came, and the longest time without one. Pure: times are given.
//   A1. A gap that reaches into the time that is asked about counts whole, also where it began before or ended after.

export class Answers {
  #times: number[] = [];

  add(atMs: number): void {
    this.#times.push(atMs);
  }

  /** Whether one has come since. */
  isAfter(atMs: number): boolean {
    return (this.#times.at(-1) ?? Number.NEGATIVE_INFINITY) > atMs;
  }

  /** A1. Until `nowMs` where none has come since. Infinity where none ever came. */
  longestGapMs(fromMs: number, toMs: number, nowMs: number): number {
    let before = Number.NEGATIVE_INFINITY;
    let longest = 0;
    for (const atMs of this.#times) {
      if (atMs > fromMs) longest = Math.max(longest, atMs - before);
      before = atMs;
      if (atMs >= toMs) return longest;
    }
    return Math.max(longest, nowMs - before);
  }

  /** Nobody will ask about what was before. */
  forget(beforeMs: number): void {
    const from = this.#times.findIndex((atMs) => atMs >= beforeMs);
    if (from > 1) this.#times = this.#times.slice(from - 1); // The one before tells where the first gap began.
  }
}
