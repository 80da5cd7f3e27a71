// call-out.ts: the calls that are owed for lost grants, as the world outside sees them: late, failing, delivered twice after a crash.
//   Q1. A call is made at least once before the log says that it was delivered or given up, and the log says which it was.
//   Q2. One key stands for one call, whichever server makes it.
import type { CallOut, OwedCall } from "forelock/internal";
import type { Random } from "../proxy/random.ts";
import type { Process, SimulatedTime } from "./time.ts";
import { expectRule } from "./violation.ts";

const ATTEMPTS_MAX = 3;
const FAILURE_RATIO = 0.4;
const DELAY_MS_MAX = 1_200;

export const ALLOWED_URL = "https://hooks.simulated/undo";
export const REFUSED_URL = "https://elsewhere.simulated/undo";

/** What was called in a run, over all servers. */
export class Calls {
  readonly #callByKey = new Map<string, string>();
  readonly #delivered = new Set<string>();
  readonly #givenUp = new Set<string>();
  attempts = 0;

  attempted({ partition, id, ...call }: OwedCall): void {
    this.attempts += 1;
    const key = `${partition}.${id}`;
    const text = JSON.stringify({ ...call, token: call.token.toString() });
    const known = this.#callByKey.get(key) ?? text;
    this.#callByKey.set(key, text);
    expectRule(known === text, "call-key-reused", () => `key ${key} stood for ${known}, and stands for ${text}`); // Q2
  }

  ended({ partition, id }: OwedCall, isDelivered: boolean): void {
    (isDelivered ? this.#delivered : this.#givenUp).add(`${partition}.${id}`);
  }

  /** The log has what came of it. Q1 */
  judge(partition: number, id: number, isDelivered: boolean): void {
    const key = `${partition}.${id}`;
    const isTrue = (isDelivered ? this.#delivered : this.#givenUp).has(key);
    const what = isDelivered ? "delivered" : "given up";
    expectRule(isTrue, "call-invented", () => `compensation ${key} is said to be ${what}, and is not`);
  }
}

/** Makes the calls of one server process. */
export class SimulatedCallOut implements CallOut {
  readonly #time: SimulatedTime;
  readonly #random: Random;
  readonly #process: Process;
  readonly #calls: Calls;
  readonly #broken: (cause: unknown) => void;
  readonly #taken = new Set<string>();

  constructor(
    world: { readonly time: SimulatedTime; readonly random: Random; readonly broken: (cause: unknown) => void },
    process: Process,
    calls: Calls,
  ) {
    this.#time = world.time;
    this.#random = world.random;
    this.#broken = world.broken;
    this.#process = process;
    this.#calls = calls;
  }

  take(call: OwedCall, done: (isDelivered: boolean) => void): void {
    const key = `${call.partition}.${call.id}`;
    if (this.#taken.has(key)) return;
    this.#taken.add(key);
    this.#attempt(call, 1, done);
  }

  #attempt(call: OwedCall, number: number, done: (isDelivered: boolean) => void): void {
    this.#time.after(this.#process, this.#random() * DELAY_MS_MAX, () => {
      try {
        this.#calls.attempted(call);
      } catch (cause) {
        return this.#broken(cause);
      }
      const isDelivered = this.#random() >= FAILURE_RATIO;
      if (!isDelivered && number < ATTEMPTS_MAX) return this.#attempt(call, number + 1, done);
      this.#calls.ended(call, isDelivered);
      // The answer is late, or lost with a crash: then the next server calls again.
      this.#time.after(this.#process, this.#random() * DELAY_MS_MAX, () => {
        this.#taken.delete(`${call.partition}.${call.id}`);
        done(isDelivered);
      });
    });
  }
}
