// connection.ts: one conversation of frames, the same on TCP and on a gRPC stream: Hello, Welcome, then operations or
// heartbeats until one side ends. Not here: bytes on the wire (tcp/, grpc/), operations one by one (requests.ts).
//   C1. A Hello stands in the first frame and nowhere else; nothing is done for a caller before it is answered for.
//   C2. Nothing is sent before the Welcome, and nothing after `closing`.
//   C3. Who does not read is first not listened to, then cut off; never buffered without a bound.
import {
  ForelockError,
  type HeartbeatReply,
  type Notice,
  type Reply,
  type Welcome,
  type Error as WireError,
} from "@forelock/protocol";
import type { NodeSession } from "../shard/service.ts";
import type { Peer } from "./authenticate.ts";
import type { EdgeCaller } from "./authorize.ts";
import type { Deadlines } from "./deadlines.ts";
import { type DecodedFrame, decodeFrame, operationSequences } from "./frame/decode.ts";
import type { FrameWriter } from "./frame/write.ts";
import { authenticateHello, type Greeter, type Greeting, openFor, welcomeFor } from "./greet.ts";
import { Heartbeats } from "./heartbeats.ts";
import type { EdgeLog } from "./log.ts";
import { Outbox } from "./outbox.ts";
import { errorReply, Requests } from "./requests.ts";
import { type Connected, directClaim, type Switchboard } from "./switchboard.ts";
import { bad } from "./validate.ts";
import { Watches } from "./watches.ts";
import { codeOf, wireError, wireErrorOf } from "./wire-error.ts";

/** Bytes to and from one peer, as a conversation needs them. */
export interface Carrier {
  readonly peer: Peer;
  /** Written to the carrier, not yet taken by the operating system. */
  readonly unsentBytes: number;
  /** Each with its 4-byte length in front. */
  write(frames: readonly Uint8Array[]): void;
  /** Hand on frames again, after `take` returned false. */
  resume(): void;
  /** End after what was written has gone out. `error` says why, for carriers that have a status of their own. */
  finish(error: WireError): void;
  destroy(): void;
}

export interface ConnectionParts extends Greeter {
  readonly switchboard: Switchboard;
  readonly writer: FrameWriter;
  readonly log: EdgeLog;
  /** Ends who has not said Hello in time. */
  readonly helloDeadlines: Deadlines<Connection>;
  /** Ends who does not read in time. */
  readonly drainDeadlines: Deadlines<Connection>;
}

type Phase = "new" | "greeting" | "open" | "stopping" | "ended";

/** In one tick; more are missed by watches. */
const NOTICES_WAITING_MAX = 10_000;

export class Connection implements Connected {
  readonly #carrier: Carrier;
  readonly #parts: ConnectionParts;
  #phase: Phase = "new";
  #caller: EdgeCaller | undefined;
  #session: NodeSession | undefined;
  #claimed: string | undefined;
  #requests: Requests | undefined;
  #watches: Watches | undefined;
  #endListening: (() => void) | undefined;
  #heartbeats: Heartbeats | undefined;
  #isFull = false;
  #isFlushQueued = false;
  readonly #outbox = new Outbox();

  constructor(carrier: Carrier, parts: ConnectionParts) {
    this.#carrier = carrier;
    this.#parts = parts;
    parts.switchboard.add(this);
    parts.helloDeadlines.start(this);
  }

