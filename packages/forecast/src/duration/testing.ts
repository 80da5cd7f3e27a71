// testing.ts: seeded chance and small scenes for the tests of durations. Not here: anything that is shipped.

import { normal } from "../challenger/random.ts";

export { seededRandom } from "../challenger/random.ts";

/** Log-normal durations in milliseconds. `sigma` is that of the natural logarithm. */
export function logNormal(random: () => number, medianMs: number, sigma: number): number {
  return medianMs * Math.exp(sigma * normal(random));
}
