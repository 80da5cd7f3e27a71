// wire/connection.ts: one connection, from dialling to its end. Not here: reconnecting and sessions (session/).
//   C1. `closed` resolves exactly once, with the reason; after it no event comes.
//   C2. The first frame of the server is a Welcome or says why there is none; until then nothing else is passed on.
import type { Socket } from "node:net";
import {
  type ClientFrame,
  decodeServerFrame,
  ForelockError,
  type Hello,
  type ServerFrame,
  type Welcome,
} from "@forelock/protocol";
import type { ThreadEnvironment, Timer } from "../environment.ts";
import type { TlsOptions } from "../options.ts";
import type { Endpoint } from "./endpoint.ts";
import { EMPTY_FRAME, encodeFrame, FrameSplitter } from "./frame.ts";
import { errorFromWire } from "./wire-error.ts";

export const PROTOCOL_VERSION = 1;

export interface ConnectionEvents {
  /** @param helloSentAtMs monotonic: the session was alive at the server after this moment. */
  welcomed(welcome: Welcome, helloSentAtMs: number): void;
  received(frame: ServerFrame): void;
}

export interface ConnectionOptions {
  readonly endpoint: Endpoint;
  readonly tls: TlsOptions | undefined;
  readonly hello: Hello;
  /** Dialling and the answer to Hello may take this long together. */
  readonly handshakeMs: number;
}

export class Connection {
  readonly closed: Promise<ForelockError>;
  readonly #socket: Socket;
  readonly #splitter = new FrameSplitter();
  readonly #events: ConnectionEvents;
  readonly #endpoint: string;
  readonly #handshake: Timer;
  #close: (reason: ForelockError) => void = () => {};
  #helloSentAtMs = 0;
  #welcomed = false;
  #ended = false;
  readonly #decode = (bytes: Buffer): void => {
    if (!this.#ended) this.#receive(decodeServerFrame(bytes));
  };

  constructor(environment: ThreadEnvironment, options: ConnectionOptions, events: ConnectionEvents) {
    const { clock, dial } = environment;
    this.#events = events;
    this.#endpoint = `${options.endpoint.host}:${options.endpoint.port}`;
    this.closed = new Promise((resolve) => {
      this.#close = resolve;
    });
    this.#socket = dial(options.endpoint, options.tls, (chunk) => this.#read(chunk));
    this.#handshake = clock.after(options.handshakeMs, () =>
      this.end(this.#unavailable(`did not answer within ${options.handshakeMs} ms.`)),
    );
    this.#socket.once(options.tls === undefined ? "connect" : "secureConnect", () => {
      this.#helloSentAtMs = clock.monotonicMs();
      this.send({ ...EMPTY_FRAME, hello: options.hello });
    });
    this.#socket.on("error", (error) => this.end(this.#unavailable(`failed: ${error.message}.`, error)));
    this.#socket.on("close", () => this.end(this.#unavailable("closed the connection.")));
  }

  /** Writes one frame; nothing after the end. */
  send(frame: ClientFrame): void {
    if (!this.#ended) this.#socket.write(encodeFrame(frame));
  }

  /** Ends the connection at once. Idempotent; the first reason stands. */
  end(reason: ForelockError): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#handshake.dispose();
    this.#socket.destroySoon(); // What was written before still goes out.
    this.#close(reason);
  }

  #read(chunk: Buffer): void {
    try {
      this.#splitter.push(chunk, this.#decode);
    } catch (error) {
      // Only what does not parse comes here: handlers of frames do not throw.
      const known = error instanceof ForelockError ? error : undefined;
      this.end(
        known ?? new ForelockError("bad_frame", `${this.#endpoint} sent what does not parse.`, { cause: error }),
      );
    }
  }

  #receive(frame: ServerFrame): void {
    if (!this.#welcomed && frame.closing === undefined) {
      if (frame.welcome === undefined) {
        this.end(new ForelockError("bad_frame", `${this.#endpoint} did not begin with a Welcome.`)); // C2
        return;
      }
      this.#welcomed = true;
      this.#handshake.dispose();
      this.#events.welcomed(frame.welcome, this.#helloSentAtMs);
    }
    if (this.#welcomed) this.#events.received(frame);
    if (frame.closing !== undefined) this.end(errorFromWire(frame.closing));
  }

  #unavailable(what: string, cause?: unknown): ForelockError {
    return new ForelockError("unavailable", `The server at ${this.#endpoint} ${what}`, { cause });
  }
}
