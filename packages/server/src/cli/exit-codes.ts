// exit-codes.ts: how a command ended, as a number for scripts. docs/cli.md prints this table.
// The block 110 to 121 is ours because nothing common uses it: shells and `timeout` take 124 and up, sysexits.h 64 to 78, Rust 101,
// apt 100, curl up to 99. So behind `forelock lock NAME -- CMD` a number tells whether the command or Forelock said it.
import { ERRORS, type ErrorCode } from "@forelock/protocol";
import { isForelockFailure } from "./forelock-error.ts";
import { ServerUnreachable } from "./remote.ts";
import { UsageError } from "./usage-error.ts";

export const EXIT_CODES = {
  ok: { code: 0, meaning: "Done. For `lock`: the command ran under the lock and gave 0." },
  damaged: { code: 1, meaning: "`log verify` found damage; each finding names file, offset and what to do." },
  usage: { code: 110, meaning: "The command line or a value in it is wrong; nothing was done." },
  busy: { code: 111, meaning: "`--no-wait`, and the lock is held or queued for; the command was not run." },
  timeout: { code: 112, meaning: "`--wait` ended before a grant came; the command was not run." },
  lost: { code: 113, meaning: "The lock or session was lost while the command ran, and the command was stopped." },
  unavailable: { code: 114, meaning: "The server cannot be reached or takes no work now; trying later can help." },
  denied: { code: 115, meaning: "Missing credentials, or no right to this." },
  refused: {
    code: 116,
    meaning: "What is known contradicts the request: deadlock, cancelled, limit_mismatch and the like.",
  },
  unknown: { code: 117, meaning: "What was named does not exist: lock, file or operation." },
  full: { code: 118, meaning: "A limit was reached; what exists is untouched." },
  broken: { code: 119, meaning: "Stored bytes fail their checksum." },
  internal: { code: 120, meaning: "A bug in Forelock. Please report it." },
  preempted: {
    code: 121,
    meaning:
      "A warning said that the lock is in the way of others, and the command was stopped for it; see --on-warning.",
  },
  not_executable: { code: 126, meaning: "`lock`: the command was found but cannot be run." },
  not_found: { code: 127, meaning: "`lock`: the command was not found." },
} as const satisfies Record<string, { readonly code: number; readonly meaning: string }>;

export type ExitName = keyof typeof EXIT_CODES;

/** Ended by a signal: 128 and its number, as shells say it. For `lock`, also when the command ended by one. */
export const EXIT_SIGNAL_BASE = 128;

/** A full record: a new error code fails to compile until someone decides how scripts see it. */
const EXIT_BY_ERROR: Readonly<Record<ErrorCode, ExitName>> = {
  busy: "busy",
  timeout: "timeout",
  cancelled: "refused",
  deadlock: "refused",
  stale_token: "lost",
  session_expired: "lost",
  session_closed: "lost",
  session_unknown: "lost",
  lock_lost: "lost",
  preempted: "preempted",
  request_id_reused: "refused",
  request_forgotten: "refused",
  operation_unknown: "unknown",
  limit_mismatch: "refused",
  no_such_file: "unknown",
  rolled_back: "refused",
  preemption_required: "refused",
  compensation_refused: "refused",
  guard_required: "refused",
  not_held: "unknown",
  bad_argument: "usage",
  bad_name: "usage",
  bad_frame: "internal",
  frame_too_large: "usage",
  not_supported: "refused",
  unauthenticated: "denied",
  permission_denied: "denied",
  queue_full: "full",
  locks_full: "full",
  sessions_full: "full",
  operations_full: "full",
  effects_full: "full",
  file_full: "full",
  files_full: "full",
  watchers_full: "full",
  overloaded: "unavailable",
  connections_full: "unavailable",
  rate_limited: "unavailable",
  unavailable: "unavailable",
  not_owner: "unavailable",
  log_stopped: "unavailable",
  fenced: "unavailable",
  log_damaged: "broken",
  bulk_stopped: "unavailable",
  bulk_damaged: "broken",
  bulk_unavailable: "unavailable",
  outcome_unknown: "unavailable",
  data_in_use: "refused",
  bad_setting: "usage",
  internal: "internal",
};

export function exitCodeOfError(error: unknown): number {
  if (error instanceof UsageError) return EXIT_CODES.usage.code;
  if (error instanceof ServerUnreachable) return EXIT_CODES.unavailable.code;
  if (isForelockFailure(error)) return EXIT_CODES[EXIT_BY_ERROR[error.code]].code;
  return EXIT_CODES.internal.code;
}

/** Exit name and error codes behind it, for `forelock help exit-codes` and docs/cli.md. */
export function errorCodesOf(name: ExitName): readonly ErrorCode[] {
  // Cast: Object.keys of a record keyed by ErrorCode.
  return (Object.keys(ERRORS) as ErrorCode[]).filter((code) => EXIT_BY_ERROR[code] === name);
}
