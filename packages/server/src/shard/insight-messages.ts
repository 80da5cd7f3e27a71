// insight-messages.ts: risks and forecasts as messages of the protocol. Not here: how they come about (foresight.ts).
import type { Eta, HoldForecast, Risk as RiskMessage } from "@forelock/protocol";
import type { PartitionState, Warning, WarningCause } from "../partition/state.ts";
import type { Assessment, HoldQuantiles } from "../preempt/engine.ts";
import { RISK_PARTS, type Risk, type RiskPart } from "../preempt/risk.ts";

/** The risk that a warning was given for. */
export function warningRisk(warning: Warning): Risk {
  const parts: RiskPart[] = [];
  for (const { name, value, weight } of warning.parts) {
    const known = RISK_PARTS.find((part) => part === name);
    if (known !== undefined) parts.push({ name: known, value, weight });
  }
  return { score: warning.score, parts };
}

export function riskMessage(state: PartitionState, warning: Warning, policy: string): RiskMessage {
  const isRunning = warning.enforce && Number.isFinite(warning.endsAtMs);
  return {
    score: warning.score,
    parts: warning.parts.map((part) => ({ ...part })),
    threshold: warning.threshold,
    policy,
    state: warning.phase,
    countdownMs: isRunning ? Math.max(0, Math.floor(warning.endsAtMs - state.clockMs)) : -1,
    reason: warning.reason,
  };
}

/** As the event of a warning says. */
export function causeMessage({ score, parts, threshold, enforce, countdownMs, reason }: WarningCause): RiskMessage {
  return {
    score,
    parts: parts.map((part) => ({ ...part })),
    threshold,
    policy: enforce ? "enforce" : "warn",
    state: "warned",
    countdownMs: enforce ? countdownMs : -1,
    reason,
  };
}

/** Of what was assessed and not warned. */
export function assessmentMessage(assessment: Assessment, policy: string, state: "held" | "waiting"): RiskMessage {
  const { risk, threshold, reason } = assessment;
  return {
    score: risk.score,
    parts: risk.parts.map((part) => ({ ...part })),
    threshold,
    policy,
    state,
    countdownMs: -1,
    reason,
  };
}

export function forecastMessage(forecast: HoldQuantiles | undefined): HoldForecast | undefined {
  if (forecast === undefined) return undefined;
  const { p50Ms, p90Ms, p99Ms, observations, source } = forecast;
  return { p50Ms, p90Ms, p99Ms, observations: Math.min(observations, 2 ** 32 - 1), source };
}

export function etaMessage(eta: { readonly p50Ms: number; readonly p90Ms: number } | undefined): Eta | undefined {
  return eta === undefined ? undefined : { p50Ms: eta.p50Ms, p90Ms: eta.p90Ms };
}
