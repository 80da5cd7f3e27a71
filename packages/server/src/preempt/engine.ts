// engine.ts: from what is known of a contended grant, or of a request that waits, to what is to be done about it, and why. The
// forecasts are passed in and may be anything, also wrong, extreme, missing or no numbers: then nothing is done for their sake.
// Not here: the formula (risk.ts), what a warning does (decide.ts), when grants are looked at (shard/foresight.ts).
//   E1. Nothing is done to a holder younger than the minimum hold, to one that was found wrongly warned a short while ago, or
//       without anyone waiting.
//   E2. Who has used up the budget of forced releases, countdowns that still run among them, is warned, and not forced.
//   E3. Who lets a countdown run out again gets half of it the next time, down to a quarter; never less than the least of the policy.
//   E4. Before anything was learned, no hold is too long.
import { extensionsUsed } from "./decide.ts";
import type { Ledger } from "./ledger.ts";
import type { Policy } from "./policy.ts";
import { type HoldSigns, type Risk, ratio, riskOf } from "./risk.ts";

/** Quantiles of the total length of a hold, in milliseconds. */
export interface HoldQuantiles {
  readonly p50Ms: number;
  readonly p90Ms: number;
  readonly p99Ms: number;
  /** Completed holds that speak, of the most specific history there is. */
  readonly observations: number;
  readonly source: string;
}

/**
 * What the engine asks of a forecaster. Both may throw, or answer nonsense. `self` names the hold that is asked about, where the
 * forecaster knows it as running: it must not count as one more that has lasted so long.
 */
export interface HoldForecasts {
  quantiles(client: string, element: string, ageMs: number, nowMs: number, self?: number): HoldQuantiles | undefined;
  /** Probability that a hold of `ageMs` lasts longer than `deadlineMs`, both from its beginning. */
  outlives(client: string, element: string, ageMs: number, deadlineMs: number, nowMs: number, self?: number): number;
}

export interface Holder {
  /** The forecaster's name for this hold, if it has one. */
  readonly self?: number | undefined;
  readonly client: string;
  readonly element: string;
  readonly ageMs: number;
  readonly waiters: number;
  /** Requests expected while it goes on holding. */
  readonly arrivalsPerMs?: number;
  readonly silenceRatio: number;
  readonly illnessRatio: number;
  readonly contentionRatio: number;
  readonly loadRatio: number;
  /** Until the session of a dead holder would end by itself. */
  readonly ttlMs: number;
}

/** How many times its p99 a stuck holder is thought to be waited for when nobody acts. */
const PATIENCE_P99S = 10;
const COUNTDOWN_MS_MIN = 100;
const COUNTDOWN_SHARE_MIN = 0.25;

export type Action = "none" | "observe" | "warn" | "enforce";

export interface Assessment {
  readonly risk: Risk;
  readonly threshold: number;
  readonly forecast: HoldQuantiles | undefined;
  readonly action: Action;
  readonly countdownMs: number;
  /** In a sentence. */
  readonly reason: string;
}

export class Engine {
  readonly #forecasts: HoldForecasts;
  readonly #ledger: Ledger;
  readonly #promised: (client: string) => number;

  /** @param promised countdowns of a client that will end by force, if nothing comes in between */
  constructor(forecasts: HoldForecasts, ledger: Ledger, promised: (client: string) => number = () => 0) {
    this.#forecasts = forecasts;
    this.#ledger = ledger;
    this.#promised = promised;
  }

