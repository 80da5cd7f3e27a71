import { expect, test } from "vitest";
import { type Row, stretch } from "./workload.ts";

const row = (requestMs: number, durationMs: number, element = "a"): Row => ({
  ...{ requestMs, durationMs, element },
  client: "ana",
  isLost: false,
});

test("gaps of a busy element are stretched to the utilisation, and its order and first request stay", () => {
  const { rows, stretched, stretchMax } = stretch([row(1_000, 80), row(1_050, 80), row(1_200, 40)], 0.5);
  expect(rows.map(({ requestMs }) => requestMs)).toEqual([0, 100, 400]); // 200 ms held in 400 ms.
  expect([stretched, stretchMax]).toEqual([1, 2]);
});

test("an element that is free for long enough keeps its gaps, also beside a busy one", () => {
  const { rows, stretched } = stretch(
    [row(0, 10, "idle"), row(0, 90, "busy"), row(100, 90, "busy"), row(100, 1, "idle")],
    0.5,
  );
  expect(rows.filter(({ element }) => element === "idle").map(({ requestMs }) => requestMs)).toEqual([0, 100]);
  expect(stretched).toBe(1);
});

test("requests of one moment stay together", () => {
  const { rows, stretched } = stretch([row(5, 100), row(5, 100), row(5, 100)], 0.5);
  expect([rows.map(({ requestMs }) => requestMs), stretched]).toEqual([[0, 0, 0], 0]);
});
