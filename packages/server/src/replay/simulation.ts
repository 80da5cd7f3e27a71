// simulation.ts: a workload, replayed through the lock core in simulated time under one policy of pre-emption. Each request is a
// process of its own, with a session of its own. Not here: the core (core.ts), whom a policy pre-empts (policies.ts, forelock.ts),
// what is counted (tally.ts).
//   R1. What happens to a request is drawn from the seed, its row and its attempt: the same under every policy.
//   R2. A healthy holder works for the whole duration of its row, each time that it is granted.
//   R3. A holder that is pre-empted while healthy has lost its work, and asks again at once, behind those who wait.
//   R4. One that was pre-empted ATTEMPTS_MAX times gives up, and counts as unfinished.
//   R5. A holder whose answer to a warning was recorded acknowledges and releases as long after its warning as then, with its work
//       done or saved. The others do not listen to warnings.
import { unreachable } from "@forelock/protocol";
import type { WarningCause } from "../partition/state.ts";
import { Agenda } from "./agenda.ts";
import { Core, type Happened } from "./core.ts";
import { type PolicyResult, Tally } from "./tally.ts";
import type { Row, Workload } from "./workload.ts";

export const ATTEMPTS_MAX = 5;
/** How many times its duration a hung hold lasts when nobody ends it. */
export const HANG_FACTOR = 20;
/** Standard of `session.ttlMs`. */
export const TTL_MS = 30_000;
const NOTED_SILENT_MS = TTL_MS / 3;

/**
 * well: works, then releases. dies: is not heard from after its grant. hangs: heartbeats go on, and it does nothing until it is 20
 * times as old. lost: as it was recorded, it never releases, and is lost when it is as old as it was then.
 */
export type Fate = "well" | "dies" | "hangs" | "lost";

/** A request that waits or holds. */
export interface Attempt {
  readonly row: Row;
  /** Of the row. */
  readonly index: number;
  readonly session: string;
  /** Client and element as the core knows them; the latter by number, so that names have no parents. */
  readonly client: string;
  readonly element: string;
  /** 0 for the first. */
  readonly number: number;
  readonly fate: Fate;
  readonly requestMs: number;
  /** NaN while it waits. */
  grantMs: number;
  /** When it would end by itself; NaN while it waits. */
  endMs: number;
  /** When its countdown ends; Infinity while none runs. */
  forcedMs: number;
  isLookedAt: boolean;
}

export type HoldEnd = "released" | "expired" | "preempted";

/** A policy of pre-emption: told of everything, and asked about holders that others wait for. */
export interface Preemptor {
  readonly name: string;
  /** `mustWait`: the element is held, or queued for. */
  requested(attempt: Attempt, mustWait: boolean, nowMs: number): void;
  granted(attempt: Attempt, nowMs: number): void;
  ended(attempt: Attempt, why: HoldEnd, nowMs: number): void;
  /**
   * The age at which a contended holder is to be looked at, `ageMs` at the least; Infinity: never again.
   * @param isFirst it has not been looked at before: `ageMs` itself will do
   */
  nextLookMs(attempt: Attempt, ageMs: number, isFirst: boolean): number;
  /** @returns with which warning it is pre-empted; undefined: not now */
  look(attempt: Attempt, waiters: number, nowMs: number): WarningCause | undefined;
  /**
   * A holder that was warned acknowledges, and asks for an extension unless `extensionMs` is 0.
   * @returns why it gets none; "" when it does
   */
  acknowledged(attempt: Attempt, extensionMs: number, nowMs: number): string;
}

export interface Conditions {
  /** Share of grants that get stuck, in [0, 1]: half of them die, half hang. */
  readonly stuckRatio: number;
  readonly seed: number;
}

type Item =
  | { readonly kind: "finish"; readonly attempt: Attempt }
  | { readonly kind: "silent"; readonly attempt: Attempt }
  | { readonly kind: "expire"; readonly attempt: Attempt }
  | { readonly kind: "look"; readonly attempt: Attempt }
  | { readonly kind: "acknowledge"; readonly attempt: Attempt; readonly extensionMs: number }
  | { readonly kind: "tick" };

export function simulate(workload: Workload, preemptor: Preemptor, conditions: Conditions): PolicyResult {
  const simulation = new Simulation(workload, preemptor, conditions);
  simulation.run();
  return simulation.tally.result(preemptor.name);
}