  /**
   * Takes one frame. Its bytes must not change afterwards. False: hand on no more until `Carrier.resume`.
   * @param from where it begins in `bytes`: a view of its own for each frame would cost as much as reading some of them
   */
  take(bytes: Uint8Array, from = 0): boolean {
    if (this.#phase === "ended" || this.#phase === "stopping") return true; // Unread: the client asks again elsewhere.
    const { counters, limits } = this.#parts.switchboard;
    counters.frames_received_total++;
    let frame: DecodedFrame;
    try {
      frame = decodeFrame(bytes, limits.frameOperationsMax, from);
    } catch (error) {
      this.fail(wireErrorOf(error));
      return true;
    }
    if (this.#phase === "new") {
      this.#greet(frame, bytes.subarray(from));
      return this.#isReady;
    }
    if (frame.hello !== undefined)
      this.fail(wireError({ code: "bad_frame", message: "hello: not in the first frame." })); // C1
    else this.#tryToConverse(frame, bytes, from);
    return this.#isReady;
  }

  /** The carrier's buffer is empty again. */
  drained(): void {
    if (!this.#isFull) return;
    this.#isFull = false;
    this.#parts.drainDeadlines.stop(this);
    this.#watches?.catchUp();
    this.#requests?.pump();
    if (this.#phase === "open") this.#carrier.resume();
  }

  /** The peer broke the format, or the connection must end for another reason. */
  fail(error: WireError): void {
    if (this.#phase === "ended") return;
    if (error.code === "bad_frame" || error.code === "frame_too_large")
      this.#parts.switchboard.counters.frames_refused_total++;
    this.#write(error);
    this.#leave();
    this.#carrier.finish(error);
  }

  /** The carrier is gone. */
  closed(): void {
    this.#leave();
  }

  /** Hello, the rest of a frame, or reading took too long. */
  late(what: string): void {
    if (this.#phase === "ended") return;
    this.#parts.switchboard.counters.connections_slow_total++;
    if (this.#isFull) this.#cut();
    else this.fail(wireError({ code: "bad_frame", message: what }));
  }

  flush(): void {
    this.#isFlushQueued = false;
    if (this.#phase === "open" || this.#phase === "stopping") this.#write(undefined);
    if (this.#phase === "stopping" && this.#requests?.inFlight === 0) this.#sayGoodbye();
  }

  supersede(): void {
    this.fail(wireError({ code: "cancelled", message: "The session was resumed on another connection." }));
  }

  stop(): void {
    if (this.#phase === "ended") return;
    if (this.#phase === "stopping") {
      this.#sayGoodbye(); // Asked again: what has not been answered by now will not be.
      return;
    }
    const isBusy = this.#phase === "open" && this.#requests !== undefined;
    this.#requests?.withdraw();
    if (isBusy && this.#requests!.inFlight > 0) this.#phase = "stopping";
    else this.#sayGoodbye();
  }

  get unsentBytes(): number {
    return this.#carrier.unsentBytes;
  }

  get hasRoom(): boolean {
    return !this.#isFull && this.#outbox.notices.length < NOTICES_WAITING_MAX;
  }

  reply(reply: Reply): void {
    this.#outbox.replies.push(reply);
    if (!this.#isFlushQueued) this.#flushLater();
  }

  interrupt(): void {
    this.fail(wireError({ code: "unavailable", message: "A part of the cluster changed; resume the session." }));
  }

  notify(notice: Notice): void {
    if (this.#phase === "ended") return;
    this.#outbox.notices.push(notice);
    if (!this.#isFlushQueued) this.#flushLater();
  }

  #greet(frame: DecodedFrame, bytes: Uint8Array): void {
    const { hello } = frame;
    if (hello === undefined) {
      this.fail(wireError({ code: "bad_frame", message: "hello: missing in the first frame." })); // C1
      return;
    }
    this.#parts.helloDeadlines.stop(this);
    this.#phase = "greeting";
    try {
      this.#enter(authenticateHello(this.#parts, this.#carrier.peer, hello));
      const greeting = openFor(this.#parts, this.#caller!, hello); // Just entered.
      this.#settle(greeting);
      welcomeFor(this.#parts, greeting).then(
        (welcome) => this.#begin(welcome, frame, bytes),
        (error: unknown) => this.#failWith(error),
      );
    } catch (error) {
      this.#failWith(error);
    }
  }

  #enter(caller: EdgeCaller): void {
    // Nodes count theirs themselves (cluster/links.ts), and must not take a principal's connections from it.
    if (caller.forwardedBy === undefined && !this.#parts.switchboard.enter(caller.principal)) {
      this.#parts.switchboard.counters.connections_refused_total++;
      const { connectionsPerPrincipalMax: most } = this.#parts.limits;
      throw new ForelockError(
        "connections_full",
        `Principal "${caller.principal}" has ${most} connections, which is the most.`,
      );
    }
    this.#caller = caller;
  }

  #settle(greeting: Greeting): void {
    const { service, switchboard } = this.#parts;
    const { caller } = greeting;
    if (greeting.kind !== "sessionless") this.#session = greeting.opened.session;
    const isForwarded = caller.forwardedBy !== undefined;
    if (greeting.kind === "heartbeat" || (greeting.kind === "operations" && isForwarded)) {
      const { session } = greeting.opened;
      const reply = (answered: HeartbeatReply) => this.#answerHeartbeat(answered);
      this.#heartbeats = new Heartbeats({ service, session, counters: switchboard.counters, reply });
    }
    if (greeting.kind === "heartbeat") return;
    if (greeting.kind === "operations") {
      const { id } = greeting.opened.session;
      // Neither a node that forwards nor a direct connection takes over from the client, which may have all three.
      if (greeting.takesOver) switchboard.endDirect(id);
      this.#claimed = caller.isDirect ? directClaim(id) : isForwarded ? `${caller.forwardedBy} ${id}` : id;
      switchboard.claim(this.#claimed, this);
      this.#endListening = service.listen(greeting.opened.session, this);
    }
    this.#watches = new Watches(service, caller, switchboard, this);
    this.#requests = new Requests({
      service,
      caller,
      session: this.#session,
      switchboard,
      watches: this.#watches,
      host: this,
    });
  }

  #begin(welcome: Welcome, frame: DecodedFrame, bytes: Uint8Array): void {
    if (this.#phase !== "greeting") return; // It ended meanwhile.
    this.#phase = "open";
    this.#outbox.welcome = welcome;
    this.#write(undefined);
    this.#tryToConverse(frame, bytes);
    if (this.#isReady) this.#carrier.resume();
  }

  /** What a frame runs into (a session that has ended, a bug) costs its connection, never the node. */
  #tryToConverse(frame: DecodedFrame, bytes: Uint8Array, from = 0): void {
    try {
      this.#converse(frame, bytes, from);
    } catch (error) {
      this.#failWith(error);
    }
  }

  #converse(frame: DecodedFrame, bytes: Uint8Array, from: number): void {
    if (frame.heartbeat !== undefined) {
      if (this.#heartbeats === undefined) {
        this.fail(wireError({ code: "bad_frame", message: "heartbeat: only on a connection with PURPOSE_HEARTBEAT." }));
        return;
      }
      this.#heartbeats.beat(frame.heartbeat);
    }
    if (frame.operationCount === 0 && frame.lowestUnanswered === 0 && frame.settled.length === 0) return;
    if (this.#requests === undefined) {
      this.fail(wireError({ code: "bad_frame", message: "operations: not on a heartbeat connection." }));
      return;
    }
    if (this.#session !== undefined && (frame.lowestUnanswered > 0 || frame.settled.length > 0)) {
      this.#parts.service.acknowledge(this.#session, frame.lowestUnanswered, frame.settled);
    }
    if (frame.operationCount > frame.operations.length) this.#refuseAll(frame.operationCount, bytes.subarray(from));
    else for (const operation of frame.operations) this.#requests.operate(operation);
  }

  #refuseAll(count: number, bytes: Uint8Array): void {
    const most = this.#parts.limits.frameOperationsMax;
    const error = wireError(
      bad(`operations: ${count} in one frame; allowed 1 to ${most}. None of them was carried out.`),
    );
    for (const sequence of operationSequences(bytes, most)) this.reply(errorReply(sequence, error));
  }

  #answerHeartbeat(reply: HeartbeatReply): void {
    if (this.#phase === "ended") return;
    this.#outbox.heartbeats.push(reply);
    if (!this.#isFlushQueued) this.#flushLater();
  }

  get #isReady(): boolean {
    return this.#phase !== "greeting" && !this.#isFull;
  }

  #flushLater(): void {
    this.#isFlushQueued = true;
    this.#parts.switchboard.flushLater(this);
  }

  #write(closing: WireError | undefined): void {
    if (this.#phase === "new" || this.#phase === "greeting") {
      if (closing === undefined) return; // C2
      this.#outbox.take(undefined); // Nothing comes before a Welcome, and there will be none.
    }
    let frames: readonly Uint8Array[];
    try {
      frames = this.#takeFrames(closing);
    } catch (error) {
      this.#parts.log.error({ error, remoteAddress: this.#carrier.peer.address }, "a reply could not be encoded");
      this.#cut();
      return;
    }
    if (frames.length > 0) this.#carrier.write(frames);
    this.#checkRoom();
  }

  #takeFrames(closing: WireError | undefined): readonly Uint8Array[] {
    const { writer } = this.#parts;
    const outbox = this.#outbox;
    const only = closing === undefined && outbox.isReplies ? writer.few(outbox.replies) : undefined;
    if (only !== undefined) {
      outbox.replies = [];
      return [only];
    }
    const frames: Uint8Array[] = [];
    writer.write(outbox.take(closing), (frame) => frames.push(frame));
    return frames;
  }

  /** C3 */
  #checkRoom(): void {
    const { writeBufferBytesMax, frameBytesMax } = this.#parts.limits;
    const unsent = this.#carrier.unsentBytes;
    if (unsent > writeBufferBytesMax + frameBytesMax) {
      this.#parts.switchboard.counters.connections_slow_total++;
      this.#cut();
    } else if (unsent > writeBufferBytesMax / 2 && !this.#isFull) {
      this.#isFull = true;
      this.#parts.drainDeadlines.start(this);
    }
  }

  #cut(): void {
    this.#leave();
    this.#carrier.destroy();
  }

  #sayGoodbye(): void {
    this.fail(wireError({ code: "unavailable", message: "The node is stopping." }));
  }

  #failWith(error: unknown): void {
    const told = wireErrorOf(error);
    if (codeOf(told) === "internal") this.#parts.log.error({ error }, "a connection failed");
    this.fail(told);
  }

  #leave(): void {
    if (this.#phase === "ended") return;
    this.#phase = "ended";
    const { switchboard, helloDeadlines, drainDeadlines } = this.#parts;
    helloDeadlines.stop(this);
    drainDeadlines.stop(this);
    this.#endListening?.();
    this.#requests?.end();
    if (this.#claimed !== undefined) switchboard.release(this.#claimed, this);
    if (this.#caller !== undefined && this.#caller.forwardedBy === undefined) switchboard.leave(this.#caller.principal);
    switchboard.remove(this);
  }
}
