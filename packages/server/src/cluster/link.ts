// link.ts: one connection to a peer on which this node speaks for a client: its operations, notices and heartbeats, or the reads of a
// principal. Not here: when it is opened and what becomes of what it leaves unanswered (session-links.ts, asks.ts), the proof (proof.ts).
//   L1. What was asked is answered or failed exactly once; after the end nothing comes any more.
//   L2. Everything asked in one tick of the event loop goes in one frame, as far as the limits of frames allow, in its order.
//   L3. A peer that falls silent while answers are due has ended: nobody waits for it for ever.
import type { Socket } from "node:net";
import {
  type ClientFrame,
  decodeServerFrame,
  type Error as ErrorMessage,
  encodeClientFrame,
  FastWriter,
  ForelockError,
  type HeartbeatReply,
  type HeartbeatRequest,
  type Hello,
  isErrorCode,
  type Notice,
  type Operation,
  type Reply,
  type ServerFrame,
  type Welcome,
} from "@forelock/protocol";
import type { Clock } from "../clock.ts";
import { FrameReader } from "../edge/tcp/reader.ts";
import type { PeerAddress } from "./owners.ts";

/** Someone who waits for the reply to one operation. */
export interface Pending {
  reply(reply: Reply): void;
  /** The link ended first. @param isSent whether the peer may have carried it out: nothing is before its Welcome */
  failed(error: ForelockError, isSent: boolean): void;
  /** The answer may take long by nature. */
  readonly isPatient: boolean;
  /** Who asked under the same number after it, on this link. Set by the link. */
  next: Pending | undefined;
}

export interface LinkEvents {
  welcomed(welcome: Welcome): void;
  notified(notices: readonly Notice[]): void;
  /** Not called for `end`. What was unanswered has been failed before. */
  ended(error: ForelockError): void;
}

export interface LinkOptions {
  readonly peer: PeerAddress;
  /** Opens the connection, plain or TLS. */
  readonly dial: (peer: PeerAddress) => Socket;
  readonly hello: Hello;
  readonly clock: Clock;
  readonly events: LinkEvents;
}

const FRAME_BYTES_MAX = 0xff_ffff;
/** Leaves room in the smallest frame limit that makes sense. */
const FRAME_BYTES = 900 * 1024;
const FRAME_OPERATIONS = 1_000;
const UNSENT_BYTES_MAX = 16 * 1024 * 1024;
const SETTLED_MAX = 256;
const LENGTH_BYTES = 4;
/** Numbers of operations that have none of their own begin here: see docs/protocol.md. */
const UNNUMBERED = 2 ** 52;

/** One for all links of this thread: frames are written whole, one after the other. */
const writer = new FastWriter();

export class Link {
  readonly peer: PeerAddress;
  readonly #socket: Socket;
  readonly #clock: Clock;
  readonly #events: LinkEvents;
  readonly #reader: FrameReader;
  readonly #pendings = new Map<number, Pending>();
  readonly #beats = new Map<number, (reply: HeartbeatReply) => void>();
  #operations: Operation[] = [];
  #settled: bigint[] = [];
  #lowest = 0;
  #unnumbered = UNNUMBERED;
  #beat = 0;
  #isFlushing = false;
  #isEnded = false;
  #isWelcome = false;
  #heardAtMs: number;
  /** Answers that should come soon, and since when there are any. */
  #due = 0;
  #dueSinceMs = 0;
  usedAtMs: number;

