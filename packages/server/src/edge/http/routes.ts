// routes.ts: what each path does. Not here: sockets and time limits (server.ts), fields (fields.ts), the calls themselves
// (calls.ts).
//   O2. A body is at most frameBytesMax long, and refused before it is read when it says that it is longer.
import type { IncomingMessage, ServerResponse } from "node:http";
import { ForelockError, HeartbeatReply, OpenSessionReply } from "@forelock/protocol";
import type { Clock } from "../../clock.ts";
import type { Service } from "../../shard/service.ts";
import type { Peer } from "../authenticate.ts";
import { authorize, type OperationBody } from "../authorize.ts";
import { type CallCase, type CallContext, type Calls, METHODS } from "../calls.ts";
import type { EdgeCounters } from "../counters.ts";
import type { EdgeOptions } from "../options.ts";
import { pattern as checkPattern } from "../validate.ts";
import { wireErrorOf } from "../wire-error.ts";
import { type Answer, failure, json, refusal, send } from "./answer.ts";
import { streamEvents } from "./events.ts";
import { type Fields, HEARTBEAT_FIELDS, messageOf, OPEN_SESSION_FIELDS, REQUEST_FIELDS } from "./fields.ts";
import { guard } from "./guard.ts";
import { type JsonValue, parseJson } from "./json.ts";
import { streamLive } from "./live.ts";
import type { Metrics } from "./metrics.ts";

export interface RoutesParts {
  readonly options: EdgeOptions;
  readonly service: Service;
  readonly calls: Calls;
  readonly clock: Clock;
  readonly counters: EdgeCounters;
  readonly metrics: Metrics;
}

const STATE_ROWS_MAX = 1_000;
/** `/v1/acquire-all` to `acquireAll`. */
const CASE_BY_PATH: ReadonlyMap<string, CallCase> = new Map(
  Object.keys(METHODS).map((name) => [`/v1/${kebab(name)}`, name as CallCase]), // The keys of METHODS are the cases.
);

export class Routes {
  readonly #parts: RoutesParts;

  constructor(parts: RoutesParts) {
    this.#parts = parts;
  }

  async serve(request: IncomingMessage, response: ServerResponse, peer: Peer): Promise<void> {
    try {
      const answer = await this.#answer(request, response, peer);
      if (answer !== undefined) send(response, answer);
    } catch (error) {
      send(response, failure(wireErrorOf(error)));
    }
  }

  async #answer(request: IncomingMessage, response: ServerResponse, peer: Peer): Promise<Answer | undefined> {
    const refused = guard(request, this.#parts.options);
    if (refused !== undefined) return refusal(refused);
    const url = urlOf(request);
    const context = contextOf(request, response, peer);
    switch (request.method) {
      case "GET":
      case "HEAD":
        return await this.#read(url, context, response);
      case "POST":
        return await this.#change(url, context, request);
      default:
        return { status: 405, type: "text/plain", body: "", headers: { Allow: "GET, HEAD, POST" } };
    }
  }

  async #read(url: URL, context: CallContext, response: ServerResponse): Promise<Answer | undefined> {
    const { service, calls, metrics, options } = this.#parts;
    switch (url.pathname) {
      case "/healthz":
        return plain(200, "ok");
      case "/readyz":
        return plain(service.unavailable === undefined ? 200 : 503, service.unavailable ?? "ready");
      case "/metrics": {
        if (!calls.caller(context).may("read", ""))
          return refusal({ code: "permission_denied", message: "Needs `read` on everything." });
        return { status: 200, type: metrics.type, body: await metrics.text() };
      }
      case "/v1/state":
        return json(200, await service.state(calls.caller(context), STATE_ROWS_MAX));
      case "/v1/events":
        return this.#events(url, context, response);
      case "/v1/live":
        streamLive(response, context, url.searchParams, this.#parts);
        return undefined;
      default: {
        const page = options.pages.get(url.pathname);
        if (page !== undefined)
          return { status: 200, type: page.type, body: page.body, headers: { "Cache-Control": cacheOf(url.pathname) } };
        return plain(404, `There is no ${url.pathname}; see docs/protocol.md.`);
      }
    }
  }

