// state.test.ts: a forecaster's state goes through bytes and comes back the same, or is refused.
import { expect, test } from "vitest";
import { DurationForecaster } from "./forecaster.ts";
import { logNormal, seededRandom } from "./testing.ts";

const OPTIONS = { pairsMax: 60, clientsMax: 8, elementsMax: 11, runningMax: 64, seriesMax: 3, seriesLengthMax: 64 };

function work(forecaster: DurationForecaster, seed: number, rounds: number): readonly unknown[] {
  const random = seededRandom(seed);
  const seen: unknown[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const client = `c${Math.floor(9 * random() ** 2)}`;
    const element = `e${Math.floor(12 * random() ** 2)}`;
    const nowMs = 1_000_000 * seed + 1_000 * round;
    const handle = forecaster.begin(client, element, nowMs)!; // Each ends below.
    seen.push(forecaster.forecastHold(handle, nowMs), forecaster.outlives(client, element, 10, 5_000));
    const durationMs = logNormal(random, 1_000, 1);
    if (random() < 0.05) forecaster.drop(handle, nowMs + durationMs);
    else forecaster.end(handle, nowMs + durationMs);
  }
  return seen;
}

test("a restored forecaster goes on bit for bit as the other one would have", () => {
  const original = new DurationForecaster(OPTIONS);
  work(original, 1, 1_500);
  const [busiest] = original.busiest(1);
  const quantiles = Float64Array.from({ length: 5 * 60 }, (_, index) => 6 + (index % 5));
  expect(original.challenge(busiest!.client, busiest!.element, { name: "flat", origin: busiest!.end, quantiles })).toBe(
    true,
  ); // Some pair is busy.
  work(original, 2, 200);
  const restored = DurationForecaster.restore(original.serialize(), OPTIONS);
  expect(restored.serialize()).toEqual(original.serialize());
  expect(work(restored, 3, 1_500)).toEqual(work(original, 3, 1_500));
  expect(restored.serialize()).toEqual(original.serialize());
  expect(restored.busiest(3)).toEqual(original.busiest(3));
});

test("the same calls give bit-equal forecasts and bytes", () => {
  const one = new DurationForecaster(OPTIONS);
  const other = new DurationForecaster(OPTIONS);
  expect(work(one, 5, 500)).toEqual(work(other, 5, 500));
  expect(one.serialize()).toEqual(other.serialize());
});

test("with lower limits the most recently used is restored", () => {
  const original = new DurationForecaster(OPTIONS);
  for (let client = 0; client < 6; client += 1)
    for (let round = 0; round < 40; round += 1) original.observe(`c${client}`, "e", 1_000 * (client + 1));
  const restored = DurationForecaster.restore(original.serialize(), {
    ...OPTIONS,
    pairsMax: 2,
    clientsMax: 2,
    seriesMax: 1,
  });
  expect(restored.gauges).toMatchObject({ pairs: 2, clients: 2, series: 1 });
  expect(restored.forecast("c5", "e", 0)).toEqual(original.forecast("c5", "e", 0));
  expect(restored.forecast("c0", "e", 0).level).not.toBe("pair");
  restored.observe("c5", "e", 10);
});

test("names come back whatever their code units are", () => {
  const original = new DurationForecaster(OPTIONS);
  for (let round = 0; round < 20; round += 1) original.observe("\ud800 é 🔒", "", 60_000);
  const restored = DurationForecaster.restore(original.serialize(), OPTIONS);
  expect(restored.forecast("\ud800 é 🔒", "", 0)).toMatchObject({ level: "pair", observations: 20 });
});

test("a changed, missing or added byte anywhere is refused", () => {
  const original = new DurationForecaster({ ...OPTIONS, pairsMax: 2, seriesMax: 0 });
  for (let round = 0; round < 5; round += 1) original.observe("ana", "orders/1", 1_000);
  const bytes = original.serialize();
  for (let at = 0; at < bytes.length; at += 1) {
    const changed = bytes.slice();
    changed[at]! ^= 1 << (at % 8); // In range.
    expect(() => DurationForecaster.restore(changed), `byte ${at}`).toThrow(RangeError);
  }
  for (const length of [0, 4, 12, bytes.length - 4, bytes.length - 1])
    expect(() => DurationForecaster.restore(bytes.subarray(0, length))).toThrow(RangeError);
  expect(() => DurationForecaster.restore(new Uint8Array([...bytes, 0, 0, 0, 0]))).toThrow(/damaged/);
  expect(() => DurationForecaster.restore(new Uint8Array(100))).toThrow(/not the state of a duration forecaster/);
});

test("another version is refused by its number", () => {
  const bytes = new DurationForecaster(OPTIONS).serialize();
  bytes[4] = 9;
  expect(() => DurationForecaster.restore(bytes)).toThrow(
    "The state has version 9; this program reads version 1. Start afresh.",
  );
});

test("reading leaves the bytes alone, wherever they begin", () => {
  const bytes = new DurationForecaster(OPTIONS).serialize();
  const shifted = new Uint8Array(bytes.length + 3);
  shifted.set(bytes, 3);
  DurationForecaster.restore(shifted.subarray(3));
  expect(shifted.subarray(3)).toEqual(bytes);
});