class Simulation {
  readonly tally: Tally;
  readonly #rows: readonly Row[];
  readonly #preemptor: Preemptor;
  readonly #conditions: Conditions;
  readonly #core = new Core(TTL_MS);
  readonly #agenda = new Agenda<Item>();
  readonly #attempts = new Map<string, Attempt>();
  readonly #elements = new Map<string, string>();

  constructor(workload: Workload, preemptor: Preemptor, conditions: Conditions) {
    this.#rows = workload.rows;
    this.tally = new Tally(workload.rows.length);
    this.#preemptor = preemptor;
    this.#conditions = conditions;
  }

  run(): void {
    const rows = this.#rows;
    let next = 0;
    for (;;) {
      const row = rows[next];
      const { nextMs } = this.#agenda;
      // What was planned comes first, so that a release and a request of one moment do not wait for each other.
      if (row !== undefined && row.requestMs < nextMs) {
        this.#core.advanceTo(row.requestMs);
        this.#request(row, next, 0);
        next += 1;
        continue;
      }
      const item = this.#agenda.take();
      if (item === undefined) break;
      this.#core.advanceTo(nextMs);
      this.#happen(item);
    }
    this.tally.end(this.#core.nowMs);
  }

  #request(row: Row, index: number, number: number): void {
    const core = this.#core;
    const attempt: Attempt = {
      row,
      index,
      session: `${index}.${number}`,
      client: row.client,
      element: this.#elementOf(row.element),
      number,
      fate: row.isLost ? "lost" : this.#fateOf(index, number),
      requestMs: core.nowMs,
      grantMs: Number.NaN,
      endMs: Number.NaN,
      forcedMs: Number.POSITIVE_INFINITY,
      isLookedAt: false,
    };
    this.#attempts.set(attempt.session, attempt);
    this.tally.requested(attempt);
    const happened = core.acquire(attempt);
    const mustWait = happened.granted.length === 0;
    this.#preemptor.requested(attempt, mustWait, core.nowMs);
    this.#follow(happened);
    if (mustWait) this.#lookAtHolder(attempt.element);
  }

