// client.ts: one simulated client: a session, its requests, what it believes to hold. Keeps the rules of the protocol as the real
// client does: same request id on every retry, answers acknowledged, safe-until counted from sending. Not here: what it asks for
// (workload.ts).
//   C1. It believes in a grant from its answer until it sends the release, is told of the loss, or safe-until passes.
//   C2. A request is sent again under its own sequence until it has an answer.
import {
  type AcquireReply,
  type Error as ErrorMessage,
  type HeartbeatReply,
  type Keep,
  Mode,
  type Notice,
  type Operation,
  OperationState,
  type PreemptionFailure,
  type PreemptionWarning,
  type Reply,
  type Welcome,
} from "@forelock/protocol";
import type { Clock } from "forelock/internal";
import type { Random } from "../proxy/random.ts";
import type { Answers } from "./answers.ts";
import type { Process, SimulatedTime } from "./time.ts";
import type { Trace } from "./trace.ts";
import type { Hello, Wire } from "./wire.ts";

export interface Hold {
  readonly name: string;
  token: bigint;
  mode: Mode;
  readonly partition: number;
  readonly knownAtMs: number;
  entries: number;
  /** A release, upgrade or downgrade of it is under way. */
  isChanging: boolean;
}

export interface Request {
  readonly sequence: number;
  readonly body: NonNullable<Operation["body"]>;
  readonly keep: Keep | undefined;
  reference: string;
  isQueued: boolean;
  /** Answered, and asked once more to see whether the answer stays. */
  isReasked: boolean;
  /** Its end came while it was asked once more: settled when that is answered too. */
  isSettleDue: boolean;
  readonly answered: (body: NonNullable<Reply["body"]>) => void;
}

export interface SavedSession {
  readonly id: string;
  readonly secret: Uint8Array;
  readonly ttlMs: number;
  readonly nextSequence: number;
}

export interface ClientOptions {
  readonly name: string;
  readonly principal: string;
  readonly ttlMs: number;
  /** Twelve, as the real client's; with fewer the server notes silence between two. */
  readonly beatsPerTtl: number;
  readonly time: SimulatedTime;
  readonly process: Process;
  readonly clock: Clock;
  readonly random: Random;
  readonly trace: Trace;
  readonly answers: Answers;
  /** Told the kind of each request and of its answer. */
  readonly met: (situation: string) => void;
  /** Told every answer but refusals, which the service must then have carried out for good. */
  readonly acknowledged?: (client: SimulatedClient, request: Request, body: NonNullable<Reply["body"]>) => void;
  readonly warned: (client: SimulatedClient, warning: PreemptionWarning) => void;
  readonly failed: (client: SimulatedClient, failure: PreemptionFailure) => void;
  readonly saved: SavedSession | undefined;
  readonly connect: (client: SimulatedClient, purpose: Hello["purpose"]) => Wire;
}

const MARGIN_MS_MIN = 500;
const MARGIN_RATIO = 0.05;
const REASK_RATIO = 0.05;
/** Codes after which the same request is sent again. */
const RETRIED = new Set(["unavailable", "log_stopped", "outcome_unknown", "overloaded", "bulk_stopped", "internal"]);
const SESSION_ENDED = new Set(["session_expired", "session_closed", "session_unknown"]);

export class SimulatedClient {
  readonly options: ClientOptions;
  readonly holds = new Map<string, Hold>();
  readonly unanswered = new Map<number, Request>();
  readonly waiting = new Map<number, Request>();
  sessionId = "";
  secret: Uint8Array = new Uint8Array(0);
  ttlMs: number;
  safeUntilMs = 0;
  isConnected = false;
  isEnded = false;
  /** Asked to be closed: what is still granted is not believed any more. */
  isClosing = false;
  /** Until then it does nothing but keep its session: its program hangs, and its heartbeats go on. */
  hungUntilMs = 0;
  lastWarning: PreemptionWarning | undefined;
  #next: number;
  #settled: number[] = [];
  #wire: Wire | undefined;
  #heartbeatWire: Wire | undefined;
  #isHeartbeatReady = false;
  #helloSentAtMs = 0;
  #backoffMs = 20;
  #beats = new Map<number, number>();
  #beat = 0;
  /** Told lost before their grant was known: of a batch that was granted in part. */
  readonly #lostTokens = new Set<string>();

  constructor(options: ClientOptions) {
    this.options = options;
    this.ttlMs = options.ttlMs;
    this.#next = options.saved?.nextSequence ?? 1;
    if (options.saved !== undefined) {
      this.sessionId = options.saved.id;
      this.secret = options.saved.secret;
      this.ttlMs = options.saved.ttlMs;
    }
    this.#connect();
    this.#keepLease();
  }

