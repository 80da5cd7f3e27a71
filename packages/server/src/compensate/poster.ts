// poster.ts: carries out the calls that are owed: takes each once, tries it until it is delivered or given up, and tells which.
// Not here: the table of what is owed, which the partitions keep: what is not told as done is given to the next poster again.
//   P1. A call is told as done once, and never after `close`.
//   P2. At most CALLS_MAX attempts are under way, and ORIGIN_CALLS_MAX to one origin: a receiver that hangs does not hold up the others.
//   P3. Logs name the origin, never the path, query, body or answer: those may hold secrets.
import { randomInt } from "node:crypto";
import type { Clock, Timer } from "../clock.ts";
import { allowedBy } from "./allow.ts";
import { bodyOf, type Compensation, keyOf } from "./compensation.ts";
import { type Attempt, attemptWords, NOT_ALLOWED, stepAfter } from "./plan.ts";
import { type Post, postOver } from "./post.ts";

/** P2 */
export const CALLS_MAX = 16;
export const ORIGIN_CALLS_MAX = 4;

export interface PosterOptions {
  /** The setting `compensation.allow`. */
  readonly allow: readonly string[];
  readonly attemptsMax: number;
  readonly timeoutMs: number;
  readonly clock: Clock;
  /** Of this package, for the User-Agent. */
  readonly version: string;
  /** One line for the operator. */
  readonly note: (line: string, fields: Readonly<Record<string, unknown>>) => void;
  /** Default: over HTTP. */
  readonly post?: Post;
  /** In [0, 1). Default: the system's. */
  readonly random?: () => number;
}

interface Call {
  readonly compensation: Compensation;
  readonly origin: string;
  readonly done: (isDelivered: boolean) => void;
  attempts: number;
}

interface Origin {
  readonly waiting: Call[];
  underWay: number;
}

export class Poster {
  /** Whether a request may name this URL. */
  readonly allows: (url: string) => boolean;
  readonly #options: PosterOptions;
  readonly #post: Post;
  readonly #random: () => number;
  readonly #origins = new Map<string, Origin>();
  readonly #pending = new Map<string, Call>();
  readonly #timers = new Set<Timer>();
  readonly #closing = new AbortController();
  #underWay = 0;
  #delivered = 0;
  #givenUp = 0;

  constructor(options: PosterOptions) {
    this.#options = options;
    this.allows = allowedBy(options.allow);
    this.#post = options.post ?? postOver(options.clock);
    this.#random = options.random ?? (() => randomInt(2 ** 32) / 2 ** 32);
  }

  /** Taken and not yet told as done. Bounded by the tables of the partitions, which keep a row for each. */
  get pending(): number {
    return this.#pending.size;
  }

  /** For metrics. */
  get counts(): { readonly delivered: number; readonly givenUp: number } {
    return { delivered: this.#delivered, givenUp: this.#givenUp };
  }

  /**
   * Takes a call; one that it has already is not taken again.
   * @param done called once, later: delivered (answered 2xx) or given up
   */
  take(compensation: Compensation, done: (isDelivered: boolean) => void): void {
    const key = keyOf(compensation);
    if (this.#closing.signal.aborted || this.#pending.has(key)) return;
    const origin = URL.canParse(compensation.url) ? new URL(compensation.url).origin : "";
    const call: Call = { compensation, origin, done, attempts: 0 };
    this.#pending.set(key, call);
    this.#enqueue(call);
  }

  /** Attempts under way are cut off; they are made again by whoever takes the calls next. */
  close(): void {
    this.#closing.abort();
    for (const timer of this.#timers) timer.dispose();
    this.#timers.clear();
    this.#pending.clear();
    this.#origins.clear();
  }

  #enqueue(call: Call): void {
    const origin = this.#origins.get(call.origin) ?? { waiting: [], underWay: 0 };
    this.#origins.set(call.origin, origin);
    origin.waiting.push(call);
    this.#startNext();
  }

  /** P2. Origins take turns: whose call is started goes to the end of the map, and so is met again after the others. */
  #startNext(): void {
    for (const [name, origin] of this.#origins) {
      if (this.#underWay >= CALLS_MAX) return;
      if (origin.underWay >= ORIGIN_CALLS_MAX) continue;
      const call = origin.waiting.shift();
      if (call === undefined) {
        if (origin.underWay === 0) this.#origins.delete(name);
        continue;
      }
      this.#origins.delete(name);
      this.#origins.set(name, origin);
      this.#start(call, origin);
    }
  }

  #start(call: Call, origin: Origin): void {
    this.#underWay += 1;
    origin.underWay += 1;
    void this.#attempt(call).then((attempt) => {
      this.#underWay -= 1;
      origin.underWay -= 1;
      if (this.#closing.signal.aborted) return; // P1
      this.#conclude(call, attempt);
      this.#startNext();
    });
  }

  /** Never rejects. */
  async #attempt(call: Call): Promise<Attempt> {
    const { compensation } = call;
    call.attempts += 1;
    // Asked again: the list may have changed since the grant was taken.
    if (!this.allows(compensation.url)) return { kind: "failed", code: NOT_ALLOWED };
    const { timeoutMs, version } = this.#options;
    return this.#post({
      url: compensation.url,
      body: bodyOf(compensation),
      headers: {
        "idempotency-key": keyOf(compensation),
        "forelock-attempt": String(call.attempts),
        "user-agent": `forelock/${version}`,
      },
      timeoutMs,
      signal: this.#closing.signal,
    });
  }

  #conclude(call: Call, attempt: Attempt): void {
    const { attemptsMax, clock, note } = this.#options;
    const { attempts } = call;
    const step = stepAfter(attempt, { attempts, attemptsMax, chance: this.#random() });
    if (step.kind === "retry") {
      const timer = clock.after(step.delayMs, () => {
        this.#timers.delete(timer);
        this.#enqueue(call);
      });
      this.#timers.add(timer);
      return;
    }
    const isDelivered = step.kind === "delivered";
    if (isDelivered) this.#delivered += 1;
    else this.#givenUp += 1;
    const { element, token } = call.compensation;
    const what = { element, token: token.toString(), origin: call.origin, attempts }; // P3
    if (!isDelivered) note("compensation given up", { ...what, last: attemptWords(attempt) });
    this.#pending.delete(keyOf(call.compensation));
    call.done(isDelivered);
  }
}
