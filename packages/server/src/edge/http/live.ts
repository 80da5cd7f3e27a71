// live.ts: GET /v1/live?screen=: what one screen of the dashboard shows, kept up to date by server-sent events.
// Not here: what has changed (live-changes.ts), who may read what (the calls it makes).
//   V1. A look at most once a second, one under way at a time; the first answer is whole, the next ones tell what changed.
//   V2. Every look is made of calls, authenticated and authorised like any other; what a call refuses is told as its error.
//   V3. A reader that does not keep up is passed over, then dropped; streams are counted and capped.
import type { ServerResponse } from "node:http";
import { ForelockError } from "@forelock/protocol";
import type { Clock, Timer } from "../../clock.ts";
import type { OperationBody } from "../authorize.ts";
import { type CallContext, type Calls, METHODS } from "../calls.ts";
import type { EdgeCounters } from "../counters.ts";
import { SAFE_HEADERS } from "./answer.ts";
import { Changes, type Json, type PartShape, type SentPart } from "./live-changes.ts";

export const LIVE_STREAMS_MAX = 64;
export const LIVE_ROWS_MAX = 500;
const LIVE_ROWS = 200;
const LOOK_MS = 1_000;
/** A look that takes long, at very many locks, is followed by a pause so many times as long: one screen costs a tenth of the time. */
const PAUSE_FACTOR = 9;
/** Every so many looks all is sent again: it bounds what a lost row can cost. */
const WHOLE_EVERY = 20;
/** A comment after so many looks without news: readers and proxies must see that the stream lives. */
const HEART_EVERY = 5;
const UNSENT_BYTES_MAX = 65_536;
/** Looks that a reader may be behind. */
const BEHIND_MAX = 15;

interface Part extends PartShape {
  readonly name: string;
  readonly body: OperationBody;
}

const STATUS: Part = { name: "status", body: { $case: "getStatus", value: {} } };

/** Which calls make a screen. @throws ForelockError `bad_argument` */
function partsOf(query: URLSearchParams): readonly Part[] {
  const name = query.get("name") ?? "";
  const prefix = query.get("prefix") ?? "";
  const limit = rowsOf(query.get("limit"));
  switch (query.get("screen")) {
    case "now": {
      const value = { prefix, after: "", limit, stuck: false, heldMsMin: 0, byPain: true };
      return [STATUS, { name: "locks", rows: "locks", key: "name", body: { $case: "listLocks", value } }];
    }
    case "lock":
      return [
        STATUS,
        { name: "why", body: { $case: "why", value: { name } } },
        { name: "profile", body: { $case: "getProfile", value: { name } } },
      ];
    case "sessions": {
      const value = { after: "", limit };
      return [STATUS, { name: "sessions", rows: "sessions", key: "session", body: { $case: "listSessions", value } }];
    }
    case "prediction":
      return [STATUS, { name: "prediction", body: { $case: "getPrediction", value: { limit } } }];
    case "settings":
      return [STATUS, { name: "policies", body: { $case: "listPolicies", value: {} } }];
    case "cluster":
      return [STATUS, { name: "cluster", body: { $case: "getCluster", value: { movesMax: limit } } }];
    case "files": {
      const value = { prefix, after: "", limit };
      return [STATUS, { name: "files", rows: "files", key: "name", body: { $case: "listFiles", value } }];
    }
    default:
      throw new ForelockError(
        "bad_argument",
        "screen: unknown; allowed now, lock, sessions, prediction, settings, cluster, files.",
      );
  }
}

function rowsOf(text: string | null): number {
  if (text === null) return LIVE_ROWS;
  const rows = Number(text);
  if (Number.isInteger(rows) && rows >= 1 && rows <= LIVE_ROWS_MAX) return rows;
  throw new ForelockError("bad_argument", `limit: allowed 1 to ${LIVE_ROWS_MAX}.`);
}

export interface LiveParts {
  readonly calls: Calls;
  readonly clock: Clock;
  readonly counters: EdgeCounters;
}

/**
 * Streams a screen until its reader leaves, or is dropped.
 * @param context its signal aborts when the reader is gone
 * @throws ForelockError `bad_argument`, `watchers_full`, `unauthenticated`, before anything was sent
 */
