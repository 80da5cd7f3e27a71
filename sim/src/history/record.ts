// record.ts: one line of an operation history (docs: the format "history/1"), its versions, and their order.
// Not here: reading and validating files (read.ts), judging them (check.ts).

/** `fail`: certainly had no effect and never will. `unknown`: may take effect at any later time, or never. */
export type Status = "ok" | "fail" | "unknown";

export type Fields = Readonly<Record<string, unknown>>;

/** One finished operation, as a client of the test saw it. */
export interface HistoryOperation {
  /** One client thread; a new name after each restart of the client. */
  readonly process: string;
  readonly op: string;
  /** Element, file or `<session>@<partition>`. Not empty. */
  readonly key: string;
  readonly args: Fields;
  /** Empty unless `status` is `ok`. */
  readonly result: Fields;
  /** Nanoseconds of the run's monotonic clock: before the first byte was written. */
  readonly callNs: number;
  /** After the answer was parsed; undefined when none came. */
  readonly returnNs: number | undefined;
  readonly status: Status;
  /** Lines with the same op, key and req are attempts of one operation. */
  readonly req: string | undefined;
}

/** A line with its number in the file, from 1: what a violation points at. */
export interface HistoryLine extends HistoryOperation {
  readonly line: number;
}

export interface HistoryHeader {
  readonly run: string;
  readonly seed: number;
  readonly nodes: number;
  readonly faults: readonly string[];
}

/** An integer, or integers compared left to right. */
export type Version = readonly bigint[];

/** @returns undefined when `value` is neither an integer, a string of digits, nor an array of them. */
export function parseVersion(value: unknown): Version | undefined {
  if (!Array.isArray(value)) {
    const one = parseInteger(value);
    return one === undefined ? undefined : [one];
  }
  const parts: bigint[] = [];
  for (const part of value) {
    const one = parseInteger(part);
    if (one === undefined) return undefined;
    parts.push(one);
  }
  return parts.length === 0 ? undefined : parts;
}

/** Below 0, 0 or above 0; a shorter version that is a prefix comes first. */
export function compareVersions(left: Version, right: Version): number {
  for (let index = 0; index < Math.min(left.length, right.length); index += 1) {
    const [a, b] = [left[index], right[index]];
    if (a !== undefined && b !== undefined && a !== b) return a < b ? -1 : 1;
  }
  return left.length - right.length;
}

export function showVersion(version: Version): string {
  return version.map(String).join(".");
}

function parseInteger(value: unknown): bigint | undefined {
  if (typeof value === "number") return Number.isSafeInteger(value) ? BigInt(value) : undefined;
  if (typeof value === "bigint") return value;
  return typeof value === "string" && /^\d{1,40}$/.test(value) ? BigInt(value) : undefined;
}

/** Field readers: undefined when absent or of another type. */
export function textOf(fields: Fields, name: string): string | undefined {
  const value = fields[name];
  return typeof value === "string" && value !== "" ? value : undefined;
}

export function numberOf(fields: Fields, name: string): number | undefined {
  const value = fields[name];
  if (typeof value === "number") return value;
  return typeof value === "string" && /^\d{1,15}$/.test(value) ? Number(value) : undefined;
}

export function versionOf(fields: Fields, name: string): Version | undefined {
  return fields[name] === undefined ? undefined : parseVersion(fields[name]);
}

/** Members by key, both in order of first appearance. (`Map.groupBy` came after Node 20.) */
export function groupBy<Member, Key>(members: Iterable<Member>, keyOf: (member: Member) => Key): Map<Key, Member[]> {
  const groups = new Map<Key, Member[]>();
  for (const member of members) {
    const key = keyOf(member);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [member]);
    else group.push(member);
  }
  return groups;
}
