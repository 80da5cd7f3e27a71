// file.ts: what a history says about one file: its appends, its reads, and which work may have been undone.
import type { Action } from "./action.ts";
import type { Grant } from "./grant.ts";
import { compareVersions, groupBy, numberOf, showVersion, textOf, type Version, versionOf } from "./record.ts";

/** `kept`: must stay for ever once it took effect. `undone`: must not outlive its grant. `open`: either, but all of a grant alike. */
export type Fate = "kept" | "undone" | "open";

export interface Append {
  readonly value: string;
  readonly token: Version | undefined;
  readonly lock: string;
  readonly callNs: number;
  readonly returnNs: number;
  /** Known to have taken effect: answered, and not refused. */
  readonly applied: boolean;
  /** Known to have no effect: refused, or every attempt failed. */
  readonly refused: boolean;
  readonly index: number | undefined;
  readonly fate: Fate;
  readonly grant: Grant | undefined;
  readonly lines: readonly number[];
}

export interface Read {
  readonly from: number;
  readonly entries: readonly string[];
  /** Whether the read went to the end of the file. */
  readonly toEnd: boolean;
  readonly callNs: number;
  readonly returnNs: number;
  readonly line: number;
}

export interface FileHistory {
  readonly name: string;
  readonly appends: readonly Append[];
  readonly byValue: ReadonlyMap<string, Append>;
  /** In order of call. */
  readonly reads: readonly Read[];
  /** Exclusive grants of the guarding elements, by element, in order of their tokens. */
  readonly grants: ReadonlyMap<string, readonly Grant[]>;
}

export function filesOf(actions: readonly Action[], grants: readonly Grant[]): readonly FileHistory[] {
  const exclusive = groupBy(
    grants.filter(({ mode }) => mode === "exclusive"),
    ({ key }) => key,
  );
  for (const [key, ofKey] of exclusive) {
    exclusive.set(
      key,
      ofKey.toSorted((a, b) => compareVersions(a.token, b.token)),
    );
  }
  const own = actions.filter(
    ({ op, args }) => op === "append" || op === "read" || (op === "rollback" && args["to_index"] !== undefined),
  );
  return [...groupBy(own, ({ key }) => key)].map(([name, ofFile]) => fileOf(name, ofFile, exclusive));
}

/** Names what was done under one grant: of one lock there is one grant a token. */
export function groupName(append: Append): string | undefined {
  return append.token === undefined ? undefined : `${append.lock} token ${showVersion(append.token)}`;
}

function fileOf(name: string, actions: readonly Action[], grants: ReadonlyMap<string, readonly Grant[]>): FileHistory {
  const rollbacks = actions.filter(({ op, status }) => op === "rollback" && status !== "fail");
  const appends = actions
    .filter(({ op }) => op === "append")
    .flatMap((action) => {
      const value = textOf(action.args, "value");
      return value === undefined ? [] : [appendOf(name, { action, value, rollbacks, grants })];
    });
  const reads = actions
    .filter(({ op, status }) => op === "read" && status === "ok")
    .map(readOf)
    .sort((a, b) => a.callNs - b.callNs);
  return { name, appends, byValue: new Map(appends.map((append) => [append.value, append])), reads, grants };
}

interface AppendEvidence {
  readonly action: Action;
  readonly value: string;
  readonly rollbacks: readonly Action[];
  readonly grants: ReadonlyMap<string, readonly Grant[]>;
}

function appendOf(file: string, { action, value, rollbacks, grants }: AppendEvidence): Append {
  const token = versionOf(action.args, "token");
  const lock = textOf(action.args, "lock") ?? file;
  const grant =
    token === undefined ? undefined : grants.get(lock)?.find((one) => compareVersions(one.token, token) === 0);
  const index = numberOf(action.result, "index");
  const refused = action.status === "fail" || (action.status === "ok" && action.result["applied"] === false);
  const rolledBack = rollbacks.filter((rollback) => {
    const other = versionOf(rollback.args, "token");
    const toIndex = numberOf(rollback.args, "to_index") ?? 0;
    const below = index !== undefined && index < toIndex;
    return token !== undefined && other !== undefined && compareVersions(other, token) === 0 && !below;
  });
  return {
    value,
    token,
    lock,
    callNs: action.callNs,
    returnNs: action.returnNs,
    applied: action.status === "ok" && !refused,
    refused,
    index,
    fate: fateOf(token, grant, rolledBack),
    grant,
    lines: action.lines,
  };
}

function fateOf(token: Version | undefined, grant: Grant | undefined, rolledBack: readonly Action[]): Fate {
  if (rolledBack.some(({ status }) => status === "ok")) return "undone";
  if (rolledBack.length > 0) return "open";
  if (token === undefined) return "kept";
  // A token without an answered acquire: whether its work can be undone is not known.
  if (grant === undefined) return "open";
  if (grant.onLoss === "keep" || grant.outcome === "committed") return "kept";
  return grant.outcome === "lost" ? "undone" : "open";
}

function readOf(action: Action): Read {
  const listed = action.result["entries"];
  const entries = Array.isArray(listed)
    ? listed.map((entry) => (typeof entry === "string" ? entry : JSON.stringify(entry)))
    : [];
  const limit = numberOf(action.args, "limit");
  const full = limit !== undefined && entries.length >= limit;
  const eof = action.result["eof"];
  return {
    from: numberOf(action.args, "from") ?? 0,
    entries,
    toEnd: eof === true || (eof === undefined && !full),
    callNs: action.callNs,
    returnNs: action.returnNs,
    line: action.lines[0] ?? 0,
  };
}
