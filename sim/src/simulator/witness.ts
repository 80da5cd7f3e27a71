// witness.ts: looks at every durable event, with the state just before it, and says whether it may happen.
//   W1. Tokens of an element only rise, over restarts too.
//   W2. A grant goes only to a session that is there, was heard since the start, and is not silent.
//   W3. Nobody overtakes an earlier live waiter that it conflicts with, but for the readers of a phase; and a reader waits through
//       one exclusive grant at most.
//   W4. A wait times out only at its deadline; an append happens once.
//   W5. An element whose lost grant asked for a call that blocks is granted again only when the call is answered or given up.
import {
  ancestorsOf,
  type Element,
  holdersOf,
  type PartitionEvent,
  type PartitionState,
  type Session,
  type Wait,
} from "forelock/internal";
import { FileModel } from "./file-model.ts";
import type { Preemptions } from "./preemption.ts";
import { type Situations, situationOf } from "./situations.ts";
import { expectRule } from "./violation.ts";

/** How a grant ended, as the log has it. */
export type GrantEnd = "released" | "expired" | "forced" | "preempted" | "closed" | "abandoned" | "upgraded";

const PRIORITY_STEPS_MAX = 9;

/** Modes that cannot be beside each other in a queue; 3 and 4 are intents. Written down anew, not taken from the core. */
const CONFLICTS: readonly (readonly number[])[] = [[0, 1, 2, 3, 4], [0, 2, 3], [0, 1, 2], [0, 1], [0]];

interface Place {
  readonly name: string;
  readonly mode: number;
}

export class Witness {
  readonly files = new FileModel();
  readonly endByToken = new Map<string, GrantEnd>();
  readonly issued = new Set<string>();
  readonly appended = new Map<string, { readonly file: string; readonly index: number }>();
  /** Exclusive grants that a shared waiter has seen pass, by partition and wait. */
  readonly #passed = new Map<string, number>();
  readonly #lastTokenByName = new Map<string, bigint>();
  readonly #situations: Situations;
  readonly #preemptions: Preemptions;
  readonly #priorityStepMs: number;
  readonly #told: (state: PartitionState, event: PartitionEvent) => void;

  constructor(
    situations: Situations,
    preemptions: Preemptions,
    priorityStepMs: number,
    told: (state: PartitionState, event: PartitionEvent) => void,
  ) {
    this.#situations = situations;
    this.#preemptions = preemptions;
    this.#priorityStepMs = priorityStepMs;
    this.#told = told;
  }

  /** Before `event` is applied; the result is to be called after. */
  see(state: PartitionState, event: PartitionEvent): () => void {
    this.#told(state, event);
    this.#situations.meet(situationOf(state, event));
    this.files.see(state, event);
    this.#noteEnds(state, event);
    const names = this.#judge(state, event);
    const seen = this.#preemptions.see(state, event);
    return () => {
      seen();
      for (const name of names) this.#judgeTokens(state, name);
      this.files.check(state);
    };
  }