  get nowMs(): number {
    return this.options.clock.monotonicMs();
  }

  get isHung(): boolean {
    return this.options.time.nowMs < this.hungUntilMs;
  }

  /** C1: what it would act on at this moment. */
  get beliefs(): readonly Hold[] {
    if (this.holds.size === 0 || this.isEnded || !this.options.process.isAlive || this.nowMs >= this.safeUntilMs)
      return [];
    return [...this.holds.values()];
  }

  get saved(): SavedSession | undefined {
    if (this.sessionId === "") return undefined;
    return { id: this.sessionId, secret: this.secret, ttlMs: this.ttlMs, nextSequence: this.#next + 1_000 };
  }

  request(
    body: NonNullable<Operation["body"]>,
    keep: Keep | undefined,
    answered: (body: NonNullable<Reply["body"]>) => void,
  ): Request {
    const request: Request = {
      sequence: this.#next,
      body,
      keep,
      reference: "",
      isQueued: false,
      isReasked: false,
      isSettleDue: false,
      answered,
    };
    this.#next += 1;
    this.unanswered.set(request.sequence, request);
    if (this.isConnected) this.#send([request]);
    return request;
  }

  /** Sends all that is unanswered once more, as a client does that lost patience. */
  retryAll(): void {
    if (this.isConnected && !this.isClosing) this.#send([...this.unanswered.values()]);
  }

  cutOperations(): void {
    this.#wire?.cut();
  }

  cutHeartbeats(): void {
    this.#heartbeatWire?.cut();
  }

  cutAll(): void {
    this.cutOperations();
    this.cutHeartbeats();
  }

  /** Gives the session up: nothing is held, nothing more is sent. */
  end(why: string): void {
    if (this.isEnded) return;
    this.isEnded = true;
    this.#say(`ends: ${why}`);
    this.holds.clear();
    this.#wire?.drop();
    this.#heartbeatWire?.drop();
  }

  drop(hold: Hold): void {
    this.holds.delete(keyOf(hold));
  }

  believe(hold: Hold): void {
    if (!this.isClosing && !this.#lostTokens.has(keyOf(hold))) this.holds.set(keyOf(hold), hold);
  }

  /** A key for the answers of a request. */
  answerKey(request: Request): string {
    return request.keep === undefined
      ? `${this.sessionId}.${request.sequence}`
      : `${this.options.principal}/${request.keep.requestId}`;
  }

  // ---- what the wires call

  welcomed(welcome: Welcome): void {
    this.isConnected = true;
    this.#backoffMs = 20;
    const isFirst = this.sessionId === "";
    if (isFirst) {
      this.sessionId = welcome.sessionId.toString("base64url");
      this.secret = welcome.sessionSecret;
    }
    this.ttlMs = welcome.ttlMs;
    this.#extend(this.#helloSentAtMs);
    this.#checkLease();
    if (this.isEnded) return;
    this.#say(`is welcome as ${this.sessionId}`);
    this.#reconcile(welcome);
    // Kept operations are among them for as long as they are kept: those of the past are old news.
    for (const notice of welcome.missed) if (this.#isOpen(notice)) this.noticed(notice);
    if (this.#heartbeatWire === undefined) this.#connectHeartbeats();
    if (this.unanswered.size > 0) this.#send([...this.unanswered.values()]); // C2
  }

  refused(error: ErrorMessage): void {
    this.#say(`is refused: ${error.code}`);
    if (SESSION_ENDED.has(error.code)) return this.end(error.code);
    this.#reconnectLater();
  }

  lostWire(): void {
    this.#say("lost its connection");
    this.#reconnectLater();
  }

  replied(reply: Reply): void {
    const { body } = reply;
    const request = this.unanswered.get(reply.sequence);
    if (request === undefined || body === undefined) return; // Answered meanwhile: the retry crossed the answer.
    this.#say(`${reply.sequence} is answered ${textOf(body)}`);
    this.options.met(`answer to ${request.body.$case}: ${kindOf(body)}`);
    if (body.$case === "error") {
      if (SESSION_ENDED.has(body.value.code) && request.body.$case !== "endSession") {
        this.unanswered.delete(reply.sequence);
        request.answered(body);
        return this.end(body.value.code);
      }
      if (RETRIED.has(body.value.code)) return; // Sent again when the server is back.
    } else {
      this.options.acknowledged?.(this, request, body);
      this.options.answers.reply(this.answerKey(request), body);
    }
    if (!request.isReasked && body.$case !== "error" && this.options.random() < REASK_RATIO) {
      request.isReasked = true;
      request.answered(body);
      this.#noteQueued(request, body);
      if (this.isConnected && !this.isEnded) this.#send([request]);
      return;
    }
    this.unanswered.delete(reply.sequence);
    if (request.isSettleDue) this.#settled.push(request.sequence);
    if (request.isReasked) return;
    this.#noteQueued(request, body);
    request.answered(body);
  }

  noticed({ body }: Notice): void {
    if (body?.$case === "lost") {
      const key = keyOf(body.value);
      this.#say(`is told that ${key} is lost: ${body.value.why}`);
      this.#lostTokens.add(key);
      this.holds.delete(key);
    } else if (body?.$case === "operation") this.#operationEnded(body.value);
    else if (body?.$case === "warning") {
      const { warning, name, token, countdownMs } = body.value;
      this.#say(`is warned by ${warning} of ${name} ${token}: ${countdownMs} ms`);
      this.lastWarning = body.value;
      this.options.warned(this, body.value);
    } else if (body?.$case === "failure") {
      this.#say(`is told that ${keyOf(body.value)} was forced`);
      this.options.failed(this, body.value);
    }
  }

  heartbeatAnswered(reply: HeartbeatReply): void {
    const sentAtMs = this.#beats.get(reply.number);
    if (sentAtMs === undefined) return;
    this.#beats.delete(reply.number);
    this.#extend(sentAtMs);
    const alive = new Set(reply.partitions);
    for (const partition of reply.expiredPartitions) alive.delete(partition);
    for (const hold of [...this.holds.values()]) {
      if (!alive.has(hold.partition) && hold.knownAtMs < sentAtMs) this.drop(hold);
    }
  }

  heartbeatWelcomed(): void {
    this.#isHeartbeatReady = true;
    this.#sendBeat();
  }

  heartbeatRefused(error: ErrorMessage): void {
    if (SESSION_ENDED.has(error.code)) return this.end(error.code);
    this.heartbeatCut();
  }

  heartbeatCut(): void {
    this.#isHeartbeatReady = false;
    this.#later(20 + this.options.random() * 200, () => this.#connectHeartbeats());
  }

  // ---- inside

  #operationEnded(reply: AcquireReply): void {
    this.#say(`${reply.sequence} ended ${reply.state} ${reply.error?.code ?? reply.grants.map(keyOf).join()}`);
    this.options.answers.byReference(reply);
    const request = this.waiting.get(reply.sequence) ?? this.unanswered.get(reply.sequence);
    if (request === undefined) {
      // Of an earlier life of this client, unless it is told once more what it knows.
      for (const grant of reply.grants) if (!this.holds.has(keyOf(grant))) this.#giveBack(grant.name, grant.token);
      return;
    }
    this.options.answers.acquire(this.answerKey(request), reply);
    if (!this.waiting.delete(reply.sequence)) return; // Its answer is still to come, and will say so too.
    if (this.unanswered.has(reply.sequence)) request.isSettleDue = true;
    else this.#settled.push(reply.sequence);
    request.answered({ $case: "acquire", value: reply });
  }

  #isOpen({ body }: Notice): boolean {
    const sequence = body?.$case === "operation" ? body.value.sequence : 0;
    return this.waiting.has(sequence) || this.unanswered.has(sequence);
  }

  #giveBack(name: string, token: bigint): void {
    this.request({ $case: "release", value: { name, token, undo: false } }, undefined, () => {});
  }

  #noteQueued(request: Request, body: NonNullable<Reply["body"]>): void {
    if (body.$case !== "acquire" || request.body.$case === "getOperation") return;
    request.reference = body.value.reference;
    if (body.value.state !== OperationState.QUEUED) return;
    request.isQueued = true;
    this.waiting.set(request.sequence, request);
  }

