// state.ts: a forecaster's state as bytes: a header, fields in order, a checksum. Not here: which fields (forecaster.ts).
//   S1. Any changed, missing or added byte is refused, and so is another version or another byte order.

const MAGIC = 0x464c4446; // "FLDF", and its reverse tells another byte order.
const GROWTH = 2;

/** Appends fields; grows as needed. */
export class StateWriter {
  #bytes = new Uint8Array(65_536);
  #length = 0;

  constructor(version: number) {
    this.uint32(MAGIC);
    this.uint32(version);
  }

  uint32(value: number): void {
    this.#append(new Uint8Array(Uint32Array.of(value).buffer));
  }

  float64(value: number): void {
    this.#append(new Uint8Array(Float64Array.of(value).buffer));
  }

  floats32(values: Float32Array): void {
    this.#append(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  }

  floats64(values: Float64Array): void {
    this.#append(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  }

  ints32(values: Int32Array): void {
    this.#append(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  }

  /** Code units, not UTF-8: half a surrogate pair is a name too, and must come back the same. */
  text(value: string): void {
    this.uint32(value.length);
    const units = new Uint16Array(value.length + (value.length % 2)); // Whole words, for the checksum.
    for (let index = 0; index < value.length; index += 1) units[index] = value.charCodeAt(index);
    this.#append(new Uint8Array(units.buffer));
  }

  take(): Uint8Array {
    this.uint32(checksum(this.#bytes, this.#length));
    return this.#bytes.slice(0, this.#length);
  }

  #append(bytes: Uint8Array): void {
    const length = this.#length + bytes.byteLength;
    if (length > this.#bytes.byteLength) {
      const grown = new Uint8Array(Math.max(length, this.#bytes.byteLength * GROWTH));
      grown.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = grown;
    }
    this.#bytes.set(bytes, this.#length);
    this.#length = length;
  }
}

/** Reads the fields in the order in which they were written. Throws a RangeError that says what is wrong (S1). */
export class StateReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array, version: number) {
    if (bytes.byteLength < 12 || bytes.byteLength % 4 !== 0)
      throw new RangeError(`The state is damaged: ${bytes.byteLength} bytes is not a length that was written.`);
    this.#bytes = new Uint8Array(bytes); // Aligned, nobody else's to change, and no Buffer, whose slices share.
    const magic = this.uint32();
    if (magic !== MAGIC)
      throw new RangeError(
        "These bytes are not the state of a duration forecaster, or of a machine of other byte order.",
      );
    const written = this.uint32();
    if (written !== version)
      throw new RangeError(`The state has version ${written}; this program reads version ${version}. Start afresh.`);
    const length = bytes.byteLength - 4;
    const sum = new Uint32Array(this.#bytes.buffer, length, 1)[0];
    if (sum !== checksum(this.#bytes, length)) throw new RangeError("The state is damaged: its checksum does not fit.");
  }

  uint32(): number {
    return new Uint32Array(this.#take(4).buffer)[0]!; // One word was taken.
  }

  float64(): number {
    return new Float64Array(this.#take(8).buffer)[0]!; // One double was taken.
  }

  floats32(into: Float32Array): void {
    into.set(new Float32Array(this.#take(into.byteLength).buffer));
  }

  floats64(into: Float64Array): void {
    into.set(new Float64Array(this.#take(into.byteLength).buffer));
  }

  ints32(into: Int32Array): void {
    into.set(new Int32Array(this.#take(into.byteLength).buffer));
  }

  text(): string {
    const length = this.uint32();
    const units = new Uint16Array(this.#take(2 * (length + (length % 2))).buffer);
    let text = "";
    for (let index = 0; index < length; index += 1) text += String.fromCharCode(units[index]!); // In range.
    return text;
  }

  /** Refuses bytes that were not read. */
  end(): void {
    const left = this.#bytes.byteLength - 4 - this.#at;
    if (left !== 0) throw new RangeError(`The state is damaged: ${left} bytes too many.`);
  }

  #take(length: number): Uint8Array<ArrayBuffer> {
    const end = this.#at + length;
    if (end > this.#bytes.byteLength - 4) throw new RangeError("The state is damaged: it ends too early.");
    const taken = this.#bytes.slice(this.#at, end);
    this.#at = end;
    return taken;
  }
}

/** FNV-1a over 32-bit words with a final mix: finds damage, not malice. */
function checksum(bytes: Uint8Array, length: number): number {
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, length / 4);
  let hash = 0x811c9dc5;
  for (const word of words) {
    hash = Math.imul(hash ^ word, 0x01000193);
    hash ^= hash >>> 15; // Otherwise the upper bits of a word would never reach the lower ones.
  }
  return hash >>> 0;
}
