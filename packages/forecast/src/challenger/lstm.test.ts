// lstm.test.ts: that the gradient is right, that the network learns what can be learned, and what the challenger survives.
import { expect, test } from "vitest";
import { lstmChallenger } from "./lstm.ts";
import { addGradient, type Lesson, lossOf, makeTape, type NetworkShape, run, weightsOf } from "./lstm-network.ts";
import { train } from "./lstm-train.ts";
import { normal, seededRandom } from "./random.ts";
import { cruelHistories, meanError, seasonalSeries } from "./testing/series.ts";

const NONE = { seasonSteps: 0, weekSteps: 0, seed: 1 };

test("N1: the gradient equals the change of the loss, for every weight", () => {
  const shape: NetworkShape = { inputs: 2, units: 3, outputs: 2 };
  const random = seededRandom(1);
  const draw = (length: number): Float64Array => Float64Array.from({ length }, () => normal(random));
  const targets = draw(24).map((value, i) => (i % 7 === 2 ? Number.NaN : value)); // Some truths are not known.
  const lesson: Lesson = { inputs: draw(24), targets, from: 1, steps: 10, warmUp: 2 };
  const weights = draw(weightsOf(shape));
  const tape = makeTape(shape, 10);
  const lossAt = (moved: Float64Array): number => {
    run(shape, moved, lesson, tape);
    return lossOf(shape, lesson, tape).loss;
  };
  lossAt(weights);
  const gradient = new Float64Array(weights.length);
  addGradient(shape, weights, { lesson, tape, gradient });
  for (let i = 0; i < weights.length; i++) {
    const moved = (by: number): Float64Array => weights.map((value, at) => (at === i ? value + by : value));
    const numeric = (lossAt(moved(1e-5)) - lossAt(moved(-1e-5))) / 2e-5;
    expect(gradient[i]).toBeCloseTo(numeric, 6);
  }
});

test("training finds a rule that needs memory: the answer is the input of two steps ago", () => {
  const shape: NetworkShape = { inputs: 1, units: 4, outputs: 1 };
  const random = seededRandom(2);
  const inputs = Float64Array.from({ length: 900 }, () => (random() < 0.5 ? -1 : 1));
  const targets = inputs.map((_, t) => (t < 2 ? Number.NaN : (inputs[t - 2] ?? 0)));
  const { lossRatio } = train(shape, { inputs, targets, steps: 900, validFrom: 750 }, 3);
  expect(lossRatio).toBeLessThan(0.5); // Without memory nothing can be learned, and it stays 1.
});

test("a sequence with a rule is forecast far better than by its last value", () => {
  const random = seededRandom(4);
  // A load that climbs in eight steps, then drops: without a season in the options, only memory tells where it is.
  const values = Float64Array.from({ length: 900 }, (_, t) => (t % 8) * 10 + normal(random));
  const fitted = lstmChallenger.fit(values.subarray(0, 800), NONE);
  const next = (lag: 0 | 1): Float64Array =>
    Float64Array.from({ length: 100 }, (_, i) => {
      const past = values.subarray(0, 800 + i);
      return lag === 1 ? (past[past.length - 1] ?? 0) : (fitted?.forecast(past, 1)[0] ?? Number.NaN);
    });
  const truth = values.subarray(800);
  expect(meanError(next(0), truth)).toBeLessThan(0.5 * meanError(next(1), truth));
});

test("log durations without a season are forecast better than by the last one", () => {
  const random = seededRandom(8);
  let middle = 0;
  const values = Float64Array.from({ length: 900 }, () => {
    middle = 0.98 * middle + 0.2 * normal(random);
    return middle + 0.8 * normal(random);
  });
  const fitted = lstmChallenger.fit(values.subarray(0, 700), NONE);
  const next = Float64Array.from(
    { length: 200 },
    (_, i) => fitted?.forecast(values.subarray(0, 700 + i), 1)[0] ?? Number.NaN,
  );
  expect(meanError(next, values.subarray(700))).toBeLessThan(
    0.9 * meanError(values.subarray(699, 899), values.subarray(700)),
  );
});

test("the same seed gives the same forecast, another seed another", () => {
  const history = seasonalSeries({ length: 300, seasonSteps: 24, noise: 5, seed: 3 });
  const forecast = (seed: number): Float64Array | undefined =>
    lstmChallenger.fit(history, { seasonSteps: 24, weekSteps: 168, seed })?.forecast(history, 60);
  const first = forecast(1);
  expect(first).toBeDefined();
  expect(forecast(1)).toEqual(first);
  expect(forecast(2)).not.toEqual(first);
});

test.each(Object.entries(cruelHistories(200)))("%s: finite or no fit", (_, history) => {
  const before = Float64Array.from(history);
  const fitted = lstmChallenger.fit(history, { seasonSteps: 24, weekSteps: 0, seed: 1 });
  expect(history).toEqual(before);
  for (const recent of [history, history.subarray(0, 3), new Float64Array(0), Float64Array.of(1e308, -1e308)]) {
    expect(fitted?.forecast(recent, 60).every(Number.isFinite) ?? true).toBe(true);
  }
});
