// history.ts: makes the past of a series fit to be learned from: no gaps, its range, its middle. Not here: any model.

/**
 * A copy without gaps: a gap, or anything else not finite, takes the value one season before it, else the last known one.
 * @param seasonSteps 1 or 0: no season
 * @returns `undefined` when no value is finite
 */
export function filled(history: Float64Array, seasonSteps: number): Float64Array | undefined {
  const first = history.findIndex(Number.isFinite);
  if (first < 0) return undefined;
  const values = Float64Array.from(history);
  values.fill(values[first] ?? 0, 0, first);
  for (let t = first; t < values.length; t++) {
    if (Number.isFinite(values[t])) continue;
    const isSeasonKnown = seasonSteps > 1 && t - seasonSteps >= first;
    values[t] = values[isSeasonKnown ? t - seasonSteps : t - 1] ?? 0;
  }
  return values;
}

/** Where the values of a past lie, and how far beyond it a forecast may go. */
export interface Bounds {
  readonly low: number;
  readonly high: number;
}

/** Half a range beyond what has been seen: nothing that is worth a forecast lies further out, but a run-away recursion does. */
export function boundsOf(values: Float64Array): Bounds {
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  const room = (high - low) / 2;
  return { low: low - room, high: high + room };
}

/** `value` inside the bounds; what is not finite even then becomes `otherwise`. */
export function bounded(value: number, { low, high }: Bounds, otherwise: number): number {
  const within = value < low ? low : value > high ? high : value;
  return Number.isFinite(within) ? within : otherwise;
}

/** The middle one; sorts its argument. NaN when empty. */
export function medianInPlace(values: Float64Array): number {
  return values.sort()[values.length >> 1] ?? Number.NaN;
}
