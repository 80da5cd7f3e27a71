// grant.ts: each answered grant of a history, from when to when it was certainly held, and whether its work was committed.
//   G1. It begins between `callNs` and `returnNs`. Only from `returnNs` on is it certainly held.
//   G2. It can end, and so must be taken to end, at `earliestEndNs`: the first call that may end it, or its lease.
//   G3. An acquire without an answer is no grant here: whom it may hold up is not held against the service.
import type { Action } from "./action.ts";
import { compareVersions, groupBy, numberOf, showVersion, textOf, type Version, versionOf } from "./record.ts";
import type { Session } from "./session.ts";

export type Mode = "exclusive" | "shared" | "permit";

export interface Grant {
  readonly key: string;
  readonly owner: string | undefined;
  readonly token: Version;
  readonly mode: Mode;
  readonly take: number;
  readonly limit: number;
  readonly session: string | undefined;
  readonly batch: string | undefined;
  /** Taken in a tree: names above and below it within its tag exclude it too. */
  readonly tree: boolean;
  readonly callNs: number;
  readonly returnNs: number;
  readonly earliestEndNs: number;
  /** From this moment on it has certainly ended, by what clients were told; Infinity when nobody was. */
  readonly endedByNs: number;
  readonly onLoss: "keep" | "rollback";
  /** Whether its work was committed by its release, must have been undone, or cannot be told. */
  readonly outcome: "committed" | "lost" | "open";
  readonly lines: readonly number[];
}

const MS = 1_000_000;

export function grantsOf(actions: readonly Action[], sessions: ReadonlyMap<string, Session>): readonly Grant[] {
  const enders = groupBy(
    actions.filter(({ op, status }) => ENDERS.has(op) && status !== "fail"),
    ({ key }) => key,
  );
  const granted = actions.filter((action) => action.op === "acquire" && action.result["granted"] === true);
  const latest = latestExclusive(granted);
  return granted.flatMap((action) => {
    const token = versionOf(action.result, "token");
    if (token === undefined) return [];
    const own = (enders.get(action.key) ?? []).filter((ender) => ends(ender, token, textOf(action.args, "owner")));
    const overtaken = compareVersions(latest.get(action.key) ?? token, token) > 0;
    return [grantOf(action, { token, own, overtaken, session: sessions.get(textOf(action.args, "session") ?? "") })];
  });
}

const ENDERS: ReadonlySet<string> = new Set(["release", "preempt", "expire", "rollback"]);

/** Whether this line is about this grant. The token decides where both are given: owners may be told apart less finely. */
function ends(ender: Action, token: Version, owner: string | undefined): boolean {
  const other = versionOf(ender.args, "token");
  if (other !== undefined) return compareVersions(other, token) === 0;
  return owner !== undefined && textOf(ender.args, "owner") === owner;
}

function latestExclusive(granted: readonly Action[]): ReadonlyMap<string, Version> {
  const latest = new Map<string, Version>();
  for (const action of granted) {
    const token = modeOf(action) === "exclusive" ? versionOf(action.result, "token") : undefined;
    const before = latest.get(action.key);
    if (token !== undefined && (before === undefined || compareVersions(token, before) > 0))
      latest.set(action.key, token);
  }
  return latest;
}

interface GrantEvidence {
  readonly token: Version;
  /** Lines that may have ended it. */
  readonly own: readonly Action[];
  /** A later exclusive grant of the element exists: this one has ended somehow. */
  readonly overtaken: boolean;
  readonly session: Session | undefined;
}

function grantOf(action: Action, { token, own, overtaken, session }: GrantEvidence): Grant {
  const releases = own.filter(
    ({ op, result, status }) => op === "release" && (status === "unknown" || result["released"] !== false),
  );
  const forced = own.filter(({ op }) => op === "preempt" || op === "expire");
  const named = textOf(action.args, "session");
  const ttlMs = numberOf(action.args, "ttl_ms");
  const leaseEnds = [
    ...(session === undefined ? [] : [session.earliestEndNs]),
    ...(named === undefined && ttlMs !== undefined ? [action.callNs + ttlMs * MS] : []),
    // A session that the history never opened: its lease is not known, so it may have ended at once.
    ...(named !== undefined && session === undefined ? [action.callNs] : []),
  ];
  const answered = [...releases, ...forced].filter(({ status }) => status === "ok").map(({ returnNs }) => returnNs);
  return {
    key: action.key,
    owner: textOf(action.args, "owner"),
    token,
    mode: modeOf(action),
    take: numberOf(action.args, "permits") ?? 1,
    limit: numberOf(action.args, "limit") ?? 1,
    session: named,
    batch: textOf(action.args, "batch"),
    tree: action.args["tree"] === true,
    callNs: action.callNs,
    returnNs: action.returnNs,
    earliestEndNs: Math.min(
      ...leaseEnds,
      ...[...releases, ...forced].map(({ callNs }) => callNs),
      Number.POSITIVE_INFINITY,
    ),
    endedByNs: Math.min(...answered, session?.deadFromNs ?? Number.POSITIVE_INFINITY),
    onLoss: action.args["on_loss"] === "rollback" ? "rollback" : "keep",
    outcome: outcomeOf(own, releases, overtaken, session),
    lines: action.lines,
  };
}

/** Only an answered release commits; only a grant that nobody may have released or closed is certainly lost. */
function outcomeOf(
  own: readonly Action[],
  releases: readonly Action[],
  overtaken: boolean,
  session: Session | undefined,
): Grant["outcome"] {
  const answered = releases.find(({ status }) => status === "ok");
  if (answered !== undefined) return answered.args["undo"] === true ? "lost" : "committed";
  if (own.some(({ op, status }) => op === "rollback" || (op === "preempt" && status === "ok"))) return "lost";
  const mayBeReleased = releases.some(({ args }) => args["undo"] !== true);
  const mayBeClosed = session !== undefined && (session.closeUnknown || session.closedByNs < Number.POSITIVE_INFINITY);
  if (mayBeReleased || mayBeClosed) return "open";
  const ended = overtaken || (session !== undefined && session.deadFromNs < Number.POSITIVE_INFINITY);
  return ended ? "lost" : "open";
}

function modeOf(action: Action): Mode {
  const mode = action.args["mode"];
  return mode === "shared" || mode === "permit" ? mode : "exclusive";
}

export function describeGrant(grant: Grant): string {
  return `${grant.owner ?? "someone"} (${grant.mode}, token ${showVersion(grant.token)}, line ${grant.lines.join("+")})`;
}
