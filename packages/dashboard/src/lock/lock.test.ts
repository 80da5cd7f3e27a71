// Rows, bands, histograms and risk: what is drawn of one lock.
import { expect, test } from "vitest";
import { bandOf, restOf } from "./band.ts";
import { stepsOf } from "./histogram.ts";
import { clientName, lockRowOf, sortLocks } from "./lock-row.ts";
import { factorsOf } from "./risk.ts";

const busy = { name: "b", holders: [{ client: "ana", heldMs: 4_000 }], waiting: 3, waitedMs: 1_000, painMs: 2_000 };

test("ages and pain grow from the moment the row came", () => {
  const row = lockRowOf({ json: busy, atMs: 100 }, 2_100);
  expect(row).toMatchObject({ heldMs: 6_000, waitedMs: 3_000, painMs: 2_000 + 3 * 2_000 });
  expect(lockRowOf({ json: busy, atMs: 100 }, 50)).toMatchObject({ heldMs: 4_000, painMs: 2_000 });
});

test("a lock that nobody holds or waits for has neither age nor pain", () => {
  const row = lockRowOf({ json: { name: "free" }, atMs: 0 }, 9_000);
  expect(row).toMatchObject({ name: "free", holder: undefined, heldMs: 0, waiting: 0, waitedMs: 0, painMs: 0 });
});

test("locks are sorted by what hurts, and equal ones by name", () => {
  const rows = [
    lockRowOf({ json: { name: "z" }, atMs: 0 }, 0),
    lockRowOf({ json: { name: "a", holders: [{ heldMs: 9_000 }] }, atMs: 0 }, 0),
    lockRowOf({ json: busy, atMs: 0 }, 0),
  ];
  expect(sortLocks(rows, "pain").map(({ name }) => name)).toEqual(["b", "a", "z"]);
  expect(sortLocks(rows, "held").map(({ name }) => name)).toEqual(["a", "b", "z"]);
  expect(sortLocks(rows, "name").map(({ name }) => name)).toEqual(["a", "b", "z"]);
});

test("a client without a name is told by its session", () => {
  expect(clientName({ client: "ana", session: "s1" })).toBe("ana");
  expect(clientName({ session: "bCdmYNQuXiZo" })).toBe("session bCdmYNQu");
});

test("the band stands in order on the bar, and says the same in words", () => {
  const forecast = { p50Ms: 10_000, p90Ms: 20_000, p99Ms: 40_000, observations: 12, source: "pair" };
  const band = bandOf(5_000, forecast);
  const places = [band?.age, band?.p50, band?.p90, band?.p99] as number[]; // The forecast is there.
  expect(places).toEqual([...places].sort((a, b) => a - b));
  expect(places.every((place) => place >= 0 && place <= 1)).toBe(true);
  expect(band?.words).toBe("Held 5 s; likely 5 s to 15 s more, at most 35 s in 99 of 100; from 12 holds (pair).");
  expect(restOf(5_000, forecast)).toBe("5 s to 15 s more");
});

test("a hold that outlived its forecast is overdue, and stays on the bar", () => {
  const forecast = { p50Ms: 1_000, p90Ms: 2_000, p99Ms: 3_000 };
  const band = bandOf(60_000, forecast);
  expect(band?.age).toBeLessThanOrEqual(1);
  expect(band?.words).toContain("past where nine of ten");
  expect(restOf(60_000, forecast)).toBe("overdue");
});

test("without a forecast, or with one of no numbers, there is no band", () => {
  expect(bandOf(1, undefined)).toBeUndefined();
  expect(bandOf(1, { p50Ms: Number.NaN, p90Ms: 1, p99Ms: 1 })).toBeUndefined();
  expect(restOf(1, undefined)).toBe("no forecast yet");
});

test("a histogram is drawn without its empty ends, and closes at the right", () => {
  expect(stepsOf({ edgesMs: [0, 1, 2, 4, 8, 16], counts: [0, 3, 0, 5, 0] })).toEqual([
    [1, 2, 4, 8],
    [3, 0, 5, 0],
  ]);
});

test("an edge at 0 has a place on a logarithmic axis, and an open end a width", () => {
  expect(stepsOf({ edgesMs: [0, 2], counts: [1, 4] })).toEqual([
    [1, 2, 4],
    [1, 4, 0],
  ]);
});

test("an end that JSON has no number for is open", () => {
  const distribution = JSON.parse('{ "edgesMs": [1, 2, null], "counts": [2, 1] }') as object; // Infinity comes as null.
  expect(stepsOf(distribution)).toEqual([
    [1, 2, 4],
    [2, 1, 0],
  ]);
});

test.each([
  [{}],
  [{ edgesMs: [1, 2], counts: [0] }],
  [{ edgesMs: [1], counts: [1, 2] }],
  [{ edgesMs: [4, 2, 1], counts: [1, 1] }],
  [{ edgesMs: [1, Number.NaN, 3], counts: [1, 1] }],
])("%o is no histogram", (distribution) => {
  expect(stepsOf(distribution)).toBeUndefined();
});

test("the factors of the parts multiply to the score, and what keeps it down the most comes first", () => {
  const parts = [
    { name: "hold", value: 0.5, weight: 1 },
    { name: "suspicion", value: 0.9, weight: 3 },
    { name: "load" },
  ];
  const factors = factorsOf({ parts });
  expect(factors.map(({ name }) => name)).toEqual(["hold", "suspicion", "load"]);
  expect(factors.reduce((product, { factor }) => product * factor, 1)).toBeCloseTo(0.5 ** 0.25 * 0.9 ** 0.75);
  expect(factorsOf({ parts: [{ name: "hold", value: 0.2 }] })[0]?.factor).toBe(1);
});
