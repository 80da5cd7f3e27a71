// merge.ts: answers of several nodes, each for its own partitions, made into the answer of one. Pure. Not here: how they were asked
// (gather.ts).
//   M1. A list is cut after it was merged: each node has given its own first rows, so the first of all are among them.
import type {
  Calibration,
  GetHistoryReply,
  GetPredictionReply,
  ListFilesReply,
  ListLocksReply,
  ListSessionsReply,
  LockInfo,
  PredictionTotals,
  SessionInfo,
  StatusReply,
} from "@forelock/protocol";

const LIST_DEFAULT = 100;
const LIST_MAX = 1_000;
const DECISIONS_DEFAULT = 100;
const HISTORY_DEFAULT = 1_000;

const pageSize = (limit: number): number => (limit === 0 ? LIST_DEFAULT : Math.min(limit, LIST_MAX));

export function mergeLocks(parts: readonly ListLocksReply[], limit: number, byPain: boolean): ListLocksReply {
  const byName = (a: LockInfo, b: LockInfo): number => (a.name < b.name ? -1 : 1);
  const order = byPain ? (a: LockInfo, b: LockInfo): number => b.painMs - a.painMs || byName(a, b) : byName;
  const { rows: locks, more } = cut(
    parts.map(({ locks, more }) => ({ rows: locks, more })),
    pageSize(limit),
    order,
  );
  return { locks, more, ledPartitions: [] };
}

export function mergeFiles(parts: readonly ListFilesReply[], limit: number): ListFilesReply {
  const of = parts.map(({ files, more }) => ({ rows: files, more }));
  const { rows: files, more } = cut(of, pageSize(limit), (a, b) => (a.name < b.name ? -1 : 1));
  return { files, more, ledPartitions: [] };
}

/** One session may have been told by several nodes: one row of it. */
export function mergeSessions(parts: readonly ListSessionsReply[], limit: number): ListSessionsReply {
  const byId = new Map<string, SessionInfo>();
  for (const { sessions } of parts) {
    for (const info of sessions) {
      const before = byId.get(info.session);
      byId.set(info.session, before === undefined ? info : joinSession(before, info));
    }
  }
  const of = [{ rows: [...byId.values()], more: parts.some(({ more }) => more) }];
  const { rows: sessions, more } = cut(of, pageSize(limit), (a, b) => (a.session < b.session ? -1 : 1));
  return { sessions, more, ledPartitions: [] };
}

/** What the node says that has heard of it last holds for what was heard. */
function joinSession(a: SessionInfo, b: SessionInfo): SessionInfo {
  const [nearer, other] = a.silentMs <= b.silentMs ? [a, b] : [b, a];
  const { risk } = other;
  return {
    ...nearer,
    grants: a.grants + b.grants,
    waits: a.waits + b.waits,
    waiting: a.waiting || b.waiting,
    partitions: [...new Set([...a.partitions, ...b.partitions])].sort((left, right) => left - right),
    application: nearer.application === "" ? other.application : nearer.application,
    risk: risk !== undefined && (nearer.risk === undefined || risk.score > nearer.risk.score) ? risk : nearer.risk,
  };
}

/** @param parts the asked node's own first, then the peers' in the order of their ids. @param missing peers that did not answer */
export function mergeStatus(parts: readonly [StatusReply, ...StatusReply[]], missing: readonly string[]): StatusReply {
  const [own] = parts;
  const sum = (of: (part: StatusReply) => number): number => parts.reduce((total, part) => total + of(part), 0);
  const stopped = parts.map((part) => part.stopped).find((text) => text !== "");
  return {
    ...own,
    sessions: sum((part) => part.sessions),
    grants: sum((part) => part.grants),
    waiting: sum((part) => part.waiting),
    files: sum((part) => part.files),
    operations: sum((part) => part.operations),
    connections: sum((part) => part.connections),
    logBytes: sum((part) => part.logBytes),
    epoch: Math.max(...parts.map((part) => part.epoch)),
    durable: parts.every((part) => part.durable),
    stopped: stopped ?? (missing.length === 0 ? "" : `Nodes that cannot be reached: ${missing.join(", ")}.`),
    stateHash: combineHashes(parts.map((part) => part.stateHash)),
  };
}

/** The newest decisions of all; how often forecasts were right, weighed by how many each node has seen. */
export function mergePrediction(parts: readonly GetPredictionReply[], limit: number): GetPredictionReply {
  const decisions = parts.flatMap((part) => part.decisions).sort((a, b) => b.atMs - a.atMs);
  return {
    calibrations: mergeCalibrations(parts.flatMap((part) => part.calibrations)),
    decisions: decisions.slice(0, limit === 0 ? DECISIONS_DEFAULT : limit),
    totals: parts.map((part) => part.totals).reduce(addTotals, undefined),
  };
}

function mergeCalibrations(rows: readonly Calibration[]): Calibration[] {
  const merged = new Map<string, Calibration>();
  for (const row of rows) {
    const key = `${row.of} ${row.quantile}`;
    const before = merged.get(key);
    const observations = row.observations + (before?.observations ?? 0);
    const right = row.coverage * row.observations + (before?.coverage ?? 0) * (before?.observations ?? 0);
    merged.set(key, { ...row, observations, coverage: observations === 0 ? row.coverage : right / observations });
  }
  return [...merged.values()];
}

function addTotals(a: PredictionTotals | undefined, b: PredictionTotals | undefined): PredictionTotals | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return {
    warnings: a.warnings + b.warnings,
    released: a.released + b.released,
    extended: a.extended + b.extended,
    forced: a.forced + b.forced,
    wrong: a.wrong + b.wrong,
    ignored: a.ignored + b.ignored,
    observed: a.observed + b.observed,
    observedRight: a.observedRight + b.observedRight,
    observedWrong: a.observedWrong + b.observedWrong,
    observedSavedMs: a.observedSavedMs + b.observedSavedMs,
  };
}

/** Reaches as far back as every node does: before that, it would be the history of some. */
export function mergeHistory(parts: readonly GetHistoryReply[], limit: number): GetHistoryReply {
  const most = limit === 0 ? HISTORY_DEFAULT : limit;
  const entries = parts.flatMap((part) => part.entries).sort((a, b) => b.agoMs - a.agoMs);
  return {
    entries: entries.slice(Math.max(0, entries.length - most)), // The newest are last, and kept.
    reachMs: Math.min(...parts.map((part) => part.reachMs)),
    more: parts.some((part) => part.more) || entries.length > most,
  };
}

interface Page<Row> {
  readonly rows: readonly Row[];
  readonly more: boolean;
}

/** M1 */
function cut<Row>(
  pages: readonly Page<Row>[],
  limit: number,
  order: (a: Row, b: Row) => number,
): { rows: Row[]; more: boolean } {
  const rows = pages.flatMap((page) => page.rows).sort(order);
  return { rows: rows.slice(0, limit), more: rows.length > limit || pages.some((page) => page.more) };
}

/** As of partitions (shard/operators.ts): 64 bits, hexadecimal, in the order given. */
function combineHashes(hashes: readonly string[]): string {
  let hash = 0xcbf29ce484222325n;
  for (const part of hashes) hash = BigInt.asUintN(64, (hash ^ BigInt(`0x${part || "0"}`)) * 0x100000001b3n);
  return hash.toString(16).padStart(16, "0");
}
