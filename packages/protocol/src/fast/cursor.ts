// fast/cursor.ts: reading the wire's basic forms from bytes. Not here: what a frame holds (decode.ts).
//   C1. Nothing is read at or behind `end`. What would be, and what is unusual, sets `irregular`; what is read from then on means nothing.

const fixed = new BigUint64Array(1);
const fixedBytes = new Uint8Array(fixed.buffer);
const IS_LITTLE_ENDIAN = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;
const PAST_UINT32 = 2 ** 32;
/** Beyond this many bytes a number is above 2^53, or longer than it needs to be. */
const VARINT_BYTES_MAX = 8;

export class Cursor {
  bytes: Buffer = Buffer.alloc(0);
  at = 0;
  /** Of the frame, or of the message in it that is being read. */
  end = 0;
  irregular = false;

  /** A tag of one byte: fields 1 to 15. Else irregular, and 0. */
  tag(): number {
    const tag = this.byte();
    if (tag > 0x7f) this.irregular = true;
    return tag;
  }

  byte(): number {
    if (this.at < this.end) return this.bytes[this.at++] ?? 0; // Within.
    this.irregular = true;
    return 0;
  }

  /** A whole number from 0 to 2^53 - 1. */
  varint(): number {
    const first = this.byte();
    if (first < 0x80) return first;
    let value = first & 0x7f;
    for (let index = 1, scale = 128; index < VARINT_BYTES_MAX; index++, scale *= 128) {
      const byte = this.byte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (value > Number.MAX_SAFE_INTEGER) this.irregular = true;
        return value;
      }
    }
    this.irregular = true;
    return 0;
  }

  uint32(): number {
    const value = this.varint();
    if (value < PAST_UINT32) return value;
    this.irregular = true;
    return 0;
  }

  /** Of the kinds that there are; above 127 it is irregular. */
  kind(): number {
    const value = this.byte();
    if (value > 0x7f) this.irregular = true;
    return value;
  }

  /** 0 or 1. */
  flag(): boolean {
    const value = this.byte();
    if (value > 1) this.irregular = true;
    return value === 1;
  }

  fixed64(): bigint {
    const { at } = this;
    if (this.end - at < 8) {
      this.irregular = true;
      return 0n;
    }
    for (let index = 0; index < 8; index++)
      fixedBytes[IS_LITTLE_ENDIAN ? index : 7 - index] = this.bytes[at + index] ?? 0;
    this.at = at + 8;
    return fixed[0] ?? 0n;
  }

  /** Where the message or text ends whose length stands here. */
  lengthEnd(): number {
    const end = this.varint() + this.at; // Not the other way round: `varint` moves `at`.
    if (end <= this.end) return end;
    this.irregular = true;
    return this.end;
  }

  /** Goes into the message whose length stands here. @returns for `leave` */
  enter(): number {
    const outerEnd = this.end;
    this.end = this.lengthEnd();
    return outerEnd;
  }

  /** Goes on behind the message, in the one around it. */
  leave(outerEnd: number): void {
    this.at = this.end;
    this.end = outerEnd;
  }
}
