// controller.ts: moves the threshold of a policy as load changes. Two wishes pull: waits at their p99 below a target, and few wrong
// warnings. The second is the stronger one: speed is never bought with false alarms beyond their budget.
//   K1. Within [thresholdMin, thresholdMax]; one step at a time, and none inside a band around the target, so that it does not swing.
import type { Policy } from "./policy.ts";

const STEP = 0.02;
/** Share of the target by which it must be missed before anything moves. */
const BAND = 0.1;
/** Share of the target by which waits must be below it before the threshold goes back: one step can change them by as much. */
const WELL_BELOW = 0.4;
/** With fewer judged warnings, the share of wrong ones says little. */
const JUDGED_MIN = 10;

/** What was seen since the controller last looked. */
export interface Observed {
  /** p99 of waits; NaN when nobody waited. */
  readonly waitMsP99: number;
  /** Warnings of which it is known by now whether they were wrong. */
  readonly judged: number;
  readonly wrong: number;
}

export interface Move {
  readonly threshold: number;
  /** In a sentence. */
  readonly reason: string;
}

/** @returns undefined when the threshold stays */
export function moveThreshold(current: number, observed: Observed, policy: Policy): Move | undefined {
  const { waitMsP99, judged, wrong } = observed;
  const wrongRatio = judged < JUDGED_MIN ? 0 : wrong / judged;
  const percent = (ratio: number): string => `${(ratio * 100).toFixed(1)} %`;
  if (wrongRatio > policy.falseRatioMax * (1 + BAND)) {
    const reason = `${percent(wrongRatio)} of ${judged} warnings were wrong; the budget is ${percent(policy.falseRatioMax)}.`;
    return moved(current, current + STEP, policy, reason);
  }
  if (policy.waitMsTarget === 0 || !Number.isFinite(waitMsP99)) return undefined;
  if (waitMsP99 > policy.waitMsTarget * (1 + BAND)) {
    const reason = `The p99 of waits is ${Math.round(waitMsP99)} ms; the target is ${policy.waitMsTarget} ms.`;
    return moved(current, current - STEP, policy, reason);
  }
  if (waitMsP99 < policy.waitMsTarget * (1 - WELL_BELOW) && current < policy.threshold) {
    const reason = `The p99 of waits, ${Math.round(waitMsP99)} ms, is well below the target of ${policy.waitMsTarget} ms.`;
    return moved(current, Math.min(current + STEP, policy.threshold), policy, reason);
  }
  return undefined;
}

function moved(current: number, wanted: number, policy: Policy, reason: string): Move | undefined {
  const rounded = Math.round(wanted * 1_000) / 1_000;
  const threshold = Math.min(policy.thresholdMax, Math.max(policy.thresholdMin, rounded));
  return threshold === current ? undefined : { threshold, reason };
}
