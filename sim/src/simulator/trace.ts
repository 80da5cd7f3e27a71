// trace.ts: what happened in a run, line by line, as a hash over all lines and the last of them in full.
//   R1. A line holds nothing that differs between two runs of one seed.

const KEPT_LINES = 400;

export class Trace {
  readonly #print: ((line: string) => void) | undefined;
  #lines: string[] = [];
  #low = 0x811c9dc5;
  #high = 0x9747b28c;
  count = 0;

  /** @param print told each line as it comes; undefined for silence */
  constructor(print: ((line: string) => void) | undefined) {
    this.#print = print;
  }

  add(nowMs: number, line: string): void {
    const text = `${nowMs.toFixed(3).padStart(12)} ${line}`;
    this.count += 1;
    for (let index = 0; index < text.length; index += 1) {
      const code = text.charCodeAt(index);
      this.#low = Math.imul(this.#low ^ code, 0x01000193);
      this.#high = Math.imul(this.#high ^ code, 0x5bd1e995) ^ (this.#high >>> 13);
    }
    this.#lines.push(text);
    if (this.#lines.length > KEPT_LINES * 2) this.#lines = this.#lines.slice(-KEPT_LINES);
    this.#print?.(text);
  }

  /** 16 hexadecimal digits over every line so far. */
  get hash(): string {
    const text = (value: number): string => (value >>> 0).toString(16).padStart(8, "0");
    return text(this.#high) + text(this.#low);
  }

  last(count: number): readonly string[] {
    return this.#lines.slice(-count);
  }
}
