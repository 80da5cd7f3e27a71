// forelock-error.ts: telling a failure of Forelock from any other.
import { type ErrorCode, isErrorCode } from "@forelock/protocol";

/** What every part's ForelockError has. */
export interface ForelockFailure extends Error {
  readonly code: ErrorCode;
  readonly details?: Readonly<Record<string, unknown>> | undefined;
  readonly retryAfterMs?: number | undefined;
  /** The message without code and hint. */
  readonly plainMessage?: string | undefined;
}

/** By shape, not by class: the client is bundled with its own copy of the class, the server's parts share another. */
export function isForelockFailure(error: unknown): error is ForelockFailure {
  return error instanceof Error && error.name === "ForelockError" && "code" in error && isErrorCode(String(error.code));
}
