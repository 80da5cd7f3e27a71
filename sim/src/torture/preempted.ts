// preempted.ts: pre-emption in a run: a strict policy on some elements, and which grants the server says it has ended by force, asked for
// again and again, because only the service can know. Not here: who hangs (client.ts).
//   Q1. A `preempt` line begins when the shortest countdown after the acquire can have ended, and ends when it was first seen.
import { type HistoryLine, type HistoryOperation, showVersion, versionOf } from "../history/record.ts";
import type { HistoryWriter } from "../history/write.ts";
import { type Clock, pause } from "../proxy/clock.ts";
import { readWire } from "./reader.ts";
import type { Way } from "./wire.ts";

const COUNTDOWN_MS = 1_200;
/** Whoever lets countdowns run out gets shorter ones, down to a quarter. */
const COUNTDOWN_SHARE_MIN = 0.25;
/** The partition's clock counts whole milliseconds. */
const CLOCK_SLACK_MS = 20;
/** From the acquire until it can be forced, at the soonest. */
export const shortestCountdownNs = (COUNTDOWN_MS * COUNTDOWN_SHARE_MIN - CLOCK_SLACK_MS) * 1e6;
const POLL_MS = 1_000;
const ATTEMPTS_MAX = 20;
const ENTRIES_MAX = 10_000;

const POLICY = {
  ...{ policy: "enforce", countdownMs: String(COUNTDOWN_MS), minimumHoldMs: "300", coolDownMs: "0" },
  // Holds that hang are a large share here: the hold itself decides, not how rare such holders are elsewhere.
  ...{ threshold: "0.3", thresholdMin: "0", thresholdMax: "0.3", weights: "suspicion:0/contention:0/load:0" },
  ...{ preemptionsPerHourMax: "100000", falseRatioMax: "1" },
} as const;

export interface PreemptedContext {
  readonly way: Way;
  readonly clock: Clock;
  readonly history: HistoryWriter;
}

export class Preempted {
  /** By element and token, when it was first seen. */
  readonly #seenNs = new Map<string, number>();
  readonly #elements: readonly string[];
  readonly #context: PreemptedContext;

  constructor(elements: readonly string[], context: PreemptedContext) {
    this.#elements = elements;
    this.#context = context;
  }

  get count(): number {
    return this.#seenNs.size;
  }

  /** @throws when the server does not take the policy */
  async begin(): Promise<void> {
    const { way, clock } = this.#context;
    for (const prefix of this.#elements) {
      const value = { prefix, set: POLICY, reason: "torture" };
      const told = await readWire(way(), { $case: "setPolicy", value }, clock);
      if (told?.$case !== "setPolicy") throw new Error(`no policy for ${prefix}: ${JSON.stringify(told)}`);
    }
  }

  /** Asks until `stop`: the log forgets what is old. */
  async watch(stop: AbortSignal): Promise<void> {
    while (!stop.aborted) {
      await pause(this.#context.clock, POLL_MS, stop);
      for (const name of this.#elements) await this.#look(name);
    }
  }

  /** The last look. @returns elements of which the server does not tell */
  async end(): Promise<readonly string[]> {
    const untold: string[] = [];
    for (const name of this.#elements) {
      let isTold = false;
      for (let attempt = 0; attempt < ATTEMPTS_MAX && !isTold; attempt += 1) isTold = await this.#look(name);
      if (!isTold) untold.push(name);
    }
    return untold;
  }

  /** Q1. @param lines those of the clients; a grant that no client was told of has none */
  lines(lines: readonly HistoryLine[]): readonly HistoryOperation[] {
    return lines.flatMap(({ op, key, result, callNs }) => {
      const token = op === "acquire" ? versionOf(result, "token") : undefined;
      const seenNs = token === undefined ? undefined : this.#seenNs.get(`${key} ${showVersion(token)}`);
      if (token === undefined || seenNs === undefined) return [];
      const line = { process: `service/${key}/${showVersion(token)}/preempt`, op: "preempt", key, result: {} };
      const times = { callNs: Math.min(callNs + shortestCountdownNs, seenNs), returnNs: seenNs };
      return [{ ...line, ...times, args: { token: showVersion(token) }, status: "ok" as const, req: undefined }];
    });
  }

  async #look(name: string): Promise<boolean> {
    const { way, clock, history } = this.#context;
    const value = { name, sinceMs: 0, limit: ENTRIES_MAX };
    const told = await readWire(way(), { $case: "getHistory", value }, clock);
    if (told?.$case !== "getHistory") return false;
    for (const { kind, token } of told.value.entries) {
      const key = `${name} ${token}`;
      if (kind === "preempted" && !this.#seenNs.has(key)) this.#seenNs.set(key, history.nowNs());
    }
    return true;
  }
}
