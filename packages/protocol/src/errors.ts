// errors.ts: every failure a caller can meet, in one table. It makes the HTTP status, the gRPC code, the client's retry rule,
// the exit code of the command line and docs/errors.md.

/** When trying again can help: `never`; `now` (same request id, at once); `later` (same id, after a pause); `new_session`. */
export type Retry = "never" | "now" | "later" | "new_session";

export interface ErrorSpec {
  readonly httpStatus: number;
  /** Name of the canonical gRPC status. */
  readonly grpcStatus: GrpcStatusName;
  readonly retry: Retry;
  /** What it means, for docs/errors.md. One sentence. */
  readonly meaning: string;
  /** The next step for the reader of the message. One or two sentences. */
  readonly hint: string;
}

export type GrpcStatusName =
  | "CANCELLED"
  | "INVALID_ARGUMENT"
  | "DEADLINE_EXCEEDED"
  | "NOT_FOUND"
  | "PERMISSION_DENIED"
  | "RESOURCE_EXHAUSTED"
  | "FAILED_PRECONDITION"
  | "ABORTED"
  | "OUT_OF_RANGE"
  | "UNIMPLEMENTED"
  | "INTERNAL"
  | "UNAVAILABLE"
  | "DATA_LOSS"
  | "UNAUTHENTICATED";

const spec = (
  httpStatus: number,
  grpcStatus: GrpcStatusName,
  retry: Retry,
  meaning: string,
  hint: string,
): ErrorSpec => ({ httpStatus, grpcStatus, retry, meaning, hint });

