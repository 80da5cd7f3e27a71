// post.ts: one attempt: a POST over HTTP or HTTPS. Never throws. Not here: whether the URL is allowed (allow.ts), what comes after
// (plan.ts).
//   H1. Redirects are not followed: what they point to was not allowed.
//   H2. Nothing of the answer is read but its status and Retry-After; the connection is closed behind them.
//   H3. The attempt ends within its time, from the look-up of the name to the status.
import { request as httpRequest, type RequestOptions } from "node:http";
import { request as httpsRequest } from "node:https";
import type { Clock } from "../clock.ts";
import type { Attempt } from "./plan.ts";

export interface PostWish {
  readonly url: string;
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

export type Post = (wish: PostWish) => Promise<Attempt>;

/** Answers can carry headers without end. */
const HEADER_BYTES_MAX = 16_384;

export function postOver(clock: Clock): Post {
  return ({ url, body, headers, timeoutMs, signal }) =>
    new Promise((resolve) => {
      const options: RequestOptions = {
        method: "POST",
        agent: false, // One connection for each attempt: what a receiver leaves open is nobody's.
        maxHeaderSize: HEADER_BYTES_MAX,
        headers: {
          ...headers,
          "content-type": "application/json",
          "content-length": Buffer.byteLength(body),
          connection: "close",
        },
        signal,
      };
      const send = url.startsWith("https:") ? httpsRequest : httpRequest;
      const request = send(url, options);
      const end = (attempt: Attempt): void => {
        timer.dispose();
        request.destroy(); // H2
        resolve(attempt); // The first one counts.
      };
      const timer = clock.after(timeoutMs, () => end({ kind: "failed", code: "timeout" })); // H3
      request.on("response", ({ statusCode = 0, headers: answered }) => {
        end({ kind: "answered", status: statusCode, retryAfterMs: retryAfterMs(answered["retry-after"]) });
      });
      request.on("error", (error: NodeJS.ErrnoException) => end({ kind: "failed", code: error.code ?? "failed" }));
      request.end(body);
    });
}

/** Seconds only: a date would need the receiver's clock. */
function retryAfterMs(text: string | undefined): number {
  return text !== undefined && /^\d{1,6}$/.test(text) ? Number(text) * 1_000 : 0;
}
