// fast/writer.ts: where frames are written: one growing run of bytes, and the wire's basic forms.
// Not here: what a frame holds (encode.ts).
//   B1. Bytes handed out by `finish` are never written again: the next frame begins behind them, or in new memory.
//   B2. Lengths and numbers take the fewest bytes they can, as the generated code writes them.

/** Frames share memory of this size: what is still to be sent keeps it, so it is small. */
const SLAB_BYTES = 32_768;
const UTF8_BYTES_PER_UNIT = 3;
/** A 64-bit number takes at most so many. */
export const VARINT_BYTES_MAX = 10;

const textEncoder = new TextEncoder();
const fixed = new BigUint64Array(1);
const fixedBytes = new Uint8Array(fixed.buffer);
const FIXED64_MAX = 2n ** 64n - 1n;
const IS_LITTLE_ENDIAN = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

/** For one frame after the other: `begin`, what the frame holds, `finish`. May serve any number of connections of a thread. */
export class FastWriter {
  /** Written up to `at`; callers that write themselves ask for `room` first. */
  bytes: Buffer = Buffer.alloc(0);
  at = 0;
  #start = 0;
  #lastBytes = 0;

  /** Whatever an encoder left behind that threw is forgotten. */
  begin(): void {
    this.at = this.#start;
    if (this.bytes.length - this.at < this.#lastBytes) {
      this.bytes = allocate(this.#lastBytes); // Rather than to begin here and move what was written.
      this.at = 0;
      this.#start = 0;
    }
  }

  /** The frame; the caller's to keep (B1). */
  finish(): Buffer {
    const frame = this.bytes.subarray(this.#start, this.at);
    this.#start = this.at;
    this.#lastBytes = frame.length;
    return frame;
  }

  /** Makes sure that so many bytes fit behind `at`. */
  room(bytes: number): void {
    const needed = this.at + bytes;
    if (needed <= this.bytes.length) return;
    const larger = allocate(needed - this.#start);
    this.bytes.copy(larger, 0, this.#start, this.at);
    this.at -= this.#start;
    this.#start = 0;
    this.bytes = larger;
  }

  /** Below 128: tags of fields up to 15, kinds, flags. Needs room for 1. */
  byte(value: number): void {
    this.bytes[this.at++] = value;
  }

  /** A whole number from 0 to 2^53 - 1. Needs room for VARINT_BYTES_MAX. */
  varint(value: number): void {
    const { bytes } = this;
    let { at } = this;
    let rest = value;
    while (rest > 0x7fffffff) {
      bytes[at++] = (rest % 128) | 0x80; // Above 31 bits the operators on bits do not hold.
      rest = Math.floor(rest / 128);
    }
    while (rest > 0x7f) {
      bytes[at++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    bytes[at++] = rest;
    this.at = at;
  }

  /** Little-endian. Needs room for 8. @param value as `isFixed64` allows */
  fixed64(value: bigint): void {
    fixed[0] = value;
    const { bytes, at } = this;
    for (let index = 0; index < 8; index++) bytes[at + index] = fixedBytes[IS_LITTLE_ENDIAN ? index : 7 - index] ?? 0;
    this.at = at + 8;
  }

  /** Its length and its UTF-8. Needs room for `textBytesMax(text)`. */
  text(text: string): void {
    const { length } = text;
    if (length > 0x7f) {
      this.#longText(text);
      return;
    }
    const { bytes } = this;
    const start = this.at;
    bytes[start] = length;
    for (let index = 0; index < length; index++) {
      const code = text.charCodeAt(index);
      if (code > 0x7f) {
        this.#longText(text);
        return;
      }
      bytes[start + 1 + index] = code;
    }
    this.at = start + 1 + length;
  }

  /** Begins something whose length is told before it; give what it returns to `close`. Needs room for 1. */
  open(): number {
    return ++this.at - this.#start;
  }

  /** Fills in the length of what was written since `open`. */
  close(opened: number): void {
    const length = this.at - this.#start - opened;
    if (length < 0x80) {
      this.bytes[this.at - length - 1] = length;
      return;
    }
    this.room(VARINT_BYTES_MAX);
    const from = this.at - length;
    const lengthBytes = varintBytes(length);
    this.bytes.copyWithin(from - 1 + lengthBytes, from, this.at);
    this.at = from - 1;
    this.varint(length);
    this.at += length;
  }

  /** Its length and itself. */
  raw(message: Uint8Array): void {
    this.room(VARINT_BYTES_MAX + message.length);
    this.varint(message.length);
    this.bytes.set(message, this.at);
    this.at += message.length;
  }

  #longText(text: string): void {
    const from = this.at + VARINT_BYTES_MAX;
    const { written } = textEncoder.encodeInto(text, this.bytes.subarray(from));
    this.varint(written);
    this.bytes.copyWithin(this.at, from, from + written);
    this.at += written;
  }
}

/** How many bytes a text takes at most, with its length. */
export function textBytesMax(text: string): number {
  return VARINT_BYTES_MAX + UTF8_BYTES_PER_UNIT * text.length;
}

export function isFixed64(value: bigint): boolean {
  return typeof value === "bigint" && value >= 0n && value <= FIXED64_MAX;
}

export function isUint32(value: number): boolean {
  return value >>> 0 === value;
}

/** Twice what is asked for, so that a frame that grows is moved seldom. */
function allocate(bytes: number): Buffer {
  return Buffer.allocUnsafeSlow(Math.max(SLAB_BYTES, 2 * bytes));
}

function varintBytes(value: number): number {
  let bytes = 1;
  for (let rest = value; rest > 0x7f; rest = Math.floor(rest / 128)) bytes++;
  return bytes;
}
