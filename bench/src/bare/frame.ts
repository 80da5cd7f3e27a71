// bare/frame.ts: the smallest wire that a lock loop can have. Not here: sockets (client.ts, server.ts).
//   F1. A frame is a length (4 bytes, big endian, of what follows) and a run of requests or replies.
//   F2. A request is kind (1), sequence (4), token (8, a double), name length (1), name (ASCII).
//   F3. A reply is sequence (4) and token (8, a double): 0 is a refusal.
// There is no session, no checksum and no version here: these loops are the limit that a real service is measured against.

export const ACQUIRE = 1;
export const RELEASE = 2;
const REQUEST_HEAD_BYTES = 14;
export const REPLY_BYTES = 12;
const BYTES_AT_START = 4096;

/** A frame under construction, reused once it is sent. */
export class FrameWriter {
  #bytes = Buffer.allocUnsafe(BYTES_AT_START);
  #length = 4;

  get isEmpty(): boolean {
    return this.#length === 4;
  }

  request(kind: typeof ACQUIRE | typeof RELEASE, sequence: number, token: number, name: string): void {
    this.#reserve(REQUEST_HEAD_BYTES + name.length);
    const bytes = this.#bytes;
    let at = this.#length;
    bytes[at] = kind;
    bytes.writeUInt32LE(sequence, at + 1);
    bytes.writeDoubleLE(token, at + 5);
    bytes[at + 13] = name.length;
    at += REQUEST_HEAD_BYTES;
    bytes.write(name, at, "latin1");
    this.#length = at + name.length;
  }

  reply(sequence: number, token: number): void {
    this.#reserve(REPLY_BYTES);
    this.#bytes.writeUInt32LE(sequence, this.#length);
    this.#bytes.writeDoubleLE(token, this.#length + 4);
    this.#length += REPLY_BYTES;
  }

  /** The finished frame. The socket keeps the bytes, so the next frame starts in new ones. */
  take(): Buffer {
    const frame = this.#bytes.subarray(0, this.#length);
    frame.writeUInt32BE(this.#length - 4, 0);
    this.#bytes = Buffer.allocUnsafe(Math.max(BYTES_AT_START, this.#length));
    this.#length = 4;
    return frame;
  }

  #reserve(more: number): void {
    if (this.#length + more <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe((this.#length + more) * 2);
    this.#bytes.copy(larger, 0, 0, this.#length);
    this.#bytes = larger;
  }
}

/** Cuts what a socket delivers into frames; a frame may come in pieces. */
export class FrameReader {
  #rest: Buffer | undefined;

  /** Calls `each` with the bytes and the bounds of every whole frame in order. */
  push(chunk: Buffer, each: (bytes: Buffer, from: number, to: number) => void): void {
    const bytes = this.#rest === undefined ? chunk : Buffer.concat([this.#rest, chunk]);
    let at = 0;
    while (at + 4 <= bytes.length) {
      const end = at + 4 + bytes.readUInt32BE(at);
      if (end > bytes.length) break;
      each(bytes, at + 4, end);
      at = end;
    }
    this.#rest = at === bytes.length ? undefined : bytes.subarray(at);
  }
}

export type OnRequest = (kind: number, sequence: number, token: number, name: string) => void;

export function readRequests(bytes: Buffer, from: number, to: number, each: OnRequest): void {
  let at = from;
  while (at < to) {
    const nameEnd = at + REQUEST_HEAD_BYTES + bytes.readUInt8(at + 13);
    const name = bytes.toString("latin1", at + REQUEST_HEAD_BYTES, nameEnd);
    each(bytes.readUInt8(at), bytes.readUInt32LE(at + 1), bytes.readDoubleLE(at + 5), name);
    at = nameEnd;
  }
}

export function readReplies(
  bytes: Buffer,
  from: number,
  to: number,
  each: (sequence: number, token: number) => void,
): void {
  for (let at = from; at < to; at += REPLY_BYTES) each(bytes.readUInt32LE(at), bytes.readDoubleLE(at + 4));
}
