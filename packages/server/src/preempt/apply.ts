// apply.ts (preempt): what each event of warnings, terms, compensations and policies does to the tables.
//   P6. A wait that is passed over keeps its place behind those who wait at that moment.
import { assert, unreachable } from "@forelock/protocol";
import { grantOf, settleLoss, waitOf } from "../lock/apply.ts";
import { elementFor, insertWait, removeGrant, removeWait } from "../lock/table.ts";
import type { EventTarget, PreemptEvent } from "../partition/events.ts";
import { addCompensation, addPolicy } from "../partition/hash.ts";
import { type Observer, SILENT } from "../partition/observer.ts";
import { remember, sessionOf } from "../partition/operations.ts";
import type { Grant, PartitionState, Wait, Warning } from "../partition/state.ts";
import { changeWarning, dropWarning, insertTerms, insertWarning, judge } from "./table.ts";
import { isWait } from "./target.ts";

export function applyPreempt(state: PartitionState, event: PreemptEvent, observer: Observer): void {
  change(state, event, observer);
  observer.preempt(event);
}

function change(state: PartitionState, event: PreemptEvent, observer: Observer): void {
  switch (event.kind) {
    case "terms": {
      const target = targetOf(state, event.target);
      insertTerms(state, target, event.terms);
      return;
    }
    case "warned":
      warn(state, event);
      return;
    case "warning_acknowledged":
      acknowledge(state, event);
      return;
    case "warning_over": {
      const warning = warningOf(state, event.warning);
      if (event.why === "withdrawn") return dropWarning(state, warning.target);
      changeWarning(state, warning, () => {
        warning.phase = event.why === "ignored" ? "ignored" : "passed_over";
        warning.endsAtMs = Number.POSITIVE_INFINITY;
      });
      if (event.why === "passed_over" && isWait(warning.target)) moveBehind(state, warning, warning.target, observer);
      return;
    }
    case "preempted":
      preempt(state, warningOf(state, event.warning), observer);
      return;
    case "compensated": {
      const row = state.compensations.get(event.compensation);
      assert(row !== undefined, `event names compensation ${event.compensation}, which the partition does not have`);
      addCompensation(state, -1, row);
      state.compensations.delete(row.id);
      const element = state.elements.get(row.element);
      if (row.blocks && element !== undefined) observer.freed(element, true);
      return;
    }
    case "policy_set": {
      const before = state.policies.get(event.prefix);
      if (before !== undefined) addPolicy(state, -1, event.prefix, before);
      const isEmpty = event.row.set.size === 0 && event.row.threshold < 0;
      if (isEmpty) state.policies.delete(event.prefix);
      else {
        state.policies.set(event.prefix, event.row);
        addPolicy(state, 1, event.prefix, event.row);
      }
      return;
    }
    default:
      unreachable(event);
  }
}

function targetOf(state: PartitionState, target: EventTarget): Grant | Wait {
  return target.wait === 0 ? grantOf(state, target.name, target.token) : waitOf(state, target.wait);
}

function warningOf(state: PartitionState, id: number): Warning {
  const warning = state.warnings.get(id);
  assert(warning !== undefined, `event names warning ${id}, which the partition does not have`);
  return warning;
}

function warn(state: PartitionState, event: PreemptEvent & { readonly kind: "warned" }): void {
  const target = targetOf(state, event.target);
  dropWarning(state, target); // An ignored one, at most.
  insertWarning(state, {
    ...event.cause,
    id: state.nextWarning,
    target,
    phase: "warned",
    extensions: 0,
    extendedMs: 0,
    endsAtMs: state.clockMs + event.cause.countdownMs,
    restarts: 0,
  });
  state.nextWarning += 1;
}

function acknowledge(state: PartitionState, event: PreemptEvent & { readonly kind: "warning_acknowledged" }): void {
  const warning = warningOf(state, event.warning);
  const isExtended = event.extensionMs > 0;
  changeWarning(state, warning, () => {
    if (warning.phase === "warned" || warning.phase === "acknowledged" || warning.phase === "extended")
      warning.phase = isExtended || warning.phase === "extended" ? "extended" : "acknowledged";
    if (isExtended) {
      warning.extensions += 1;
      warning.extendedMs += event.extensionMs;
      warning.endsAtMs += event.extensionMs;
    }
    // Of a wait: its countdown starts at its grant.
    if (isWait(warning.target) && warning.phase !== "passed_over") warning.endsAtMs = Number.POSITIVE_INFINITY;
  });
  const asked = event.refusal !== "" ? "refused" : isExtended ? "extended" : "acknowledged";
  remember(state, sessionOf(state, event.request.session), event.request, {
    kind: "acknowledged",
    state: asked,
    warning: warning.id,
    reason: event.refusal,
  });
}

function preempt(state: PartitionState, warning: Warning, observer: Observer): void {
  const grant = warning.target;
  assert(!isWait(grant), "a countdown of a wait ends with warning_over");
  judge(state, warning, grant, "forced");
  const undone = settleLoss(state, grant, "preempted", observer);
  removeGrant(state, grant, observer);
  observer.lost(grant, "preempted", warning.reason, undone, warning.id);
}

/** P6. A new row under the same number: the old one stays, marked as gone, in the lanes that it leaves. */
function moveBehind(state: PartitionState, warning: Warning, wait: Wait, observer: Observer): void {
  const terms = state.termsByTarget.get(wait);
  removeWait(state, wait, false, SILENT);
  const parts = wait.parts.map((part) => ({ ...part, element: elementFor(state, part.element.name) }));
  const behind: Wait = {
    ...wait,
    parts,
    arrivalMs: state.clockMs,
    gone: false,
    toldPosition: Number.POSITIVE_INFINITY,
  };
  insertWait(state, behind);
  behind.operation.wait = behind;
  warning.target = behind;
  insertWarning(state, warning);
  if (terms !== undefined) insertTerms(state, behind, terms);
  for (const { element } of behind.parts) {
    observer.freed(element, true);
    for (const ancestor of element.ancestors) observer.freed(ancestor, false); // Its intents stood before others there.
  }
}
