// suspicion.ts: how likely it is that a client is gone, from how long its heartbeats usually are apart and how long the last one is
// ago. Source: Hayashibara, Defago, Yared, Katayama (2004), "The phi accrual failure detector", with a normal distribution of the
// intervals whose mean and deviation forget exponentially. Not here: expiry, which is certain and a matter of the ttl (shard/liveness.ts).

/** Intervals after which half of what was learned is forgotten. */
const HALF_LIFE = 20;
const KEEP = 0.5 ** (1 / HALF_LIFE);
/** A deviation below this share of the mean is chance: heartbeats come by a timer. */
const DEVIATION_RATIO_MIN = 0.1;
/** Below as many intervals nothing is suspected. */
const INTERVALS_MIN = 3;

export class HeartbeatRhythm {
  #weight = 0;
  #meanMs = 0;
  #variance = 0;
  #intervals = 0;
  #lastMs = Number.NaN;

  /** A heartbeat came. @param nowMs of a clock that does not fall */
  heard(nowMs: number): void {
    const intervalMs = nowMs - this.#lastMs;
    this.#lastMs = nowMs;
    if (!(intervalMs >= 0)) return; // The first, or a clock that fell after all.
    this.#weight = this.#weight * KEEP + 1;
    const difference = intervalMs - this.#meanMs;
    const share = 1 / this.#weight;
    this.#meanMs += share * difference;
    this.#variance = (1 - share) * (this.#variance + share * difference * difference);
    this.#intervals += 1;
  }

  /** Standard deviation of the intervals. */
  get jitterMs(): number {
    return this.#intervals < INTERVALS_MIN ? 0 : Math.sqrt(this.#variance);
  }

  /**
   * Probability, in [0, 1), that a live client would have been heard from by now.
   * @param heardMs of the last sign of life of any kind, when that was not a heartbeat
   */
  suspicion(nowMs: number, heardMs: number = this.#lastMs): number {
    const silentMs = nowMs - Math.max(heardMs, this.#lastMs);
    if (this.#intervals < INTERVALS_MIN || !(silentMs > this.#meanMs)) return 0;
    const deviationMs = Math.max(Math.sqrt(this.#variance), this.#meanMs * DEVIATION_RATIO_MIN, 1);
    // The logistic approximation of the normal distribution's tail, as in the original implementation.
    const y = (silentMs - this.#meanMs) / deviationMs;
    const late = 1 / (1 + Math.exp(y * (1.5976 + 0.070566 * y * y)));
    // Half at the mean itself, where nothing is suspicious yet: counted from there.
    return Math.max(0, 1 - 2 * late);
  }
}
