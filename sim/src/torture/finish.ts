// finish.ts: the end of a run, when everything is healed: one complete read of each file and element, and the lines that only
// follow from the whole: which work was undone.
//   F1. A `rollback` line is written for work that had to be undone by what the clients were told, and for work that may have
//       been undone and is gone. Its interval runs from the earliest end of the grant to the next grant or the last read.

import { ListSessionsReply, WhyReply } from "@forelock/protocol";
import { actionsOf } from "../history/action.ts";
import { type Append, type FileHistory, filesOf, groupName } from "../history/file.ts";
import { grantsOf } from "../history/grant.ts";
import { groupBy, type HistoryLine, type HistoryOperation, showVersion } from "../history/record.ts";
import { sessionsOf } from "../history/session.ts";
import type { HistoryWriter } from "../history/write.ts";
import { type Clock, pause } from "../proxy/clock.ts";
import { readWire } from "./reader.ts";
import type { Way } from "./wire.ts";

const ATTEMPTS_MAX = 10;
/** After so many the rest is tried once each: the run has failed, and must end. */
const FAILURES_MAX = 3;
const RETRY_MS = 250;
const PAGE_RECORDS = 1_000;

export interface FinishContext {
  readonly way: Way;
  readonly clock: Clock;
  readonly history: HistoryWriter;
}

/**
 * Waits until nobody holds any of the elements, which must happen when all sessions are closed or dead.
 * @returns those that are still held or waited for, each with what the server says of it
 */
export async function untilFree(
  elements: readonly string[],
  withinMs: number,
  context: FinishContext,
): Promise<readonly string[]> {
  const untilMs = context.clock.monotonicMs() + withinMs;
  let held = new Map(elements.map((name) => [name, ""]));
  while (held.size > 0 && context.clock.monotonicMs() < untilMs) {
    const still = new Map<string, string>();
    for (const name of held.keys()) {
      const why = await readWire(context.way(), { $case: "why", value: { name } }, context.clock);
      const isFree = why?.$case === "why" && why.value.holders.length === 0 && why.value.waiting === 0;
      if (!isFree) still.set(name, why?.$case === "why" ? JSON.stringify(WhyReply.toJSON(why.value)) : "no answer");
    }
    held = still;
    if (held.size > 0) await pause(context.clock, RETRY_MS);
  }
  if (held.size === 0) return [];
  const sessions = await readWire(
    context.way(),
    { $case: "listSessions", value: { after: "", limit: 1_000 } },
    context.clock,
  );
  const known =
    sessions?.$case === "listSessions" ? JSON.stringify(ListSessionsReply.toJSON(sessions.value)) : "no answer";
  return [...[...held].map(([name, why]) => `${name}: ${why}`), `sessions that are known: ${known}`];
}

/** @returns what could not be read, which is a failure of the run */
export async function readAll(
  files: readonly string[],
  elements: readonly string[],
  context: FinishContext,
): Promise<readonly string[]> {
  const failures: string[] = [];
  for (const file of files) {
    const refused = await readFile(file, failures.length < FAILURES_MAX ? ATTEMPTS_MAX : 1, context);
    if (refused !== undefined) failures.push(`${file}: ${refused}`);
  }
  for (const element of elements) if (!(await readHolder(element, context))) failures.push(element);
  return failures;
}

/** F1. @param lines all of the run, the complete reads among them */
export function rollbackLines(lines: readonly HistoryLine[]): readonly HistoryOperation[] {
  const actions = actionsOf(lines);
  const { sessions } = sessionsOf(actions, { leaseSlackNs: 0 });
  return filesOf(actions, grantsOf(actions, sessions)).flatMap(rollbacksOf);
}

function rollbacksOf(file: FileHistory): readonly HistoryOperation[] {
  const last = file.reads.findLast(({ from, toEnd }) => from === 0 && toEnd);
  if (last === undefined) return [];
  const shown = new Set(last.entries);
  const undoable = file.appends.filter(
    ({ fate, refused, grant }) => fate !== "kept" && !refused && grant?.onLoss === "rollback",
  );
  return [...groupBy(undoable, groupName).values()].flatMap((group) => {
    const [first] = group;
    const index = firstIndex(file, group);
    if (first?.grant === undefined || first.token === undefined || index === undefined) return [];
    if (first.fate === "open" && group.some(({ value }) => shown.has(value))) return []; // It was committed after all.
    const { token, grant } = first;
    const next = file.grants.get(first.lock)?.find((one) => one.callNs > grant.callNs && one.returnNs > grant.returnNs);
    const returnNs = Math.max(Math.min(next?.returnNs ?? last.callNs, last.callNs), grant.callNs);
    return [
      {
        process: `service/${file.name}/${showVersion(token)}`,
        op: "rollback",
        key: file.name,
        args: { token: showVersion(token), to_index: index },
        result: {},
        callNs: Math.min(Math.max(grant.callNs, Math.min(grant.earliestEndNs, returnNs)), returnNs),
        returnNs,
        status: "ok",
        req: undefined,
      },
    ];
  });
}

/** Of the work of one grant: told in an answer, or seen in a read. Undefined: nobody ever saw any of it. */
function firstIndex(file: FileHistory, group: readonly Append[]): number | undefined {
  const told = group.flatMap(({ index }) => (index === undefined ? [] : [index]));
  const values = new Set(group.map(({ value }) => value));
  const seen = file.reads.flatMap(({ entries, from }) => {
    const position = entries.findIndex((value) => values.has(value));
    return position < 0 ? [] : [from + position];
  });
  const all = [...told, ...seen];
  return all.length === 0 ? undefined : Math.min(...all);
}

/** @returns why not; undefined when it was read whole */
async function readFile(
  file: string,
  attempts: number,
  { way, clock, history }: FinishContext,
): Promise<string | undefined> {
  let refused = "no answer";
  for (let attempt = 0; attempt < attempts; attempt += 1) {
    const call = history.call({ process: `reader/${file}`, op: "read", key: file, args: {} });
    const entries: string[] = [];
    for (;;) {
      const value = { file, index: entries.length, recordsMax: PAGE_RECORDS, version: 0 };
      const body = await readWire(way(), { $case: "readRecords", value }, clock);
      const isAbsent = body?.$case === "error" && body.value.code === "no_such_file";
      if (body?.$case === "error") refused = body.value.code;
      if (body?.$case !== "readRecords" && !isAbsent) break;
      const page = body?.$case === "readRecords" ? body.value : { records: [], count: 0 };
      entries.push(...page.records.map((bytes) => bytes.toString()));
      if (entries.length < page.count && page.records.length > 0) continue;
      call.ok({ entries, eof: true });
      return undefined;
    }
    call.fail();
    await pause(clock, RETRY_MS);
  }
  return refused;
}

async function readHolder(element: string, { way, clock, history }: FinishContext): Promise<boolean> {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    const call = history.call({ process: `reader/${element}/holder`, op: "holder", key: element, args: {} });
    const why = await readWire(way(), { $case: "why", value: { name: element } }, clock);
    if (why?.$case === "why") {
      const holder = why.value.holders[0];
      if (holder === undefined) call.ok({ held: false });
      else call.ok({ held: true, token: holder.token, count: why.value.holders.length });
      return true;
    }
    call.fail();
    await pause(clock, RETRY_MS);
  }
  return false;
}
