// action.ts: what was asked for once, whatever the number of attempts: lines of the same op, key and req make one action.
//   A1. The one effect of an action lies between `callNs` and `returnNs`, if it has one at all.
//   A2. Attempts that failed say nothing about the others: a lost attempt may still take effect at any later time.
import { type Fields, groupBy, type HistoryLine } from "./record.ts";
import type { Violation } from "./violation.ts";

export interface Action {
  readonly op: string;
  readonly key: string;
  readonly args: Fields;
  /** Of the first answer; empty when there was none. */
  readonly result: Fields;
  /** The earliest moment at which it can have taken effect. */
  readonly callNs: number;
  /** The latest moment at which it can have taken effect: the first answer, or Infinity when there was none. */
  readonly returnNs: number;
  /** `ok` when any attempt was answered, `fail` when all failed. */
  readonly status: HistoryLine["status"];
  readonly lines: readonly number[];
}

export function actionsOf(lines: readonly HistoryLine[]): readonly Action[] {
  const groups = groupBy(lines, ({ op, key, req, line }) =>
    req === undefined ? `line ${line}` : JSON.stringify([op, key, req]),
  );
  return [...groups.values()].map(actionOf);
}

/** One request has one answer, however often it is asked. */
export function checkAnswers(lines: readonly HistoryLine[]): readonly Violation[] {
  const violations: Violation[] = [];
  const answered = lines.filter(({ status, req }) => status === "ok" && req !== undefined);
  for (const attempts of groupBy(answered, ({ op, key, req }) => JSON.stringify([op, key, req])).values()) {
    const first = attempts[0];
    const other = attempts.find(({ result }) => answerOf(result) !== answerOf(first?.result ?? {}));
    if (first === undefined || other === undefined) continue;
    violations.push({
      kind: "two_answers",
      key: first.key,
      message: `${first.op} ${first.req} was answered ${answerOf(first.result)} and then ${answerOf(other.result)}`,
      lines: [first.line, other.line],
    });
  }
  return violations;
}

function actionOf(attempts: readonly HistoryLine[]): Action {
  const first = attempts[0];
  if (first === undefined) throw new Error("an action has at least one attempt");
  const live = attempts.filter(({ status }) => status !== "fail");
  const answered = live.filter(({ status }) => status === "ok").sort((a, b) => (a.returnNs ?? 0) - (b.returnNs ?? 0));
  // A failed attempt certainly had no effect, so the action cannot have begun with it (A2).
  const calls = (live.length > 0 ? live : attempts).map(({ callNs }) => callNs);
  return {
    op: first.op,
    key: first.key,
    args: first.args,
    result: answered[0]?.result ?? {},
    callNs: calls.reduce((least, ns) => Math.min(least, ns), Number.POSITIVE_INFINITY),
    returnNs: answered[0]?.returnNs ?? Number.POSITIVE_INFINITY,
    status: answered.length > 0 ? "ok" : live.length > 0 ? "unknown" : "fail",
    lines: attempts.map(({ line }) => line),
  };
}

/** `replayed` may differ between attempts; the order of fields may too. */
function answerOf(result: Fields): string {
  const fields = Object.entries(result).filter(([name]) => name !== "replayed");
  return JSON.stringify(Object.fromEntries(fields.sort(([a], [b]) => (a < b ? -1 : 1))));
}
