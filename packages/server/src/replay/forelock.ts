// forelock.ts: the risk engine as a policy of the replay, told what the server would tell it and asked at comparable moments. Not
// here: the engine (preempt/engine.ts), what a warning does (the core).
//   F1. Forecasts know only what has ended by then, and the ages of what others wait for.
//   F2. The threshold is moved as the server's controller moves it, one for all elements that share a policy object.
import { type DurationForecast, DurationForecaster, type HoldHandle } from "@forelock/forecast";
import type { WarningCause } from "../partition/state.ts";
import { type Assessment, Engine } from "../preempt/engine.ts";
import { CONTROL_MS, Evidence } from "../preempt/evidence.ts";
import { Ledger } from "../preempt/ledger.ts";
import type { Policy } from "../preempt/policy.ts";
import { HeartbeatRhythm } from "../preempt/suspicion.ts";
import { forecastOf, holdForecasts } from "../shard/hold-forecasts.ts";
import { type EtaCoverage, Etas } from "./etas.ts";
import { type Attempt, type HoldEnd, type Preemptor, TTL_MS } from "./simulation.ts";

/**
 * The server looks at contended grants every 200 ms. Here the next look is a tenth of the age later, so that months go by quickly,
 * and, where nothing is suspicious yet, only when half of such holds have ended: until then no score rises from nothing to a threshold.
 */
const LOOK_STEP = 1.1;
const LOOK_MS_MIN = 200;
const UNSUSPICIOUS_MAX = 0.05;
const HEARTBEAT_MS = TTL_MS / 3;
/** As shard/profiles.ts: requests after which half of what was counted is forgotten. */
const KEEP = 0.5 ** (1 / 200);

interface Contention {
  requests: number;
  waits: number;
}

interface Watch {
  readonly handle: HoldHandle | undefined;
  nextLookMs: number;
  /** Of its countdown; NaN before a warning. */
  countdownMs: number;
  extensions: number;
}

/** A move of the threshold. */
export interface ThresholdMove {
  readonly atMs: number;
  readonly from: number;
  readonly to: number;
  readonly reason: string;
}

/** Remembered for the report; later ones are counted. */
const MOVES_MAX = 100;

export class ForelockPreemptor implements Preemptor {
  readonly name = "forelock";
  readonly #policyOf: (element: string) => Policy;
  readonly #forecaster = new DurationForecaster();
  readonly #ledger = new Ledger((row, isWrong) => this.#evidence.judged(this.#policyOf(row.name), isWrong));
  readonly #evidence = new Evidence<Policy>();
  readonly #thresholds = new Map<Policy, number>();
  readonly #waiting = new Set<Attempt>();
  readonly #moves: ThresholdMove[] = [];
  #moved = 0;
  #controlledMs = 0;
  readonly #engine: Engine;
  readonly #etas: Etas;
  readonly #rhythm = steadyRhythm();
  readonly #watches = new Map<Attempt, Watch>();
  readonly #contentionByElement = new Map<string, Contention>();

  /** @param policyOf by name of the element: the same object for those whose threshold is one */
  constructor(policyOf: (element: string) => Policy) {
    this.#policyOf = policyOf;
    this.#engine = new Engine(holdForecasts(this.#forecaster), this.#ledger);
    this.#etas = new Etas(this.#forecaster, (attempt, nowMs) => this.#forecastOf(attempt, nowMs));
  }

  get eta(): EtaCoverage {
    return this.#etas.coverage;
  }

