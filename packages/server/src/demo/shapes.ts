// shapes.ts: how long the clients of the demo hold their locks: a few shapes as they are met in real services. Pure.

/** Uniform in [0, 1). */
export type Random = () => number;

export type Shape =
  /** Much the same each time: a request. `spread` is the deviation of the logarithm. */
  | { readonly kind: "around"; readonly ms: number; readonly spread: number }
  /** One of two: a cache that hits or misses. */
  | { readonly kind: "either"; readonly ms: number; readonly otherMs: number; readonly otherRatio: number }
  /** Mostly short, now and then very long: a crawl. Pareto with this index, cut at `msMax`. */
  | { readonly kind: "tail"; readonly msMin: number; readonly index: number; readonly msMax: number };

/** @returns milliseconds, above 0 */
export function draw(shape: Shape, random: Random): number {
  switch (shape.kind) {
    case "around":
      return shape.ms * Math.exp(shape.spread * normal(random));
    case "either": {
      const ms = random() < shape.otherRatio ? shape.otherMs : shape.ms;
      return ms * Math.exp(0.15 * normal(random));
    }
    case "tail":
      return Math.min(shape.msMax, shape.msMin * (1 - random()) ** (-1 / shape.index));
  }
}

/** Box and Muller (1958). */
function normal(random: Random): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}
