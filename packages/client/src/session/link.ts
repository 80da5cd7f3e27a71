// session/link.ts: requests and answers over connections that come and go. Each request is carried out once, however often it is
// sent, for it keeps its number.
// In a cluster some of them take direct connections (routes.ts); this file is about the one to the session's home, and about all answers.
// Not here: what keeps the session alive and what it holds (session.ts).
//   K1. Requests are first sent in the order of their issue; after a reconnect the unanswered ones go first, in their order.
//   K2. Everything issued in one turn of the event loop goes in one frame, as far as the frame's limits allow.
//   K3. At most inFlightMax requests are unanswered and queuedMax wait here; more are refused `overloaded`.
//   K4. A refusal to be tried later is tried again under the same number, within the bounds of `retry` and requestMs.
//   K5. Once gone, a link stays gone, and every request it had was answered, failed or given back.
//   K6. The end of a wait that overtakes the answer `queued`, on another connection, is kept for it.
import {
  type AcquireReply,
  createPlacement,
  ERRORS,
  ForelockError,
  GetOperationRequest,
  Hello,
  type Limits,
  type MapNode,
  type Notice,
  OperationState,
  Purpose,
  type Reply,
  type ServerFrame,
  type Welcome,
} from "@forelock/protocol";
import type { Environment, Timer } from "../environment.ts";
import type { Settings } from "../settings.ts";
import { Connection, PROTOCOL_VERSION } from "../wire/connection.ts";
import type { Endpoint } from "../wire/endpoint.ts";
import { errorFromWire } from "../wire/wire-error.ts";
import { pauseMs } from "./backoff.ts";
import type { Direct } from "./direct.ts";
import { Outbox } from "./outbox.ts";
import { Call, type ReplyBody, type Request, refusalOf, unanswered } from "./request.ts";
import { isReturned, Routes } from "./routes.ts";
import { Window } from "./window.ts";

/** What proves that a connection belongs to a session. */
export interface Credentials {
  readonly id: Buffer;
  readonly secret: Buffer;
}

export interface LinkEvents {
  /** Before anything is sent or received on a new connection. */
  welcomed(welcome: Welcome, helloSentAtMs: number): void;
  notice(notice: Notice): void;
  /** The session is over for this request, in its partition at least. It is the caller's again. */
  refusedSession(request: Request, error: ForelockError): void;
  /** @param unsent may be carried out by another session; empty when trying on makes no sense (K5) */
  gone(error: ForelockError, unsent: readonly Request[]): void;
  /** Of sessions, which alone have direct connections. */
  readonly direct?: DirectLinkEvents;
}

export interface DirectLinkEvents {
  /** Who owns what may have changed. */
  mapped(nodes: readonly MapNode[]): void;
  /** A direct connection stands. Its Welcome is of the node's own partitions. */
  welcomed(welcome: Welcome, node: MapNode, helloSentAtMs: number): void;
  /** Grants have come for a request that was given to a connection at that moment. */
  granted(reply: AcquireReply, issuedAtMs: number): void;
  registered(): Iterable<number>;
  holds(partition: number): boolean;
}

const HANDSHAKE_MS = 10_000;
/** A connection that stood this long ends the outage; one that falls at once counts as a failed attempt. */
const STABLE_MS = 1_000;
/**
 * A connection that is silent for this part of requestMs while answers are due is replaced. Twice as long each time in a row:
 * a server that is merely slow has to get its answer through at last.
 */
const STALL_REQUEST_RATIO = 1 / 6;
const PING_MS = 15_000;
/** The first connect gives up earlier than an outage: a wrong address should not take a minute to tell. */
const FIRST_ATTEMPTS_MAX = 8;
const ASK_NOW_MAX = 3;
const SETTLED_MAX = 1_000;
const PLACEMENT_KEY_BYTES = 16;

const LIMITS_UNTIL_TOLD: Limits = {
  frameBytes: 1_048_576,
  frameOperations: 1_000,
  nameBytes: 512,
  appendBytes: 196_608,
  requestsInFlight: 1_000,
  unanswered: 10_000,
};

