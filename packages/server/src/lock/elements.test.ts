// Which elements are listed, and that names that come and go leave nothing behind.
import { expect, test } from "vitest";
import { Elements } from "./elements.ts";

const begin = (): number => 0;

test("an element is found from when it is obtained until it is dropped", () => {
  const elements = new Elements();
  const a = elements.obtain("a", begin);
  elements.obtain("b", begin);
  expect(elements.obtain("a", begin)).toBe(a);
  expect([elements.size, [...elements.keys()]]).toEqual([2, ["a", "b"]]);
  elements.drop(a);
  elements.drop(a);
  expect([elements.size, elements.get("a"), [...elements.keys()]]).toEqual([1, undefined, ["b"]]);
});

test("a name that comes back soon finds the element that it had", () => {
  const elements = new Elements();
  const a = elements.obtain("a", begin);
  for (let round = 0; round < 5_000; round += 1) {
    elements.drop(a);
    expect(elements.obtain("a", begin)).toBe(a);
  }
  expect(elements.size).toBe(1);
});

test("of many names that came and went only the last are kept, and those in use stay listed", () => {
  const elements = new Elements();
  const first = elements.obtain("n0", begin);
  elements.drop(first);
  elements.obtain("n0", begin); // In use again while it stands among the idle ones.
  const made: string[] = [];
  const noting = (name: string): number => made.push(name);
  for (let index = 1; index <= 2_000; index += 1) elements.drop(elements.obtain(`n${index}`, noting));
  expect([elements.size, elements.get("n0")]).toEqual([1, first]);
  made.length = 0;
  for (const name of ["n1", "n2000", "n1999", "n0"]) elements.obtain(name, noting);
  expect(made).toEqual(["n1"]);
});