  /** Moves of thresholds: how many, and the first of them. */
  get moves(): { readonly count: number; readonly first: readonly ThresholdMove[] } {
    return { count: this.#moved, first: this.#moves };
  }

  requested(attempt: Attempt, mustWait: boolean, nowMs: number): void {
    this.#control(nowMs);
    const { element } = attempt.row;
    const contention = this.#contentionByElement.get(element) ?? { requests: 0, waits: 0 };
    contention.requests = contention.requests * KEEP + 1;
    contention.waits = contention.waits * KEEP + (mustWait ? 1 : 0);
    this.#contentionByElement.set(element, contention);
    if (!mustWait) return;
    this.#waiting.add(attempt);
    this.#etas.waits(attempt, nowMs);
  }

  granted(attempt: Attempt, nowMs: number): void {
    if (this.#waiting.delete(attempt))
      this.#evidence.waited(this.#policyOf(attempt.row.element), nowMs - attempt.requestMs);
    this.#etas.granted(attempt, nowMs);
  }

  acknowledged(attempt: Attempt, extensionMs: number, nowMs: number): string {
    const { row, grantMs, session } = attempt;
    const watch = this.#watch(attempt);
    const { countdownMs, extensions } = watch;
    const holder = { client: row.client, element: row.element, ageMs: nowMs - grantMs };
    const wanted = { extensionMs, countdownMs, extensions };
    const refusal =
      extensionMs === 0 ? "" : this.#engine.judgeExtension(holder, wanted, this.#policyOf(row.element), nowMs);
    const isExtended = extensionMs > 0 && refusal === "";
    if (isExtended) watch.extensions += 1;
    this.#ledger.acknowledged(session, isExtended);
    return refusal;
  }

  ended(attempt: Attempt, why: HoldEnd, nowMs: number): void {
    const { row, session, grantMs } = attempt;
    const watch = this.#watches.get(attempt);
    this.#watches.delete(attempt);
    if (why === "released") {
      if (watch?.handle !== undefined) this.#forecaster.end(watch.handle, nowMs);
      else this.#forecaster.observe(row.client, row.element, nowMs - grantMs);
      this.#ledger.released(session, row.client, nowMs, this.#policyOf(row.element).coolDownMs);
    } else {
      const handle = watch?.handle ?? this.#forecaster.begin(row.client, row.element, grantMs);
      if (handle !== undefined) this.#forecaster.drop(handle, nowMs);
      this.#ledger.ended(session, row.client, why, nowMs);
    }
  }

  nextLookMs(attempt: Attempt, ageMs: number, isFirst: boolean): number {
    const { minimumHoldMs } = this.#policyOf(attempt.row.element);
    if (isFirst) return Math.max(minimumHoldMs, ageMs);
    const stepMs = Math.max(ageMs * LOOK_STEP, ageMs + LOOK_MS_MIN);
    return Math.max(minimumHoldMs, stepMs, this.#watches.get(attempt)?.nextLookMs ?? 0);
  }

  look(attempt: Attempt, waiters: number, nowMs: number): WarningCause | undefined {
    this.#control(nowMs);
    const { row, fate, grantMs } = attempt;
    const ageMs = nowMs - grantMs;
    const policy = this.#policyOf(row.element);
    const watch = this.#watch(attempt);
    const contention = this.#contentionByElement.get(row.element);
    const assessment = this.#engine.assess(
      {
        self: watch.handle,
        client: row.client,
        element: row.element,
        ageMs,
        waiters,
        silenceRatio: fate === "dies" ? this.#rhythm.suspicion(ageMs) : 0,
        illnessRatio: 0,
        contentionRatio: contention === undefined ? 0 : contention.waits / contention.requests,
        loadRatio: 0,
        ttlMs: TTL_MS,
      },
      policy,
      this.#thresholds.get(policy) ?? policy.threshold,
      nowMs,
    );
    watch.nextLookMs = fate === "dies" ? 0 : patience(assessment);
    const { action, countdownMs, risk, threshold, reason } = assessment;
    if (action !== "enforce") return undefined;
    watch.countdownMs = countdownMs;
    this.#note(attempt, assessment, { waiters, nowMs });
    return { countdownMs, enforce: true, score: risk.score, threshold, parts: risk.parts, reason, by: "" };
  }

  #note(
    { row, session }: Attempt,
    { risk, threshold, countdownMs, reason }: Assessment,
    { waiters, nowMs }: { readonly waiters: number; readonly nowMs: number },
  ): void {
    this.#ledger.note({
      ...{ key: session, kind: "warned", wallMs: nowMs, atMs: nowMs, name: row.element, token: 0n },
      ...{ client: row.client, risk, threshold, countdownMs, waiters, reason },
    });
  }

  /** As often as the server does. Between two events there is nothing new to move a threshold for. */
  #control(nowMs: number): void {
    if (nowMs - this.#controlledMs < CONTROL_MS) return;
    this.#controlledMs = nowMs;
    for (const policy of this.#evidence.keys()) {
      const from = this.#thresholds.get(policy) ?? policy.threshold;
      const move = policy.policy === "off" ? undefined : this.#evidence.move(policy, from, policy);
      if (move === undefined) continue;
      this.#thresholds.set(policy, move.threshold);
      this.#moved += 1;
      if (this.#moves.length < MOVES_MAX)
        this.#moves.push({ atMs: nowMs, from, to: move.threshold, reason: move.reason });
    }
  }

  /** Where others wait, the hold is watched: its age is evidence, and what is forecast for it is scored at its end. */
  #watch(attempt: Attempt): Watch {
    let watch = this.#watches.get(attempt);
    if (watch === undefined) {
      const { row, grantMs } = attempt;
      const handle = this.#forecaster.begin(row.client, row.element, grantMs);
      watch = { handle, nextLookMs: 0, countdownMs: Number.NaN, extensions: 0 };
      this.#watches.set(attempt, watch);
    }
    return watch;
  }

  #forecastOf(attempt: Attempt, nowMs: number): DurationForecast {
    const { row, grantMs } = attempt;
    const { handle } = this.#watch(attempt);
    const hold = { client: row.client, element: row.element, ageMs: nowMs - grantMs, nowMs, self: handle };
    return forecastOf(this.#forecaster, hold);
  }
}

/** The age below which a look would not tell more than the last one. */
function patience({ risk, forecast }: Assessment): number {
  const suspicion = risk.parts.find(({ name }) => name === "suspicion")?.value ?? 1;
  return forecast === undefined || suspicion > UNSUSPICIOUS_MAX ? 0 : forecast.p50Ms;
}

/** Heartbeats three in a ttl, the last one at 0: when a holder dies. */
function steadyRhythm(): HeartbeatRhythm {
  const rhythm = new HeartbeatRhythm();
  for (let beat = -10; beat <= 0; beat += 1) rhythm.heard(beat * HEARTBEAT_MS);
  return rhythm;
}
