// sample.ts: which holds are learned from when there are more than it takes: all of them up to a thousand a second, then every eighth,
// then every 32nd. By count and not by length, so that what is learned is not biased; what a tenth of a second does not tell, the next
// one does. Learning from a hold costs ten to twenty times what passing it over does.

const WINDOW_MS = 100;
const ALL_MAX = 100;
const EIGHTH_MAX = 800;
const EIGHTH = 8;
const THIRTY_SECOND = 32;

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
    if (this.#taken === ALL_MAX) this.stride = EIGHTH;
    else if (this.#taken === EIGHTH_MAX) this.stride = THIRTY_SECOND;
    return this.#taken % this.stride === 0 ? this.stride : 0;
  }
}
