// key-index.ts: the keys of a store in order of their bytes. Not here: what they hold (store.ts).

export class KeyIndex {
  readonly #keys: string[] = [];

  /** Does nothing when the key is there. */
  add(key: string): void {
    const at = this.#firstNotBelow(key);
    if (this.#keys[at] !== key) this.#keys.splice(at, 0, key);
  }

  delete(key: string): void {
    const at = this.#firstNotBelow(key);
    if (this.#keys[at] === key) this.#keys.splice(at, 1);
  }

  /** From `key` up to but without `end`; only `key` itself where there is no end. */
  range(key: string, end: string | undefined): readonly string[] {
    const from = this.#firstNotBelow(key);
    if (end === undefined) return this.#keys[from] === key ? [key] : [];
    return this.#keys.slice(from, Math.max(from, this.#firstNotBelow(end)));
  }

  #firstNotBelow(key: string): number {
    let low = 0;
    let high = this.#keys.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      // The index is below the length, so there is a key.
      if (compareKeys(this.#keys[middle]!, key) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** In order of UTF-8 bytes, which is not that of UTF-16 units past U+D7FF. */
export function compareKeys(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let index = 0; index < length; index++) {
    const [left, right] = [a.charCodeAt(index), b.charCodeAt(index)];
    if (left !== right) return rank(left) - rank(right);
  }
  return a.length - b.length;
}

/** Surrogates stand for code points above every other unit. */
function rank(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit;
}

export function isInRange(key: string, range: { readonly key: string; readonly end?: string | undefined }): boolean {
  if (range.end === undefined) return key === range.key;
  return compareKeys(key, range.key) >= 0 && compareKeys(key, range.end) < 0;
}
