// read.ts: parses a history and says what is wrong with it as a document. Whether the service kept its word is check.ts.
import { type Fields, groupBy, type HistoryLine, numberOf, parseVersion, type Status, textOf } from "./record.ts";

export interface History {
  readonly header: Fields | undefined;
  readonly lines: readonly HistoryLine[];
  /** Sentences, each with its line number. Empty for a well-formed history. */
  readonly problems: readonly string[];
}

/** Problems after this many are only counted. */
const PROBLEMS_MAX = 100;

const OPERATIONS: ReadonlySet<string> = new Set(
  [
    ["get", "put", "cas", "delete", "sget", "rollback"],
    ["acquire", "release", "holder", "warn", "preempt", "expire"],
    ["session_open", "keepalive", "session_close", "append", "read"],
  ].flat(),
);

/** Result fields without which an `ok` line says nothing: at least one of each list. */
const RESULT_FIELDS: ReadonlyMap<string, readonly string[]> = new Map([
  ["acquire", ["granted"]],
  ["release", ["released"]],
  ["holder", ["held"]],
  ["keepalive", ["alive"]],
  ["append", ["index", "offset", "applied"]],
  ["read", ["entries"]],
]);

export function readHistory(text: string): History {
  const problems: string[] = [];
  const complain = (line: number, sentence: string): void => {
    if (problems.length < PROBLEMS_MAX) problems.push(`line ${line}: ${sentence}`);
  };
  const lines: HistoryLine[] = [];
  let header: Fields | undefined;
  text.split("\n").forEach((row, index) => {
    if (row.trim() === "" || row.startsWith("#")) return;
    const number = index + 1;
    const fields = parseObject(row);
    if (fields === undefined) complain(number, "is not a JSON object");
    else if (lines.length === 0 && header === undefined && typeof fields["history"] === "string") header = fields;
    else {
      const parsed = parseLine(fields, number, (sentence) => complain(number, sentence));
      if (parsed !== undefined) lines.push(parsed);
    }
  });
  checkProcesses(lines, complain);
  checkSessions(lines, complain);
  return { header, lines, problems };
}

function parseLine(fields: Fields, line: number, complain: (sentence: string) => void): HistoryLine | undefined {
  const [process, op, key] = [textOf(fields, "process"), textOf(fields, "op"), textOf(fields, "key")];
  const callNs = parseTime(fields["call_ns"]);
  const returnNs = fields["return_ns"] === null ? undefined : parseTime(fields["return_ns"]);
  const status = parseStatus(fields["status"]);
  const args = objectOf(fields["args"] ?? {});
  const result = objectOf(fields["result"] ?? {});
  if (process === undefined) complain("`process` is missing");
  if (op === undefined || !OPERATIONS.has(op)) complain(`\`op\` is not known: ${String(fields["op"])}`);
  if (key === undefined) complain("`key` must be a non-empty string");
  if (callNs === undefined) complain("`call_ns` must be whole nanoseconds");
  if (status === undefined) complain("`status` must be ok, fail or unknown");
  if (args === undefined || result === undefined) complain("`args` and `result` must be objects");
  if (fields["return_ns"] !== null && returnNs === undefined) complain("`return_ns` must be whole nanoseconds or null");
  const missing = process === undefined || op === undefined || key === undefined || callNs === undefined;
  if (missing || status === undefined || args === undefined || result === undefined) return undefined;
  if (returnNs !== undefined && returnNs < callNs) complain("returns before it is called");
  if (status === "ok" && returnNs === undefined) complain("an ok line needs `return_ns`");
  if (status === "ok") checkResult(op, { args, result }, complain);
  return { line, process, op, key, args, result, callNs, returnNs, status, req: textOf(fields, "req") };
}

function checkResult(
  op: string,
  { args, result }: { args: Fields; result: Fields },
  complain: (s: string) => void,
): void {
  const wanted = RESULT_FIELDS.get(op);
  if (wanted !== undefined && !wanted.some((field) => result[field] !== undefined)) {
    complain(`an ok \`${op}\` needs one of ${wanted.join(", ")} in its result`);
  }
  if (op === "acquire" && result["granted"] === true && parseVersion(result["token"]) === undefined) {
    complain("a granted acquire needs a token");
  }
  if (op === "acquire" && textOf(args, "owner") === undefined) complain("an acquire needs `args.owner`");
  if (op === "session_open" && numberOf(args, "ttl_ms") === undefined) complain("a session_open needs `args.ttl_ms`");
}

/** One process does one operation at a time; elements taken together count as one. */
function checkProcesses(lines: readonly HistoryLine[], complain: (line: number, sentence: string) => void): void {
  const byProcess = groupBy(lines, ({ process }) => process);
  for (const own of byProcess.values()) {
    const sorted = own.toSorted((a, b) => a.callNs - b.callNs);
    sorted.slice(1).forEach((line, index) => {
      const before = sorted[index];
      if (before?.returnNs === undefined || before.returnNs <= line.callNs) return;
      const together = textOf(before.args, "batch");
      if (together !== undefined && together === textOf(line.args, "batch")) return;
      complain(line.line, `process ${line.process} had not finished line ${before.line}`);
    });
  }
}

/** A lease can only be judged when its ttl is known. */
function checkSessions(lines: readonly HistoryLine[], complain: (line: number, sentence: string) => void): void {
  const opened = new Set(lines.filter(({ op }) => op === "session_open").map(({ key }) => key));
  const missing = new Set<string>();
  for (const { op, args, line } of lines) {
    const session = op === "acquire" ? textOf(args, "session") : undefined;
    if (session === undefined || opened.has(session) || missing.has(session)) continue;
    missing.add(session);
    complain(line, `session ${session} has no session_open line, so its leases cannot be judged`);
  }
}

function parseObject(row: string): Fields | undefined {
  try {
    return objectOf(JSON.parse(row) as unknown);
  } catch {
    return undefined; // Said as a problem of the line by the caller.
  }
}

function objectOf(value: unknown): Fields | undefined {
  // The cast holds: a JSON value that is an object and no array has string keys and unknown values.
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Fields) : undefined;
}

function parseTime(value: unknown): number | undefined {
  const number = typeof value === "string" && /^\d{1,16}$/.test(value) ? Number(value) : value;
  return typeof number === "number" && Number.isSafeInteger(number) && number >= 0 ? number : undefined;
}

function parseStatus(value: unknown): Status | undefined {
  return value === "ok" || value === "fail" || value === "unknown" ? value : undefined;
}
