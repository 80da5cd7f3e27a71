// last-found.ts: a map that has the row at hand which was looked for last: one command looks for its session half a dozen times, and a
// frame's commands are mostly of one session.

export class LastFound<Key, Row> extends Map<Key, Row> {
  #key: Key | undefined;
  #row: Row | undefined;

  override get(key: Key): Row | undefined {
    if (key === this.#key && this.#row !== undefined) return this.#row;
    const row = super.get(key);
    this.#key = key;
    this.#row = row;
    return row;
  }

  override set(key: Key, row: Row): this {
    this.#row = undefined;
    return super.set(key, row);
  }

  override delete(key: Key): boolean {
    this.#row = undefined;
    return super.delete(key);
  }

  override clear(): void {
    this.#row = undefined;
    super.clear();
  }
}
