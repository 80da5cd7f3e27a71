import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { type Mutation, mutate } from "./mutation.ts";
import { MUTATIONS } from "./mutations.ts";

const root = (path: string): string => fileURLToPath(new URL(`../../../${path}`, import.meta.url));
const PLAIN: Mutation = { name: "m", breaks: "b", file: "f.ts", find: "two", replace: "2", tests: [] };

test("a change is made where its text stands, and refused where it does not or stands twice", () => {
  expect(mutate("one two three", PLAIN)).toBe("one 2 three");
  expect(() => mutate("one three", PLAIN)).toThrow("stands 0 times in f.ts");
  expect(() => mutate("two two", PLAIN)).toThrow("stands 2 times in f.ts");
});

test.each(MUTATIONS)("$name fits the source as it is", (mutation) => {
  const source = readFileSync(root(mutation.file), "utf8");
  expect(mutate(source, mutation)).not.toBe(source);
  expect(mutation.tests.some((path) => existsSync(root(path)))).toBe(true);
});

test("names are unique, and there are more than two dozen", () => {
  expect(new Set(MUTATIONS.map(({ name }) => name)).size).toBe(MUTATIONS.length);
  expect(MUTATIONS.length).toBeGreaterThan(24);
});
