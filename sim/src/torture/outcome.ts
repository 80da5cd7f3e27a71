// outcome.ts: what an answer says about an operation: the strict rules that decide the status of a history line.
//   O1. `fail` only where the service certainly did nothing and never will; in doubt it is `unknown`.
//   O2. One attempt without an answer makes the whole operation `unknown`, unless a later attempt is *answered*.
import { ERRORS, type ErrorCode, isErrorCode } from "@forelock/protocol";

export type Verdict =
  /** Told: the operation is decided, and this is its outcome. */
  | "decided"
  /** Refused before it could matter. */
  | "refused"
  /** The same, and the session is gone for good. */
  | "session_gone"
  /** It may have happened. Asking again with the same request id tells. */
  | "unsure";

/** A full table: a new code must choose. */
const VERDICTS: { readonly [Code in ErrorCode]: Verdict } = {
  busy: "decided",
  timeout: "decided",
  cancelled: "decided",
  deadlock: "decided",
  stale_token: "decided",
  not_held: "decided",
  session_expired: "session_gone",
  session_closed: "session_gone",
  session_unknown: "session_gone",
  // The holder's own view; nothing says what became of the request that met it.
  lock_lost: "unsure",
  preempted: "unsure",
  request_id_reused: "refused",
  // The first attempt may have been carried out, and its answer forgotten.
  request_forgotten: "unsure",
  operation_unknown: "unsure",
  limit_mismatch: "refused",
  no_such_file: "refused",
  rolled_back: "refused",
  preemption_required: "decided",
  compensation_refused: "decided",
  guard_required: "refused",
  bad_argument: "refused",
  bad_name: "refused",
  bad_frame: "refused",
  frame_too_large: "refused",
  not_supported: "refused",
  unauthenticated: "refused",
  permission_denied: "refused",
  queue_full: "refused",
  locks_full: "refused",
  sessions_full: "refused",
  operations_full: "refused",
  effects_full: "refused",
  file_full: "refused",
  files_full: "refused",
  watchers_full: "refused",
  overloaded: "refused",
  connections_full: "refused",
  rate_limited: "refused",
  unavailable: "unsure",
  not_owner: "unsure",
  log_stopped: "unsure",
  fenced: "unsure",
  log_damaged: "unsure",
  bulk_stopped: "unsure",
  bulk_damaged: "unsure",
  bulk_unavailable: "unsure",
  outcome_unknown: "unsure",
  data_in_use: "unsure",
  bad_setting: "unsure",
  internal: "unsure",
};

export function verdictOf(code: string): Verdict {
  return isErrorCode(code) ? VERDICTS[code] : "unsure"; // O1
}

/** Whether the same request may be sent again for a better answer. */
export function mayAskAgain(code: string): boolean {
  if (!isErrorCode(code)) return true;
  const { retry } = ERRORS[code];
  return retry === "now" || retry === "later";
}
