// preemption.ts: what warnings, countdowns and forced ends may do, from the durable events alone: a second account of every warning, kept
// beside the tables. Called by witness.ts with the state just before each event, and just after it.
//   P1. A grant is forced only by a countdown that ran in full since its warning, its last restart or its grant, extensions added, on the
//       partition's clock; only when the warning enforced; never when it was asked for as never to be pre-empted.
//   P2. A wait is passed over once, unacknowledged and after its whole countdown. A client that was wrongly warned of an element is left
//       alone there for the cool-down, over restarts too.
//   P3. Extensions of a grant, and forced releases of a client over all lives of the server, stay within what the policy allows.
//   P4. A grant that is lost and asked for a call leaves one that is owed.
//   P5. A start begins countdowns anew, in full, three times at most.
import {
  type CompensationTerms,
  type Grant,
  holdersOf,
  type PartitionEvent,
  type PartitionState,
  type Terms,
  type Wait,
} from "forelock/internal";
import type { Situations } from "./situations.ts";
import { expectRule } from "./violation.ts";

/** The same for every policy of a run, so that what was allowed does not depend on when it was changed. */
export interface PreemptionBounds {
  readonly extensionsMax: number;
  readonly extensionMsMax: number;
  readonly preemptionsPerHourMax: number;
  readonly coolDownMs: number;
}

const RESTARTS_MAX = 3;

interface Row {
  readonly id: number;
  readonly isByHand: boolean;
  readonly isEnforced: boolean;
  readonly countdownMs: number;
  /** Name of the client, and of the element. */
  readonly client: string;
  readonly element: string;
  readonly givenMs: number;
  /** Which start of the server gave it. */
  readonly life: number;
  /** Of a grant that was warned as such; an upgrade changes it. */
  readonly token: bigint;
  target: Grant | number;
  /** Undefined while no countdown runs. */
  runningSinceMs: number | undefined;
  extendedMs: number;
  extensions: number;
  restarts: number;
  isAcknowledged: boolean;
  isOver: boolean;
}

type After = () => void;
const NOTHING: After = () => {};

export class Preemptions {
  readonly #bounds: PreemptionBounds;
  readonly #situations: Situations;
  readonly #life: () => number;
  readonly #called: (partition: number, id: number, isDelivered: boolean) => void;
  readonly #rowsByPartition = new Map<number, Map<number, Row>>();
  readonly #never = new WeakSet<Grant>();
  readonly #termsByWait = new Map<string, Terms>();
  readonly #callByGrant = new WeakMap<Grant, CompensationTerms>();
  /** Until when a client is left alone on an element, on the clock of its partition. */
  readonly #coolUntilMs = new Map<string, { readonly untilMs: number; readonly sinceMs: number }>();
  readonly #forcedByClient = new Map<string, number>();

  constructor(
    bounds: PreemptionBounds,
    situations: Situations,
    life: () => number,
    called: (partition: number, id: number, isDelivered: boolean) => void,
  ) {
    this.#bounds = bounds;
    this.#situations = situations;
    this.#life = life;
    this.#called = called;
  }

  /** Before `event` is applied; the result is to be called after. */
  see(state: PartitionState, event: PartitionEvent): After {
    const after = this.#see(state, event);
    return () => {
      after();
      this.#compare(state);
    };
  }

