// wire/frame.ts: the native carrier's framing: a 4-byte big-endian length, then one message.
// Not here: sockets (connection.ts), what frames say (session/link.ts).
//   F1. A length above FRAME_BYTES_MAX is refused before memory is taken for it.
//   F2. Each byte is copied at most once, however the network cut the stream.
import { BinaryWriter } from "@bufbuild/protobuf/wire";
import { ClientFrame, ForelockError } from "@forelock/protocol";

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

/** Encodes frames into one buffer that it keeps; the bytes returned are the caller's. */
export class FrameEncoder {
  #writer = new BinaryWriter();

  encode(frame: ClientFrame): Uint8Array {
    const bytes = ClientFrame.encode(frame, this.#writer.fixed32(0)).finish();
    new DataView(bytes.buffer, bytes.byteOffset).setUint32(0, bytes.byteLength - LENGTH_BYTES);
    return bytes;
  }
}

/** Cuts a stream of chunks into frames. */
export class FrameSplitter {
  #parts: Uint8Array[] = [];
  #partsBytes = 0;
  /** Bytes that must be there before another frame can be looked at. */
  #neededBytes = LENGTH_BYTES;

  /**
   * @param each called with every whole frame, in order; the bytes are only valid during the call.
   * @throws ForelockError `frame_too_large`; the stream is then unusable.
   */
  push(chunk: Uint8Array, each: (frame: Uint8Array) => void): void {
    this.#parts.push(chunk);
    this.#partsBytes += chunk.byteLength;
    if (this.#partsBytes < this.#neededBytes) return; // F2: joined only when a frame is whole.
    const bytes = this.#parts.length === 1 ? chunk : Buffer.concat(this.#parts, this.#partsBytes);
    const rest = this.#cut(bytes, each);
    this.#parts = rest.byteLength === 0 ? [] : [rest];
    this.#partsBytes = rest.byteLength;
  }

  #cut(bytes: Uint8Array, each: (frame: Uint8Array) => void): Uint8Array {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let at = 0;
    this.#neededBytes = LENGTH_BYTES;
    while (bytes.byteLength - at >= LENGTH_BYTES) {
      const length = view.getUint32(at);
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
    return bytes.subarray(at);
  }
}
