// decide.ts (preempt): what happens to warnings: given, acknowledged, at the end of their countdown. Not here: whom to warn, which
// is a forecast's business and an argument (risk.ts, shard/foresight.ts); what it does to the tables (apply.ts).
//   P1. A grant is forced only by a countdown that ran in full since its warning, and only if that was to be enforced.
//   P2. Nothing shortens a countdown. A missing acknowledgement changes nothing for a grant; a wait is passed over for it, once.
//   P3. Who would be forced for nobody's sake is not: the warning is withdrawn when no one waits any more, unless an operator asked.

import { chosenGrants } from "../lock/release.ts";
import type { AcknowledgeWarning, Decision, OwnerCommand } from "../partition/commands.ts";
import type { EventRequest, EventTarget, PartitionEvent } from "../partition/events.ts";
import { type Grant, type PartitionState, tokenOf, type Wait, type Warning } from "../partition/state.ts";
import { NOTHING } from "../session/decide.ts";
import { isOutsidePhases, isWait, isWaitedFor } from "./target.ts";

export function decideWarn(state: PartitionState, command: OwnerCommand & { readonly kind: "warn" }): Decision {
  if (command.wait !== 0) return warnWait(state, command);
  const chosen = chosenGrants(state, command);
  if ("refusal" in chosen) return chosen;
  const events = chosen.filter((grant) => mayWarn(state, grant)).map((grant) => warned(state, grant, command));
  return { events, refusal: undefined };
}

function warnWait(state: PartitionState, command: OwnerCommand & { readonly kind: "warn" }): Decision {
  const wait = state.waits.get(command.wait);
  if (wait === undefined || !isWarnable(wait) || !mayWarn(state, wait)) return NOTHING; // It was granted, or left, in the meantime.
  return { events: [warned(state, wait, command)], refusal: undefined };
}

/** Whether a wait can be passed over alone: it waits for one element, and does not stand in a shared phase. */
export function isWarnable(wait: Wait): boolean {
  return wait.parts.length === 1 && wait.upgradeOf === undefined && !wait.reserve && isOutsidePhases(wait);
}

/** One that only warned, and was ignored, may be followed by another. */
function mayWarn(state: PartitionState, target: Grant | Wait): boolean {
  const warning = state.warningByTarget.get(target);
  return warning === undefined || warning.phase === "ignored";
}

function warned(
  state: PartitionState,
  target: Grant | Wait,
  { cause }: OwnerCommand & { readonly kind: "warn" },
): PartitionEvent {
  const isNever = state.termsByTarget.get(target)?.never === true;
  return { kind: "warned", target: targetOf(target), cause: { ...cause, enforce: cause.enforce && !isNever } };
}

function targetOf(target: Grant | Wait): EventTarget {
  if (isWait(target)) return { wait: target.id, name: "", token: 0n };
  return { wait: 0, name: target.element.name, token: target.token };
}

/** The target that the event before it, `granted` or `queued`, will make. */
export function nextTarget(state: PartitionState, name: string, isGranted: boolean): EventTarget {
  if (!isGranted) return { wait: state.nextWait, name: "", token: 0n };
  return { wait: 0, name, token: tokenOf(state.epoch, state.grantCounter + 1) };
}

export function decideAcknowledge(state: PartitionState, command: AcknowledgeWarning, request: EventRequest): Decision {
  const warning = state.warnings.get(command.warning);
  // Over: the answer says so, and nothing changes. Whoever may not know of it is told the same.
  if (warning === undefined || warning.target.session.principal !== command.session.principal) return NOTHING;
  const { extensionMs, refusal } = command;
  const why = refusal === "" && extensionMs > 0 ? extensionRefusal(warning, command.extensionsMax) : refusal;
  return {
    events: [
      {
        kind: "warning_acknowledged",
        request,
        warning: warning.id,
        extensionMs: why === "" ? extensionMs : 0,
        refusal: why,
      },
    ],
    refusal: undefined,
  };
}

function extensionRefusal(warning: Warning, extensionsMax = Number.POSITIVE_INFINITY): string {
  if (warning.phase === "ignored" || warning.phase === "passed_over") return "The countdown has ended.";
  return warning.extensions < extensionsMax ? "" : extensionsUsed(warning.extensions, extensionsMax);
}

/** The sentence for who has had all extensions. */
export function extensionsUsed(extensions: number, extensionsMax: number): string {
  return `The grant has had ${extensions} extensions; ${extensionsMax} are allowed.`;
}

/**
 * The event that the end of a countdown asks for.
 * @param leaving waits that end by an event before it
 */
export function decideCountdownEnd(warning: Warning, leaving: Iterable<Wait>): PartitionEvent {
  const { id, target } = warning;
  if (isWait(target)) return { kind: "warning_over", warning: id, why: "passed_over" }; // P2
  if (!warning.enforce) return { kind: "warning_over", warning: id, why: "ignored" };
  if (warning.by === "" && !isWaitedFor(target, leaving))
    return { kind: "warning_over", warning: id, why: "withdrawn" }; // P3
  return { kind: "preempted", warning: id }; // P1
}
