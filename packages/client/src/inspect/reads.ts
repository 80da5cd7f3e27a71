// inspect/reads.ts: asking what there is, and operator commands. Not here: what the answers mean (inspect.ts).
import {
  ChangeClusterRequest,
  EndSessionRequest,
  ForceReleaseRequest,
  GetClusterRequest,
  GetHistoryRequest,
  GetPredictionRequest,
  Health,
  ListLocksRequest,
  ListSessionsRequest,
  SetPolicyRequest,
  WarnRequest,
} from "@forelock/protocol";
import type { Caller } from "../caller.ts";
import type { EndSessionOptions, ForceReleaseOptions } from "../client.ts";
import type { RequestOptions } from "../lock/lock.ts";
import { holderFromWire, modeFromWire } from "../lock/modes.ts";
import type { ChangeClusterOptions, ClusterChange, ClusterOptions, ClusterReport } from "./cluster.ts";
import type { LockInfo, LockList, ServerStatus, SessionInfo, SessionList, Why } from "./inspect.ts";
import type {
  History,
  HistoryOptions,
  Policies,
  PolicyInfo,
  Prediction,
  PredictionOptions,
  PredictionTotals,
  Profile,
  SetPolicyOptions,
  WarnOptions,
} from "./prediction.ts";

export async function why(caller: Caller, name: string, options: RequestOptions): Promise<Why> {
  const reply = await caller.ask("read", { $case: "why", value: { name } }, "why", options.signal);
  return {
    ...reply,
    holders: reply.holders.map(holderFromWire),
    waiters: reply.waiters.map((waiter) => ({ ...waiter, mode: modeFromWire(waiter.mode) })),
  };
}

export async function status(caller: Caller, options: RequestOptions): Promise<ServerStatus> {
  return caller.ask("read", { $case: "getStatus", value: {} }, "getStatus", options.signal);
}

export async function listLocks(
  caller: Caller,
  { signal, ...list }: LockList,
): Promise<{ readonly locks: readonly LockInfo[]; readonly more: boolean }> {
  const value = ListLocksRequest.create(list);
  const { locks, more } = await caller.ask("read", { $case: "listLocks", value }, "listLocks", signal);
  return { locks: locks.map((lock) => ({ ...lock, holders: lock.holders.map(holderFromWire) })), more };
}

export async function listSessions(
  caller: Caller,
  { signal, ...list }: SessionList,
): Promise<{ readonly sessions: readonly SessionInfo[]; readonly more: boolean }> {
  const value = ListSessionsRequest.create(list);
  const { sessions, more } = await caller.ask("read", { $case: "listSessions", value }, "listSessions", signal);
  return { sessions: sessions.map((session) => ({ ...session, health: healthFromWire(session.health) })), more };
}

function healthFromWire(health: Health): SessionInfo["health"] {
  if (health === Health.FAILING) return "failing";
  return health === Health.DEGRADED ? "degraded" : "ok";
}

export async function forceRelease(
  caller: Caller,
  name: string,
  { reason, token = 0n, signal }: ForceReleaseOptions,
): Promise<{ readonly released: readonly bigint[]; readonly undone: number }> {
  const value = ForceReleaseRequest.create({ name, token, reason });
  return caller.ask("read", { $case: "forceRelease", value }, "forceRelease", signal);
}

export async function endSession(
  caller: Caller,
  session: string,
  { reason, signal }: EndSessionOptions,
): Promise<{ readonly grants: number }> {
  const value = EndSessionRequest.create({ session, reason });
  return caller.ask("read", { $case: "endSession", value }, "endSession", signal);
}

export async function history(caller: Caller, name: string, { signal, ...options }: HistoryOptions): Promise<History> {
  const value = GetHistoryRequest.create({ name, ...options });
  return caller.ask("read", { $case: "getHistory", value }, "getHistory", signal);
}

/** @returns one warning for each holder */
export async function warn(
  caller: Caller,
  name: string,
  { signal, ...options }: WarnOptions,
): Promise<{ readonly warnings: readonly string[] }> {
  const value = WarnRequest.create({ name, ...options });
  return caller.ask("read", { $case: "warn", value }, "warn", signal);
}

export async function setPolicy(
  caller: Caller,
  prefix: string,
  set: Readonly<Record<string, string>>,
  { reason, signal }: SetPolicyOptions,
): Promise<PolicyInfo> {
  const value = SetPolicyRequest.create({ prefix, set: { ...set }, reason });
  const { policy } = await caller.ask("read", { $case: "setPolicy", value }, "setPolicy", signal);
  return policy ?? { prefix, set: {}, effective: {}, threshold: 0, changedBy: "", changedMs: 0, reason: "" };
}

export async function policies(caller: Caller, { signal }: RequestOptions): Promise<Policies> {
  return caller.ask("read", { $case: "listPolicies", value: {} }, "listPolicies", signal);
}

export async function profile(caller: Caller, name: string, { signal }: RequestOptions): Promise<Profile> {
  return caller.ask("read", { $case: "getProfile", value: { name } }, "getProfile", signal);
}

export async function prediction(caller: Caller, { signal, ...options }: PredictionOptions): Promise<Prediction> {
  const value = GetPredictionRequest.create(options);
  const { totals, ...rest } = await caller.ask("read", { $case: "getPrediction", value }, "getPrediction", signal);
  return { ...rest, totals: totals ?? NO_TOTALS };
}

export async function cluster(caller: Caller, { signal, ...options }: ClusterOptions): Promise<ClusterReport> {
  const value = GetClusterRequest.create(options);
  return caller.ask("read", { $case: "getCluster", value }, "getCluster", signal);
}

export async function changeCluster(
  caller: Caller,
  change: ClusterChange,
  { reason, signal }: ChangeClusterOptions,
): Promise<{ readonly partitions: number }> {
  const value = ChangeClusterRequest.create({ ...change, reason });
  return caller.ask("read", { $case: "changeCluster", value }, "changeCluster", signal);
}

const NO_TOTALS: PredictionTotals = {
  warnings: 0,
  released: 0,
  extended: 0,
  forced: 0,
  wrong: 0,
  ignored: 0,
  observed: 0,
  observedRight: 0,
  observedWrong: 0,
  observedSavedMs: 0,
};
