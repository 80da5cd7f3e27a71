// wire/wire-error.ts: errors as they come over the wire, made into the one class.
import { ERRORS, ForelockError, isErrorCode, type Error as WireError } from "@forelock/protocol";

/** A code that this version does not know becomes `internal`, with the code in the message. */
export function errorFromWire(error: WireError, options?: ErrorOptions): ForelockError {
  const code = isErrorCode(error.code) ? error.code : "internal";
  const message = code === error.code ? plainMessage(error) : `Unknown code ${error.code}: ${error.message}`;
  return new ForelockError(code, message, {
    ...options,
    ...detailsOf(error),
    ...(error.retryAfterMs > 0 ? { retryAfterMs: error.retryAfterMs } : {}),
  });
}

/** The sentence alone: a server may send the code before it and the hint after it, and the class adds both. */
function plainMessage({ code, message }: WireError): string {
  const hint = isErrorCode(code) ? ERRORS[code].hint : "";
  const bare = message.startsWith(`[${code}] `) ? message.slice(code.length + 3) : message;
  return bare.endsWith(hint) ? bare.slice(0, bare.length - hint.length).trimEnd() : bare;
}

function detailsOf({ detailsJson }: WireError): { details?: Readonly<Record<string, unknown>> } {
  if (detailsJson === "") return {};
  try {
    const details: unknown = JSON.parse(detailsJson);
    return typeof details === "object" && details !== null ? { details: { ...details } } : {};
  } catch {
    return {}; // Details are extra: the code and the message still tell what happened.
  }
}
