// keys.ts: which block belongs to which key, and whose turn it is to make room. Not here: what is in a block.
//   K1. Every key has one block in 0..keysMax-1; the list from newest to oldest holds each used block once.

/** A bounded set of names, each with a number; the one longest untouched makes room. O(1) a touch. */
export class KeyTable {
  readonly #indexByKey = new Map<string, number>();
  readonly #keys: string[] = [];
  readonly #newer: Int32Array;
  readonly #older: Int32Array;
  #newest = -1;
  #oldest = -1;

  constructor(keysMax: number) {
    this.#newer = new Int32Array(keysMax);
    this.#older = new Int32Array(keysMax);
  }

  get size(): number {
    return this.#keys.length;
  }

  /** The block of `key`, or -1. Does not count as a use. */
  find(key: string): number {
    return this.#indexByKey.get(key) ?? -1;
  }

  key(index: number): string {
    return this.#keys[index]!; // Blocks are given out in order, each with a key.
  }

  touch(index: number): void {
    if (index === this.#newest) return;
    const newer = this.#newer[index]!; // K1
    const older = this.#older[index]!; // K1
    this.#older[newer] = older;
    if (older === -1) this.#oldest = newer;
    else this.#newer[older] = newer;
    this.#putFirst(index);
  }

  /** A block for a key that has none: a fresh one, or that of the oldest key, which is forgotten. */
  add(key: string): number {
    let index = this.#keys.length;
    if (index === this.#newer.length) {
      index = this.#oldest;
      const newer = this.#newer[index]!; // K1
      this.#indexByKey.delete(this.key(index));
      this.#oldest = newer;
      if (newer === -1) this.#newest = -1;
      else this.#older[newer] = -1;
    }
    this.#keys[index] = key;
    this.#indexByKey.set(key, index);
    this.#putFirst(index);
    return index;
  }

  /** Blocks from the one longest untouched to the newest. */
  *fromOldest(): Generator<number> {
    for (let index = this.#oldest; index !== -1; index = this.#newer[index]!) yield index; // K1
  }

  #putFirst(index: number): void {
    this.#newer[index] = -1;
    this.#older[index] = this.#newest;
    if (this.#newest === -1) this.#oldest = index;
    else this.#newer[this.#newest] = index;
    this.#newest = index;
  }
}
