import { expect, test } from "vitest";
import { Evidence, WAITS_GIVEN_MAX } from "./evidence.ts";

test("what is given away is whole, is gone, and joins what another has", () => {
  const [ours, theirs] = [new Evidence<string>(), new Evidence<string>()];
  ours.waited("a/", 5);
  ours.judged("b/", true);
  theirs.waited("a/", 7);
  for (const gathered of ours.take()) theirs.join(gathered);
  expect(ours.take()).toEqual([]);
  expect(theirs.take()).toEqual([
    { key: "a/", waitsMs: [7, 5], judged: 0, wrong: 0 },
    { key: "b/", waitsMs: [], judged: 1, wrong: 1 },
  ]);
});

test("no more is given at once than an answer holds, and the rest the next time", () => {
  const evidence = new Evidence<number>();
  const keys = 20;
  const each = 4_096;
  for (let key = 0; key < keys; key += 1) for (let time = 0; time < each + 10; time += 1) evidence.waited(key, time);
  const given: number[] = [];
  for (let some = evidence.take(); some.length > 0; some = evidence.take()) {
    const waits = some.reduce((sum, { waitsMs }) => sum + waitsMs.length, 0);
    expect(waits).toBeLessThanOrEqual(WAITS_GIVEN_MAX);
    given.push(...some.map(({ key }) => key));
  }
  expect(given).toEqual(Array.from({ length: keys }, (_, key) => key));
});
