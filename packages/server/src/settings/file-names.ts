// file-names.ts: expands `file_{0..99}`. Braces that hold no range are left alone: `{acct-9}/ledger` is a name with a tag.

import { ForelockError } from "@forelock/protocol";
import { nameProblem } from "../edge/names.ts";

/** A range of this many names is a mistake more often than a wish, and each name costs memory and a file. */
export const LISTED_FILES_MAX = 100_000;

const RANGE = /\{(\d{1,15})\.\.(\d{1,15})\}/;

/**
 * Every name that the patterns stand for, once each, in order. `{00..99}` keeps its zeros; several ranges in one pattern combine.
 * @throws ForelockError `bad_setting` when there are too many, a range falls, or a name is not canonical
 */
export function expandFileNames(patterns: readonly string[]): readonly string[] {
  const names = new Set<string>();
  for (const pattern of patterns) expand(pattern, names);
  return [...names];
}

function expand(pattern: string, into: Set<string>): void {
  const match = RANGE.exec(pattern);
  const problem = match === null ? nameProblem(pattern) : undefined;
  if (problem !== undefined) throw bad(problem);
  if (match === null) {
    into.add(pattern);
    if (into.size > LISTED_FILES_MAX) throw tooMany();
    return;
  }
  const [whole, first = "", last = ""] = match;
  if (Number(first) > Number(last)) throw bad(`"${whole}" falls; the lower number comes first.`);
  if (Number(last) - Number(first) >= LISTED_FILES_MAX) throw tooMany();
  const width = first.startsWith("0") ? first.length : 1;
  for (let number = Number(first); number <= Number(last); number += 1)
    expand(
      pattern.replace(whole, () => String(number).padStart(width, "0")),
      into,
    );
}

function tooMany(): ForelockError {
  return bad(`stands for too many names; allowed: up to ${LISTED_FILES_MAX.toLocaleString("en-US")}.`);
}

function bad(problem: string): ForelockError {
  return new ForelockError("bad_setting", `files: ${problem}`);
}