export class Link {
  readonly window: Window;
  limits: Limits = LIMITS_UNTIL_TOLD;
  readonly #environment: Environment;
  readonly #settings: Settings;
  readonly #purpose: Purpose;
  readonly #events: LinkEvents;
  readonly #outbox: Outbox;
  /** Refused to be tried later: not sent again before their pause is over. */
  readonly #pausing = new Map<Request, Timer>();
  #credentials: Credentials | undefined;
  #connection: Connection | undefined;
  #gone: ForelockError | undefined;
  /** Once a node has told who owns what. */
  #routes: Routes | undefined;
  /** Ends of waits whose answer `queued` is still to come, by sequence (K6). */
  readonly #early = new Map<number, AcquireReply>();
  /** The connection was ended to be opened again at once. */
  #isRenewing = false;
  #frameAtMs = 0;
  #endpoint: Endpoint | undefined;
  #flushing = false;
  /** When what waits to be sent was asked for: one look at the clock for all of a turn. */
  #nowMs = 0;
  #heardAtMs = 0;
  #stalls = 0;
  #connectedAtMs = 0;
  #outageSinceMs: number;
  #failures = 0;
  #everConnected = false;
  /** Ends the attempt to connect, the connection or the pause that is under way. */
  #endAttempt: () => void = () => {};

  constructor(
    environment: Environment,
    settings: Settings,
    purpose: Purpose,
    resume: { readonly credentials: Credentials; readonly firstSequence: number } | undefined,
    events: LinkEvents,
  ) {
    this.#environment = environment;
    this.#settings = settings;
    this.#purpose = purpose;
    this.#credentials = resume?.credentials;
    this.#events = events;
    this.window = new Window(resume?.firstSequence);
    this.#outbox = new Outbox(this.window);
    this.#outageSinceMs = environment.clock.monotonicMs();
    void this.#stayConnected(); // Ends with the link, never rejects.
  }

  get gone(): ForelockError | undefined {
    return this.#gone;
  }

