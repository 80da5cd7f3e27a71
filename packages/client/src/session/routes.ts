// session/routes.ts: which connection a session's requests take in a cluster: a direct one to the owner of their partition, or home, which
// forwards. Not here: one direct connection (direct.ts), requests and answers (link.ts), what keeps locks safe (session.ts).
//   R1. Requests of a partition are carried out in the order of their issue: they take another connection only when all of them on the one
//       before were answered or came back, and wait here meanwhile.
//   R2. What an owner of before refuses, and what a lost connection leaves unanswered, goes home under its number: no request fails for it.
//   R3. At most directMax connections; what the owners beyond them decide goes through home.
//   R4. Where notices may have been lost, either a later Welcome of the owner tells what is so, or the session is resumed at home.
import {
  type ClusterMap,
  ForelockError,
  GetOperationRequest,
  Hello,
  type MapNode,
  type Placement,
  type Purpose,
  type Reply,
  type ServerFrame,
  type Welcome,
} from "@forelock/protocol";
import type { Environment, Timer } from "../environment.ts";
import type { Settings } from "../settings.ts";
import { PROTOCOL_VERSION } from "../wire/connection.ts";
import { partitionOf } from "../wire/reference.ts";
import { pauseMs } from "./backoff.ts";
import { Direct } from "./direct.ts";
import type { Outbox } from "./outbox.ts";
import { ANYWHERE, partitionOfRequest } from "./placed.ts";
import { Call, type Request } from "./request.ts";
import type { Window } from "./window.ts";

export interface RoutesHost {
  readonly credentials: { readonly id: Buffer; readonly secret: Buffer } | undefined;
  /** Refused to be tried later, and on no connection meanwhile. */
  isPausing(request: Request): boolean;
  welcomed(welcome: Welcome, node: MapNode, helloSentAtMs: number): void;
  received(direct: Direct, frame: ServerFrame): void;
  /** Partitions where the session is known to be registered, whether or not it has anything there. */
  registered(): Iterable<number>;
  /** Where it holds something. */
  holds(partition: number): boolean;
  /** Something is to be sent. */
  soonFlush(): void;
  /** Resumes the session at home, which tells everything. */
  renew(): void;
}

export interface RoutesParts {
  readonly environment: Environment;
  readonly settings: Settings;
  readonly window: Window;
  readonly home: Outbox;
  readonly placement: Placement;
  readonly ttlMs: number;
  readonly host: RoutesHost;
}

/** The requests of one partition. */
interface Lane {
  /** Undefined: home. */
  direct: Direct | undefined;
  /** Given to that connection and not answered. */
  inFlight: number;
  /** What waits for the answers of those (R1). */
  held: Request[] | undefined;
  /** What an owner of before has refused. */
  back: Request[];
  /** Its owner is not asked directly before: the map may be old. */
  homeUntilMs: number;
}

interface Trouble {
  readonly failures: number;
  readonly untilMs: number;
}

const OPERATIONS: Purpose = 0;
const ELSEWHERE: ReadonlySet<string> = new Set(["not_owner", "outcome_unknown", "unavailable"]);
const STABLE_MS = 1_000;
const RETRY = { attemptsMax: 0, totalMs: 0, pauseMs: 50, pauseMsMax: 10_000 };
/** As long as news of an owner takes, and some more. */
const STALE_MAP_MS = 300;
const RENEW_MS = 1_000;
const FAILURES_UNTIL_RENEWED = 3;
const STALL_REQUEST_RATIO = 1 / 6;
const PING_MS = 15_000;

export class Routes {
  readonly #parts: RoutesParts;
  readonly #directs = new Map<string, Direct>();
  readonly #trouble = new Map<string, Trouble>();
  #lanes: (Lane | undefined)[] = [];
  #map: ClusterMap | undefined;
  #isUp = false;
  /** Held in lanes. */
  #heldCount = 0;
  /** Partitions where notices may have been lost, and since when (R4). */
  readonly #doubt = new Map<number, number>();
  #renewedAtMs = Number.NEGATIVE_INFINITY;
  #timer: Timer | undefined;

  constructor(parts: RoutesParts) {
    this.#parts = parts;
  }