  #happen(item: Item): void {
    const core = this.#core;
    switch (item.kind) {
      case "finish": {
        const { attempt } = item;
        if (!this.#attempts.delete(attempt.session)) return; // It was pre-empted.
        this.tally.released(attempt);
        const happened = core.release(attempt);
        this.#preemptor.ended(attempt, "released", core.nowMs);
        return this.#follow(happened);
      }
      case "silent":
        if (this.#attempts.has(item.attempt.session)) core.silent(item.attempt.session, NOTED_SILENT_MS);
        return;
      case "expire":
        if (this.#attempts.has(item.attempt.session)) this.#follow(core.end(item.attempt.session, "expired"));
        return;
      case "look":
        if (this.#attempts.has(item.attempt.session)) this.#look(item.attempt);
        return;
      case "acknowledge":
        if (this.#attempts.has(item.attempt.session)) this.#acknowledge(item.attempt, item.extensionMs);
        return;
      case "tick":
        return this.#follow(core.tick());
      default:
        return unreachable(item);
    }
  }

  /** What comes of grants and losses. */
  #follow({ granted, lost }: Happened): void {
    const nowMs = this.#core.nowMs;
    const again: Attempt[] = [];
    const closed: string[] = [];
    for (const { session, why } of lost) {
      const attempt = this.#attempts.get(session);
      if (attempt === undefined) continue;
      this.#attempts.delete(session);
      const end: HoldEnd = why === "expired" ? "expired" : "preempted";
      this.#preemptor.ended(attempt, end, nowMs);
      this.tally.lost(attempt, end, nowMs);
      if (end === "preempted") closed.push(session);
      if (end === "preempted" && attempt.fate === "well") again.push(attempt);
    }
    for (const session of granted) {
      const attempt = this.#attempts.get(session);
      if (attempt !== undefined) this.#begin(attempt, nowMs);
    }
    for (const session of closed) this.#core.end(session, "closed");
    for (const attempt of again) {
      if (attempt.number + 1 >= ATTEMPTS_MAX) continue; // R4
      this.#request(attempt.row, attempt.index, attempt.number + 1); // R3
    }
  }

  #begin(attempt: Attempt, nowMs: number): void {
    const { row, fate } = attempt;
    attempt.grantMs = nowMs;
    this.tally.granted(attempt, nowMs);
    this.#preemptor.granted(attempt, nowMs);
    if (fate === "dies" || fate === "lost") {
      attempt.endMs = nowMs + (fate === "dies" ? TTL_MS : row.durationMs);
      if (fate === "dies") this.#agenda.plan(nowMs + NOTED_SILENT_MS, { kind: "silent", attempt });
      this.#agenda.plan(attempt.endMs, { kind: "expire", attempt });
    } else {
      attempt.endMs = nowMs + row.durationMs * (fate === "hangs" ? HANG_FACTOR : 1); // R2
      this.#agenda.plan(attempt.endMs, { kind: "finish", attempt });
    }
    if (this.#core.waitersOf(attempt.element) > 0) this.#planLook(attempt, true);
  }

  #lookAtHolder(element: string): void {
    const attempt = this.#attempts.get(this.#core.holderOf(element) ?? "");
    if (attempt !== undefined && !attempt.isLookedAt) this.#planLook(attempt, true);
  }

  #planLook(attempt: Attempt, isFirst: boolean): void {
    attempt.isLookedAt = true;
    const ageMs = this.#core.nowMs - attempt.grantMs;
    const atMs = attempt.grantMs + this.#preemptor.nextLookMs(attempt, ageMs, isFirst);
    // Past its end there is nothing to look at.
    if (atMs < attempt.endMs) this.#agenda.plan(Math.ceil(atMs), { kind: "look", attempt });
  }

  #look(attempt: Attempt): void {
    const nowMs = this.#core.nowMs;
    const cause = this.#preemptor.look(attempt, this.#core.waitersOf(attempt.element), nowMs);
    if (cause === undefined) return this.#planLook(attempt, false);
    this.tally.warned(attempt, cause, nowMs);
    attempt.forcedMs = this.#core.warn(attempt, cause);
    this.#agenda.plan(attempt.forcedMs, { kind: "tick" });
    const { answer } = attempt.row;
    if (answer === undefined || attempt.fate === "dies" || attempt.fate === "hangs") return; // Those do nothing any more.
    for (const { afterMs, extensionMs } of answer.acknowledgements)
      this.#agenda.plan(nowMs + afterMs, { kind: "acknowledge", attempt, extensionMs });
    if (answer.releasedMs === undefined || nowMs + answer.releasedMs >= attempt.endMs) return;
    attempt.endMs = nowMs + answer.releasedMs; // R5
    this.#agenda.plan(attempt.endMs, { kind: "finish", attempt });
  }

  #acknowledge(attempt: Attempt, extensionMs: number): void {
    const refusal = this.#preemptor.acknowledged(attempt, extensionMs, this.#core.nowMs);
    const extendedMs = this.#core.acknowledge(attempt, extensionMs, refusal);
    this.tally.acknowledged(extendedMs > 0);
    if (extendedMs === 0) return;
    attempt.forcedMs += extendedMs;
    this.#agenda.plan(attempt.forcedMs, { kind: "tick" });
  }

  #elementOf(name: string): string {
    let element = this.#elements.get(name);
    if (element === undefined) {
      element = `e${this.#elements.size}`;
      this.#elements.set(name, element);
    }
    return element;
  }

  /** R1 */
  #fateOf(index: number, number: number): Fate {
    const { seed, stuckRatio } = this.#conditions;
    const drawn = uniform(seed, index, number);
    if (drawn < stuckRatio / 2) return "dies";
    return drawn < stuckRatio ? "hangs" : "well";
  }
}

/** A number in [0, 1) that depends on nothing else. Source: the finaliser of MurmurHash3 (Appleby, 2008), over the three in turn. */
export function uniform(seed: number, index: number, number: number): number {
  let hash = 0x9e3779b9;
  for (const each of [seed, index, number]) {
    hash = Math.imul(hash ^ each, 0x85ebca6b);
    hash ^= hash >>> 13;
    hash = Math.imul(hash, 0xc2b2ae35);
    hash ^= hash >>> 16;
  }
  return (hash >>> 0) / 2 ** 32;
}
