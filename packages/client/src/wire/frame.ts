// wire/frame.ts: the native carrier's framing: a 4-byte big-endian length, then one message.
// Not here: sockets (connection.ts), what frames say (session/link.ts).
//   F1. A length above FRAME_BYTES_MAX is refused before memory is taken for it.
//   F2. However the network cut the stream, each byte is copied a few times at most; in a frame that came as a whole, not at all.
import { type ClientFrame, encodeClientFrame, FastWriter, ForelockError } from "@forelock/protocol";

/** A server's frames are far below this; more means that the other side speaks something else. */
export const FRAME_BYTES_MAX = 16 * 1_048_576;

/** For frames that carry one thing. */
export const EMPTY_FRAME: ClientFrame = {
  hello: undefined,
  lowestUnanswered: 0,
  operations: [],
  settled: [],
  heartbeat: undefined,
};

const LENGTH_BYTES = 4;

/** One for all connections of a thread: frames are written whole, one after the other. */
const writer = new FastWriter();

/** The frame with its length before it; the bytes are the caller's. */
export function encodeFrame(frame: ClientFrame): Buffer {
  writer.begin();
  writer.room(LENGTH_BYTES);
  writer.at += LENGTH_BYTES;
  encodeClientFrame(frame, writer);
  const bytes = writer.finish();
  bytes.writeUInt32BE(bytes.byteLength - LENGTH_BYTES);
  return bytes;
}

/** Cuts a stream of chunks into frames. */
export class FrameSplitter {
  #parts: Buffer[] = [];
  #partsBytes = 0;
  /** Bytes that must be there before another frame can be looked at. */
  #neededBytes = LENGTH_BYTES;

  /**
   * @param chunk may be used again afterwards
   * @param each called with every whole frame, in order; the bytes are only valid during the call.
   * @throws ForelockError `frame_too_large`; the stream is then unusable.
   */
  push(chunk: Buffer, each: (frame: Buffer) => void): void {
    if (this.#partsBytes === 0) {
      this.#keep(chunk, this.#cut(chunk, each)); // As a rule: whole frames, and nothing before them.
      return;
    }
    this.#keep(chunk, 0);
    if (this.#partsBytes < this.#neededBytes) return; // F2: joined only when a frame is whole.
    const bytes = Buffer.concat(this.#parts, this.#partsBytes);
    const rest = bytes.subarray(this.#cut(bytes, each));
    this.#parts = rest.byteLength === 0 ? [] : [rest];
    this.#partsBytes = rest.byteLength;
  }

  #keep(chunk: Buffer, from: number): void {
    if (from === chunk.byteLength) return;
    const rest = Buffer.from(chunk.subarray(from)); // A copy.
    this.#parts.push(rest);
    this.#partsBytes += rest.byteLength;
  }

  /** @returns where the bytes begin that are no whole frame yet */
  #cut(bytes: Buffer, each: (frame: Buffer) => void): number {
    let at = 0;
    this.#neededBytes = LENGTH_BYTES;
    while (bytes.byteLength - at >= LENGTH_BYTES) {
      const length = bytes.readUInt32BE(at);
      if (length > FRAME_BYTES_MAX) {
        throw new ForelockError("frame_too_large", `A frame of ${length} bytes came; at most ${FRAME_BYTES_MAX}.`); // F1
      }
      const end = at + LENGTH_BYTES + length;
      if (end > bytes.byteLength) {
        this.#neededBytes = LENGTH_BYTES + length;
        break;
      }
      each(bytes.subarray(at + LENGTH_BYTES, end));
      at = end;
    }
    return at;
  }
}
