// summary.ts: a torture run in a page of text. Not here: what makes it fail beyond counting (history/check.ts).
import { VIOLATIONS } from "../history/violation.ts";
import { ELEMENTS } from "./elements.ts";
import type { TortureReport } from "./play.ts";

const SHOWN_MAX = 20;
const UNKNOWN_SHARE_MAX = 0.2;

export function hasFailed({ check, problems, failures }: TortureReport): boolean {
  return check.violations.length > 0 || problems.length > 0 || failures.length > 0;
}

export function summarize(report: TortureReport): string {
  const { check, problems, failures, faults, skipped, seconds } = report;
  const share = (count: number): string => `${((100 * count) / Math.max(1, check.operations)).toFixed(1)} %`;
  const unknownShare = check.unknown / Math.max(1, check.operations);
  return [
    `operations  ${check.operations} in ${seconds} s: ok ${share(check.ok)}, fail ${share(check.fail)}, unknown ${share(check.unknown)}`,
    ...(unknownShare > UNKNOWN_SHARE_MAX ? ["            more than 20 % unknown: this run says little"] : []),
    `checked     ${check.grants} grants, ${check.appends} appends, ${check.reads} reads, ${check.sessions} sessions by partition`,
    `by kind     ${[...report.countsByOp].map(([op, { ok, fail, unknown }]) => `${op} ${ok}/${fail}/${unknown}`).join(", ")}`,
    `hot keys    ${hotKeys(report)}`,
    `pre-empted  ${report.preemptions} grants of clients that hung`,
    `starts      ${report.startsMs.length}, slowest ${Math.round(Math.max(0, ...report.startsMs))} ms`,
    ...faultLines(report),
    ...skipped.map((line) => `skipped     ${line}`),
    ...list("problem", problems),
    ...list("FAILURE", failures),
    ...list(
      "VIOLATION",
      check.violations.map(
        ({ kind, key, message, lines }) => `${kind} ${key}: ${VIOLATIONS[kind]} ${message} (lines ${lines.join(", ")})`,
      ),
    ),
    hasFailed(report)
      ? `BROKEN      ${check.violations.length} violations, ${failures.length} failures, ${problems.length} ill-formed lines`
      : `kept        every promise, under ${faults.filter(({ happened }) => happened).length} faults`,
  ].join("\n");
}

function hotKeys({ operationsByKey }: TortureReport): string {
  return ELEMENTS.filter((name) => !name.startsWith("cold"))
    .map((name) => `${name} ${operationsByKey.get(name) ?? 0}`)
    .join(", ");
}

function faultLines({ faults }: TortureReport): readonly string[] {
  const kinds = [...new Set(faults.map(({ fault }) => fault))].sort();
  return kinds.map((kind) => {
    const own = faults.filter(({ fault }) => fault === kind);
    const happened = own.filter((record) => record.happened);
    const example = happened[0]?.seen;
    return `fault       ${kind} ${happened.length} of ${own.length}${example === undefined ? "" : `, e.g. ${example.split("\n")[0]}`}`;
  });
}

function list(title: string, sentences: readonly string[]): readonly string[] {
  const shown = sentences.slice(0, SHOWN_MAX).map((sentence) => `${title.padEnd(11)} ${sentence}`);
  const rest = sentences.length - shown.length;
  return rest > 0 ? [...shown, `${title.padEnd(11)} and ${rest} more`] : shown;
}
