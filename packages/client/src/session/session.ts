// session/session.ts: one session: its requests (link.ts), its life (lease.ts, heartbeats), what it holds (lock/grants.ts).
// Not here: which session a request goes to (../sessions.ts).
//   S1. When safe-until passes, everything held is lost and the session is given up, whether or not the server could tell.
//   S2. What the server holds for the session and nobody here knows is released.
//   S3. In a session that is retired nothing new is begun; it ends when nothing is held or awaited in it.
//   S4. On direct connections each partition has a safe-until of its own; what is held there is lost when that passes.
import {
  AcquireReply,
  type ErrorCode,
  type Event,
  ForelockError,
  Health,
  type HeldGrant,
  type MapNode,
  type Notice,
  OperationState,
  type PreemptionFailure,
  type PreemptionWarning,
  Purpose,
  unreachable,
  type WaitingOperation,
  type Welcome,
} from "@forelock/protocol";
import type { Environment, Timer } from "../environment.ts";
import type { Grant } from "../lock/grant.ts";
import { Grants } from "../lock/grants.ts";
import type { SavedSession } from "../options.ts";
import type { Settings } from "../settings.ts";
import { preempted, type ReceivedWarning, warnGrant } from "../warning/received-warning.ts";
import { partitionOf } from "../wire/reference.ts";
import { DirectLife } from "./direct-life.ts";
import { type HeartbeatOrder, type Heartbeats, heartbeatIntervalMs, tickIntervalMs } from "./heartbeats.ts";
import { Lease, PartitionLeases } from "./lease.ts";
import { Link } from "./link.ts";
import { Call, type Request } from "./request.ts";

export interface SessionEvents {
  /** A connection stands: the first, or after an outage. */
  connected(reconnected: boolean): void;
  /** The session is over for this request; when `request.repeatable`, another session may carry it out. */
  refused(request: Request, error: ForelockError): void;
  gone(error: ForelockError, unsent: readonly Request[]): void;
  event(event: Event): void;
}

/** What a session resumed from an earlier process had. */
export interface Found {
  readonly grants: readonly HeldGrant[];
  readonly waits: readonly WaitingOperation[];
}

const SWEEP_MS = 1_000;
const CLOSE_MS = 3_000;
/** Until the server has told the ttl. */
const FIRST_TICK_MS = 50;

export class Session {
  readonly grants = new Grants();
  /** Those that are not over; each adds and removes itself. */
  readonly warnings = new Set<ReceivedWarning>();
  /** True when `connect` was told to use this very session. */
  readonly isGiven: boolean;
  retired = false;
  durable = true;
  found: Found = { grants: [], waits: [] };
  readonly #environment: Environment;
  readonly #settings: Settings;
  readonly #events: SessionEvents;
  readonly #lease: Lease;
  readonly #link: Link;
  #heartbeats: Heartbeats | undefined;
  /** Once a node has told who owns what (S4). */
  #direct: DirectLife | undefined;
  #timer: Timer | undefined;
  #tickMs = FIRST_TICK_MS;
  #healthMs = FIRST_TICK_MS;
  #healthAtMs = Number.NEGATIVE_INFINITY;
  #order: HeartbeatOrder | undefined;
  #welcomes = 0;
  #sweptAtMs = 0;