export const ERRORS = {
  // What was asked for cannot be had now.
  busy: spec(
    409,
    "ABORTED",
    "never",
    "A try found the element held or queued for.",
    "Wait for it with waitMs, or try again later.",
  ),
  timeout: spec(
    408,
    "DEADLINE_EXCEEDED",
    "never",
    "The wait ended before a grant came.",
    "Wait longer, or ask `forelock why NAME` who holds it.",
  ),
  cancelled: spec(
    409,
    "CANCELLED",
    "never",
    "The operation was cancelled before it was granted.",
    "Nothing is held; acquire anew if needed.",
  ),
  deadlock: spec(
    409,
    "ABORTED",
    "never",
    "This wait closed a cycle of waiters and was the cheapest to refuse.",
    "Release what you hold and start over, or take all elements at once with lockAll.",
  ),
  // Grants and sessions that are gone.
  stale_token: spec(
    409,
    "FAILED_PRECONDITION",
    "never",
    "The token is not the current one of its element.",
    "The grant has ended. Stop using what it guards, then acquire anew.",
  ),
  session_expired: spec(
    410,
    "FAILED_PRECONDITION",
    "new_session",
    "No heartbeat came in time, and the session's grants and waits are gone.",
    "Open a session and acquire anew.",
  ),
  session_closed: spec(410, "FAILED_PRECONDITION", "new_session", "The session was closed.", "Open a session."),
  session_unknown: spec(
    404,
    "NOT_FOUND",
    "new_session",
    "No session of this id and secret is known.",
    "Open a session.",
  ),
  lock_lost: spec(
    410,
    "FAILED_PRECONDITION",
    "never",
    "The grant ended without a release: expired, forced, or not provable any more.",
    "Stop using what it guards, then acquire anew.",
  ),
  preempted: spec(
    410,
    "FAILED_PRECONDITION",
    "never",
    "The holder was warned that it is in the way of others, and its time is over.",
    "Stop using what it guards, then acquire anew; `forelock why NAME` and `forelock history NAME` say why.",
  ),
  // Requests that contradict what is known.
  request_id_reused: spec(
    409,
    "INVALID_ARGUMENT",
    "never",
    "The request id was used before with other arguments.",
    "Use a new request id for a new request.",
  ),
  request_forgotten: spec(
    410,
    "FAILED_PRECONDITION",
    "never",
    "The request id is below the lowest that the client still asks about.",
    "The client dropped this answer itself; use a new request id.",
  ),
  operation_unknown: spec(
    404,
    "NOT_FOUND",
    "never",
    "No operation of this reference is remembered.",
    "It never existed, was forgotten after its answer, or belongs to another principal.",
  ),
  limit_mismatch: spec(
    409,
    "FAILED_PRECONDITION",
    "never",
    "The semaphore is in use with another limit.",
    "Use the same permits as its holders, or wait until it is idle.",
  ),
  no_such_file: spec(
    404,
    "NOT_FOUND",
    "never",
    'The file does not exist, and file.create is "listed".',
    'Name the file with `serve --files`, or set file.create to "append".',
  ),
  rolled_back: spec(
    409,
    "ABORTED",
    "never",
    "The file was cut by an undo below the place the read continued from.",
    "Read again from the length in the message.",
  ),
  preemption_required: spec(
    409,
    "FAILED_PRECONDITION",
    "never",
    "The policy of the element allows no grant that is not pre-empted.",
    "Ask without preemptible NEVER, or have an operator set never=allow for the prefix.",
  ),
  compensation_refused: spec(
    403,
    "PERMISSION_DENIED",
    "never",
    "The URL of the compensation is not in the allow-list.",
    "Add its origin and path to the setting compensation.allow.",
  ),
  guard_required: spec(
    409,
    "FAILED_PRECONDITION",
    "never",
    "The effect needs the token of an exclusive grant.",
    "Acquire the guarding element exclusively, and pass its token.",
  ),
  not_held: spec(404, "NOT_FOUND", "never", "Nobody holds the element.", "Nothing to release."),
  // Bad requests.
  bad_argument: spec(
    400,
    "INVALID_ARGUMENT",
    "never",
    "A field of the request is missing, malformed or out of range.",
    "The message names the field, the value and the allowed range.",
  ),
  bad_name: spec(
    400,
    "INVALID_ARGUMENT",
    "never",
    "A name is not canonical.",
    'Names are 1 to 512 bytes of NFC UTF-8, their parts not empty, "." or "..", and at most 16 deep.',
  ),
  bad_frame: spec(
    400,
    "INVALID_ARGUMENT",
    "never",
    "A frame could not be parsed.",
    "See docs/protocol.md for the format; the connection is closed when its bytes cannot be told apart any more.",
  ),
  frame_too_large: spec(
    413,
    "RESOURCE_EXHAUSTED",
    "never",
    "A frame or value is above its limit.",
    "Split it; the message names the limit.",
  ),
  not_supported: spec(
    501,
    "UNIMPLEMENTED",
    "never",
    "The request is valid but not offered here.",
    "See docs/protocol.md.",
  ),
  // Access.
  unauthenticated: spec(
    401,
    "UNAUTHENTICATED",
    "never",
    "No valid credentials came with the connection or request.",
    "Pass a token or a client certificate.",
  ),
  permission_denied: spec(
    403,
    "PERMISSION_DENIED",
    "never",
    "The principal has no right to this on this name.",
    "Ask whoever keeps the settings file for the right named in the message.",
  ),
  // Limits. All of them leave what exists untouched.
  queue_full: spec(
    429,
    "RESOURCE_EXHAUSTED",
    "later",
    "The element has as many waiters as it may.",
    "Try later, or raise lock.waitersMax.",
  ),
  locks_full: spec(
    429,
    "RESOURCE_EXHAUSTED",
    "later",
    "The session holds and waits for as many elements as it may.",
    "Release some, or raise session.locksMax.",
  ),
  sessions_full: spec(
    429,
    "RESOURCE_EXHAUSTED",
    "later",
    "There are as many sessions as there may be.",
    "Close some, or raise session.countMax.",
  ),
  operations_full: spec(
    429,
    "RESOURCE_EXHAUSTED",
    "later",
    "As many operations are remembered as may be.",
    "Acknowledge or await earlier ones, or raise operation.keptMax.",
  ),
  effects_full: spec(
    429,
    "RESOURCE_EXHAUSTED",
    "never",
    "One undoable grant has as many effects as it may.",
    "Release and acquire anew to commit what was done.",
  ),
  file_full: spec(
    413,
    "RESOURCE_EXHAUSTED",
    "never",
    "The append would take the file above its limit.",
    "Start another file, or raise file.bytesMax.",
  ),
  files_full: spec(
    429,
    "RESOURCE_EXHAUSTED",
    "never",
    "There are as many files as there may be.",
    "Raise file.countMax.",
  ),
  watchers_full: spec(
    429,
    "RESOURCE_EXHAUSTED",
    "later",
    "There are as many watches or awaits as there may be.",
    "Close some, or raise edge.watchersMax.",
  ),
  overloaded: spec(
    503,
    "UNAVAILABLE",
    "later",
    "More requests are in flight than the server takes.",
    "Try later with the same request id; release and heartbeat are still served.",
  ),
  connections_full: spec(
    503,
    "UNAVAILABLE",
    "later",
    "There are as many connections as there may be.",
    "Close some, or raise edge.connectionsMax.",
  ),
  rate_limited: spec(
    429,
    "RESOURCE_EXHAUSTED",
    "later",
    "Too many failed attempts to authenticate came from this address.",
    "Wait and correct the credentials.",
  ),
  // The service itself.
  unavailable: spec(
    503,
    "UNAVAILABLE",
    "later",
    "The server is starting, stopping, or cannot be reached.",
    "Try later with the same request id.",
  ),
  not_owner: spec(
    503,
    "UNAVAILABLE",
    "later",
    "Another node of the cluster decides for the partition.",
    "Ask again with the same request id, of any node: it forwards the request to the owner. Only nodes see this code of one another.",
  ),
  log_stopped: spec(
    503,
    "UNAVAILABLE",
    "later",
    "The log could not be written, so nothing new is accepted.",
    "See the server's log for the cause, mend the disk, and restart; nothing acknowledged is lost.",
  ),
  fenced: spec(
    503,
    "UNAVAILABLE",
    "now",
    "Another node owns the partition now, under a higher epoch.",
    "Ask again with the same request id: it finds the owner.",
  ),
  log_damaged: spec(
    500,
    "DATA_LOSS",
    "never",
    "A record in the middle of the log is damaged.",
    "Restore the file named in the message from a backup, or see docs/operations.md.",
  ),
  bulk_stopped: spec(
    503,
    "UNAVAILABLE",
    "later",
    "File contents could not be written.",
    "See the server's log for the cause, mend the disk, and restart.",
  ),
  bulk_damaged: spec(
    500,
    "DATA_LOSS",
    "never",
    "Contents of a file fail their checksum.",
    "Restore the file named in the message from a backup.",
  ),
  bulk_unavailable: spec(
    503,
    "UNAVAILABLE",
    "later",
    "No node that lives has these contents of the file.",
    "Bring back a node that has them; locks, appends and what was appended since go on. See docs/operations.md.",
  ),
  outcome_unknown: spec(
    503,
    "UNAVAILABLE",
    "now",
    "The answer was lost with the log or the connection; the operation may have happened.",
    "Ask again with the same request id.",
  ),
  data_in_use: spec(
    409,
    "FAILED_PRECONDITION",
    "never",
    "Another server uses this data folder.",
    "Stop it, or choose another --data.",
  ),
  bad_setting: spec(
    400,
    "INVALID_ARGUMENT",
    "never",
    "A setting is unknown, malformed or out of range.",
    "The message names the key, the value and the range.",
  ),
  internal: spec(500, "INTERNAL", "later", "A bug in Forelock.", "Please report it with the server's log."),
} as const satisfies Record<string, ErrorSpec>;

