// answer.ts: what goes out over HTTP: JSON, errors with the status of the table, headers that every answer has.
import type { ServerResponse } from "node:http";
import { ERRORS, type Error as WireError } from "@forelock/protocol";
import { codeOf, type Refusal, wireError } from "../wire-error.ts";

/** For pages as for data: nothing may be framed, guessed or loaded from elsewhere. */
export const SAFE_HEADERS: Readonly<Record<string, string>> = {
  "Content-Security-Policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; " +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "X-Content-Type-Options": "nosniff",
  "X-Frame-Options": "DENY",
  "Referrer-Policy": "no-referrer",
  "Cross-Origin-Resource-Policy": "same-origin",
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cache-Control": "no-store",
};

export interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string | Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
}

export function send(response: ServerResponse, { status, type, body, headers }: Answer): void {
  if (response.headersSent || response.destroyed) return;
  const length = typeof body === "string" ? Buffer.byteLength(body) : body.length;
  response.writeHead(status, { ...SAFE_HEADERS, "Content-Type": type, "Content-Length": String(length), ...headers });
  response.end(body);
}

export function json(status: number, value: unknown, headers: Readonly<Record<string, string>> = {}): Answer {
  return { status, type: "application/json; charset=utf-8", body: `${JSON.stringify(value, exact)}\n`, headers };
}

export function refusal(refused: Refusal): Answer {
  return failure(wireError(refused));
}

export function failure(error: WireError, headers: Readonly<Record<string, string>> = {}): Answer {
  const code = codeOf(error);
  const { httpStatus, hint } = ERRORS[code];
  const details: unknown = error.detailsJson === "" ? undefined : JSON.parse(error.detailsJson);
  const retryAfterMs = error.retryAfterMs > 0 ? error.retryAfterMs : undefined;
  return json(
    httpStatus,
    { code, message: error.message, hint, details, retryAfterMs },
    {
      ...headers,
      ...(retryAfterMs === undefined ? {} : { "Retry-After": String(Math.ceil(retryAfterMs / 1_000)) }),
      ...(code === "unauthenticated" ? { "WWW-Authenticate": 'Bearer realm="forelock"' } : {}),
    },
  );
}

/** Tokens are strings already; versions and revisions are 64 bits wide too, and stay exact for every reader as strings. */
function exact(key: string, value: unknown): unknown {
  if (typeof value === "bigint") return value.toString();
  return typeof value === "number" && (key === "version" || key === "revision") ? String(value) : value;
}
