// situations.ts: which situations a run has met: a kind of event, in a state of what it concerns, or a request with its kind of answer.
// Not here: those it must meet (situation-table.ts), and whether what happened was right (witness.ts).
import { ancestorsOf, type PartitionEvent, type PartitionState } from "forelock/internal";
import { SITUATIONS } from "./situation-table.ts";

/** Of the table, what CI must meet. Below it the load has gone blind for something. */
export const HIT_RATIO_MIN = 0.95;

/** Counts by situation. One for all seeds of a call. */
export class Situations {
  readonly counts = new Map<string, number>();

  meet(situation: string): void {
    this.counts.set(situation, (this.counts.get(situation) ?? 0) + 1);
  }

  /** Of the table, those that no run has met. */
  get missing(): readonly string[] {
    return SITUATIONS.filter((situation) => !this.counts.has(situation));
  }

  /** In [0, 1]. */
  get hitRatio(): number {
    return 1 - this.missing.length / SITUATIONS.length;
  }
}

const MODES = ["exclusive", "shared", "permit"] as const;

/** The state of an element, as far as it decides what may come. */
function elementText(state: PartitionState, name: string): string {
  const element = state.elements.get(name);
  const above = ancestorsOf(name).some(
    (ancestor) => (state.elements.get(ancestor)?.holders ?? undefined) !== undefined,
  );
  if (element === undefined) return above ? "held above" : "idle";
  if (element.exclusive > 0) return "held exclusive";
  if (element.shared > 0) return "held shared";
  if (element.taken > 0) return "held permit";
  if (element.intentExclusive + element.intentShared > 0) return "held below";
  return above ? "held above" : "only waited for";
}

function sessionText(state: PartitionState, number: number): string {
  const session = state.sessionByNumber.get(number);
  if (session === undefined) return "gone";
  if (session.unheard) return "unheard";
  if (session.silentSinceMs !== Number.POSITIVE_INFINITY) return "silent";
  return session.waits.size > 0 ? "waiting" : session.grants > 0 ? "holding" : "quiet";
}

export function situationOf(state: PartitionState, event: PartitionEvent): string {
  const { kind } = event;
  switch (event.kind) {
    case "queued":
    case "granted": {
      const part = event.parts[0];
      if (part === undefined) return kind;
      if (event.upgradeOf !== 0n) return `${kind} upgrade`;
      const shape = event.reserve ? "reserved part" : event.parts.length > 1 ? "several" : MODES[part.mode];
      return `${kind} ${shape}, ${elementText(state, part.name)}`;
    }
    case "wait_granted": {
      const wait = state.waits.get(event.wait);
      if (wait === undefined) return kind;
      if (wait.upgradeOf !== undefined) return `${kind} upgrade`;
      const part = wait.parts[0];
      const shape = wait.reserve ? "reserved part" : wait.parts.length > 1 ? "several" : MODES[part?.mode ?? 0];
      const others = state.waits.size > 1 ? "others wait" : "alone";
      return `${kind} ${shape}, ${others}`;
    }
    case "wait_ended":
      return `${kind} ${event.code}`;
    case "cancelled": {
      const wait = state.waits.get(event.wait);
      return `${kind} ${wait?.upgradeOf === undefined ? "acquire" : "upgrade"}`;
    }
    case "released": {
      const grant = grantOf(state, event.name, event.token);
      const undo = event.undo ? "undo" : "commit";
      const effects = (grant?.effects?.length ?? 0) > 0 ? "effects" : "no effects";
      const depth = (grant?.entries ?? 1) > 1 ? "inner" : "last";
      const waited = (state.elements.get(event.name)?.waiting ?? 0) > 0 ? "waited for" : "not waited for";
      return event.undo || effects === "effects"
        ? `${kind} ${undo}, ${effects}, ${depth}`
        : `${kind} ${depth}, ${waited}`;
    }
    case "forced": {
      const grant = grantOf(state, event.name, event.token);
      return `${kind} ${MODES[grant?.mode ?? 0]}, ${(grant?.effects?.length ?? 0) > 0 ? "effects" : "no effects"}`;
    }
    case "downgraded": {
      const waited = (state.elements.get(event.name)?.waiting ?? 0) > 0 ? "waited for" : "not waited for";
      return `${kind} ${waited}`;
    }
    case "session_ended": {
      const session = state.sessionByNumber.get(event.session);
      let effects = false;
      for (let grant = session?.firstGrant; grant !== undefined; grant = grant.next)
        effects ||= grant.effects !== undefined;
      const text = effects ? "effects" : sessionText(state, event.session);
      return `${kind} ${event.why}, ${text}`;
    }
    case "session_silent":
    case "session_heard":
      return `${kind} ${sessionText(state, event.session)}`;
    case "started":
      return `${kind} ${state.sessions.size > 0 ? "sessions" : "empty"}${state.batches.size > 0 ? ", batches" : ""}`;
    case "appended": {
      const grant = grantOf(state, event.element, event.token);
      const own = grant?.session.number === event.request.session ? "own" : "other session";
      return `${kind} ${grant?.rollback === true ? "rollback" : "keep"}, ${own}`;
    }
    case "noted":
      return `${kind} ${event.code}`;
    case "batch_ended":
      return `${kind} ${event.code}`;
    case "part_abandoned": {
      const part = state.parts.get(event.part);
      if (part === undefined || !("element" in part)) return `${kind} waiting`;
      return `${kind} ${part.reserved ? "reserved" : "confirmed"}`;
    }
    default:
      return preemptionSituation(state, event) ?? kind;
  }
}

