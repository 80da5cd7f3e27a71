// core.ts: the lock core of the server, one partition of it, in simulated time: the same decide, apply and grant loop that a turn of
// the server runs, without log, clients and network. Not here: when what is asked of it (simulation.ts).
//   C1. The partition clock is the simulated time, in whole milliseconds. It never falls.
import { assert } from "@forelock/protocol";
import { Freed } from "../lock/freed.ts";
import { EXCLUSIVE } from "../lock/mode.ts";
import { apply } from "../partition/apply.ts";
import type { Command, PartitionLimits, RequestId, SessionIdentity } from "../partition/commands.ts";
import { decide } from "../partition/decide.ts";
import type { PartitionEvent } from "../partition/events.ts";
import { type LossWhy, type Observer, SILENT } from "../partition/observer.ts";
import { createState, type FencingToken, type PartitionState, type WarningCause } from "../partition/state.ts";

/** Nothing that was recorded is refused: limits are a matter of the server that runs it. */
const LIMITS: PartitionLimits = {
  waitersMax: Number.MAX_SAFE_INTEGER,
  locksMax: Number.MAX_SAFE_INTEGER,
  sessionsMax: Number.MAX_SAFE_INTEGER,
  tombstonesMax: Number.MAX_SAFE_INTEGER,
  unansweredMax: 16,
  keptMax: 0,
  priorityStepMs: 1_000,
  fileBytesMax: 0,
  filesMax: 0,
  fileCreate: "listed",
  effectsMax: 0,
  dueMax: 1_000,
};

/** Above the sequences of a session's acquire and release. */
const ACKNOWLEDGED_FIRST = 3;

/** What a command, or the passing of time, has led to. Valid until the next call. */
export interface Happened {
  /** Ids of sessions, in the order of their grants. */
  readonly granted: readonly string[];
  readonly lost: readonly { readonly session: string; readonly why: LossWhy }[];
}

/** A request has a session of its own, named by whoever asks. */
export interface Requester {
  readonly session: string;
  readonly client: string;
  readonly element: string;
}

export class Core {
  readonly #state: PartitionState = createState(0);
  readonly #freed = new Freed();
  readonly #ttlMs: number;
  #acknowledgements = 0;
  #granted: string[] = [];
  #lost: { session: string; why: LossWhy }[] = [];
  readonly #observer: Observer = {
    ...SILENT,
    freed: (element, below) => this.#freed.add(element, below),
    lost: (grant, why) => this.#lost.push({ session: grant.session.id, why }),
  };

  constructor(ttlMs: number) {
    this.#ttlMs = ttlMs;
    this.#do({ kind: "start", epoch: 1 });
  }

  get nowMs(): number {
    return this.#state.clockMs;
  }

  /** C1 */
  advanceTo(nowMs: number): void {
    assert(nowMs >= this.#state.clockMs, "simulated time does not fall");
    this.#state.clockMs = nowMs;
  }

  acquire(requester: Requester): Happened {
    return this.#do({
      kind: "acquire",
      session: this.#identity(requester),
      request: request(1),
      parts: [{ name: requester.element, mode: EXCLUSIVE, take: 1, limit: 0 }],
      waitMs: -1,
      priority: 0,
      rollback: false,
      actor: "",
      reenter: 0n,
      terms: undefined,
    });
  }

  /** Releases what the session holds, and closes it. */
  release(requester: Requester): Happened {
    const token = this.#tokenOf(requester.session);
    const session = this.#identity(requester);
    const released = this.#do({
      kind: "release",
      session,
      request: request(2),
      name: requester.element,
      token,
      undo: false,
    });
    const { granted } = released;
    this.end(requester.session, "closed");
    return { granted: [...granted, ...this.#granted], lost: [] };
  }

  /** Not heard from for so long. */
  silent(session: string, silentMs: number): Happened {
    return this.#do({ kind: "session_silent", sessionId: session, silentMs });
  }

  end(session: string, why: "expired" | "closed"): Happened {
    return this.#do({ kind: "end_session", sessionId: session, why, reason: "" });
  }

  /** @returns when the countdown ends: `tick` is due then */
  warn({ session, element }: Requester, cause: WarningCause): number {
    const token = this.#tokenOf(session);
    this.#do({ kind: "warn", name: element, token, wait: 0, cause });
    return this.#state.clockMs + cause.countdownMs;
  }

  /** @param refusal why no extension is given; "" when it is @returns by how much the countdown is longer */
  acknowledge(requester: Requester, extensionMs: number, refusal: string): number {
    const grant = this.#state.sessions.get(requester.session)?.firstGrant;
    const warning = grant && this.#state.warningByTarget.get(grant);
    if (warning === undefined) return 0;
    const { extendedMs } = warning;
    this.#acknowledgements += 1;
    const session = this.#identity(requester);
    const asked = request(ACKNOWLEDGED_FIRST + this.#acknowledgements);
    this.#do({ kind: "acknowledge_warning", session, request: asked, warning: warning.id, extensionMs, refusal });
    return warning.extendedMs - extendedMs;
  }

  /** Ends the countdowns that are due. */
  tick(): Happened {
    return this.#do({ kind: "tick" });
  }

  waitersOf(element: string): number {
    return this.#state.elements.get(element)?.waiting ?? 0;
  }

  /** Whose request holds the element. */
  holderOf(element: string): string | undefined {
    const holders = this.#state.elements.get(element)?.holders;
    return holders === undefined || holders instanceof Map ? undefined : holders.session.id;
  }

  #tokenOf(session: string): FencingToken {
    const grant = this.#state.sessions.get(session)?.firstGrant;
    assert(grant !== undefined, `${session} holds what it is asked to give up`);
    return grant.token;
  }

  #identity({ session, client }: Requester): SessionIdentity {
    return { id: session, secretHash: "", principal: "replay", client, ttlMs: this.#ttlMs };
  }

  /** A turn of one command. */
  #do(command: Command): Happened {
    this.#granted = [];
    this.#lost = [];
    const { events, refusal } = decide(this.#state, command, LIMITS);
    assert(refusal === undefined, `the core refused ${command.kind}: ${refusal?.message}`);
    for (const event of events) this.#apply(event, command);
    this.#freed.grant({
      state: this.#state,
      max: Number.POSITIVE_INFINITY,
      grant: (wait) => this.#apply({ kind: "wait_granted", wait: wait.id }, command),
      settled: () => {},
    });
    return { granted: this.#granted, lost: this.#lost };
  }

  #apply(event: PartitionEvent, command: Command): void {
    if (event.kind === "granted" && command.kind === "acquire") this.#granted.push(command.session.id);
    if (event.kind === "wait_granted") {
      const wait = this.#state.waits.get(event.wait);
      if (wait !== undefined) this.#granted.push(wait.session.id);
    }
    apply(this.#state, event, this.#observer);
  }
}

function request(sequence: number): RequestId {
  return { sequence, requestId: "", keepMs: 0, digest: sequence };
}