  /** @param nowMs of a clock that does not fall */
  assess(holder: Holder, policy: Policy, threshold: number, nowMs: number): Assessment {
    const { client, element, ageMs, self } = holder;
    const countdownMs = this.#countdownMs(client, policy);
    const forecast = this.forecast(client, element, ageMs, nowMs, self);
    if (forecast === undefined) {
      const risk = riskOf(blind(holder), policy.weights);
      return { risk, threshold, forecast, action: "none", countdownMs, reason: "There is no forecast of this hold." };
    }
    const remainingMs = Math.max(0, (forecast.p50Ms + forecast.p90Ms) / 2 - ageMs);
    const signs: HoldSigns = {
      ...holder,
      // E4
      survivalRatio: forecast.source === "prior" ? 1 : this.#outlives(client, element, 0, ageMs, nowMs, self),
      outlivesRatio: this.#outlives(client, element, ageMs, ageMs + countdownMs, nowMs, self),
      remainingMs,
      stuckRatio: this.#ledger.stuckRatio,
      patienceMs: Math.max(holder.ttlMs, PATIENCE_P99S * forecast.p99Ms),
    };
    const risk = riskOf(signs, policy.weights);
    const action = risk.score >= threshold ? this.#action(holder, policy, nowMs) : "none";
    return { risk, threshold, forecast, action, countdownMs, reason: sentence(holder, risk, signs, forecast) };
  }

  /**
   * A request that waits, as it would be once granted: is it likely to hold much longer than others do there? The parts keep their
   * meaning for a grant that begins: hold, that it lasts longer than nine of ten holds of the element; harm, that to those behind it.
   */
  assessWait(
    wait: Pick<
      Holder,
      "client" | "element" | "waiters" | "silenceRatio" | "illnessRatio" | "contentionRatio" | "loadRatio"
    >,
    policy: Policy,
    nowMs: number,
  ): Assessment {
    const { client, element } = wait;
    const countdownMs = this.#countdownMs(client, policy);
    const threshold = policy.pendingThreshold;
    const own = this.forecast(client, element, 0, nowMs);
    const others = this.forecast("", element, 0, nowMs);
    if (own === undefined || others === undefined || own.source !== "pair") {
      const risk = riskOf(blind({ ...wait, ageMs: 0 }), policy.weights);
      return {
        risk,
        threshold,
        forecast: own,
        action: "none",
        countdownMs,
        reason: "Too little is known of this client here.",
      };
    }
    const longRatio = this.#outlives(client, element, 0, others.p90Ms, nowMs);
    const signs: HoldSigns = {
      ...wait,
      ageMs: others.p50Ms,
      survivalRatio: 1,
      outlivesRatio: longRatio,
      remainingMs: own.p50Ms,
      // Of a hold that has not begun, the share of those of this client that came to a forced end speaks.
      stuckRatio: this.#ledger.offenceRatio(client),
      patienceMs: own.p99Ms,
    };
    const risk = riskOf(signs, policy.weights);
    const isDue = risk.score >= threshold && wait.waiters > 0 && !this.#ledger.isCooling(client, element, nowMs);
    const pending: Action = isDue && policy.policy === "warn" ? "warn" : "none";
    const action = isDue && policy.policy === "enforce" ? this.#enforceOrWarn(client, policy, nowMs) : pending;
    const reason = `${client} usually holds ${element} for ${span(own.p50Ms)}; nine of ten holds there end within ${span(others.p90Ms)}.`;
    return { risk, threshold, forecast: own, action, countdownMs, reason };
  }

  /** Undefined when there is none, or none that makes sense. */
  forecast(client: string, element: string, ageMs: number, nowMs: number, self?: number): HoldQuantiles | undefined {
    try {
      const found = this.#forecasts.quantiles(client, element, ageMs, nowMs, self);
      if (found === undefined) return undefined;
      const { p50Ms, p90Ms, p99Ms } = found;
      const isSound = p50Ms >= 0 && p90Ms >= p50Ms && p99Ms >= p90Ms && Number.isFinite(p99Ms);
      return isSound ? found : undefined;
    } catch {
      return undefined; // A forecast may fail; a lock service may not.
    }
  }