  /** @returns names whose tokens may be new */
  #judge(state: PartitionState, event: PartitionEvent): readonly string[] {
    switch (event.kind) {
      case "granted": {
        const session = state.sessionByNumber.get(event.request.session);
        this.#judgeSession(state, session, event.parts[0]?.name ?? "");
        const places = event.parts.flatMap((part) => placesOf(part.name, part.mode));
        if (event.upgradeOf === 0n) this.#judgeArrival(state, places, session);
        const names = event.parts.map((part) => part.name);
        if (event.upgradeOf === 0n) judgeCalls(state, names);
        if (event.parts.some((part) => part.mode === 0)) this.#pass(state, names);
        return event.reserve ? [] : names;
      }
      case "wait_granted": {
        const wait = state.waits.get(event.wait);
        if (wait === undefined) return [];
        const names = wait.parts.map((part) => part.element.name);
        this.#judgeSession(state, wait.session, names[0] ?? "");
        if (wait.upgradeOf === undefined) {
          this.#judgeTurn(state, wait);
          judgeCalls(state, names);
        }
        this.#passed.delete(`${state.partition}/${wait.id}`);
        if (wait.parts.some((part) => part.mode === 0)) this.#pass(state, names);
        return wait.reserve ? [] : names;
      }
      case "session_silent": {
        // Whoever falls silent may miss his phase.
        for (const wait of state.sessionByNumber.get(event.session)?.waits ?? []) {
          this.#passed.delete(`${state.partition}/${wait.id}`);
        }
        return [];
      }
      case "started":
        this.#passed.clear();
        expectRule(
          event.epoch > state.epoch,
          "epoch-not-raised",
          () => `partition ${state.partition} starts under epoch ${event.epoch} after ${state.epoch}`,
        );
        return [];
      case "wait_ended": {
        const wait = state.waits.get(event.wait);
        const isEarly = event.code === "timeout" && wait !== undefined && state.clockMs < wait.deadlineMs;
        expectRule(!isEarly, "timeout-early", () => `wait ${event.wait} at ${state.clockMs} of ${wait?.deadlineMs}`);
        return [];
      }
      case "part_confirmed": {
        const part = state.parts.get(event.part);
        return part !== undefined && "element" in part ? [part.element.name] : [];
      }
      case "appended":
        this.#judgeAppend(state, event);
        return [];
      default:
        return [];
    }
  }

  /** W2 */
  #judgeSession(state: PartitionState, session: Session | undefined, name: string): void {
    const silentMs = session === undefined ? 0 : state.clockMs - session.silentSinceMs;
    expectRule(session !== undefined, "grant-to-dead", () => `${name} goes to a session that has ended`);
    expectRule(session?.unheard === false, "grant-to-unheard", () => `${name} goes to ${session?.id}, unheard so far`);
    expectRule(
      session !== undefined && silentMs < session.ttlMs / 3,
      "grant-to-silent",
      () => `${name} goes to ${session?.id}, silent for ${silentMs} of ${session?.ttlMs} ms`,
    );
  }

  /** W3 for a request that never waited. It may overtake its own session, which was silent until this very command. */
  #judgeArrival(state: PartitionState, places: readonly Place[], session: Session | undefined): void {
    const earliestMs = state.clockMs - PRIORITY_STEPS_MAX * this.#priorityStepMs;
    for (const wait of state.waits.values()) {
      if (wait.arrivalMs >= earliestMs || wait.session === session || !isLive(state, wait.session)) continue;
      const clash = clashOf(places, wait);
      expectRule(clash === undefined, "overtaken", () => `a new request takes ${clash} before wait ${wait.id}`);
    }
  }

  /** W3 for a waiter whose turn is said to have come. */
  #judgeTurn(state: PartitionState, granted: Wait): void {
    const places = granted.parts.flatMap((part) => placesOf(part.element.name, part.mode));
    for (const wait of state.waits.values()) {
      const isEarlier =
        wait.arrivalMs < granted.arrivalMs || (wait.arrivalMs === granted.arrivalMs && wait.id < granted.id);
      if (wait === granted || !isEarlier || !isLive(state, wait.session)) continue;
      const inPhase = granted.parts.length === 1 && granted.parts[0]?.mode === 1 ? granted.parts[0].element : undefined;
      const isFree = inPhase !== undefined && granted.id < inPhase.readersBefore;
      const clash = clashOf(isFree ? places.filter((place) => place.name !== inPhase.name) : places, wait);
      expectRule(clash === undefined, "overtaken", () => `wait ${granted.id} takes ${clash} before wait ${wait.id}`);
    }
  }

  /** Bound of W3: only where no intents mix in, and only while the reader could have been granted. */
  #pass(state: PartitionState, names: readonly string[]): void {
    for (const name of names) {
      const element = state.elements.get(name);
      if (element === undefined || name.includes("{")) continue;
      for (const wait of element.lanes?.[1] ?? []) {
        const key = `${state.partition}/${wait.id}`;
        if (wait.parts.length > 1 || !isLive(state, wait.session)) {
          this.#passed.delete(key);
          continue;
        }
        const passed = (this.#passed.get(key) ?? 0) + 1;
        this.#passed.set(key, passed);
        expectRule(passed <= 1, "reader-starved", () => `wait ${wait.id} at ${name} saw ${passed} exclusive grants`);
      }
    }
  }

  #judgeAppend(state: PartitionState, event: PartitionEvent & { readonly kind: "appended" }): void {
    const { request } = event;
    const session = state.sessionByNumber.get(request.session);
    const key =
      request.requestId === ""
        ? `${session?.id}.${request.sequence}`
        : `${state.partition}/${session?.principal}/${request.requestId}`;
    expectRule(!this.appended.has(key), "append-doubled", () => `request ${key} appends to ${event.file} again`);
    const element = state.elements.get(event.element);
    const grant = [...(element === undefined ? [] : holdersOf(element))].find((held) => held.token === event.token);
    expectRule(
      grant?.session.principal === session?.principal,
      "append-foreign",
      () => `${session?.principal} appends to ${event.file} under a token of ${grant?.session.principal}`,
    );
    this.appended.set(key, { file: event.file, index: state.files.get(event.file)?.count ?? 0 });
  }

  /** W1 */
  #judgeTokens(state: PartitionState, name: string): void {
    const element = state.elements.get(name);
    for (const grant of element === undefined ? [] : holdersOf(element)) {
      const key = `${name} ${grant.token}`;
      if (grant.reserved || this.issued.has(key)) continue;
      const last = this.#lastTokenByName.get(name) ?? 0n;
      expectRule(grant.token > last, "token-fell", () => `${name} gets token ${grant.token} after ${last}`);
      this.issued.add(key);
      this.#lastTokenByName.set(name, grant.token);
    }
  }

  #noteEnds(state: PartitionState, event: PartitionEvent): void {
    const end = (name: string, token: bigint, why: GrantEnd): void => {
      this.endByToken.set(`${name} ${token}`, why);
    };
    switch (event.kind) {
      case "released": {
        const element: Element | undefined = state.elements.get(event.name);
        const grant = [...(element === undefined ? [] : holdersOf(element))].find((held) => held.token === event.token);
        if (grant?.entries === 1) end(event.name, event.token, "released");
        return;
      }
      case "forced":
        return end(event.name, event.token, "forced");
      case "preempted": {
        const target = state.warnings.get(event.warning)?.target;
        if (target !== undefined && "element" in target) end(target.element.name, target.token, "preempted");
        return;
      }
      case "granted":
        if (event.upgradeOf !== 0n) end(event.parts[0]?.name ?? "", event.upgradeOf, "upgraded");
        return;
      case "wait_granted": {
        const upgraded = state.waits.get(event.wait)?.upgradeOf;
        if (upgraded !== undefined) end(upgraded.element.name, upgraded.token, "upgraded");
        return;
      }
      case "part_abandoned": {
        const part = state.parts.get(event.part);
        if (part !== undefined && "element" in part) end(part.element.name, part.token, "abandoned");
        return;
      }
      case "session_ended": {
        let grant = state.sessionByNumber.get(event.session)?.firstGrant;
        for (; grant !== undefined; grant = grant.next) end(grant.element.name, grant.token, event.why);
        return;
      }
      default:
        return;
    }
  }
}

