// check.ts: decides from a history alone whether the service kept its word. Sound: a correct service is never accused.
import { actionsOf, checkAnswers } from "./action.ts";
import { checkFile } from "./check-files.ts";
import {
  checkBatches,
  checkDeadSessions,
  checkHolderReads,
  checkHolders,
  checkTokens,
  checkUses,
} from "./check-grants.ts";
import { filesOf } from "./file.ts";
import { grantsOf } from "./grant.ts";
import type { HistoryLine } from "./record.ts";
import { sessionsOf } from "./session.ts";
import type { Violation } from "./violation.ts";

export interface CheckOptions {
  /** Clocks of the service count in whole milliseconds: a lease may seem shorter by this much. */
  readonly leaseSlackNs: number;
}

/** Two roundings to whole milliseconds, of the moment of the heartbeat and of the expiry, and one for the timer. */
export const CHECK_DEFAULTS: CheckOptions = { leaseSlackNs: 3_000_000 };

export interface CheckReport {
  readonly violations: readonly Violation[];
  readonly operations: number;
  readonly ok: number;
  readonly fail: number;
  readonly unknown: number;
  readonly grants: number;
  /** Appends that were answered and accepted. */
  readonly appends: number;
  readonly reads: number;
  readonly sessions: number;
}

export function checkHistory(lines: readonly HistoryLine[], options: CheckOptions = CHECK_DEFAULTS): CheckReport {
  const actions = actionsOf(lines);
  const { sessions, violations: robbed } = sessionsOf(actions, options);
  const grants = grantsOf(actions, sessions);
  const files = filesOf(actions, grants);
  const count = (status: HistoryLine["status"]): number => lines.filter((line) => line.status === status).length;
  return {
    violations: [
      ...checkAnswers(lines),
      ...robbed,
      ...checkHolders(grants),
      ...checkTokens(grants),
      ...checkBatches(actions),
      ...checkDeadSessions(grants, sessions),
      ...checkUses(actions, grants),
      ...checkHolderReads(actions, grants),
      ...files.flatMap(checkFile),
    ],
    operations: lines.length,
    ok: count("ok"),
    fail: count("fail"),
    unknown: count("unknown"),
    grants: grants.length,
    appends: files.reduce((sum, { appends }) => sum + appends.filter(({ applied }) => applied).length, 0),
    reads: files.reduce((sum, { reads }) => sum + reads.length, 0),
    sessions: sessions.size,
  };
}