  constructor({ peer, dial, hello, clock, events }: LinkOptions) {
    this.peer = peer;
    this.#clock = clock;
    this.#events = events;
    this.#heardAtMs = clock.monotonicMs();
    this.usedAtMs = this.#heardAtMs;
    this.#reader = new FrameReader(FRAME_BYTES_MAX, (frame) => {
      if (!this.#isEnded) this.#receive(decodeServerFrame(frame));
      return true;
    });
    this.#socket = dial(peer);
    this.#socket.setNoDelay(true);
    this.#socket.on("data", (chunk: Buffer) => this.#read(chunk));
    this.#socket.on("error", (cause) => this.fail(unreachable(peer, `failed: ${cause.message}`, cause)));
    this.#socket.on("close", () => this.fail(unreachable(peer, "closed the connection")));
    this.#send({ hello });
  }

  get isWelcome(): boolean {
    return this.#isWelcome;
  }

  get isEnded(): boolean {
    return this.#isEnded;
  }

  /** Nobody waits for anything here. */
  get isQuiet(): boolean {
    return this.#pendings.size === 0 && this.#beats.size === 0;
  }

  /** L3 */
  isStalled(nowMs: number, silenceMs: number): boolean {
    if (!this.#isWelcome) return nowMs - this.#heardAtMs > silenceMs;
    return this.#due > 0 && nowMs - Math.max(this.#heardAtMs, this.#dueSinceMs) > silenceMs;
  }

  /** Sends `operation` under its own number. @throws ForelockError `overloaded` when the peer does not read */
  ask(operation: Operation, pending: Pending): void {
    if (this.#socket.writableLength > UNSENT_BYTES_MAX) {
      const message = `${this.#socket.writableLength} bytes wait for node ${this.peer.id}.`;
      throw new ForelockError("overloaded", message, { retryAfterMs: 200 });
    }
    this.#used(pending.isPatient);
    const sent = operation.sequence === 0 ? { ...operation, sequence: this.#unnumbered++ } : operation;
    const before = this.#pendings.get(sent.sequence);
    // The client asks again what it asked on a connection that it lost: both are answered, in this order.
    if (before !== undefined) lastOf(before).next = pending;
    else this.#pendings.set(sent.sequence, pending);
    this.#operations.push(sent);
    this.#flushLater();
  }

  beat(vitals: Omit<HeartbeatRequest, "number">, respond: (reply: HeartbeatReply) => void): void {
    if (this.#isEnded) return;
    this.#used(false);
    this.#beat += 1;
    this.#beats.set(this.#beat, respond);
    this.#send({ heartbeat: { number: this.#beat, ...vitals } });
  }

  /** Travels with the next frame. */
  acknowledge(lowestUnanswered: number, settled: readonly number[]): void {
    if (lowestUnanswered > this.#lowest) this.#lowest = lowestUnanswered;
    for (const sequence of settled) this.#settled.push(BigInt(sequence));
    if (this.#settled.length >= SETTLED_MAX) this.#flushLater();
  }

  /** Ends it for good; nothing may be pending, or nobody may wait for it any more. */
  end(): void {
    this.#isEnded = true;
    this.#reader.discard();
    this.#socket.destroySoon(); // What was written still goes out.
  }

  /** The first reason stands. */
  fail(error: ForelockError): void {
    if (this.#isEnded) return;
    this.end();
    const pendings = [...this.#pendings.values()];
    this.#pendings.clear();
    this.#beats.clear(); // Unanswered, which is the safe side.
    for (const first of pendings) {
      for (let each: Pending | undefined = first; each !== undefined; each = nextOf(each))
        each.failed(error, this.#isWelcome); // L1
    }
    this.#events.ended(error);
  }

  #used(isPatient: boolean): void {
    this.usedAtMs = this.#clock.monotonicMs();
    if (isPatient) return;
    if (this.#due === 0) this.#dueSinceMs = this.usedAtMs;
    this.#due += 1;
  }

  #flushLater(): void {
    if (this.#isFlushing) return;
    this.#isFlushing = true;
    process.nextTick(this.#flush); // L2
  }

  readonly #flush = (): void => {
    this.#isFlushing = false;
    if (this.#isEnded) return;
    const operations = this.#operations;
    this.#operations = [];
    let from = 0;
    let bytes = 0;
    for (let at = 0; at < operations.length; at += 1) {
      const size = sizeOf(operations[at]);
      if (at > from && (bytes + size > FRAME_BYTES || at - from >= FRAME_OPERATIONS)) {
        this.#send({ operations: operations.slice(from, at) });
        from = at;
        bytes = 0;
      }
      bytes += size;
    }
    if (from < operations.length || this.#settled.length > 0) this.#send({ operations: operations.slice(from) });
  };

  #send(parts: Partial<ClientFrame>): void {
    const frame: ClientFrame = {
      ...{ hello: undefined, operations: [], heartbeat: undefined },
      ...parts,
      lowestUnanswered: this.#lowest,
      settled: this.#settled,
    };
    if (this.#settled.length > 0) this.#settled = [];
    writer.begin();
    writer.room(LENGTH_BYTES);
    writer.at += LENGTH_BYTES;
    encodeClientFrame(frame, writer);
    const bytes = writer.finish();
    bytes.writeUInt32BE(bytes.length - LENGTH_BYTES);
    this.#socket.write(bytes);
  }

  #read(chunk: Buffer): void {
    if (this.#isEnded) return;
    try {
      if (this.#reader.push(chunk) === undefined) return;
      this.fail(unreachable(this.peer, "sent a frame of an impossible length"));
    } catch (cause) {
      this.fail(unreachable(this.peer, "sent what does not parse", cause));
    }
  }

  #receive(frame: ServerFrame): void {
    this.#heardAtMs = this.#clock.monotonicMs();
    if (frame.welcome !== undefined) {
      this.#isWelcome = true;
      this.#events.welcomed(frame.welcome);
    }
    for (const reply of frame.replies) this.#answer(reply); // Before notices: a wait must be known before its end.
    if (frame.notices.length > 0) this.#events.notified(frame.notices);
    if (frame.heartbeat !== undefined) {
      const respond = this.#beats.get(frame.heartbeat.number);
      if (this.#beats.delete(frame.heartbeat.number)) this.#due -= 1;
      respond?.(frame.heartbeat);
    }
    if (frame.closing !== undefined) this.fail(errorOf(frame.closing));
  }

  #answer(reply: Reply): void {
    const pending = this.#pendings.get(reply.sequence);
    if (pending === undefined) return;
    const next = nextOf(pending);
    if (next === undefined) this.#pendings.delete(reply.sequence);
    else this.#pendings.set(reply.sequence, next);
    if (!pending.isPatient) this.#due -= 1;
    if (reply.sequence >= UNNUMBERED) reply.sequence = 0;
    pending.reply(reply);
  }
}

/** The error that came over the wire. A code of a later version is told as `internal`. */
export function errorOf({ code, message, detailsJson, retryAfterMs }: ErrorMessage): ForelockError {
  const more = retryAfterMs === 0 ? {} : { retryAfterMs };
  const details = detailsJson === "" ? {} : { details: JSON.parse(detailsJson) as Readonly<Record<string, unknown>> };
  if (isErrorCode(code)) return new ForelockError(code, message, { ...more, ...details });
  return new ForelockError("internal", `Unknown code ${code}: ${message}`);
}

function unreachable(peer: PeerAddress, what: string, cause?: unknown): ForelockError {
  return new ForelockError("unavailable", `Node ${peer.id} at ${peer.host}:${peer.port} ${what}.`, { cause });
}

/** Takes it out of its chain: it may be asked again elsewhere. */
function nextOf(pending: Pending): Pending | undefined {
  const { next } = pending;
  pending.next = undefined;
  return next;
}

function lastOf(pending: Pending): Pending {
  let last = pending;
  while (last.next !== undefined) last = last.next;
  return last;
}

/** In bytes, at most: how many share a frame. */
function sizeOf(operation: Operation | undefined): number {
  switch (operation?.body?.$case) {
    case "append":
      return operation.body.value.bytes.length + 2_048;
    case "acquireAll":
      return operation.body.value.elements.length * 560 + 512;
    case "acquire":
      return operation.body.value.compensation === undefined ? 1_024 : 4_096;
    default:
      return 1_024;
  }
}
