// check-files.ts: whether files keep every acknowledged append exactly once, in order, fenced, and undo what must be undone.
//   F1. An append that took effect keeps its index for ever, unless its grant was undone. Every value is written once in a run.
//   F2. An append without an answer may show up in any later read, or never; once seen it is there to stay (unless undone).
//   F3. Work under a grant that must be undone may be seen until the next grant of its element was answered, not later.
import { type Append, type FileHistory, groupName, type Read } from "./file.ts";
import { describeGrant, type Grant } from "./grant.ts";
import { compareVersions, groupBy, showVersion } from "./record.ts";
import type { Violation, ViolationKind } from "./violation.ts";

/** Of one kind in one file: more of them say no more. */
const REPORTED_MAX = 5;

export function checkFile(file: FileHistory): readonly Violation[] {
  const found = [
    ...checkFencing(file),
    ...checkEntries(file),
    ...checkOrder(file),
    ...checkPlaces(file),
    ...checkLost(file),
    ...checkUndo(file),
  ];
  return [...groupBy(found, ({ kind }) => kind).values()].flatMap((ofKind) => ofKind.slice(0, REPORTED_MAX));
}

/** Accepted although a newer grant was answered before the append was asked for, or its own grant had certainly ended. */
function checkFencing(file: FileHistory): readonly Violation[] {
  return file.appends.flatMap((append) => {
    const { token, grant } = append;
    if (!append.applied || token === undefined) return [];
    const newer = file.grants
      .get(append.lock)
      ?.find((one) => compareVersions(one.token, token) > 0 && one.returnNs < append.callNs);
    if (newer !== undefined)
      return [violation(file, "append_unfenced", append, `was accepted after ${describeGrant(newer)}`)];
    if (grant === undefined || grant.endedByNs >= append.callNs) return [];
    return [
      violation(file, "append_unfenced", append, `was accepted although its grant had ended by ${grant.endedByNs} ns`),
    ];
  });
}

/** Each entry of each read: known, accepted, asked for before the read returned, and only once. */
function checkEntries(file: FileHistory): readonly Violation[] {
  return file.reads.flatMap((read) => {
    const seen = new Set<string>();
    return read.entries.flatMap((value) => {
      const append = file.byValue.get(value);
      if (append === undefined) return [entryViolation(file, "append_invented", read, `nobody appended ${value}`)];
      if (append.refused)
        return [entryViolation(file, "append_invented", read, `${value} was refused (${at(append)})`)];
      if (append.callNs > read.returnNs)
        return [entryViolation(file, "read_from_future", read, `${value} came later (${at(append)})`)];
      if (seen.has(value))
        return [entryViolation(file, "append_doubled", read, `${value} stands there twice (${at(append)})`)];
      seen.add(value);
      return [];
    });
  });
}

/** Within one read: tokens of one lock do not fall, and no entry follows one that was asked for after its own answer. */
function checkOrder(file: FileHistory): readonly Violation[] {
  const violations: Violation[] = [];
  for (const read of file.reads) {
    const highest = new Map<string, Append>();
    let latest: Append | undefined;
    for (const value of read.entries) {
      const append = file.byValue.get(value);
      if (append === undefined || append.refused) continue;
      if (latest !== undefined && append.returnNs < latest.callNs) {
        const message = `${value} (${at(append)}) was answered before ${latest.value} (${at(latest)}) was asked for, but follows it`;
        violations.push(entryViolation(file, "append_reordered", read, message));
      }
      if (latest === undefined || append.callNs > latest.callNs) latest = append;
      const before = highest.get(append.lock);
      if (append.token === undefined) continue;
      if (before?.token !== undefined && compareVersions(before.token, append.token) > 0) {
        const message = `${value} (${at(append)}) of token ${showVersion(append.token)} follows ${before.value} of token ${showVersion(before.token)}`;
        violations.push(entryViolation(file, "append_unfenced", read, message));
      } else highest.set(append.lock, append);
    }
  }
  return violations;
}

/** F1 over all reads and answers: a value has one index; an index has one value among those that stay. */
function checkPlaces(file: FileHistory): readonly Violation[] {
  const violations: Violation[] = [];
  const places = new Map<string, { readonly index: number; readonly line: number }>();
  const kept = new Map<number, Append>();
  const place = (value: string, index: number, line: number): void => {
    const append = file.byValue.get(value);
    const before = places.get(value);
    places.set(value, before ?? { index, line });
    const lines = [before?.line ?? line, line];
    if (before !== undefined && before.index !== index) {
      violations.push({
        kind: "append_reordered",
        key: file.name,
        message: `${value} is at ${before.index} and at ${index}`,
        lines,
      });
    }
    if (append === undefined || append.fate !== "kept") return;
    const other = kept.get(index);
    if (other === undefined) kept.set(index, append);
    else if (other.value !== value) {
      const message = `index ${index} belongs to ${other.value} (${at(other)}) and to ${value} (${at(append)})`;
      violations.push({ kind: "append_reordered", key: file.name, message, lines: [...other.lines, ...append.lines] });
    }
  };
  for (const append of file.appends) {
    if (append.applied && append.index !== undefined) place(append.value, append.index, append.lines[0] ?? 0);
  }
  for (const read of file.reads) {
    const once = new Set<string>(); // A doubled entry is reported as such, once.
    read.entries.forEach((value, position) => {
      if (!once.has(value)) place(value, read.from + position, read.line);
      once.add(value);
    });
  }
  return violations;
}

