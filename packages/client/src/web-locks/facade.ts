// web-locks/facade.ts: locks.request and locks.query, step by step as the Web Locks specification has them.
// Not here: their types (web-locks.ts).
//   L1. Each request waits as an actor of its own, so that two of one program can block each other, and a cycle of them is found.
//   L2. The lock is held until the callback's promise has settled, and released whatever it settled with.
import type { ForelockClient } from "../client.ts";
import { ForelockError } from "../errors.ts";
import type { Lock, LockOptions } from "../lock/lock.ts";
import { onAbort } from "../signal.ts";
import type { WebLock, WebLockCallback, WebLockOptions, WebLockState, WebLocks } from "./web-locks.ts";

type AnyCallback<Result> = WebLockCallback<Result, WebLock | null>;

const STOLEN_REASON = "stolen through locks.request";
/** Ahead of those who wait already, as far as the server allows. */
const STEAL_PRIORITY = 9;
/** Each round ends the grant of one who was ahead; a queue that long is not stolen through. */
const STEAL_ROUNDS_MAX = 100;
const QUERY_LOCKS_MAX = 10_000;

export class LocksFacade implements WebLocks {
  readonly #client: ForelockClient;
  readonly #actor: () => string;

  constructor(client: ForelockClient, actor: () => string) {
    this.#client = client;
    this.#actor = actor;
  }

  request<Result>(name: string, callback: WebLockCallback<Result>): Promise<Result>;
  request<Result>(
    name: string,
    options: WebLockOptions & { readonly ifAvailable?: false },
    callback: WebLockCallback<Result>,
  ): Promise<Result>;
  request<Result>(name: string, options: WebLockOptions, callback: AnyCallback<Result>): Promise<Result>;
  async request<Result>(
    name: string,
    ...rest: [WebLockCallback<Result, never>] | [WebLockOptions, WebLockCallback<Result, never>]
  ): Promise<Result> {
    const [options, given] = rest.length === 1 ? [{}, rest[0]] : rest;
    // The signatures above let null only reach a callback that takes it: it is passed for ifAvailable alone.
    const callback = given as AnyCallback<Result>;
    const { mode = "exclusive", ifAvailable = false, steal = false, signal } = options;
    checkOptions(name, options, callback);
    signal?.throwIfAborted();
    const lockOptions = { mode, actor: this.#actor(), ...(signal && { signal }) }; // L1
    if (ifAvailable) {
      const lock = await this.#client.tryLock(name, lockOptions);
      return lock === undefined ? callback(null) : hold(lock, callback);
    }
    return hold(steal ? await this.#steal(name, lockOptions) : await this.#client.lock(name, lockOptions), callback);
  }

  async query(): Promise<{ readonly held: readonly WebLockState[]; readonly pending: readonly WebLockState[] }> {
    const held: WebLockState[] = [];
    const pending: WebLockState[] = [];
    let after = "";
    for (let seen = 0; seen < QUERY_LOCKS_MAX; ) {
      const { locks, more } = await this.#client.listLocks({ after });
      for (const { name, holders, waiting } of locks) {
        held.push(...holders.flatMap((holder) => stateOf(name, holder)));
        if (waiting === 0) continue;
        const { waiters } = await this.#client.why(name);
        pending.push(...waiters.flatMap((waiter) => stateOf(name, waiter)));
      }
      const last = locks.at(-1);
      if (!more || last === undefined) break;
      after = last.name;
      seen += locks.length;
    }
    return { held, pending };
  }

  /** Takes a place, then ends the grants of whoever holds it until it is ours. */
  async #steal(name: string, options: LockOptions): Promise<Lock> {
    const operation = await this.#client.enqueue(name, { ...options, priority: STEAL_PRIORITY });
    for (let round = 0; operation.state === "queued" && round < STEAL_ROUNDS_MAX; round++) {
      try {
        await this.#client.forceRelease(name, { reason: STOLEN_REASON });
      } catch (error) {
        if (error instanceof ForelockError && error.code === "not_held") continue; // Its grant is on its way to us.
        await operation.cancel().catch(() => false); // Without the right to steal, no place is kept.
        throw error;
      }
    }
    return operation.granted();
  }
}

/** Refusals of the specification, in its order. */
function checkOptions(name: string, options: WebLockOptions, callback: unknown): void {
  const { mode = "exclusive", ifAvailable = false, steal = false, signal } = options;
  if (typeof callback !== "function") throw new TypeError("The callback must be a function.");
  if (name.startsWith("-")) throw notSupported("Names cannot start with '-'.");
  if (steal && ifAvailable) throw notSupported("steal and ifAvailable exclude each other.");
  if (steal && mode !== "exclusive") throw notSupported("Only an exclusive lock can be stolen.");
  if (signal !== undefined && (steal || ifAvailable)) {
    throw notSupported("signal cannot be used with steal or ifAvailable.");
  }
}

async function hold<Result>(lock: Lock, callback: AnyCallback<Result>): Promise<Result> {
  const mode = lock.mode === "shared" ? "shared" : "exclusive";
  const { signal } = lock;
  let stop = () => {};
  const lost = new Promise<never>((_resolve, reject) => {
    stop = onAbort(signal, (cause) => reject(aborted("The lock was stolen or lost.", cause)));
  });
  const work = (async () => callback({ name: lock.name, mode }))();
  try {
    return await Promise.race([work, lost]);
  } finally {
    stop();
    const release = () => lock[Symbol.asyncDispose]();
    if (signal.aborted)
      work.then(release, release).catch(() => {}); // The callback goes on; nothing is held.
    else await release(); // L2
  }
}

function stateOf(
  name: string,
  { mode, session }: { readonly mode: Lock["mode"]; readonly session: string },
): readonly WebLockState[] {
  return mode === "permit" ? [] : [{ name, mode, clientId: session }]; // Web Locks know no semaphores.
}

function notSupported(message: string): DOMException {
  return new DOMException(message, "NotSupportedError");
}

function aborted(message: string, cause: unknown): DOMException {
  const exception = new DOMException(message, "AbortError");
  Object.defineProperty(exception, "cause", { value: cause }); // Node 20's constructor takes none.
  return exception;
}