/** W5 */
function judgeCalls(state: PartitionState, names: readonly string[]): void {
  for (const row of state.compensations.values()) {
    const isBlocked = row.blocks && names.includes(row.element);
    expectRule(!isBlocked, "granted-before-call", () => `${row.element} is granted while call ${row.id} is owed`);
  }
}

function placesOf(name: string, mode: number): readonly Place[] {
  const intent = mode === 1 ? 4 : 3;
  return [{ name, mode }, ...ancestorsOf(name).map((above) => ({ name: above, mode: intent }))];
}

/** Where the places meet those of a wait in modes that exclude each other. */
function clashOf(places: readonly Place[], wait: Wait): string | undefined {
  const others = wait.parts.flatMap((part) => placesOf(part.element.name, part.mode));
  const clash = places.find((place) =>
    others.some((other) => other.name === place.name && CONFLICTS[place.mode]?.includes(other.mode) === true),
  );
  return clash?.name;
}

function isLive(state: PartitionState, session: Session): boolean {
  return !session.unheard && state.clockMs - session.silentSinceMs < session.ttlMs / 3;
}

/** Waits that nothing stands in the way of: not the holders, and no earlier waiter, live or not. There must be none at rest. */
export function forgottenWaits(state: PartitionState): readonly Wait[] {
  const waits = [...state.waits.values()];
  // Not granted again before the call for its lost grant is answered.
  const blocked = new Set([...state.compensations.values()].filter((row) => row.blocks).map((row) => row.element));
  return waits.filter((wait) => {
    if (!isLive(state, wait.session) || wait.parts.some((part) => blocked.has(part.element.name))) return false;
    const places = wait.parts.flatMap((part) => placesOf(part.element.name, part.mode));
    const isBehind = waits.some((other) => {
      const isEarlier = other.arrivalMs < wait.arrivalMs || (other.arrivalMs === wait.arrivalMs && other.id < wait.id);
      return isEarlier && clashOf(places, other) !== undefined;
    });
    if (isBehind && wait.upgradeOf === undefined) return false;
    return wait.parts.every((part) => hasRoom(state, wait, part.element.name, part));
  });
}

function hasRoom(
  state: PartitionState,
  wait: Wait,
  name: string,
  part: { readonly mode: number; readonly take: number; readonly limit: number },
): boolean {
  const places = placesOf(name, part.mode);
  for (const session of state.sessions.values()) {
    for (let grant = session.firstGrant; grant !== undefined; grant = grant.next) {
      if (grant === wait.upgradeOf) continue;
      const held = placesOf(grant.element.name, grant.mode);
      for (const place of places) {
        const other = held.find((each) => each.name === place.name);
        if (other === undefined) continue;
        if (place.mode === 2 && other.mode === 2) {
          const { taken, limit } = grant.element;
          if (limit !== part.limit || taken + part.take > part.limit) return false;
        } else if (CONFLICTS[place.mode]?.includes(other.mode) === true) return false;
      }
    }
  }
  return true;
}