/** What was acknowledged, or seen, before a read was asked for is in it, where the read covers its place. */
function checkLost(file: FileHistory): readonly Violation[] {
  const violations: Violation[] = [];
  const seen = new Map<string, { readonly index: number; readonly byNs: number }>();
  const byReturn = file.reads.toSorted((a, b) => a.returnNs - b.returnNs);
  let next = 0;
  const kept = file.appends.filter(({ fate, refused }) => fate === "kept" && !refused);
  for (const read of file.reads) {
    while (next < byReturn.length) {
      const done = byReturn[next];
      if (done === undefined || done.returnNs >= read.callNs) break;
      next += 1;
      for (const [position, value] of done.entries.entries()) {
        if (!seen.has(value)) seen.set(value, { index: done.from + position, byNs: done.returnNs });
      }
    }
    const shown = new Set(read.entries);
    for (const append of kept) {
      const known = append.applied && append.returnNs < read.callNs;
      const index = append.index ?? seen.get(append.value)?.index;
      if ((!known && !seen.has(append.value)) || shown.has(append.value) || !covers(read, index)) continue;
      const how = known ? "was acknowledged" : "was seen in an earlier read";
      violations.push(
        entryViolation(file, "append_lost", read, `${append.value} (${at(append)}) ${how}, and is missing`),
      );
    }
  }
  return violations;
}

/** F3, and all or nothing for the work of one grant. */
function checkUndo(file: FileHistory): readonly Violation[] {
  const violations: Violation[] = [];
  const groups = groupBy(
    file.appends.filter(({ fate, refused }) => fate !== "kept" && !refused),
    groupName,
  );
  const next = new Map([...groups].map(([name, group]) => [name, nextGrant(file, group)]));
  for (const read of file.reads) {
    const shown = new Set(read.entries);
    const shownGroups = new Set(read.entries.map((value) => groupName(file.byValue.get(value) ?? NO_APPEND)));
    for (const [name, group] of groups) {
      const successor = next.get(name);
      if (successor === undefined || successor.returnNs > read.callNs || !shownGroups.has(name)) continue;
      const present = group.filter(({ value }) => shown.has(value));
      const first = present[0];
      if (first === undefined) continue;
      if (first.fate === "undone") {
        const message = `${first.value} (${at(first)}) of ${name} had to be undone before ${describeGrant(successor)}`;
        violations.push(entryViolation(file, "undone_work_visible", read, message));
      }
      const absent = group.find(({ applied, value, index }) => applied && !shown.has(value) && covers(read, index));
      if (absent === undefined || first.fate === "undone") continue;
      const message = `${first.value} (${at(first)}) stayed, ${absent.value} (${at(absent)}) of the same grant did not`;
      violations.push(entryViolation(file, "half_undone", read, message));
    }
  }
  return violations;
}

const NO_APPEND: Append = {
  value: "",
  token: undefined,
  lock: "",
  callNs: 0,
  returnNs: 0,
  applied: false,
  refused: true,
  index: undefined,
  fate: "kept",
  grant: undefined,
  lines: [],
};

/** The first answered grant after the one that the group was done under: from its answer on the undo must have happened. */
function nextGrant(file: FileHistory, group: readonly Append[]): Grant | undefined {
  const [first] = group;
  const token = first?.token;
  if (first === undefined || token === undefined) return undefined;
  const later = (file.grants.get(first.lock) ?? []).filter((grant) => compareVersions(grant.token, token) > 0);
  return later.reduce<Grant | undefined>((a, b) => (a === undefined || b.returnNs < a.returnNs ? b : a), undefined);
}

function covers(read: Read, index: number | undefined): boolean {
  if (index === undefined) return read.from === 0 && read.toEnd;
  return index >= read.from && (read.toEnd || index < read.from + read.entries.length);
}

function at(append: Append): string {
  return `line ${append.lines.join("+")}`;
}

function violation(file: FileHistory, kind: ViolationKind, append: Append, what: string): Violation {
  return { kind, key: file.name, message: `${append.value} (${at(append)}) ${what}`, lines: append.lines };
}

function entryViolation(file: FileHistory, kind: ViolationKind, read: Read, message: string): Violation {
  return { kind, key: file.name, message: `read of line ${read.line}: ${message}`, lines: [read.line] };
}
