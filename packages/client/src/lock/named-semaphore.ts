// lock/named-semaphore.ts: a semaphore by name. It keeps nothing here: the server counts the permits.
import { ForelockError } from "@forelock/protocol";
import type { Caller } from "../caller.ts";
import { PERMIT, permitBody } from "./acquire.ts";
import { Acquisition } from "./acquisition.ts";
import type { Lock, PermitOptions, Semaphore } from "./lock.ts";
import { termsOf } from "./terms.ts";

export class NamedSemaphore implements Semaphore {
  readonly name: string;
  readonly permits: number;
  readonly #caller: Caller;

  constructor(caller: Caller, name: string, permits: number) {
    this.#caller = caller;
    this.name = name;
    this.permits = permits;
  }

  async acquire(options: PermitOptions = {}): Promise<Lock> {
    const body = permitBody(this.name, this.permits, options);
    return this.#caller.acquire(new Acquisition<Lock>(body, undefined, PERMIT, termsOf(options)), options.signal);
  }

  tryAcquire(options: Omit<PermitOptions, "waitMs"> = {}): Promise<Lock | undefined> {
    return undefinedWhenBusy(this.acquire({ ...options, waitMs: 0 }));
  }
}

/** A try that finds it taken is an answer, not a failure. */
export async function undefinedWhenBusy(lock: Promise<Lock>): Promise<Lock | undefined> {
  try {
    return await lock;
  } catch (error) {
    if (error instanceof ForelockError && (error.code === "busy" || error.code === "timeout")) return undefined;
    throw error;
  }
}
