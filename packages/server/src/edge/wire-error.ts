// wire-error.ts: refusals and failures as messages of the protocol. Not here: HTTP and gRPC statuses (http/, grpc/).
//   W1. A cause never leaves the node: what is not a ForelockError is told as `internal`, and logged by who caught it.
import { type ErrorCode, ForelockError, isErrorCode, type Error as WireError } from "@forelock/protocol";

/** Why something is not done. The message names field, value and allowed range; code and hint are added by the receiver. */
export interface Refusal {
  readonly code: ErrorCode;
  readonly message: string;
  readonly retryAfterMs?: number;
}

export function wireError({ code, message, retryAfterMs }: Refusal): WireError {
  return { code, message, detailsJson: "", retryAfterMs: retryAfterMs ?? 0 };
}

export function wireErrorOf(error: unknown): WireError {
  if (!(error instanceof ForelockError)) return wireError({ code: "internal", message: "Something failed." }); // W1
  return {
    code: error.code,
    message: error.plainMessage,
    detailsJson: error.details === undefined ? "" : JSON.stringify(error.details, bigintsAsText),
    retryAfterMs: error.retryAfterMs ?? 0,
  };
}

/** The code of an error of the protocol; `internal` for one that is not in the table. */
export function codeOf(error: WireError): ErrorCode {
  return isErrorCode(error.code) ? error.code : "internal";
}

function bigintsAsText(_key: string, value: unknown): unknown {
  return typeof value === "bigint" ? value.toString() : value;
}
