// library-client.ts: a client of the run that uses @forelock/client, as programs do. Its requests, retries and heartbeats are its
// own, so its lines carry no session and no request id: a grant's lease is given by `ttl_ms` alone, which is safely short.
import { connect, type ForelockClient, ForelockError, type Lock } from "@forelock/client";
import type { HistoryWriter, PendingCall } from "../history/write.ts";
import { type Clock, pause } from "../proxy/clock.ts";
import { between, type Random } from "../proxy/random.ts";
import { verdictOf } from "./outcome.ts";

export interface LibraryClientOptions {
  readonly name: string;
  readonly element: string;
  /** Of the servers, as programs name them. */
  readonly endpoints: readonly string[];
  readonly history: HistoryWriter;
  readonly clock: Clock;
  readonly random: Random;
  readonly stop: AbortSignal;
}

const TTL_MS = 3_000;
const REQUEST_MS = 10_000;
const REST_MS = 20;

export class LibraryClient {
  readonly #options: LibraryClientOptions;
  #values = 0;
  #unanswered = 0;

  constructor(options: LibraryClientOptions) {
    this.#options = options;
  }

  get name(): string {
    return this.#options.name;
  }

  async run(): Promise<void> {
    const { stop, clock, name, endpoints } = this.#options;
    while (!stop.aborted) {
      let client: ForelockClient | undefined;
      try {
        client = await connect({
          endpoints,
          ttlMs: TTL_MS,
          requestMs: REQUEST_MS,
          client: name,
          signal: stop,
        });
        while (!stop.aborted) await this.#cycle(client);
      } catch {
        await pause(clock, REST_MS * 10, stop); // Each failure is on record where it happened; here it only means a new client.
      } finally {
        await Promise.race([this.#leave(client), pause(clock, REQUEST_MS)]);
      }
    }
  }

  async #leave(client: ForelockClient | undefined): Promise<void> {
    try {
      await client?.[Symbol.asyncDispose]();
    } catch {
      // A goodbye that nobody hears: the session ends by its ttl.
    }
  }

  async #cycle(client: ForelockClient): Promise<void> {
    const { element, random, clock } = this.#options;
    this.#values += 1;
    const owner = `${this.#options.name}#${this.#values}`;
    const lock = await this.#lock(client, owner, between(random, 500, 3_000));
    if (lock === undefined) {
      await pause(clock, REST_MS);
      return;
    }
    for (let left = between(random, 0, 2); left > 0 && lock.held; left -= 1) await this.#append(client, lock);
    const call = this.#call("release", { token: lock.token, owner });
    await this.#settle(call, { released: false }, async () => {
      await lock.release();
      return { released: true };
    });
    await pause(clock, between(random, 0, element.length));
  }

  async #lock(client: ForelockClient, owner: string, waitMs: number): Promise<Lock | undefined> {
    const { element } = this.#options;
    let lock: Lock | undefined;
    const call = this.#call("acquire", { owner, ttl_ms: TTL_MS, mode: "exclusive" });
    await this.#settle(call, { granted: false }, async () => {
      lock = await client.lock(element, { waitMs });
      return { granted: true, token: lock.token };
    });
    return lock;
  }

  async #append(client: ForelockClient, lock: Lock): Promise<void> {
    const { name, element } = this.#options;
    this.#values += 1;
    const value = `${name}-${this.#values}`;
    const call = this.#call("append", { value, token: lock.token, lock: element });
    await this.#settle(call, { applied: false }, async () => {
      const { index, offset } = await client.file(element).append(value, { lock });
      return { index, offset };
    });
  }

  #call(op: string, args: Readonly<Record<string, unknown>>): PendingCall {
    const { history, name, element } = this.#options;
    return history.call({ process: `${name}.${this.#unanswered}`, op, key: element, args });
  }

  /** Requests are retried inside the client, so only an answer that decides is believed; all else is `unknown`. */
  async #settle(
    call: PendingCall,
    denied: Readonly<Record<string, false>>,
    work: () => Promise<Readonly<Record<string, unknown>>>,
  ): Promise<void> {
    try {
      call.ok(await work());
    } catch (error) {
      if (error instanceof ForelockError && verdictOf(error.code) === "decided") {
        call.ok({ ...denied, reason: error.code });
        return;
      }
      call.unknown();
      this.#unanswered += 1;
    }
  }
}
