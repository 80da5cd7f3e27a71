// carrier.ts: the native carrier: length-prefixed frames on one socket, plain or TLS. Not here: what is said
// (connection.ts), telling carriers apart (listener.ts).
//   P1. A frame is whole within frameMs of its first byte, or the connection ends.
//   P2. After `finish` nothing is read; the socket is gone within lingerMs even if the peer does nothing.

import type { Socket } from "node:net";
import type { Error as WireError } from "@forelock/protocol";
import type { Peer } from "../authenticate.ts";
import { type Carrier, Connection, type ConnectionParts } from "../connection.ts";
import type { Deadlines } from "../deadlines.ts";
import { wireError } from "../wire-error.ts";
import { readDirectly } from "./direct.ts";
import { type FrameProblem, FrameReader, HEADER_BYTES } from "./reader.ts";

export interface TcpParts extends ConnectionParts {
  readonly frameDeadlines: Deadlines<TcpCarrier>;
  readonly lingerDeadlines: Deadlines<TcpCarrier>;
}

const KEEP_ALIVE_MS = 30_000;

export class TcpCarrier implements Carrier {
  readonly peer: Peer;
  readonly #socket: Socket;
  readonly #parts: TcpParts;
  readonly #reader: FrameReader;
  readonly #connection: Connection;
  /** Number of the frame that is being timed. */
  #timedFrame: number | undefined;
  #isFinished = false;

  /** @param first what was read from the socket while its carrier was found out */
  constructor(socket: Socket, first: Buffer, peer: Peer, parts: TcpParts) {
    this.peer = peer;
    this.#socket = socket;
    this.#parts = parts;
    this.#connection = new Connection(this, parts);
    this.#reader = new FrameReader(parts.limits.frameBytesMax, (frame) => this.#connection.take(frame));
    socket.setNoDelay(true);
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    readDirectly(socket, this.#read);
    socket.on("drain", () => this.#connection.drained());
    socket.on("error", () => socket.destroy()); // Resets are the peer's way of leaving; `close` follows.
    socket.on("end", () => this.#connection.closed());
    socket.on("close", () => this.#gone());
    this.#read(first);
    if (!this.#reader.isHolding) socket.resume(); // It was paused until its carrier was known; a frame may come in pieces.
  }

  get unsentBytes(): number {
    return this.#socket.writableLength;
  }

  write(frames: readonly Uint8Array[]): void {
    if (frames.length === 1) {
      this.#socket.write(frames[0]!); // There is one.
      return;
    }
    this.#socket.cork();
    for (const frame of frames) this.#socket.write(frame);
    this.#socket.uncork();
  }

  resume(): void {
    if (this.#isFinished) return;
    // Flowing first: what was held may make the connection hold again.
    this.#socket.resume();
    this.#handled(this.#reader.resume());
  }

  finish(): void {
    if (this.#isFinished) return;
    this.#isFinished = true;
    this.#reader.discard();
    this.#socket.end();
    this.#socket.resume(); // Reads on and forgets: closing with unread bytes would reset, and lose our last frame.
    this.#parts.frameDeadlines.stop(this);
    this.#parts.lingerDeadlines.start(this); // P2
  }

  destroy(): void {
    this.#isFinished = true;
    this.#socket.destroy();
  }

  /** A frame took too long. */
  late(): void {
    this.#connection.late(`A frame was not whole within ${this.#parts.limits.frameMs} ms of its first byte.`);
  }

  readonly #read = (chunk: Buffer): void => {
    if (this.#isFinished) return;
    if (this.#reader.isOneFrame(chunk)) {
      this.#reader.took(this.#connection.take(chunk, HEADER_BYTES));
      this.#handled(undefined);
    } else this.#handled(this.#reader.push(chunk));
  };

  #handled(problem: FrameProblem | undefined): void {
    if (this.#isFinished) return;
    if (problem !== undefined) {
      this.#connection.fail(problemError(problem, this.#parts.limits.frameBytesMax));
      return;
    }
    if (this.#reader.isHolding) this.#socket.pause();
    // P1: each frame has its own time. One that comes in pieces goes on being timed, and the next one starts anew.
    const frame = this.#reader.isInside ? this.#reader.frames : undefined;
    if (frame === this.#timedFrame) return;
    if (this.#timedFrame !== undefined) this.#parts.frameDeadlines.stop(this);
    if (frame !== undefined) this.#parts.frameDeadlines.start(this);
    this.#timedFrame = frame;
  }

  #gone(): void {
    this.#isFinished = true;
    this.#reader.discard();
    this.#parts.frameDeadlines.stop(this);
    this.#parts.lingerDeadlines.stop(this);
    this.#connection.closed();
  }
}

function problemError(problem: FrameProblem, bytesMax: number): WireError {
  switch (problem.kind) {
    case "empty":
      return wireError({ code: "bad_frame", message: `length: 0; allowed 1 to ${bytesMax}.` });
    case "too_large":
      return wireError({ code: "frame_too_large", message: `length: ${problem.bytes}; allowed 1 to ${bytesMax}.` });
  }
}