export function streamLive(
  response: ServerResponse,
  context: CallContext,
  query: URLSearchParams,
  parts: LiveParts,
): void {
  const screen = partsOf(query);
  parts.calls.caller(context);
  if (parts.counters.live_streams >= LIVE_STREAMS_MAX) {
    const message = `${parts.counters.live_streams} live screens are open.`;
    throw new ForelockError("watchers_full", message, { retryAfterMs: 5_000 }); // V3
  }
  response.writeHead(200, { ...SAFE_HEADERS, "Content-Type": "text/event-stream; charset=utf-8" });
  new LiveStream(response, context, screen, parts).start();
}

class LiveStream {
  readonly #response: ServerResponse;
  readonly #context: CallContext;
  readonly #screen: readonly Part[];
  readonly #parts: LiveParts;
  readonly #changes = new Changes();
  #timer: Timer | undefined;
  #looks = 0;
  #quiet = 0;
  #behind = 0;
  #number = 0;

  constructor(response: ServerResponse, context: CallContext, screen: readonly Part[], parts: LiveParts) {
    this.#response = response;
    this.#context = context;
    this.#screen = screen;
    this.#parts = parts;
  }

  start(): void {
    const { counters } = this.#parts;
    counters.live_streams++;
    this.#response.on("close", () => {
      counters.live_streams--;
      this.#timer?.dispose();
    });
    this.#response.write("retry: 1000\n\n");
    this.#lookAgain(0);
  }

  #lookAgain(delayMs: number): void {
    this.#timer = this.#parts.clock.after(delayMs, () => void this.#look());
  }

  /** V1: the next one is only asked for when this one is done. Does not reject: calls do not. */
  async #look(): Promise<void> {
    const { clock } = this.#parts;
    const beganMs = clock.monotonicMs();
    if (this.#isBehind()) return;
    const isWhole = this.#looks % WHOLE_EVERY === 0;
    this.#looks++;
    if (isWhole) this.#changes.reset();
    const sent: Record<string, SentPart> = {};
    for (const part of this.#screen) {
      const change = await this.#read(part);
      if (change !== undefined) sent[part.name] = change;
    }
    if (this.#response.destroyed || this.#context.signal.aborted) return;
    if (Object.keys(sent).length > 0) this.#send({ whole: isWhole, parts: sent });
    else this.#beat();
    const tookMs = clock.monotonicMs() - beganMs;
    this.#lookAgain(Math.max(LOOK_MS - tookMs, tookMs * PAUSE_FACTOR));
  }

  /** V3 */
  #isBehind(): boolean {
    if (this.#response.writableLength <= UNSENT_BYTES_MAX) {
      this.#behind = 0;
      return false;
    }
    this.#behind++;
    if (this.#behind <= BEHIND_MAX) this.#lookAgain(LOOK_MS);
    else {
      this.#parts.counters.live_streams_slow_total++;
      this.#response.destroy();
    }
    return true;
  }

  async #read({ name, body, rows, key }: Part): Promise<SentPart | undefined> {
    const outcome = await this.#parts.calls.call(this.#context, body); // V2
    if (outcome.kind === "error") {
      const { code, message } = outcome.error;
      return this.#changes.ofError(name, { code, message });
    }
    // Getters and lists are never streamed: `METHODS` has every case of a screen, and its codec belongs to its reply.
    const { reply } = METHODS[body.$case as keyof typeof METHODS];
    const message = reply.toJSON(outcome.value) as Json; // A message is an object.
    const nowMs = this.#parts.clock.monotonicMs();
    if (rows === undefined || key === undefined) return this.#changes.ofValue(name, message, nowMs);
    const list = (message[rows] ?? []) as readonly Json[]; // A repeated field; absent when empty.
    const byKey = new Map(list.map((row) => [String(row[key] ?? ""), row]));
    return this.#changes.ofList(name, byKey, message["more"] === true, nowMs);
  }

  #send(value: unknown): void {
    this.#quiet = 0;
    this.#number++;
    this.#response.write(`event: screen\nid: ${this.#number}\ndata: ${JSON.stringify(value)}\n\n`);
  }

  #beat(): void {
    this.#quiet++;
    if (this.#quiet % HEART_EVERY === 0) this.#response.write(": still here\n\n");
  }
}