  constructor(environment: Environment, settings: Settings, saved: SavedSession | undefined, events: SessionEvents) {
    this.#environment = environment;
    this.#settings = settings;
    this.#events = events;
    this.#lease = new Lease(environment.clock);
    this.isGiven = saved !== undefined;
    const resume = saved && { credentials: credentialsOf(saved), firstSequence: laterSequence(environment) };
    this.#link = new Link(environment, settings, Purpose.OPERATIONS, resume, {
      welcomed: (welcome, helloSentAtMs) => this.#welcomed(welcome, helloSentAtMs),
      notice: (notice) => this.#notice(notice),
      refusedSession: (request, error) => this.#refused(request, error),
      gone: (error, unsent) => this.#gone(error, unsent),
      direct: {
        mapped: (nodes) => this.#direct?.mapped(nodes),
        welcomed: (welcome, node, helloSentAtMs) => this.#directWelcomed(welcome, node, helloSentAtMs),
        granted: ({ grants }, issuedAtMs) => this.#direct?.granted(grants, issuedAtMs),
        registered: () => this.#registered(),
        holds: (partition) => this.grants.holdsIn(partition) || this.#waitsIn(partition),
      },
    });
    this.#tick();
  }

  get gone(): ForelockError | undefined {
    return this.#link.gone;
  }

  get appendBytesMax(): number {
    return this.#link.limits.appendBytes;
  }

  /** Undefined until the first connection stands. */
  get saved(): SavedSession | undefined {
    const credentials = this.#link.credentials;
    return (
      credentials && { id: credentials.id.toString("base64url"), secret: credentials.secret.toString("base64url") }
    );
  }

  submit(request: Request): void {
    request.taken(this);
    this.#link.submit(request);
  }

  withdraw(request: Request): boolean {
    return this.#link.withdraw(request);
  }

  nowMs(): number {
    return this.#environment.clock.monotonicMs();
  }

  wallMs(): number {
    return this.#environment.clock.wallMs();
  }

  /** Whoever arms a timer disposes of it at the end of the session. */
  after(delayMs: number, fire: () => void): Timer {
    return this.#environment.clock.after(delayMs, fire);
  }

  /** When the server was last heard, monotonic. */
  get heardAtMs(): number {
    return this.#link.heardAtMs;
  }

  /** Milliseconds until safe-until; 0 when it has passed, or the session is over. */
  get safeMs(): number {
    return this.gone === undefined ? Math.max(0, this.#lease.remainingMs()) : 0;
  }

  /** As `safeMs`, of what is held in a partition. */
  safeMsOf(partition: number): number {
    const { safeMs } = this;
    return this.#direct === undefined ? safeMs : Math.min(safeMs, Math.max(0, this.#direct.remainingMs(partition)));
  }

  /** Has the server end a wait; what came of it is passed to the request like any other end. */
  async cancel(request: Request): Promise<boolean> {
    // By its reference where several nodes are asked: that tells which of them knows it.
    const value = this.#link.isRouted
      ? { reference: request.reference, sequence: request.reference === "" ? request.sequence : 0 }
      : { reference: "", sequence: request.sequence };
    const call = new Call({ $case: "cancel", value }, "cancel");
    this.submit(call);
    const cancelled = await call.promise.then((reply) => reply.cancelled, leftAlready);
    // A cancelled wait may end without a notice of its own.
    if (cancelled)
      this.#link.window.settle(request.sequence)?.answer({ $case: "acquire", value: cancelledReply(request) });
    return cancelled;
  }

  /** Lets a grant go that nobody wants, without waiting for the answer: the server's view is reconciled on reconnecting. */
  releaseUnwanted(name: string, token: bigint, undo = false): void {
    const call = new Call({ $case: "release", value: { name, token, undo } }, "release");
    call.promise.catch(() => {}); // Already gone is what we want; an expired session releases by itself.
    this.submit(call);
  }

  /** A wait of an earlier process of this session: its end will be passed to `request`. */
  adoptWait(request: Request): void {
    request.taken(this);
    this.#link.window.waiting.set(request.sequence, request);
  }

  /** Gives the session up when safe-until has passed (S1), and what it has in `partition` when that of the partition has (S4). */
  checkLease(partition?: number): void {
    if (this.#welcomes > 0 && this.gone === undefined && this.#lease.hasPassed()) {
      this.#link.end(new ForelockError("session_expired", "No heartbeat was acknowledged in time."));
    }
    if (partition !== undefined && this.#direct !== undefined) this.#checkPartition(this.#direct, partition);
  }

  /** Nothing new is begun in it (S3). */
  retire(): void {
    this.retired = true;
    this.#endWhenIdle();
  }

  /** Ends the session at the server, with all it holds; at most CLOSE_MS are spent on it. */
  async close(): Promise<void> {
    if (this.gone !== undefined) return;
    if (this.#welcomes > 0) {
      await this.#closeDirectly();
      const call = new Call({ $case: "closeSession", value: {} }, "closeSession");
      this.submit(call);
      await this.#within(CLOSE_MS, call.promise);
    }
    this.#link.end(new ForelockError("session_closed", "The client was closed."));
  }

  /** Ends the connections and leaves the session to whoever resumes it. */
  detach(): void {
    this.#link.end(new ForelockError("session_closed", "The client was detached from its session."));
  }

  #welcomed(welcome: Welcome, helloSentAtMs: number): void {
    const first = this.#welcomes++ === 0;
    if (first && this.#link.isRouted) this.#beDirect(welcome);
    this.#lease.extend(helloSentAtMs, welcome.ttlMs); // Opening and resuming count as a heartbeat.
    this.#direct?.resumed(helloSentAtMs);
    this.checkLease();
    if (this.gone !== undefined) return;
    this.durable = welcome.durable;
    if (first && this.isGiven) this.#take(welcome);
    else if (!first) this.#reconcile(welcome);
    if (!first) for (const warning of this.warnings) warning.reconnected();
    if (first) this.#startHeartbeats(welcome);
    this.#beatAtHome(welcome, helloSentAtMs);
    if (welcome.expiredPartitions.length > 0)
      this.#partitionsExpired(this.nowMs(), [], welcome.expiredPartitions, false);
    this.#events.connected(!first);
  }

  #startHeartbeats({ ttlMs }: Welcome): void {
    const { endpoints, tls, token, client, lagMsMax } = this.#settings;
    const credentials = this.#link.credentials;
    if (credentials === undefined) return; // A Welcome to an operations connection always carries them.
    this.#lease.tick();
    const order: HeartbeatOrder = {
      ...{ endpoints, tls, token, client, ttlMs },
      sessionId: credentials.id,
      secret: credentials.secret,
      intervalMs: heartbeatIntervalMs(ttlMs),
      tickMs: tickIntervalMs(ttlMs),
      lagMsMax: lagMsMax === 0 ? 2 * ttlMs : lagMsMax,
      shared: this.#lease.shared,
      direct: false,
      partitions: this.#direct?.leases.shared,
    };
    this.#order = order;
    this.#tickMs = order.tickMs;
    this.#healthMs = order.intervalMs - order.tickMs;
    this.#heartbeats = this.#environment.startHeartbeats(order, {
      acknowledged: (sentAtMs, alive, expired) => this.#acknowledged(sentAtMs, alive, expired),
      gone: (code, message) => this.#heartbeatsGone(code, message),
    });
  }

  /** Tells the heartbeat thread that this loop turns, and does what is due. */
  #tick(): void {
    this.#lease.tick();
    this.checkLease();
    if (this.#direct !== undefined) for (const partition of [...this.grants.partitions()]) this.checkLease(partition);
    const nowMs = this.nowMs();
    if (nowMs - this.#healthAtMs >= this.#healthMs) {
      this.#healthAtMs = nowMs;
      this.#lease.health = healthOf(this.#settings.health);
    }
    if (nowMs - this.#sweptAtMs >= Math.min(SWEEP_MS, this.#settings.requestMs / 12)) {
      this.#sweptAtMs = nowMs;
      this.#link.sweep();
      this.#endWhenIdle();
    }
    if (this.gone === undefined) this.#timer = this.#environment.clock.after(this.#tickMs, () => this.#tick());
  }

  #take({ grants, waits }: Welcome): void {
    this.found = { grants, waits };
    for (const { sequence } of [...grants, ...waits]) this.#link.window.startAbove(sequence);
  }

  #reconcile({ grants, waits, missed }: Welcome): void {
    const { unanswered, waiting } = this.#link.window;
    const unknown = this.grants.reconcile(grants);
    const ended = new Set(missed.map(({ body }) => (body?.$case === "operation" ? body.value.sequence : 0)));
    const stillWaiting = new Set(waits.map(({ sequence }) => sequence));
    for (const sequence of [...waiting.keys()]) {
      if (stillWaiting.has(sequence) || ended.has(sequence)) continue;
      const granted = grants.filter((grant) => grant.sequence === sequence);
      const request = this.#link.window.settle(sequence);
      if (granted.length > 0) request?.answer({ $case: "acquire", value: grantedReply(granted) });
      else request?.fail(new ForelockError("session_expired", "The session expired where this waited."));
    }
    for (const { name, token, sequence } of unknown) {
      const asked = unanswered.has(sequence) || ended.has(sequence) || this.grants.find(name, token) !== undefined;
      const found = this.found.grants.some((grant) => grant.name === name && grant.token === token);
      if (!asked && !found) this.releaseUnwanted(name, token); // S2
    }
  }

  #notice({ body }: Notice): void {
    if (body === undefined) return;
    switch (body.$case) {
      case "operation":
        return; // Of a wait that is not ours any more; a grant in it shows when the session is resumed, and is released.
      case "moved":
        this.#link.window.waiting.get(body.value.sequence)?.moved(body.value);
        return;
      case "lost": {
        const { name, token, why, reason, undone } = body.value;
        const grant = this.grants.find(name, token);
        if (grant === undefined) return;
        if (why === "preempted") this.grants.loseBy(grant, preempted(titleOf(grant), { undone, reason }));
        else this.grants.lose(grant, reason === "" ? `${why}.` : `${why}: ${reason}.`);
        return;
      }
      case "warning":
        this.warned(body.value);
        return;
      case "failure":
        this.#failed(body.value);
        return;
      case "event":
        this.#events.event(body.value);
        return;
      case "map":
        return; // Of the link.
      default:
        unreachable(body);
    }
  }

  /** A grant that is not known here is one whose answer is still to come, or that was released meanwhile. */
  warned(notice: PreemptionWarning): void {
    const { unanswered, waiting } = this.#link.window;
    const grant = notice.token === 0n ? undefined : this.grants.find(notice.name, notice.token);
    if (grant !== undefined) warnGrant(grant, notice);
    else (unanswered.get(notice.sequence) ?? waiting.get(notice.sequence))?.warned(notice);
  }

  /** Forced: the token is stale at the server. */
  #failed({ warning, name, token, fence, undone, reason }: PreemptionFailure): void {
    const grant = this.grants.find(name, token);
    const details = { warning, fence: String(fence), undone, reason };
    if (grant !== undefined) this.grants.loseBy(grant, preempted(titleOf(grant), details));
    for (const given of this.warnings) if (given.id === warning) given.end();
  }

  #refused(request: Request, error: ForelockError): void {
    if (!this.isGiven) this.retire();
    this.#events.refused(request, error);
  }

  #partitionsExpired(sentAtMs: number, alive: readonly number[], expired: readonly number[], complete: boolean): void {
    if (this.gone !== undefined) return;
    if (complete) this.grants.loseMissing(sentAtMs, alive, expired);
    // New requests to an expired partition would be refused: another session takes them.
    if (expired.length > 0 && !this.isGiven) this.retire();
  }

  #checkPartition(direct: DirectLife, partition: number): void {
    if (this.gone !== undefined || !direct.hasPassed(partition)) return;
    const lost = this.grants.loseIn(partition, "no heartbeat was acknowledged by its owner in time.");
    if (lost.length === 0) return;
    // Other partitions go on, and so the server may keep these: they are given back, as far as it can be reached.
    for (const { name, token, terms } of lost) this.releaseUnwanted(name, token, terms?.isUndone);
    if (!this.isGiven) this.retire();
  }

  /** Heartbeats at one node of several tell of its partitions only: those of the others have their own. */
  #acknowledged(sentAtMs: number, alive: readonly number[], expired: readonly number[]): void {
    if (this.#direct === undefined) {
      this.#partitionsExpired(sentAtMs, alive, expired, true);
      return;
    }
    if (this.gone !== undefined) return;
    this.#direct.register(alive);
    for (const partition of expired) this.grants.loseIn(partition, "the session expired in its partition.");
    this.#partitionsExpired(sentAtMs, alive, expired, false);
  }

  #beDirect({ partitions, ttlMs }: Welcome): void {
    const { clock, startHeartbeats } = this.#environment;
    this.#direct = new DirectLife({
      leases: PartitionLeases.forPartitions(clock, partitions),
      ttlMs,
      start: (node) =>
        this.#order &&
        startHeartbeats(
          { ...this.#order, endpoints: [{ host: node.host, port: node.port }], direct: true },
          {
            acknowledged: (sentAtMs, alive, expired) => this.#acknowledged(sentAtMs, alive, expired),
            gone: () => this.#direct?.ended(node.id), // What is held there is lost when its own bound passes.
          },
        ),
    });
  }

  /** What home owns is kept alive by itself, too: it cannot answer for all nodes while one of them is gone. */
  #beatAtHome({ map }: Welcome, helloSentAtMs: number): void {
    const { endpoint } = this.#link;
    if (this.#direct === undefined || map === undefined || endpoint === undefined) return;
    this.#direct.welcomed({ id: map.node, ...endpoint }, [], helloSentAtMs);
  }

  #directWelcomed(welcome: Welcome, node: MapNode, helloSentAtMs: number): void {
    const { ledPartitions, grants } = welcome;
    this.#lease.extend(helloSentAtMs, welcome.ttlMs);
    this.#direct?.welcomed(node, ledPartitions, helloSentAtMs);
    this.grants.reconcileIn(ledPartitions, helloSentAtMs, grants);
    for (const warning of this.warnings) warning.reconnected();
  }

  #registered(): Iterable<number> {
    const waiting = [...this.#link.window.waiting.values()].map(({ reference }) => partitionOf(reference));
    return new Set([...(this.#direct?.registered ?? []), ...this.grants.partitions(), ...waiting]);
  }

  #waitsIn(partition: number): boolean {
    for (const { reference } of this.#link.window.waiting.values())
      if (partitionOf(reference) === partition) return true;
    return false;
  }

  /** Home does not know of what was only asked directly. */
  async #closeDirectly(): Promise<void> {
    const closing: Promise<unknown>[] = [];
    this.#link.submitDirectly(() => {
      const call = new Call({ $case: "closeSession", value: {} }, "closeSession");
      closing.push(call.promise.catch(() => {})); // It ends there by itself, after its ttl.
      return call;
    });
    if (closing.length > 0) await this.#within(CLOSE_MS, Promise.all(closing));
  }

  #heartbeatsGone(code: ErrorCode, message: string): void {
    this.#link.end(new ForelockError(code, `Heartbeats ended: ${message}`));
  }

  #gone(error: ForelockError, unsent: readonly Request[]): void {
    this.#heartbeats?.stop();
    this.#direct?.stop();
    this.#timer?.dispose();
    this.grants.loseAll(error.message, error);
    for (const warning of this.warnings) warning.end();
    this.#events.gone(error, unsent);
  }

  #endWhenIdle(): void {
    const { unanswered, waiting } = this.#link.window;
    const idle = this.grants.size + unanswered.size + waiting.size === 0;
    if (this.retired && idle && this.gone === undefined) void this.close(); // Never rejects.
  }

  async #within(delayMs: number, promise: Promise<unknown>): Promise<void> {
    let timer: Timer | undefined;
    const late = new Promise<void>((resolve) => {
      timer = this.#environment.clock.after(delayMs, resolve);
    });
    await Promise.race([promise.catch(() => {}), late]); // Unanswered: the session ends by itself, after its ttl.
    timer?.dispose();
  }
}

