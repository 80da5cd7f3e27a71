// state.ts: what a forecaster has learned, as bytes. Little-endian, versioned, the same state always gives the same bytes. Not here:
// checksums and files (whoever stores the bytes).
//   Z1. Bytes are taken whole or refused with an error that says what is wrong with them; nothing is half restored.

/** What is in the bytes; `keys` from the one longest unused to the newest. */
export interface SeriesState {
  /** Of Layout: what the numbers of a key mean depends on all of them. */
  readonly shape: readonly number[];
  /** The step that times are counted from. */
  readonly zero: number;
  /** Of challengers, in order of first offer. */
  readonly names: readonly string[];
  readonly pooled: Float64Array;
  readonly keys: readonly SeriesKeyState[];
}

export interface SeriesKeyState {
  readonly key: string;
  readonly numbers: Float64Array;
  readonly ring: Float64Array;
  /** By place in the ring: 1 when its value was observed. */
  readonly known: Uint8Array;
}

const MAGIC = 0x46534c46; // "FLSF"
const VERSION = 1;

export function encodeState(state: SeriesState): Uint8Array {
  const writer = new Writer();
  writer.whole(MAGIC);
  writer.whole(VERSION);
  writer.numbers(Float64Array.from(state.shape));
  writer.numbers(Float64Array.of(state.zero));
  writer.whole(state.names.length);
  for (const name of state.names) writer.text(name);
  writer.numbers(state.pooled);
  writer.whole(state.keys.length);
  for (const { key, numbers, ring, known } of state.keys) {
    writer.text(key);
    writer.numbers(numbers);
    writer.numbers(ring);
    writer.bytes(known);
  }
  return writer.done();
}

/** @throws RangeError when the bytes are of another version, or cut, or too long (Z1) */
export function decodeState(bytes: Uint8Array): SeriesState {
  const reader = new Reader(bytes);
  if (reader.whole() !== MAGIC) throw new RangeError("The bytes are no state of a series forecaster.");
  const version = reader.whole();
  if (version !== VERSION) throw new RangeError(`The state has version ${version}; it must be ${VERSION}.`);
  const shape = Array.from(reader.numbers());
  const zero = reader.numbers()[0] ?? Number.NaN;
  const names = reader.list(() => reader.text());
  const pooled = reader.numbers();
  const keys = reader.list(() => ({
    key: reader.text(),
    numbers: reader.numbers(),
    ring: reader.numbers(),
    known: reader.bytes(),
  }));
  reader.end();
  return { shape, zero, names, pooled, keys };
}

class Writer {
  #bytes = new Uint8Array(4_096);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;

  whole(value: number): void {
    const at = this.#grow(4);
    this.#view.setUint32(at, value, true);
  }

  numbers(values: Float64Array): void {
    this.whole(values.length);
    const at = this.#grow(8 * values.length);
    for (const [index, value] of values.entries()) this.#view.setFloat64(at + 8 * index, value, true);
  }

  bytes(values: Uint8Array): void {
    this.whole(values.length);
    this.#bytes.set(values, this.#grow(values.length));
  }

  text(value: string): void {
    this.bytes(new TextEncoder().encode(value));
  }

  done(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  #grow(bytes: number): number {
    const at = this.#length;
    this.#length += bytes;
    if (this.#length > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(this.#length, 2 * this.#bytes.length));
      grown.set(this.#bytes);
      this.#bytes = grown;
      this.#view = new DataView(grown.buffer);
    }
    return at;
  }
}

class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  whole(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  numbers(): Float64Array {
    const length = this.whole();
    const at = this.#take(8 * length);
    return Float64Array.from({ length }, (_, index) => this.#view.getFloat64(at + 8 * index, true));
  }

  bytes(): Uint8Array {
    const length = this.whole();
    const at = this.#take(length);
    return this.#bytes.slice(at, at + length);
  }

  text(): string {
    return new TextDecoder().decode(this.bytes());
  }

  list<Item>(read: () => Item): readonly Item[] {
    const length = this.whole();
    const items: Item[] = [];
    while (items.length < length) items.push(read()); // Ends: each takes bytes, or throws.
    return items;
  }

  end(): void {
    if (this.#at !== this.#bytes.length)
      throw new RangeError(`The state is ${this.#bytes.length} bytes long; it must be ${this.#at}.`);
  }

  #take(bytes: number): number {
    const at = this.#at;
    if (at + bytes > this.#bytes.length) throw new RangeError(`The state is cut at byte ${this.#bytes.length}.`);
    this.#at = at + bytes;
    return at;
  }
}
