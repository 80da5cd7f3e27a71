// write.ts: replies and notices to frames. Not here: when they are written (switchboard.ts).
//   F3. Each frame is at most frameBytesMax long; what alone would be longer is answered `frame_too_large`.
//   F4. What is large by nature travels alone, so that nothing small waits behind a frame being split.
import {
  encodeNotice,
  encodeReply,
  FastWriter,
  HeartbeatReply,
  type Notice,
  type Reply,
  Welcome,
  Error as WireError,
} from "@forelock/protocol";

/** What one connection has to say at the end of a tick. */
export interface Outgoing {
  readonly welcome: Welcome | undefined;
  readonly replies: readonly Reply[];
  readonly notices: readonly Notice[];
  readonly heartbeats: readonly HeartbeatReply[];
  readonly closing: WireError | undefined;
}

export const HEADER_BYTES = 4;
const WELCOME = 0x0a;
const HEARTBEAT = 0x22;
const CLOSING = 0x2a;
/** Of small replies or notices: about 100 KiB, far below the least frame limit that makes sense. */
const FRAME_MESSAGES_MAX = 1_000;

/** One for all connections of a node: frames share its memory, which is let go when they are sent. */
export class FrameWriter {
  readonly #bytesMax: number;
  readonly #writer = new FastWriter();

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Replies that are all there is to say, as the one frame that they fit; undefined when they are many, large or too long for one. */
  few(replies: readonly Reply[]): Uint8Array | undefined {
    if (replies.length > FRAME_MESSAGES_MAX || replies.some(isLarge)) return undefined;
    const frame = this.#joined(replies, 0, replies.length);
    return frame.length - HEADER_BYTES <= this.#bytesMax ? frame : undefined;
  }

  /** Hands each frame to `write`, in order, with room for its length in front, which is already filled in. */
  write(outgoing: Outgoing, write: (frame: Uint8Array) => void): void {
    const { welcome, replies, notices, heartbeats, closing } = outgoing;
    if (welcome !== undefined) write(this.#single(WELCOME, Welcome.encode(welcome).finish()));
    if (replies.length > 0) this.#replies(replies, write);
    for (let at = 0; at < notices.length; at += FRAME_MESSAGES_MAX) {
      this.#notices(notices.slice(at, at + FRAME_MESSAGES_MAX), write);
    }
    for (const beat of heartbeats) write(this.#single(HEARTBEAT, HeartbeatReply.encode(beat).finish()));
    if (closing !== undefined) write(this.#single(CLOSING, WireError.encode(closing).finish()));
  }

  #replies(replies: readonly Reply[], write: (frame: Uint8Array) => void): void {
    let start = 0;
    for (let at = 0; at <= replies.length; at++) {
      const isAlone = at < replies.length && isLarge(replies[at]!); // F4
      if (at < replies.length && !isAlone && at - start < FRAME_MESSAGES_MAX) continue;
      if (at > start) this.#split(replies, start, at, write);
      if (isAlone) this.#split(replies, at, at + 1, write);
      start = isAlone ? at + 1 : at;
    }
  }

  /** Writes replies `from` (with) to `to` (without) as one frame, or as two halves where one is too long. */
  #split(replies: readonly Reply[], from: number, to: number, write: (frame: Uint8Array) => void): void {
    const frame = this.#joined(replies, from, to);
    if (frame.length - HEADER_BYTES <= this.#bytesMax) {
      write(frame);
    } else if (to - from === 1) {
      this.#split([tooLarge(replies[from]!.sequence, this.#bytesMax)], 0, 1, write); // F3, and in range.
    } else {
      const middle = (from + to) >>> 1;
      this.#split(replies, from, middle, write);
      this.#split(replies, middle, to, write);
    }
  }

  #joined(replies: readonly Reply[], from: number, to: number): Uint8Array {
    this.#begin();
    for (let at = from; at < to; at++) encodeReply(replies[at]!, this.#writer); // In range.
    return this.#finish();
  }

  #notices(notices: readonly Notice[], write: (frame: Uint8Array) => void): void {
    this.#begin();
    for (const notice of notices) encodeNotice(notice, this.#writer);
    const frame = this.#finish();
    if (frame.length - HEADER_BYTES <= this.#bytesMax || notices.length === 1) {
      write(frame);
    } else {
      const middle = notices.length >>> 1;
      this.#notices(notices.slice(0, middle), write);
      this.#notices(notices.slice(middle), write);
    }
  }

  #single(tag: number, message: Uint8Array): Uint8Array {
    this.#begin();
    this.#writer.room(1);
    this.#writer.byte(tag);
    this.#writer.raw(message);
    return this.#finish();
  }

  #begin(): void {
    this.#writer.begin();
    this.#writer.room(HEADER_BYTES);
    this.#writer.at += HEADER_BYTES;
  }

  #finish(): Uint8Array {
    const frame = this.#writer.finish();
    const bytes = frame.length - HEADER_BYTES;
    frame[0] = bytes >>> 24;
    frame[1] = bytes >>> 16;
    frame[2] = bytes >>> 8;
    frame[3] = bytes;
    return frame;
  }
}

function isLarge({ body }: Reply): boolean {
  switch (body?.$case) {
    case "readFile":
    case "readRecords":
    case "listFiles":
    case "listLocks":
    case "listSessions":
      return true;
    default:
      return false;
  }
}

function tooLarge(sequence: number, bytesMax: number): Reply {
  const message = `The answer is above ${bytesMax} bytes; ask for less.`;
  return {
    sequence,
    body: { $case: "error", value: { code: "frame_too_large", message, detailsJson: "", retryAfterMs: 0 } },
  };
}