export type ErrorCode = keyof typeof ERRORS;

/** All codes, in the order of the table: their place is their number on the wire (see forelock.proto). */
export const ERROR_CODES = Object.keys(ERRORS) as readonly ErrorCode[];

export interface ForelockErrorOptions extends ErrorOptions {
  /** Machine-readable details: the cycle of a deadlock, the holders that block, the allowed range. */
  readonly details?: Readonly<Record<string, unknown>>;
  /** A pause that the server asks for before the next try, in milliseconds. */
  readonly retryAfterMs?: number;
}

/** Every failure a caller can meet. Branch on `code`; the message is for people and may change. */
export class ForelockError extends Error {
  override readonly name = "ForelockError";
  readonly code: ErrorCode;
  readonly details: Readonly<Record<string, unknown>> | undefined;
  readonly retryAfterMs: number | undefined;
  /** The message without code and hint: what goes over the wire, where the receiver's table adds them. */
  readonly plainMessage: string;

  /** @param message what went wrong, naming field, value and range; the hint of the table is added. */
  constructor(code: ErrorCode, message: string, options?: ForelockErrorOptions) {
    super(`[${code}] ${message} ${ERRORS[code].hint}`, options);
    this.code = code;
    this.plainMessage = message;
    this.details = options?.details;
    this.retryAfterMs = options?.retryAfterMs;
  }
}

/** Whether `text` is a code of the table: for codes that come over the wire. */
export function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(ERRORS, text);
}
