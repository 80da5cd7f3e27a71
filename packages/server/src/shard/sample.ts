// sample.ts: which holds are learned from when there are more than it takes: all of them up to some thousands a second, then every
// fourth, then every sixteenth. By count and not by length, so that what is learned is not biased; what a tenth of a second does not
// tell, the next one does.

const WINDOW_MS = 100;
const ALL_MAX = 200;
const FOURTH_MAX = 2_000;
const FOURTH = 4;
const SIXTEENTH = 16;

export class Sample {
  #windowMs = Number.NEGATIVE_INFINITY;
  #taken = 0;
  /** Of so many, one is learned from now. */
  stride = 1;

  /** @returns how many holds this one stands for; 0: it is not learned from */
  take(nowMs: number): number {
    if (nowMs - this.#windowMs >= WINDOW_MS) {
      this.#windowMs = nowMs;
      this.#taken = 0;
      this.stride = 1;
    }
    this.#taken += 1;
    if (this.#taken === ALL_MAX) this.stride = FOURTH;
    else if (this.#taken === FOURTH_MAX) this.stride = SIXTEENTH;
    return this.#taken % this.stride === 0 ? this.stride : 0;
  }
}