  /** Not sent, beside what is at home. */
  get unsentCount(): number {
    let count = this.#heldCount;
    for (const { outbox } of this.#directs.values()) count += outbox.unsentCount;
    return count;
  }

  /** Sent on direct connections and not answered. */
  get due(): number {
    let due = 0;
    for (const direct of this.#directs.values()) due += direct.due;
    return due;
  }

  get directs(): readonly Direct[] {
    return [...this.#directs.values()].filter(({ isReady }) => isReady);
  }

  /** @returns whether it is taken here; else it goes home */
  take(request: Request): boolean {
    const partition = this.#partitionOf(request);
    if (partition === ANYWHERE) return false;
    const lane = this.#laneOf(partition);
    if (lane.held !== undefined) {
      this.#hold(lane, request);
      return true;
    }
    const direct = this.#directTo(partition, lane);
    if (direct !== lane.direct && lane.inFlight > 0) {
      this.#hold(lane, request); // R1
      return true;
    }
    lane.direct = direct;
    lane.inFlight++;
    if (direct === undefined) return false;
    put(direct.outbox, request);
    return true;
  }

  /** It needs no answer of its connection any more: it had one, is paused, or was taken back. */
  answered(request: Request): void {
    const lane = this.#lanes[this.#partitionOf(request)];
    if (lane !== undefined) this.#done(lane, request);
    else for (const { others } of this.#directs.values()) others.delete(request);
  }

  /** Its owner of before refused it on a direct connection (R2). */
  returned(request: Request): void {
    const partition = this.#partitionOf(request);
    const lane = this.#lanes[partition];
    if (lane === undefined) {
      put(this.#parts.home, request);
      return;
    }
    lane.homeUntilMs = this.#nowMs() + STALE_MAP_MS;
    lane.back.push(request);
    lane.held ??= [];
    this.#done(lane, request);
  }

  withdraw(request: Request): boolean {
    const lane = this.#lanes[this.#partitionOf(request)];
    if (lane === undefined) return false;
    const at = lane.held?.indexOf(request) ?? -1;
    if (at >= 0) {
      lane.held?.splice(at, 1);
      this.#heldCount--;
      return true;
    }
    if (!lane.direct?.outbox.withdraw(request)) return false;
    this.#done(lane, request);
    return true;
  }

  /** Home answered with all that the session has. */
  homeUp(map: ClusterMap): void {
    this.#isUp = true;
    this.#doubt.clear();
    this.#lanes = [];
    const { window, home, host } = this.#parts;
    for (const request of [...window.unanswered.values(), ...home.unsent()]) {
      const partition = host.isPausing(request) ? ANYWHERE : this.#partitionOf(request);
      if (partition !== ANYWHERE) this.#laneOf(partition).inFlight++;
    }
    this.mapped(map);
  }

  /** Home is lost: until it stands again, everything waits for it. What was sent and not answered is in the window. */
  homeDown(): void {
    this.#isUp = false;
    const directs = [...this.#directs.values()];
    this.#directs.clear();
    for (const direct of directs) {
      this.#forget(direct);
      for (const request of direct.outbox.takeUnsent()) if (request.sequence === 0) this.#parts.home.push(request);
      direct.end(new ForelockError("unavailable", "The session's home connection was lost."));
    }
    for (const lane of this.#lanes)
      for (const request of lane?.held ?? []) if (request.sequence === 0) this.#parts.home.push(request);
    this.#heldCount = 0;
    this.#lanes = [];
  }

  /** Owners have changed. */
  mapped(map: ClusterMap): void {
    this.#map = map;
    for (const id of this.#trouble.keys()) if (!map.nodes.some((node) => node.id === id)) this.#trouble.delete(id);
    for (const partition of this.#parts.host.registered()) {
      const owner = this.#ownerOf(partition);
      if (owner === undefined || this.#isHome(owner) || this.#directs.has(owner.id)) continue;
      if (this.#open(owner) === undefined && this.#isDirect(partition)) this.#doubtful(partition); // Home may not know of it.
    }
    this.#settleDoubt();
  }

  flush(inFlightMax: number, nowMs: number): void {
    for (const direct of this.#directs.values()) direct.flush(inFlightMax, nowMs);
  }

  /** Called some times a second. @returns what was issued before and never sent */
  sweep(issuedBeforeMs: number): readonly Request[] {
    const overdue: Request[] = [];
    for (const direct of this.#directs.values()) {
      for (const request of direct.outbox.takeOverdue(issuedBeforeMs)) {
        overdue.push(request);
        this.answered(request);
      }
      this.#check(direct);
    }
    for (const lane of this.#lanes) {
      const isOverdue = (request: Request): boolean => request.sequence === 0 && request.issuedAtMs < issuedBeforeMs;
      for (const request of lane?.held?.filter(isOverdue) ?? []) if (this.withdraw(request)) overdue.push(request);
    }
    this.#settleDoubt();
    return overdue;
  }

  /** All that was never sent, for the end of the link. */
  end(reason: ForelockError): readonly Request[] {
    this.#isUp = false;
    this.#timer?.dispose();
    const unsent = this.#lanes.flatMap((lane) => lane?.held ?? []);
    const directs = [...this.#directs.values()];
    this.#directs.clear();
    for (const direct of directs) {
      unsent.push(...direct.outbox.takeUnsent());
      direct.end(reason);
    }
    this.#lanes = [];
    this.#heldCount = 0;
    return unsent.filter(({ sequence }) => sequence === 0);
  }

  /** For one node, whatever the request is about. */
  sendTo(direct: Direct, request: Request): void {
    direct.others.add(request);
    direct.outbox.push(request);
    this.#parts.host.soonFlush();
  }

  #partitionOf({ body }: Request): number {
    return partitionOfRequest(body, this.#parts.placement);
  }

  #laneOf(partition: number): Lane {
    const lane = this.#lanes[partition];
    if (lane !== undefined) return lane;
    const made: Lane = { direct: undefined, inFlight: 0, held: undefined, back: [], homeUntilMs: 0 };
    this.#lanes[partition] = made;
    return made;
  }

  #hold(lane: Lane, request: Request): void {
    lane.held ??= [];
    lane.held.push(request);
    this.#heldCount++;
  }

  #done(lane: Lane, request: Request): void {
    lane.inFlight--;
    if (lane.inFlight === 0 && lane.held !== undefined) this.#goOn(lane, this.#partitionOf(request));
  }

  /** R1: nothing of the partition is on its way any more. */
  #goOn(lane: Lane, partition: number): void {
    const { back, held = [] } = lane;
    lane.back = [];
    lane.held = undefined;
    this.#heldCount -= held.length;
    lane.direct = back.length > 0 ? undefined : this.#directTo(partition, lane);
    lane.inFlight = back.length + held.length;
    const outbox = lane.direct?.outbox ?? this.#parts.home;
    for (const request of back.sort((a, b) => a.sequence - b.sequence)) put(outbox, request);
    for (const request of held) put(outbox, request);
    this.#parts.host.soonFlush();
  }

  /** Undefined: home. Opens a connection for later requests where there is none. */
  #directTo(partition: number, lane: Lane): Direct | undefined {
    const owner = this.#ownerOf(partition);
    if (owner === undefined || this.#isHome(owner)) return undefined;
    const direct = this.#directs.get(owner.id);
    if (direct === undefined) {
      this.#open(owner);
      return undefined;
    }
    return direct.isReady && this.#nowMs() >= lane.homeUntilMs ? direct : undefined;
  }

  #ownerOf(partition: number): MapNode | undefined {
    const at = this.#map?.owners[partition] ?? 0;
    return at === 0 ? undefined : this.#map?.nodes[at - 1];
  }

  #isHome({ id }: MapNode): boolean {
    return id === this.#map?.node;
  }

  /** Whether the requests of the partition went to its owner, and not through home. */
  #isDirect(partition: number): boolean {
    return this.#lanes[partition]?.direct !== undefined;
  }

  /** R3 */
  #open(node: MapNode): Direct | undefined {
    const { environment, settings, window, host, ttlMs } = this.#parts;
    const nowMs = this.#nowMs();
    if (!this.#isUp || this.#directs.size >= settings.directMax || node.port === 0) return undefined;
    if (nowMs < (this.#trouble.get(node.id)?.untilMs ?? 0) || host.credentials === undefined) return undefined;
    const { token, client, application } = settings;
    const hello = Hello.create({
      ...{ version: PROTOCOL_VERSION, purpose: OPERATIONS, token, ttlMs, client, application, direct: true },
      ...{ sessionId: host.credentials.id, sessionSecret: host.credentials.secret },
    });
    const direct = new Direct(
      { environment, settings, window, node, hello },
      {
        welcomed: (each, welcome) => this.#welcomed(each, welcome),
        received: (each, frame) => this.#received(each, frame),
        ended: (each) => this.#ended(each),
      },
    );
    this.#directs.set(node.id, direct);
    return direct;
  }

  #welcomed(direct: Direct, welcome: Welcome): void {
    if (this.#directs.get(direct.node.id) !== direct) return;
    this.#parts.window.alsoSettle(direct.settled);
    this.#parts.host.welcomed(welcome, direct.node, direct.helloSentAtMs);
    this.#settleDoubt();
  }

  #received(direct: Direct, frame: ServerFrame): void {
    if (this.#directs.get(direct.node.id) !== direct) return;
    direct.due -= frame.replies.length; // One for each operation that was sent.
    this.#parts.host.received(direct, frame);
  }

  #ended(direct: Direct): void {
    const { id } = direct.node;
    if (this.#directs.get(id) !== direct) return; // By us.
    const nowMs = this.#nowMs();
    this.#directs.delete(id);
    this.#forget(direct);
    const wasStable = direct.isReady && nowMs - direct.welcomedAtMs >= STABLE_MS;
    const failures = wasStable ? 0 : (this.#trouble.get(id)?.failures ?? 0) + 1;
    const delayMs = pauseMs(failures, RETRY, this.#parts.environment.random);
    this.#trouble.set(id, { failures, untilMs: nowMs + delayMs });
    if (!direct.isReady) return; // It has told nothing, and so has lost nothing.
    for (const partition of this.#parts.host.registered()) {
      const isItsOwner = this.#ownerOf(partition)?.id === id || this.#lanes[partition]?.direct === direct;
      if (isItsOwner) this.#doubtful(partition);
    }
    this.#moveHome(direct);
    this.#timer?.dispose();
    this.#timer = this.#parts.environment.clock.after(delayMs + 1, () => this.#settleDoubt());
  }

  /** R2 */
  #moveHome(direct: Direct): void {
    const { window, home, host } = this.#parts;
    const isIts = (request: Request): boolean => this.#lanes[this.#partitionOf(request)]?.direct === direct;
    const unanswered = [...window.unanswered.values()].filter(
      (request) => isIts(request) || direct.others.has(request),
    );
    home.sendAgain(unanswered.filter((request) => !host.isPausing(request)));
    for (const request of direct.outbox.takeUnsent()) put(home, request);
    for (const lane of this.#lanes) {
      if (lane?.direct !== direct) continue;
      lane.direct = undefined;
      const { back, held = [] } = lane;
      lane.inFlight += back.length + held.length; // Those that came back are in the window, and so went above.
      lane.back = [];
      lane.held = undefined;
      this.#heldCount -= held.length;
      for (const request of held) put(home, request);
    }
    host.soonFlush();
  }

  #forget(direct: Direct): void {
    this.#parts.window.settleNoMore(direct.settled);
  }

  /** Ends a connection that fell silent while answers are due; asks something where notices are waited for. */
  #check(direct: Direct): void {
    if (!direct.isReady) return;
    const silentMs = this.#nowMs() - direct.heardAtMs;
    if (direct.due > 0) {
      if (silentMs <= this.#parts.settings.requestMs * STALL_REQUEST_RATIO * 2 ** direct.stalls) return;
      direct.stalls++;
      direct.end(new ForelockError("unavailable", `Node ${direct.node.id} was silent for ${Math.round(silentMs)} ms.`));
    } else if (silentMs > PING_MS) {
      const waits = [...this.#parts.window.waiting.values()];
      const wait = waits.find(({ reference }) => this.#ownerOf(partitionOf(reference))?.id === direct.node.id);
      if (wait === undefined) return;
      const value = GetOperationRequest.create({ reference: wait.reference });
      const call = new Call({ $case: "getOperation", value }, "acquire");
      call.promise.catch(() => {}); // That an answer came, whichever, is all that matters.
      call.issuedAtMs = this.#nowMs();
      this.sendTo(direct, call);
    }
  }

  #doubtful(partition: number): void {
    if (this.#parts.host.holds(partition)) this.#doubt.set(partition, this.#nowMs());
  }

  /** R4 */
  #settleDoubt(): void {
    if (this.#doubt.size === 0 || !this.#isUp) return;
    let mustRenew = false;
    for (const [partition, sinceMs] of this.#doubt) {
      const owner = this.#ownerOf(partition);
      if (owner === undefined) continue; // It will have one.
      const direct = this.#isHome(owner) ? undefined : (this.#directs.get(owner.id) ?? this.#open(owner));
      const isTold = direct?.isReady && direct.helloSentAtMs >= sinceMs;
      if (isTold || !this.#parts.host.holds(partition)) this.#doubt.delete(partition);
      else if (direct === undefined) mustRenew ||= this.#isHome(owner) || this.#isOutOfReach(owner);
      else mustRenew ||= direct.isReady;
    }
    const nowMs = this.#nowMs();
    const isWhole = this.#map?.owners.every((at) => at > 0) ?? false; // Else a resume would only be refused.
    if (!mustRenew || !isWhole || nowMs - this.#renewedAtMs < RENEW_MS) return;
    this.#renewedAtMs = nowMs;
    this.#parts.host.renew();
  }

  #isOutOfReach({ id }: MapNode): boolean {
    const isFull = this.#directs.size >= this.#parts.settings.directMax;
    return isFull || (this.#trouble.get(id)?.failures ?? 0) >= FAILURES_UNTIL_RENEWED;
  }

  #nowMs(): number {
    return this.#parts.environment.clock.monotonicMs();
  }
}

/** Whether an owner of before refused it, or another node may know what became of it. */
export function isReturned(reply: Reply): boolean {
  const { body } = reply;
  return body?.$case === "error" && ELSEWHERE.has(body.value.code);
}

function put(outbox: Outbox, request: Request): void {
  if (request.sequence === 0) outbox.push(request);
  else outbox.sendAgain([request]);
}