/** Undefined for events of any other kind. */
function preemptionSituation(state: PartitionState, event: PartitionEvent): string | undefined {
  const { kind } = event;
  switch (event.kind) {
    case "terms": {
      const { never, compensation } = event.terms;
      const call = compensation === undefined ? "" : compensation.blocks ? ", call that blocks" : ", call";
      return `${kind} ${never ? "never" : "by policy"}${call}`;
    }
    case "warned": {
      const { wait, name, token } = event.target;
      const target = wait !== 0 ? state.waits.get(wait) : grantOf(state, name, token);
      const isNever = target !== undefined && state.termsByTarget.get(target)?.never === true;
      const what = wait !== 0 ? "wait" : "grant";
      const by = event.cause.by === "" ? "by forecast" : "by hand";
      return `${kind} ${what} ${by}, ${isNever ? "never" : event.cause.enforce ? "enforced" : "not enforced"}`;
    }
    case "warning_acknowledged": {
      const warning = state.warnings.get(event.warning);
      const what = warning !== undefined && "parts" in warning.target ? "wait" : "grant";
      return `${kind} ${what}, ${event.refusal !== "" ? "refused" : event.extensionMs > 0 ? "extended" : "plain"}`;
    }
    case "warning_over":
      return `${kind} ${event.why}`;
    case "preempted": {
      const warning = state.warnings.get(event.warning);
      const grant = warning === undefined || "parts" in warning.target ? undefined : warning.target;
      const effects = (grant?.effects?.length ?? 0) > 0 ? "effects" : "no effects";
      return `${kind} ${MODES[grant?.mode ?? 0]}, ${effects}, ${warning?.phase}`;
    }
    case "compensated":
      return `${kind} ${event.isDelivered ? "delivered" : "given up"}`;
    case "policy_set":
      return `${kind} ${event.row.threshold >= 0 ? "by the controller" : event.row.set.size === 0 ? "back" : "by hand"}`;
    default:
      return undefined;
  }
}

function grantOf(state: PartitionState, name: string, token: bigint) {
  const holders = state.elements.get(name)?.holders;
  return holders instanceof Map ? holders.get(token) : holders;
}