  /** When the server was last heard, or first asked after a silence; monotonic. */
  get heardAtMs(): number {
    return Math.max(this.#heardAtMs, this.#frameAtMs);
  }

  /** Where home is, while it stands. */
  get endpoint(): Endpoint | undefined {
    return this.#connection && this.#endpoint;
  }

  /** Whether requests may take direct connections. */
  get isRouted(): boolean {
    return this.#routes !== undefined;
  }

  get connected(): boolean {
    return this.#connection !== undefined;
  }

  get credentials(): Credentials | undefined {
    return this.#credentials;
  }

  submit(request: Request): void {
    if (this.#gone !== undefined) {
      request.fail(this.#gone);
      return;
    }
    const unsentCount = this.#unsentCount;
    if (unsentCount >= this.#settings.queuedMax) {
      request.fail(new ForelockError("overloaded", `${unsentCount} requests wait in this client.`)); // K3
      return;
    }
    this.#soonFlush();
    if (request.issuedAtMs === 0) request.issuedAtMs = this.#nowMs;
    if (this.#routes?.take(request)) return;
    this.#outbox.push(request);
  }

  /** Sends one of these on each direct connection. */
  submitDirectly(make: () => Request): void {
    for (const direct of this.#routes?.directs ?? []) this.#routes?.sendTo(direct, make());
  }

  /** Takes back what was not sent yet. @returns false when it was sent: its answer will come. */
  withdraw(request: Request): boolean {
    if (!this.#outbox.withdraw(request)) return this.#routes?.withdraw(request) ?? false;
    this.#routes?.answered(request);
    return true;
  }

  /** Ends the link; the session at the server is not touched. */
  end(error: ForelockError): void {
    if (this.#gone !== undefined) return;
    this.#gone = error;
    this.#connection?.end(error);
    this.#connection = undefined;
    this.#endAttempt();
    for (const timer of this.#pausing.values()) timer.dispose();
    this.#pausing.clear();
    const again = ERRORS[error.code].retry === "new_session" && error.code !== "session_closed";
    const unrouted = this.#routes?.end(error) ?? [];
    const requests = [...this.window.unanswered.values(), ...this.#outbox.takeUnsent(), ...unrouted];
    const unsent = again ? requests.filter((request) => request.repeatable || request.sequence === 0) : [];
    this.#events.gone(error, unsent);
    const kept = new Set(unsent);
    for (const request of requests) if (!kept.has(request)) request.fail(unanswered(request, error));
    for (const request of this.window.waiting.values()) request.fail(error);
  }

  /** Called some times a second: gives up what is overdue, and a connection that fell silent. */
  sweep(): void {
    const nowMs = this.#environment.clock.monotonicMs();
    const { requestMs } = this.#settings;
    const issuedBeforeMs = nowMs - requestMs;
    for (const request of this.window.unanswered.values())
      if (request.issuedAtMs < issuedBeforeMs) this.#overdue(request);
    for (const request of this.#outbox.takeOverdue(issuedBeforeMs)) {
      this.#routes?.answered(request);
      this.#overdue(request);
    }
    for (const request of this.#routes?.sweep(issuedBeforeMs) ?? []) this.#overdue(request);
    if (this.#connection === undefined) return;
    const silentMs = nowMs - this.#heardAtMs;
    if (this.window.unanswered.size > this.#pausing.size + (this.#routes?.due ?? 0)) {
      if (silentMs > requestMs * STALL_REQUEST_RATIO * 2 ** this.#stalls) {
        this.#stalls++;
        this.#connection.end(new ForelockError("unavailable", `The server was silent for ${Math.round(silentMs)} ms.`));
      }
    } else if (this.window.waiting.size > 0 && silentMs > PING_MS) {
      this.#ping();
    }
  }

  async #stayConnected(): Promise<void> {
    const { endpoints } = this.#settings;
    for (let turn = 0; this.#gone === undefined; turn++) {
      const reason = await this.#connectOnce(endpoints[turn % endpoints.length]!); // settingsFrom refuses an empty list.
      if (this.#gone !== undefined) return;
      this.#down();
      if (this.#isRenewing) {
        this.#isRenewing = false;
        turn--; // The same endpoint, at once.
        continue;
      }
      if (this.#givesUp(reason)) return;
      await this.#pause(
        Math.max(reason.retryAfterMs ?? 0, this.#pauseMs(Math.floor(this.#failures / endpoints.length))),
      );
      this.#failures++;
    }
  }

  /** Resolves when the connection has ended, with the reason. */
  async #connectOnce(endpoint: Endpoint): Promise<ForelockError> {
    const { tls, requestMs } = this.#settings;
    this.#endpoint = endpoint;
    await undefined; // Never within the constructor: events would come before their receiver is ready.
    try {
      const connection: Connection = new Connection(
        this.#environment,
        { endpoint, tls, hello: this.#hello(), handshakeMs: Math.min(HANDSHAKE_MS, requestMs) },
        {
          welcomed: (welcome, helloSentAtMs) => this.#up(connection, welcome, helloSentAtMs),
          received: (frame) => this.#received(frame),
        },
      );
      this.#endAttempt = () => connection.end(unavailable("The link ended."));
      return await connection.closed;
    } catch (cause) {
      return new ForelockError("bad_argument", `tls: ${String(cause)}.`, { cause }); // Certificates that do not parse.
    }
  }

  #givesUp(reason: ForelockError): boolean {
    const { retry } = ERRORS[reason.code];
    const { attemptsMax, totalMs } = this.#settings.retry;
    const attempts = this.#everConnected ? attemptsMax : Math.min(attemptsMax, FIRST_ATTEMPTS_MAX);
    const outageMs = this.#environment.clock.monotonicMs() - this.#outageSinceMs;
    const final = retry === "never" || retry === "new_session";
    if (!final && this.#failures < attempts && outageMs < totalMs) return false;
    this.end(reason);
    return true;
  }

  #up(connection: Connection, welcome: Welcome, helloSentAtMs: number): void {
    if (this.#credentials === undefined && this.#purpose === Purpose.OPERATIONS) {
      this.#credentials = { id: welcome.sessionId, secret: welcome.sessionSecret };
    }
    this.limits = welcome.limits ?? LIMITS_UNTIL_TOLD;
    this.#connection = connection;
    this.#everConnected = true;
    this.#connectedAtMs = this.#environment.clock.monotonicMs();
    this.#heardAtMs = this.#connectedAtMs;
    this.#outbox.sendAgain([...this.window.unanswered.values()].filter((request) => !this.#pausing.has(request))); // K1
    this.#route(welcome);
    this.#events.welcomed(welcome, helloSentAtMs);
    for (const notice of welcome.missed) if (this.#gone === undefined) this.#notice(notice);
    this.#flush();
  }

  /** Where the server tells who owns what. */
  #route({ map, placementKey, partitions, ttlMs }: Welcome): void {
    const { direct } = this.#events;
    if (direct === undefined || this.#settings.directMax === 0) return;
    if (map === undefined || placementKey.length !== PLACEMENT_KEY_BYTES) return;
    this.#routes ??= new Routes({
      environment: this.#environment,
      settings: this.#settings,
      window: this.window,
      home: this.#outbox,
      placement: createPlacement(placementKey, partitions),
      ttlMs,
      host: this.#routesHost(direct),
    });
    this.#routes.homeUp(map);
    direct.mapped(map.nodes);
  }

  #routesHost(events: DirectLinkEvents): ConstructorParameters<typeof Routes>[0]["host"] {
    const link = this;
    return {
      get credentials() {
        return link.#credentials;
      },
      isPausing: (request) => this.#pausing.has(request),
      welcomed: (welcome, node, helloSentAtMs) => {
        events.welcomed(welcome, node, helloSentAtMs);
        for (const notice of welcome.missed) if (this.#gone === undefined) this.#notice(notice);
        this.#soonFlush();
      },
      received: (direct, frame) => {
        this.#frameAtMs = this.#environment.clock.monotonicMs();
        this.#take(frame, direct);
      },
      registered: () => events.registered(),
      holds: (partition) => events.holds(partition),
      soonFlush: () => this.#soonFlush(),
      renew: () => {
        if (this.#connection === undefined) return;
        this.#isRenewing = true;
        this.#connection.end(unavailable("The session is resumed, to learn what may have been missed."));
      },
    };
  }

  get #unsentCount(): number {
    return this.#outbox.unsentCount + (this.#routes?.unsentCount ?? 0);
  }

  #down(): void {
    const nowMs = this.#environment.clock.monotonicMs();
    if (this.#connection !== undefined) {
      if (nowMs - this.#connectedAtMs >= STABLE_MS) this.#failures = 0;
      if (this.#failures === 0) this.#outageSinceMs = nowMs;
    }
    this.#connection = undefined;
    this.#routes?.homeDown();
    this.#early.clear(); // The resume tells.
  }

  #hello(): Hello {
    const { token, ttlMs, client, application } = this.#settings;
    const resume = this.#credentials && {
      sessionId: this.#credentials.id,
      sessionSecret: this.#credentials.secret,
      open: this.window.resume(),
    };
    const self = { token, ttlMs, client, application };
    return Hello.create({ version: PROTOCOL_VERSION, purpose: this.#purpose, ...self, ...resume });
  }

  #soonFlush(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    this.#nowMs = this.#environment.clock.monotonicMs();
    this.#environment.soon(this.#flush);
  }

  readonly #flush = (): void => {
    this.#flushing = false;
    const connection = this.#connection;
    if (connection === undefined) return;
    const inFlightMax = Math.min(this.#settings.inFlightMax, this.limits.requestsInFlight);
    this.#routes?.flush(this.#settings.inFlightMax, this.#nowMs);
    if (this.window.unanswered.size === (this.#routes?.due ?? 0))
      this.#heardAtMs = Math.max(this.#heardAtMs, this.#nowMs);
    for (;;) {
      const operations = this.#outbox.nextFrame(this.limits, inFlightMax); // K2, K3
      if (operations.length === 0 && this.window.settledCount === 0) return;
      connection.send({
        hello: undefined,
        lowestUnanswered: this.window.lowestUnanswered,
        operations,
        settled: this.window.takeSettled(),
        heartbeat: undefined,
      });
    }
  };

  #received(frame: ServerFrame): void {
    if (this.#gone !== undefined) return;
    this.#heardAtMs = this.#environment.clock.monotonicMs();
    if (frame.replies.length > 0) this.#stalls = 0;
    this.#take(frame, undefined);
  }

  /** @param direct the connection that it came by; undefined: home */
  #take(frame: ServerFrame, direct: Direct | undefined): void {
    for (const reply of frame.replies) this.#reply(reply, direct); // Before notices: a wait must be known before its end.
    for (const notice of frame.notices) this.#notice(notice);
    if (this.#unsentCount > 0 || this.window.settledCount >= SETTLED_MAX) this.#soonFlush();
  }

  #reply(reply: Reply, direct: Direct | undefined): void {
    const request = this.window.unanswered.get(reply.sequence);
    if (request === undefined) return; // Answered before: the request was sent twice.
    const wasPausing = this.#pausing.size > 0 && this.#answeredInPause(request);
    if (direct !== undefined && isReturned(reply)) {
      if (!wasPausing) this.#routes?.returned(request);
      return;
    }
    if (!wasPausing) this.#routes?.answered(request);
    const refusal = refusalOf(reply);
    if (refusal !== undefined) {
      this.#refused(request, errorFromWire(refusal));
      return;
    }
    const body = reply.body;
    if (body === undefined || body.$case === "error") return; // refusalOf took both.
    const queued = body.$case === "acquire" && body.value.state === OperationState.QUEUED;
    if (queued && request.body.$case !== "getOperation") this.window.queued(request);
    else this.window.answered(request);
    if (this.#routes !== undefined) this.#answeredOnRoutes(request, body);
    else request.answer(body);
  }

  #answeredOnRoutes(request: Request, body: ReplyBody): void {
    const end = this.#early.get(request.sequence);
    this.#early.delete(request.sequence);
    this.#answer(request, body);
    if (end !== undefined && this.window.settle(request.sequence) !== undefined)
      this.#answer(request, { $case: "acquire", value: end }); // K6
  }

  #answer(request: Request, body: ReplyBody): void {
    const isGranted = body.$case === "acquire" && body.value.state === OperationState.GRANTED;
    if (isGranted && request.body.$case !== "getOperation")
      this.#events.direct?.granted(body.value, request.issuedAtMs);
    request.answer(body);
  }

  #answeredInPause(request: Request): boolean {
    this.#pausing.get(request)?.dispose();
    return this.#pausing.delete(request);
  }

  #notice(notice: Notice): void {
    if (notice.body?.$case === "map") {
      this.#routes?.mapped(notice.body.value);
      this.#events.direct?.mapped(notice.body.value.nodes);
      return;
    }
    if (notice.body?.$case === "operation") {
      const { sequence } = notice.body.value;
      // Unanswered and in Welcome.missed: the answer to the request itself is still to come.
      const request = this.window.settle(sequence);
      if (request !== undefined) {
        this.#answer(request, { $case: "acquire", value: notice.body.value });
        return;
      }
      if (this.#routes !== undefined && this.window.unanswered.has(sequence))
        this.#early.set(sequence, notice.body.value); // K6
    }
    this.#events.notice(notice);
  }

  #refused(request: Request, error: ForelockError): void {
    const { retry } = ERRORS[error.code];
    request.lastRefusal = error;
    if (retry === "never" || retry === "new_session" || ++request.refusals > this.#settings.retry.attemptsMax) {
      this.window.answered(request);
      if (retry === "new_session") this.#events.refusedSession(request, error);
      else request.fail(error);
      return;
    }
    const atOnce = retry === "now" && request.refusals <= ASK_NOW_MAX;
    const delayMs = atOnce ? 0 : Math.max(error.retryAfterMs ?? 0, this.#pauseMs(request.refusals - 1));
    const timer = this.#environment.clock.after(delayMs, () => {
      this.#pausing.delete(request);
      if (!this.#routes?.take(request)) this.#outbox.sendAgain([request]); // K4
      this.#soonFlush();
    });
    this.#pausing.set(request, timer);
  }

  #overdue(request: Request): void {
    const late = `No answer to ${request.body.$case} within ${this.#settings.requestMs} ms.`;
    const error = request.lastRefusal ?? unavailable(late);
    request.fail(request.lastRefusal === undefined ? unanswered(request, error) : error);
  }

  #ping(): void {
    const [waiting] = this.window.waiting.values();
    if (waiting === undefined) return;
    const value = GetOperationRequest.create({ reference: waiting.reference });
    const call = new Call({ $case: "getOperation", value }, "acquire");
    call.promise.catch(() => {}); // That an answer came, whichever, is all that matters.
    this.submit(call);
  }

  #pauseMs(failures: number): number {
    return pauseMs(failures, this.#settings.retry, this.#environment.random);
  }

  #pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#environment.clock.after(delayMs, resolve);
      this.#endAttempt = () => {
        timer.dispose();
        resolve();
      };
    });
  }
}

function unavailable(message: string): ForelockError {
  return new ForelockError("unavailable", message);
}