  #see(state: PartitionState, event: PartitionEvent): After {
    switch (event.kind) {
      case "started":
        return this.#restart(state);
      case "terms":
        return this.#agree(state, event);
      case "warned":
        return this.#warn(state, event);
      case "warning_acknowledged":
        return this.#acknowledge(state, event);
      case "warning_over":
        return this.#end(state, event);
      case "preempted":
        return this.#preempt(state, event.warning);
      case "compensated":
        this.#called(state.partition, event.compensation, event.isDelivered);
        return NOTHING;
      case "wait_granted":
        return this.#handOn(state, state.waits.get(event.wait));
      case "released": {
        const grant = grantAt(state, event.name, event.token);
        if (grant?.entries === 1) this.#released(state, grant);
        return NOTHING;
      }
      case "forced":
        return this.#expectCalls(state, [grantAt(state, event.name, event.token)]);
      case "session_ended": {
        if (event.why === "closed") return NOTHING;
        const grants: Grant[] = [];
        let grant = state.sessionByNumber.get(event.session)?.firstGrant;
        for (; grant !== undefined; grant = grant.next) grants.push(grant);
        return this.#expectCalls(state, grants);
      }
      default:
        return NOTHING;
    }
  }

  #rows({ partition }: PartitionState): Map<number, Row> {
    const known = this.#rowsByPartition.get(partition);
    if (known !== undefined) return known;
    const rows = new Map<number, Row>();
    this.#rowsByPartition.set(partition, rows);
    return rows;
  }

  #row(state: PartitionState, id: number): Row {
    const row = this.#rows(state).get(id);
    if (row !== undefined) return row;
    expectRule(false, "warning-unknown", () => `warning ${id} of partition ${state.partition} is over, or never was`);
    throw new Error("unreachable");
  }

  /** P5 */
  #restart(state: PartitionState): After {
    for (const row of this.#rows(state).values()) {
      if (row.runningSinceMs === undefined) continue;
      if (row.restarts >= RESTARTS_MAX) this.#situations.meet("countdown goes on over a fourth restart");
      else {
        row.restarts += 1;
        row.runningSinceMs = state.clockMs;
        this.#situations.meet(row.restarts === 1 ? "countdown restarted" : "countdown restarted again");
      }
    }
    return NOTHING;
  }

  #agree(state: PartitionState, event: PartitionEvent & { readonly kind: "terms" }): After {
    const { target, terms } = event;
    if (target.wait !== 0) this.#termsByWait.set(`${state.partition}/${target.wait}`, terms);
    else this.#granted(grantAt(state, target.name, target.token), terms);
    return NOTHING;
  }

  #granted(grant: Grant | undefined, terms: Terms): void {
    if (grant === undefined) return;
    if (terms.never) this.#never.add(grant);
    if (terms.compensation !== undefined) this.#callByGrant.set(grant, terms.compensation);
  }

  #warn(state: PartitionState, event: PartitionEvent & { readonly kind: "warned" }): After {
    const { target, cause } = event;
    const wait = state.waits.get(target.wait);
    const grant = wait === undefined ? grantAt(state, target.name, target.token) : undefined;
    const session = (wait ?? grant)?.session;
    const element = wait?.parts[0]?.element.name ?? target.name;
    const client = session?.client ?? "";
    const key = wait?.id ?? grant;
    expectRule(key !== undefined, "warned-nobody", () => `a warning names ${JSON.stringify({ ...target, token: "" })}`);
    for (const row of this.#rows(state).values()) {
      const isAgain = row.target === key && !(row.isOver && typeof key !== "number");
      expectRule(!isAgain, "warned-twice", () => `${element} was warned by ${row.id} already`); // P2
    }
    const isNever =
      grant !== undefined
        ? this.#never.has(grant)
        : this.#termsByWait.get(`${state.partition}/${target.wait}`)?.never === true;
    expectRule(!(isNever && cause.enforce), "never-enforced", () => `${element} is never to be pre-empted`);
    if (cause.by === "") this.#judgeCoolDown(state, client, element);
    const { nextWarning: id, clockMs } = state;
    const row: Row = {
      ...{ id, isByHand: cause.by !== "", isEnforced: cause.enforce, countdownMs: cause.countdownMs, client, element },
      ...{ givenMs: clockMs, life: this.#life(), token: target.token, target: key ?? 0, runningSinceMs: clockMs },
      ...{ extendedMs: 0, extensions: 0, restarts: 0, isAcknowledged: false, isOver: false },
    };
    for (const other of [...this.#rows(state).values()]) if (other.target === key) this.#rows(state).delete(other.id);
    this.#rows(state).set(id, row);
    return NOTHING;
  }

  /** P2 */
  #judgeCoolDown(state: PartitionState, client: string, element: string): void {
    const cool = this.#coolUntilMs.get(`${client} ${element}`);
    // Within one turn the warning may have been on its way already.
    const isLate = cool === undefined || state.clockMs >= cool.untilMs || state.clockMs === cool.sinceMs;
    expectRule(isLate, "warned-in-cool-down", () => `${client} at ${element}, until ${cool?.untilMs}`);
  }

  #acknowledge(state: PartitionState, event: PartitionEvent & { readonly kind: "warning_acknowledged" }): After {
    const row = this.#row(state, event.warning);
    const { extensionsMax, extensionMsMax } = this.#bounds;
    row.isAcknowledged = true;
    if (event.extensionMs > 0) {
      row.extensions += 1;
      row.extendedMs += event.extensionMs;
      expectRule(!row.isOver, "extended-late", () => `warning ${row.id} is extended after its countdown`);
      // P3
      expectRule(
        row.extensions <= extensionsMax,
        "extensions-over-budget",
        () => `warning ${row.id}: ${row.extensions}`,
      );
      // Where nothing is set there is more time, and only operators warn.
      const isShort = row.isByHand || event.extensionMs <= extensionMsMax;
      expectRule(isShort, "extension-too-long", () => `${event.extensionMs} ms`);
    }
    if (typeof row.target === "number" && !row.isOver) row.runningSinceMs = undefined; // It begins with the grant.
    return NOTHING;
  }

  #end(state: PartitionState, event: PartitionEvent & { readonly kind: "warning_over" }): After {
    const row = this.#row(state, event.warning);
    this.#judgeCountdown(state, row);
    const isOfWait = typeof row.target === "number";
    const isFit =
      event.why === "passed_over"
        ? isOfWait && !row.isAcknowledged && !row.isOver
        : !isOfWait && row.isEnforced === (event.why === "withdrawn") && !row.isOver;
    expectRule(isFit, "over-wrongly", () => `warning ${row.id} of ${row.element} is ${event.why}`); // P2
    row.isOver = true;
    row.runningSinceMs = undefined;
    if (event.why === "withdrawn") this.#rows(state).delete(row.id);
    return NOTHING;
  }

  /** P1 */
  #judgeCountdown(state: PartitionState, row: Row): void {
    const dueMs = (row.runningSinceMs ?? Number.POSITIVE_INFINITY) + row.countdownMs + row.extendedMs;
    expectRule(
      state.clockMs >= dueMs,
      "countdown-cut",
      () => `warning ${row.id} of ${row.element} ends at ${state.clockMs}; its countdown runs until ${dueMs}`,
    );
  }

  #preempt(state: PartitionState, id: number): After {
    const row = this.#row(state, id);
    const { target: grant } = row;
    this.#judgeCountdown(state, row);
    const isForced = typeof grant !== "number" && row.isEnforced && !row.isOver && !this.#never.has(grant);
    expectRule(isForced, "preempted-wrongly", () => `warning ${id} of ${row.element} forces what it may not`); // P1
    if (typeof grant === "number") return NOTHING;
    if (!row.isByHand) {
      const forced = (this.#forcedByClient.get(row.client) ?? 0) + 1;
      this.#forcedByClient.set(row.client, forced);
      const { preemptionsPerHourMax } = this.#bounds;
      const isWithin = forced <= preemptionsPerHourMax; // P3: a run is shorter than an hour.
      expectRule(isWithin, "forced-over-budget", () => `${row.client}: ${forced} of ${preemptionsPerHourMax}`);
    }
    const { token, element } = grant;
    const called = this.#expectCalls(state, [grant]);
    return () => {
      called();
      this.#rows(state).delete(id);
      const isFenced = grantAt(state, element.name, token) === undefined;
      expectRule(isFenced, "preempted-unfenced", () => `${element.name} ${token} is still a grant`);
    };
  }

  /** The warning of a wait goes on with the grant that it becomes, and its countdown begins there. */
  #handOn(state: PartitionState, wait: Wait | undefined): After {
    if (wait === undefined || wait.upgradeOf !== undefined) return NOTHING;
    const row = [...this.#rows(state).values()].find(({ target }) => target === wait.id);
    const terms = this.#termsByWait.get(`${state.partition}/${wait.id}`);
    if (row === undefined && terms === undefined) return NOTHING;
    return () => {
      const outcome = wait.operation.outcome?.kind === "granted" ? wait.operation.outcome.grants[0] : undefined;
      const grant = outcome && grantAt(state, outcome.name, outcome.token);
      if (terms !== undefined) this.#granted(grant, terms);
      if (row === undefined) return;
      const how = row.isOver ? "passed over" : row.isAcknowledged ? "acknowledged" : "not acknowledged";
      this.#situations.meet(`warned wait granted, ${how}`);
      if (row.isOver || grant === undefined) {
        this.#rows(state).delete(row.id);
        return;
      }
      row.target = grant;
      row.runningSinceMs = state.clockMs;
    };
  }

  /** A warning was wrong when its holder released within the countdown without a word: it would have done so anyway. */
  #released(state: PartitionState, grant: Grant): void {
    const row = [...this.#rows(state).values()].find(({ target }) => target === grant);
    if (row === undefined || row.isAcknowledged || row.isOver) return;
    if (row.token !== grant.token || row.life !== this.#life()) return; // Warned as a wait, or upgraded, or by another server.
    if (state.clockMs > row.givenMs + row.countdownMs - CLOCK_SLACK_MS) return;
    const untilMs = state.clockMs + this.#bounds.coolDownMs - CLOCK_SLACK_MS;
    this.#coolUntilMs.set(`${row.client} ${row.element}`, { untilMs, sinceMs: state.clockMs });
    this.#situations.meet("wrongly warned");
  }

  /** P4 */
  #expectCalls(state: PartitionState, grants: readonly (Grant | undefined)[]): After {
    const owed = grants.flatMap((grant) => {
      const call = grant && !grant.reserved ? this.#callByGrant.get(grant) : undefined;
      return grant === undefined || call === undefined ? [] : [{ call, token: grant.token, name: grant.element.name }];
    });
    if (owed.length === 0) return NOTHING;
    return () => {
      for (const { call, token, name } of owed) {
        const rows = [...state.compensations.values()].filter((row) => row.token === token && row.element === name);
        const [row] = rows;
        const isOwed = rows.length === 1 && row?.url === call.url && row.argument === call.argument;
        expectRule(isOwed, "call-forgotten", () => `${name} ${token} was lost, and leaves ${rows.length} calls`);
        if (row !== undefined) this.#situations.meet(`compensation owed, ${row.why}`);
      }
    };
  }

  /** The rows of both accounts are the same; one that is gone is so because its grant or wait is. */
  #compare(state: PartitionState): void {
    const rows = this.#rows(state);
    if (rows.size === 0 && state.warnings.size === 0) return;
    for (const row of [...rows.values()]) {
      const warning = state.warnings.get(row.id);
      const { target } = row;
      const isThere =
        typeof target === "number" ? state.waits.has(target) : [...holdersOf(target.element)].includes(target);
      expectRule(
        isThere === (warning !== undefined),
        "warning-lost",
        () => `warning ${row.id} of ${row.element} is ${warning?.phase}; its target is ${isThere ? "there" : "gone"}`,
      );
      if (warning === undefined) {
        rows.delete(row.id);
        continue;
      }
      const endsAtMs = (row.runningSinceMs ?? Number.POSITIVE_INFINITY) + row.countdownMs + row.extendedMs;
      const isSame = warning.endsAtMs === endsAtMs && warning.enforce === row.isEnforced;
      expectRule(isSame, "countdown-wrong", () => `warning ${row.id} ends at ${warning.endsAtMs}; due ${endsAtMs}`);
    }
    expectRule(rows.size === state.warnings.size, "warning-invented", () => `${state.warnings.size} for ${rows.size}`);
  }
}

/** The server's clock and the partition's are read at different moments of a turn. */
const CLOCK_SLACK_MS = 20;

function grantAt(state: PartitionState, name: string, token: bigint): Grant | undefined {
  const element = state.elements.get(name);
  return element === undefined ? undefined : [...holdersOf(element)].find((grant) => grant.token === token);
}
