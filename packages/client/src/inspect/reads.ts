// inspect/reads.ts: asking what there is, and operator commands. Not here: what the answers mean (inspect.ts).
import { EndSessionRequest, ForceReleaseRequest, ListLocksRequest, ListSessionsRequest } from "@forelock/protocol";
import type { Caller } from "../caller.ts";
import type { EndSessionOptions, ForceReleaseOptions } from "../client.ts";
import type { RequestOptions } from "../lock/lock.ts";
import { holderFromWire, modeFromWire } from "../lock/modes.ts";
import type { LockInfo, LockList, ServerStatus, SessionInfo, SessionList, Why } from "./inspect.ts";

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
  return caller.ask("read", { $case: "listSessions", value }, "listSessions", signal);
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