  /** What the server does not confirm is lost; what it holds and nobody here knows is given back. */
  #reconcile(welcome: Welcome): void {
    const held = new Set(welcome.grants.map(keyOf));
    for (const hold of [...this.holds.values()]) {
      if (!hold.isChanging && !held.has(keyOf(hold))) this.drop(hold);
    }
    const open = new Set([...this.unanswered.keys(), ...this.waiting.keys()]);
    const changing = new Set([...this.holds.values()].filter((hold) => hold.isChanging).map((hold) => hold.name));
    const missed = welcome.missed.filter((notice) => this.#isOpen(notice));
    const endedOf = ({ body }: Notice): readonly AcquireReply[] => (body?.$case === "operation" ? [body.value] : []);
    const replies = missed.flatMap(endedOf);
    const ended = new Set(replies.map((reply) => reply.sequence));
    // The grants of a batch do not carry its sequence.
    const granted = new Set(replies.flatMap((reply) => reply.grants.map(keyOf)));
    for (const grant of welcome.grants) {
      const isKnown = this.holds.has(keyOf(grant)) || open.has(grant.sequence) || changing.has(grant.name);
      const isReleasing = [...this.unanswered.values()].some(
        ({ body }) => body.$case === "release" && body.value.token === grant.token,
      );
      if (!isKnown && !isReleasing && !granted.has(keyOf(grant))) this.#giveBack(grant.name, grant.token);
    }
    const waits = new Set(welcome.waits.map((wait) => wait.sequence));
    for (const request of [...this.waiting.values()]) {
      if (!waits.has(request.sequence) && !ended.has(request.sequence)) this.waiting.delete(request.sequence);
    }
  }