  /**
   * Whether an extension is granted: within the policy's bounds, and likely to be enough.
   * @returns why not, or ""
   */
  judgeExtension(
    holder: Pick<Holder, "client" | "element" | "ageMs">,
    wanted: { readonly extensionMs: number; readonly countdownMs: number; readonly extensions: number },
    policy: Policy,
    nowMs: number,
  ): string {
    const { client, element, ageMs } = holder;
    if (wanted.extensionMs > policy.extensionMsMax)
      return `extensionMs = ${wanted.extensionMs}; allowed 1 to ${policy.extensionMsMax} here.`;
    if (wanted.extensions >= policy.extensionsMax) return extensionsUsed(wanted.extensions, policy.extensionsMax);
    if (this.#ledger.offences(client) > 0) return `${client} has let a countdown run out before.`;
    const deadlineMs = ageMs + wanted.countdownMs + wanted.extensionMs;
    const late = ratio(this.#outlives(client, element, ageMs, deadlineMs, nowMs));
    if (late > 0.5) return `The forecast gives it a chance of ${Math.round((1 - late) * 100)} % to end in time.`;
    return "";
  }

  /** NaN when there is no answer: whoever uses it takes the side of not acting. */
  #outlives(client: string, element: string, ageMs: number, deadlineMs: number, nowMs: number, self?: number): number {
    try {
      return this.#forecasts.outlives(client, element, ageMs, deadlineMs, nowMs, self);
    } catch {
      return Number.NaN;
    }
  }

  #action(holder: Holder, policy: Policy, nowMs: number): Action {
    const { client, element, ageMs, waiters } = holder;
    if (policy.policy === "off" || waiters === 0 || ageMs < policy.minimumHoldMs) return "none"; // E1
    if (this.#ledger.isCooling(client, element, nowMs)) return "none"; // E1
    return policy.policy === "enforce" ? this.#enforceOrWarn(client, policy, nowMs) : policy.policy;
  }

  /** E2 */
  #enforceOrWarn(client: string, policy: Policy, nowMs: number): "warn" | "enforce" {
    const forced = this.#ledger.forcedWithinHour(client, nowMs) + this.#promised(client);
    return forced < policy.preemptionsPerHourMax ? "enforce" : "warn";
  }

  /** E3 */
  #countdownMs(client: string, policy: Policy): number {
    const share = Math.max(COUNTDOWN_SHARE_MIN, 0.5 ** this.#ledger.offences(client));
    return Math.max(COUNTDOWN_MS_MIN, Math.round(policy.countdownMs * share));
  }
}

function blind(holder: Omit<Holder, "ttlMs">): HoldSigns {
  return { ...holder, survivalRatio: 1, outlivesRatio: 0, remainingMs: 0, stuckRatio: 0, patienceMs: 0 };
}

function sentence(holder: Holder, risk: Risk, signs: HoldSigns, forecast: HoldQuantiles): string {
  const suspicion = risk.parts.find(({ name }) => name === "suspicion")?.value ?? 0;
  const usual =
    forecast.source === "prior" || Number.isNaN(signs.survivalRatio)
      ? "nothing is known of such holds yet"
      : `one of ${oneIn(signs.survivalRatio)} such holds lasts as long`;
  const silent = holder.silenceRatio > 0.5 ? ", and its heartbeats are late" : "";
  const ill = holder.illnessRatio > 0 ? ", and it reports itself unwell" : "";
  const others = holder.waiters === 1 ? "1 request waits" : `${holder.waiters} requests wait`;
  return `Held for ${span(holder.ageMs)}; ${usual}${silent}${ill}: stuck with a probability of ${Math.round(suspicion * 100)} %. ${others}.`;
}

const oneIn = (share: number): string =>
  share > 0.0005 ? Math.max(1, Math.round(1 / share)).toString() : "2,000 or more";

/** For people. */
export function span(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 120_000) return `${(ms / 1_000).toFixed(1)} s`;
  if (ms < 7_200_000) return `${Math.round(ms / 60_000)} min`;
  return `${(ms / 3_600_000).toFixed(1)} h`;
}
