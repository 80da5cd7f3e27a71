// risk.ts: how likely it is that a grant, or a request that waits, does harm by holding on. Numbers in, numbers out: whoever asks
// brings forecasts and counts. Not here: what is done about it (engine.ts), by which limits (policy.ts).
//
//   score = product over the parts of value ^ (weight / sum of weights), a weighted geometric mean in [0, 1]
//
// so that no part can be made up for by another: who is about to release, or whom nobody waits for, is at no risk, however
// loaded the system. The parts:
//   hold        the probability that it does not release within the countdown
//   suspicion   the probability that it will never release: Bayes' rule on "a stuck holder outlives every age, a healthy one with
//               the probability that its history gives, raised to the power DOUBT", with the share of stuck holders seen so far as
//               the prior; then joined, as independent signs, with the silence of its heartbeats and the health that the client
//               reports of itself
//   harm        W / (W + L): the waiting that its end would save, against the work that its end would destroy
//   contention  how many of the requests for the element have to wait
//   load        how busy the node is
// Contention and load only temper: a quiet system halves nothing but the last part of a score, so their values count from 1/2.

/**
 * Histories tell too little of the longest holds: of holders found stuck with a probability of 0.8, 6 of 10 were. A survival of 1 in
 * 1,000 so counts as 1 in 350. Chosen by replay of recorded work (docs/replay.md); from 0.8 to 0.9 little changes, and 1 forces
 * twice as many healthy holders.
 */
const DOUBT = 0.85;

export interface RiskWeights {
  readonly hold: number;
  readonly suspicion: number;
  readonly harm: number;
  readonly contention: number;
  readonly load: number;
}

export const RISK_PARTS = ["hold", "suspicion", "harm", "contention", "load"] as const;
export type RiskPartName = (typeof RISK_PARTS)[number];

export interface RiskPart {
  readonly name: RiskPartName;
  /** 0 to 1. */
  readonly value: number;
  readonly weight: number;
}

export interface Risk {
  /** 0 to 1. */
  readonly score: number;
  readonly parts: readonly RiskPart[];
}

/**
 * What is known of a hold. A forecast may be anything: ratios outside [0, 1] count as the nearer end, and what is no number as the
 * end that is no reason to act.
 */
export interface HoldSigns {
  readonly ageMs: number;
  /** Probability that such a hold lasts as long as this one has. */
  readonly survivalRatio: number;
  /** Probability that a hold that has lasted so long lasts for the countdown too. */
  readonly outlivesRatio: number;
  /** Expected rest, of a healthy holder. */
  readonly remainingMs: number;
  /** Share of holds of this kind that never ended by themselves. */
  readonly stuckRatio: number;
  /** From the silence of its heartbeats. */
  readonly silenceRatio: number;
  /** From what the client reports: 0 well, 1 failing. */
  readonly illnessRatio: number;
  readonly waiters: number;
  /** Requests that are expected meanwhile; each of them waits half of the time, on average. */
  readonly arrivalsPerMs?: number;
  /** How long a stuck holder would be waited for: until its session ends, or someone acts. */
  readonly patienceMs: number;
  readonly contentionRatio: number;
  readonly loadRatio: number;
}

export function riskOf(signs: HoldSigns, weights: RiskWeights): Risk {
  const suspicion = suspicionOf(signs);
  const outlives = ratio(signs.outlivesRatio);
  const values: Readonly<Record<RiskPartName, number>> = {
    hold: suspicion + (1 - suspicion) * outlives,
    suspicion,
    harm: harmOf(signs, suspicion),
    contention: 0.5 + 0.5 * ratio(signs.contentionRatio),
    load: 0.5 + 0.5 * ratio(signs.loadRatio),
  };
  const parts = RISK_PARTS.map((name) => ({ name, value: values[name], weight: amount(weights[name]) }));
  return { score: scoreOf(parts), parts };
}

export function scoreOf(parts: readonly RiskPart[]): number {
  let sum = 0;
  let logarithm = 0;
  for (const { value, weight } of parts) {
    if (weight === 0) continue;
    sum += weight;
    logarithm += weight * Math.log(value); // -Infinity at 0: the score is 0.
  }
  return sum === 0 ? 0 : ratio(Math.exp(logarithm / sum));
}

/** Probability that the holder never releases. */
export function suspicionOf(signs: HoldSigns): number {
  const stuck = ratio(signs.stuckRatio);
  const survival = Number.isNaN(signs.survivalRatio) ? 1 : ratio(signs.survivalRatio);
  const healthy = (1 - stuck) * survival ** DOUBT;
  const byAge = stuck === 0 ? 0 : stuck / (stuck + healthy);
  return 1 - (1 - byAge) * (1 - ratio(signs.silenceRatio)) * (1 - ratio(signs.illnessRatio));
}

function harmOf(signs: HoldSigns, suspicion: number): number {
  const savedMs = suspicion * amount(signs.patienceMs) + (1 - suspicion) * amount(signs.remainingMs);
  const arrivals = amount(signs.arrivalsPerMs ?? 0) * savedMs;
  const saved = (amount(signs.waiters) + arrivals / 2) * savedMs;
  const lost = (1 - suspicion) * (Number.isNaN(signs.ageMs) ? Number.MAX_SAFE_INTEGER : amount(signs.ageMs));
  return saved === 0 ? 0 : ratio(saved / (saved + lost));
}

/** In [0, 1]; what is no number is no reason to act. */
export function ratio(value: number): number {
  return value > 0 ? Math.min(1, value) : 0;
}

/** Finite, 0 or more. */
function amount(value: number): number {
  return value > 0 ? Math.min(value, Number.MAX_SAFE_INTEGER) : 0;
}
