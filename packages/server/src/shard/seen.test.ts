// What is remembered of elements, and how much of it.
import { expect, test } from "vitest";
import { Seen } from "./seen.ts";

test("holds are counted by client, whoever comes in between", () => {
  const seen = new Seen();
  for (const client of ["ana", "ana", "bo", "ana"]) seen.held("a", client, 5, 100);
  expect(Object.fromEntries(seen.clientsOf("a"))).toEqual({ ana: 3, bo: 1 });
  seen.held("a", "ana", 5, 100);
  expect(seen.clientsOf("a").get("ana")).toBe(4);
});

test("an element has at most 64 clients by name", () => {
  const seen = new Seen();
  for (let client = 0; client < 200; client += 1) seen.held("a", `c${client % 100}`, 5, 100);
  expect(seen.clientsOf("a").size).toBe(64);
});

test("of 30,000 elements the last 10,000 are counted and 2,000 looked at in full", () => {
  const seen = new Seen();
  for (let index = 0; index < 30_000; index += 1) seen.held(`n${index}`, "ana", 5, index + 1);
  const counted = [...seen.all()].map(([name]) => name);
  expect([counted.length, counted[0], counted.at(-1)]).toEqual([10_000, "n20000", "n29999"]);
  const inFull = counted.filter((name) => seen.clientsOf(name).size > 0);
  expect([inFull.length, inFull[0]]).toEqual([2_000, "n28000"]);
});

test("counts outlast a restart, moments do not", () => {
  const seen = new Seen();
  for (let at = 1; at <= 3; at += 1) seen.held("a", "ana", 5, at * 1_000);
  seen.waited("a", 7);
  const restored = new Seen();
  restored.restore(JSON.parse(JSON.stringify(seen.save())));
  expect(restored.counts("a")).toMatchObject({ grants: seen.counts("a")?.grants, waits: 1, intervalMs: 1_000 });
  expect(restored.counts("a")).toMatchObject({ lastMs: 0, requests: 0 });
});
