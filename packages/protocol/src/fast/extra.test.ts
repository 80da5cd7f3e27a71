import { expect, test } from "vitest";
import { extraFieldsOf, setsExtra } from "./extra.ts";

interface Message {
  readonly name: string;
  readonly later: number;
  readonly list: readonly number[];
  readonly part: object | undefined;
}

const UNSET: Message = { name: "", later: 0, list: [], part: undefined };

test("a field that is not known is seen when it is set, and only then", () => {
  const extra = extraFieldsOf(UNSET, ["name"]);
  expect(extra.map(([field]) => field)).toEqual(["later", "list", "part"]);
  expect(setsExtra({ ...UNSET, name: "a", list: [] }, extra)).toBe(false);
  expect(setsExtra({ ...UNSET, later: 1 }, extra)).toBe(true);
  expect(setsExtra({ ...UNSET, list: [0] }, extra)).toBe(true);
  expect(setsExtra({ ...UNSET, part: {} }, extra)).toBe(true);
});