  #connect(): void {
    if (this.isEnded) return;
    this.#helloSentAtMs = this.nowMs;
    this.#wire = this.options.connect(this, "operations");
  }

  #connectHeartbeats(): void {
    if (this.isEnded || this.sessionId === "") return;
    this.#heartbeatWire?.drop();
    this.#heartbeatWire = this.options.connect(this, "heartbeat");
  }

  #reconnectLater(): void {
    this.isConnected = false;
    this.#wire?.drop();
    if (this.isClosing) return this.end("closed, as far as it can tell"); // Nothing is retried once the close was sent.
    this.#backoffMs = Math.min(this.#backoffMs * 2, 1_000);
    this.#later(this.options.random() * this.#backoffMs, () => this.#connect());
  }

  #send(requests: readonly Request[]): void {
    const operations = requests.map(({ sequence, keep, body }) => ({ sequence, keep, body }));
    const settled = this.#settled;
    this.#settled = [];
    const lowest = Math.min(this.#next, ...this.unanswered.keys());
    for (const { sequence, body } of requests) this.#say(`asks ${sequence} ${requestText(body)}`);
    this.#wire?.send({ lowest, settled, operations });
  }

  #sendBeat(): void {
    if (this.isEnded || !this.#isHeartbeatReady) return;
    this.#beat += 1;
    this.#beats.set(this.#beat, this.nowMs);
    if (this.#beats.size > 16) this.#beats.delete(this.#beats.keys().next().value ?? 0);
    this.#heartbeatWire?.beat(this.#beat);
  }

  #keepLease(): void {
    this.#later(this.ttlMs / this.options.beatsPerTtl, () => {
      this.#checkLease();
      this.#sendBeat();
      this.#keepLease();
    });
  }

  #extend(sentAtMs: number): void {
    const margin = Math.max(MARGIN_MS_MIN, this.ttlMs * MARGIN_RATIO);
    this.safeUntilMs = Math.max(this.safeUntilMs, sentAtMs + this.ttlMs - margin);
  }

  #checkLease(): void {
    if (this.sessionId !== "" && this.safeUntilMs > 0 && this.nowMs >= this.safeUntilMs) this.end("safe-until passed");
  }

  #later(delayMs: number, run: () => void): void {
    this.options.clock.after(delayMs, () => {
      if (!this.isEnded) run();
    });
  }

  #say(text: string): void {
    this.options.trace.add(this.options.time.nowMs, `${this.options.name} ${text}`);
  }
}

export const keyOf = ({ name, token }: { readonly name: string; readonly token: bigint }): string => `${name} ${token}`;

function kindOf(body: NonNullable<Reply["body"]>): string {
  if (body.$case === "error") return body.value.code;
  if (body.$case === "cancel") return body.value.cancelled ? "cancelled" : "too late";
  if (body.$case === "acquire") return ["queued", "granted", "ended", "done"][body.value.state] ?? "unknown";
  if (body.$case === "acknowledge") return body.value.state;
  return "done";
}

function textOf(body: NonNullable<Reply["body"]>): string {
  if (body.$case === "error") return `error ${body.value.code}`;
  if (body.$case === "acquire") {
    const { state, grants, error, position } = body.value;
    return `acquire ${state} ${grants.map(keyOf).join()} ${error?.code ?? ""} ${position}`;
  }
  if (body.$case === "acknowledge") return `acknowledge ${body.value.state} ${body.value.countdownMs}`;
  return body.$case;
}

function requestText(body: NonNullable<Operation["body"]>): string {
  return `${body.$case} ${JSON.stringify(body.value, (_key, value: unknown) => (typeof value === "bigint" ? `${value}` : value))}`;
}

export const modeText = (mode: Mode): string => ["exclusive", "shared", "permit"][mode] ?? String(mode === Mode.PERMIT);