function titleOf({ name, token }: Grant): string {
  return `The lock ${name} (token ${token})`;
}

function healthOf(health: Settings["health"]): Health {
  try {
    const word = typeof health === "function" ? health() : health;
    if (word === "ok") return Health.OK;
    return word === "degraded" ? Health.DEGRADED : Health.FAILING;
  } catch {
    return Health.FAILING; // As documented: who cannot say how it is is not well.
  }
}

function credentialsOf({ id, secret }: SavedSession): { readonly id: Buffer; readonly secret: Buffer } {
  return { id: Buffer.from(id, "base64url"), secret: Buffer.from(secret, "base64url") };
}

/**
 * Above every number that an earlier process of the session used: those count single requests, this counts microseconds.
 * Below 2^53 until the year 2255. A clock set back between two processes of one session breaks it: known, and would end if Welcome told the next sequence.
 */
function laterSequence({ clock }: Environment): number {
  return Math.floor(clock.wallMs()) * 1_000;
}

/** What the server does not know does not wait there any more. */
function leftAlready(error: unknown): boolean {
  if (error instanceof ForelockError && error.code === "operation_unknown") return true;
  throw error;
}

function cancelledReply({ sequence, reference }: Request): AcquireReply {
  const error = { code: "cancelled", message: "The wait was cancelled." };
  return AcquireReply.create({ sequence, reference, state: OperationState.ENDED, error });
}

/** The end of a wait, told by what the session holds. */
function grantedReply(held: readonly HeldGrant[]): AcquireReply {
  const grants = held.map(({ name, token, reference }) => ({ name, token, partition: partitionOf(reference) }));
  return AcquireReply.create({ reference: held[0]?.reference ?? "", state: OperationState.GRANTED, grants });
}