  #events(url: URL, context: CallContext, response: ServerResponse): Answer | undefined {
    const { calls, counters, options } = this.#parts;
    const caller = calls.caller(context);
    const pattern = url.searchParams.get("pattern") ?? "*";
    const refused = checkPattern(pattern) ?? authorize(caller, { $case: "watch", value: { pattern } });
    if (refused !== undefined) return refusal(refused);
    if (counters.watchers >= options.limits.watchersMax) {
      return refusal({
        code: "watchers_full",
        message: `${counters.watchers} watches and awaits.`,
        retryAfterMs: 1_000,
      });
    }
    streamEvents(response, caller, pattern, this.#parts);
    return undefined;
  }

  async #change(url: URL, context: CallContext, request: IncomingMessage): Promise<Answer> {
    const { calls, options } = this.#parts;
    const kind = CASE_BY_PATH.get(url.pathname);
    const special = url.pathname === "/v1/open-session" || url.pathname === "/v1/heartbeat";
    if (kind === undefined && !special) return failure(wireErrorOf(noPath(url.pathname)));
    calls.caller(context); // Before the body is read: strangers do not get to send a megabyte.
    const body = parseJson(await readBody(request, options.limits.frameBytesMax));
    if (url.pathname === "/v1/open-session") {
      return json(200, OpenSessionReply.toJSON(calls.openSession(context, messageOf(OPEN_SESSION_FIELDS, body))));
    }
    if (kind === undefined)
      return json(200, HeartbeatReply.toJSON(await calls.heartbeat(context, messageOf(HEARTBEAT_FIELDS, body))));
    return await this.#operate(kind, context, body);
  }

  async #operate(kind: CallCase, context: CallContext, body: JsonValue): Promise<Answer> {
    // The tables pair each case with its own message; the compiler cannot follow the pair through the variable.
    const value = messageOf(REQUEST_FIELDS[kind] as Fields<object>, body);
    const outcome = await this.#parts.calls.call(context, { $case: kind, value } as OperationBody);
    const headers = outcome.requestId === "" ? {} : { "Forelock-Request-Id": outcome.requestId };
    if (outcome.kind === "error") return failure(outcome.error, headers);
    return json(200, METHODS[kind].reply.toJSON(outcome.value), headers);
  }
}

function contextOf(request: IncomingMessage, response: ServerResponse, peer: Peer): CallContext {
  const gone = new AbortController();
  response.on("close", () => gone.abort());
  return {
    peer,
    authorization: request.headers.authorization ?? "",
    session: one(request.headers["forelock-session"]),
    requestId: one(request.headers["forelock-request-id"]),
    signal: gone.signal,
  };
}

function urlOf(request: IncomingMessage): URL {
  try {
    return new URL(request.url ?? "/", "http://node");
  } catch (cause) {
    throw new ForelockError("bad_argument", "The path could not be parsed.", { cause });
  }
}

/** O2 */
async function readBody(request: IncomingMessage, bytesMax: number): Promise<string> {
  const tooLong = () => new ForelockError("frame_too_large", `body: above ${bytesMax} bytes.`);
  if (Number(request.headers["content-length"] ?? 0) > bytesMax) throw tooLong();
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > bytesMax) throw tooLong();
    chunks.push(chunk);
  }
  const text = Buffer.concat(chunks).toString("utf8");
  return text === "" ? "{}" : text;
}

function one(header: string | readonly string[] | undefined): string {
  return typeof header === "string" ? header : (header?.[0] ?? "");
}

/** Names below /assets/ carry a hash of what is in them. */
function cacheOf(path: string): string {
  return path.startsWith("/assets/") ? "public, max-age=31536000, immutable" : "no-cache";
}

function plain(status: number, text: string): Answer {
  return { status, type: "text/plain; charset=utf-8", body: `${text}\n` };
}

function noPath(path: string): ForelockError {
  return new ForelockError("not_supported", `There is no POST ${path}.`);
}

function kebab(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}
