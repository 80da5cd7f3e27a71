// bytes.ts: a growing writer and a reader for the two formats of a partition: events in log records, and snapshots.
// Variable-length integers (7 bits a byte, low first), length-prefixed text and bytes.
import { assert } from "@forelock/protocol";
import { textAt } from "./texts.ts";
import { readToken, writeToken } from "./token.ts";

const TWO_28 = 268_435_456;

export class ByteWriter {
  #buffer: Buffer;
  /** Before it lies what was given away. */
  #start = 0;
  #end = 0;
  readonly #bytesMin: number;

  constructor(bytes: number) {
    this.#bytesMin = bytes;
    this.#buffer = Buffer.allocUnsafeSlow(bytes);
  }

  get length(): number {
    return this.#end - this.#start;
  }

  /** A copy of what was written; the writer starts anew. */
  take(): Uint8Array {
    const bytes = new Uint8Array(this.length);
    bytes.set(this.#buffer.subarray(this.#start, this.#end));
    this.#end = this.#start;
    return bytes;
  }

  /** What was written, uncopied: it stays as it is, as the writer goes on behind it. Whoever keeps it keeps its neighbours, too. */
  give(): Uint8Array {
    const bytes = new Uint8Array(this.#buffer.buffer, this.#buffer.byteOffset + this.#start, this.length);
    this.#start = this.#end;
    return bytes;
  }

  byte(value: number): void {
    this.#reserve(1);
    this.#buffer[this.#end] = value;
    this.#end += 1;
  }

  /** A whole number, 0 to 2^53. */
  number(value: number): void {
    this.#reserve(8);
    let rest = value;
    let at = this.#end;
    while (rest >= TWO_28) {
      this.#buffer[at] = (rest % 128) | 128;
      rest = Math.floor(rest / 128);
      at += 1;
    }
    while (rest > 127) {
      this.#buffer[at] = (rest & 127) | 128;
      rest >>>= 7;
      at += 1;
    }
    this.#buffer[at] = rest;
    this.#end = at + 1;
  }

  /** A number of milliseconds that may be negative, fractional or infinite. */
  float(value: number): void {
    this.#reserve(8);
    this.#buffer.writeDoubleLE(value, this.#end);
    this.#end += 8;
  }

  token(value: bigint): void {
    this.#reserve(8);
    writeToken(this.#buffer, this.#end, value);
    this.#end += 8;
  }

  text(value: string): void {
    // Three bytes a UTF-16 unit at most; short ASCII is the rule, and written by hand it costs half of a native call.
    const units = value.length;
    if (units < 64) {
      this.#reserve(units + 1);
      const start = this.#end;
      let index = 0;
      for (; index < units; index += 1) {
        const code = value.charCodeAt(index);
        if (code > 127) break;
        this.#buffer[start + 1 + index] = code;
      }
      if (index === units) {
        this.#buffer[start] = units;
        this.#end = start + 1 + units;
        return;
      }
    }
    const bytes = Buffer.byteLength(value);
    this.number(bytes);
    this.#reserve(bytes);
    this.#buffer.write(value, this.#end);
    this.#end += bytes;
  }

  bytes(value: Uint8Array): void {
    this.number(value.length);
    this.#reserve(value.length);
    this.#buffer.set(value, this.#end);
    this.#end += value.length;
  }

  #reserve(bytes: number): void {
    if (this.#end + bytes + 1 <= this.#buffer.length) return;
    // What was given away is left behind, and so is the room that one large record needed.
    const size = Math.max(this.#bytesMin, (this.length + bytes + 1) * 2);
    const next = Buffer.allocUnsafeSlow(size);
    next.set(this.#buffer.subarray(this.#start, this.#end));
    this.#end = this.length;
    this.#start = 0;
    this.#buffer = next;
  }
}

const double = new Float64Array(1);
const doubleBytes = new Uint8Array(double.buffer);
const IS_LITTLE_ENDIAN = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #end: number;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#end = bytes.length;
  }

  get isDone(): boolean {
    return this.#at >= this.#end;
  }

  /** To come back to what was read before. */
  get at(): number {
    return this.#at;
  }

  set at(value: number) {
    this.#at = value;
  }

  byte(): number {
    const value = this.#bytes[this.#at];
    assert(value !== undefined, "the bytes end inside a field");
    this.#at += 1;
    return value;
  }

  flag(): boolean {
    return this.bits(1) === 1;
  }

  /** A byte of flags, of which there are only those of `mask`. */
  bits(mask: number): number {
    const value = this.byte();
    assert((value & ~mask) === 0, "a byte of flags has only known ones");
    return value;
  }

  number(): number {
    let value = this.byte();
    if (value < 128) return value;
    value -= 128;
    let scale = 128;
    for (;;) {
      const next = this.byte();
      value += (next & 127) * scale;
      if (next < 128) return value;
      scale *= 128;
      assert(scale <= 2 ** 56, "a number is longer than 8 bytes");
    }
  }

  float(): number {
    this.#need(8);
    for (let index = 0; index < 8; index += 1)
      doubleBytes[IS_LITTLE_ENDIAN ? index : 7 - index] = this.#bytes[this.#at + index] ?? 0;
    const value = double[0] ?? 0; // There is one.
    assert(!Number.isNaN(value), "a time is a number");
    this.#at += 8;
    return value;
  }

  token(): bigint {
    this.#need(8);
    const value = readToken(this.#bytes, this.#at);
    this.#at += 8;
    return value;
  }

  /** Half of a token. */
  int32(): number {
    this.#need(4);
    const bytes = this.#bytes;
    const at = this.#at;
    this.#at = at + 4;
    return (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16) | ((bytes[at + 3] ?? 0) << 24);
  }

  text(): string {
    const bytes = this.number();
    this.#need(bytes);
    const start = this.#at;
    this.#at += bytes;
    return textAt(this.#bytes, start, this.#at);
  }

  bytes(): Uint8Array {
    const length = this.number();
    this.#need(length);
    const start = this.#at;
    this.#at += length;
    return this.#bytes.subarray(start, this.#at);
  }

  #need(bytes: number): void {
    assert(this.#at + bytes <= this.#end, "the bytes end inside a field");
  }
}
