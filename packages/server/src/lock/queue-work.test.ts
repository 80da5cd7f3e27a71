// Work that grows with the number of waiters and not with its square, counted and not timed: each look at a waiter reads whether it
// has gone or whether its session is alive, and those reads are counted. Ten times the waiters may cost ten times the looks.
import { assert } from "@forelock/protocol";
import { expect, test } from "vitest";
import { apply } from "../partition/apply.ts";
import type { Command, SessionIdentity } from "../partition/commands.ts";
import { decide } from "../partition/decide.ts";
import { SILENT } from "../partition/observer.ts";
import { createState, type Grant, holdersOf, type PartitionState, type Wait } from "../partition/state.ts";
import { LIMITS } from "../partition/testing/scene.ts";
import { Freed } from "./freed.ts";
import { EXCLUSIVE, type Mode, SHARED } from "./mode.ts";

const MANY = 1e7;
const LIMITS_OF_MANY = { ...LIMITS, waitersMax: MANY, locksMax: MANY, unansweredMax: MANY };

class Queue {
  readonly state: PartitionState = createState(0);
  readonly #freed = new Freed();
  looks = 0;
  #sequence = 0;

  constructor() {
    this.#do({ kind: "start", epoch: 1 });
  }

  acquire(name: string, mode: Mode = EXCLUSIVE, session = "ana"): Wait | undefined {
    const parts = [{ name, mode, take: 1, limit: 0 }];
    const terms = { waitMs: -1, priority: 0, rollback: false, actor: "", reenter: 0n, terms: undefined };
    const first = this.state.nextWait;
    this.#do({ kind: "acquire", session: this.#session(session), request: this.#request(), parts, ...terms });
    const wait = this.state.waits.get(first);
    if (wait !== undefined) this.#count(wait, "gone");
    return wait;
  }

  /** @returns false when nobody holds it */
  release(name: string): boolean {
    const element = this.state.elements.get(name);
    const [grant] = element === undefined ? [] : (holdersOf(element) as Iterable<Grant>);
    if (grant === undefined) return false;
    const session = this.#session(grant.session.id);
    this.#do({ kind: "release", session, request: this.#request(), name, token: grant.token, undo: false });
    return true;
  }

  drain(name: string): void {
    while (this.release(name));
  }

  cancel(wait: Wait): void {
    const { sessionId, sequence } = wait.operation;
    const target = { kind: "session", principal: "local", sessionId, sequence } as const;
    this.#do({ kind: "cancel", session: this.#session("ana"), request: this.#request(), target });
  }

  #session(id: string): SessionIdentity {
    return { id, secretHash: "", principal: "local", client: "", ttlMs: 30_000 };
  }

  #request() {
    this.#sequence += 1;
    return { sequence: this.#sequence, requestId: "", keepMs: 0, digest: 1 };
  }

  #do(command: Command): void {
    const { events, refusal } = decide(this.state, command, LIMITS_OF_MANY);
    assert(refusal === undefined, refusal?.message ?? "");
    const observer = { ...SILENT, freed: this.#freed.add.bind(this.#freed) };
    for (const event of events) {
      apply(this.state, event, observer);
      const opened = event.kind === "session_opened" ? this.state.sessions.get(event.id) : undefined;
      if (opened !== undefined) this.#count(opened, "unheard");
    }
    this.#freed.grant({
      state: this.state,
      max: Number.POSITIVE_INFINITY,
      grant: (wait) => apply(this.state, { kind: "wait_granted", wait: wait.id }, observer),
      settled: () => {},
    });
  }

  /** Counts each read of a field from now on. */
  #count<Row, Key extends keyof Row>(row: Row, key: Key): void {
    let value = row[key];
    Object.defineProperty(row, key, {
      get: () => {
        this.looks += 1;
        return value;
      },
      set: (next: Row[Key]) => {
        value = next;
      },
    });
  }
}

const FEW = 1_000;
/** Looks at one waiter over its whole life, on average. */
const LOOKS_EACH_MAX = 60;

const SCENARIOS: Readonly<Record<string, (queue: Queue, waiters: number) => void>> = {
  "exclusive waiters, granted one by one": (queue, waiters) => {
    for (let index = 0; index <= waiters; index += 1) queue.acquire("a");
    queue.drain("a");
  },
  "the same below an ancestor": (queue, waiters) => {
    for (let index = 0; index <= waiters; index += 1) queue.acquire("{t}/a");
    queue.drain("{t}/a");
  },
  "the same, and one who waits for the ancestor in their midst": (queue, waiters) => {
    for (let index = 0; index <= waiters / 2; index += 1) queue.acquire("{t}/a");
    queue.acquire("{t}");
    for (let index = 0; index <= waiters / 2; index += 1) queue.acquire("{t}/a");
    queue.drain("{t}/a");
    queue.drain("{t}");
    queue.drain("{t}/a");
  },
  "readers of one phase, a writer, and readers of the next": (queue, waiters) => {
    queue.acquire("a");
    for (let index = 0; index < waiters / 2; index += 1) queue.acquire("a", SHARED);
    queue.release("a");
    queue.acquire("a");
    for (let index = 0; index < waiters / 2; index += 1) queue.acquire("a", SHARED);
    queue.drain("a");
  },
  "everyone below an ancestor that was held, some of whom must wait on": (queue, waiters) => {
    queue.acquire("{t}");
    for (let index = 0; index < waiters; index += 1) queue.acquire(index % 2 === 0 ? "{t}/hot" : `{t}/cold${index}`);
    queue.drain("{t}");
    queue.drain("{t}/hot");
  },
  "half of them cancelled, from the middle out": (queue, waiters) => {
    const waits: Wait[] = [];
    for (let index = 0; index <= waiters; index += 1) {
      const wait = queue.acquire("a");
      if (wait !== undefined) waits.push(wait);
    }
    for (let index = 0; index < waits.length / 4; index += 1) {
      for (const at of [waits.length / 2 + index, waits.length / 2 - index]) {
        const wait = waits[Math.floor(at)];
        if (wait?.operation.outcome === undefined && wait !== undefined) queue.cancel(wait);
      }
    }
    queue.drain("a");
  },
  "one cancelled from the middle, and newcomers who ask for their position": (queue, waiters) => {
    const waits = Array.from({ length: waiters / 2 }, () => queue.acquire("a"));
    const middle = waits[Math.floor(waits.length / 2)];
    if (middle !== undefined) queue.cancel(middle);
    for (let index = 0; index < waiters / 2; index += 1) {
      const wait = queue.acquire("a");
      const lane = wait?.parts[0]?.element.lanes?.[EXCLUSIVE];
      if (wait !== undefined) assert(lane?.countBefore(wait) === (lane?.size ?? 0) - 1, "a newcomer is the last");
    }
    queue.drain("a");
  },
  "a session with as many shared grants as waits": (queue, waiters) => {
    for (let index = 0; index < waiters / 2; index += 1) queue.acquire(`s${index}`, SHARED);
    queue.acquire("a", EXCLUSIVE, "bo");
    for (let index = 0; index < waiters / 2; index += 1) queue.acquire("a");
    for (let index = 0; index < waiters / 2; index += 1) queue.release(`s${index}`);
    queue.drain("a");
  },
};

for (const [name, run] of Object.entries(SCENARIOS)) {
  test(`linear work: ${name}`, () => {
    const looks = [FEW, FEW * 10].map((waiters) => {
      const queue = new Queue();
      run(queue, waiters);
      expect(queue.state.waits.size).toBe(0);
      expect(queue.looks / waiters).toBeLessThan(LOOKS_EACH_MAX);
      return queue.looks;
    });
    expect((looks[1] ?? 0) / (looks[0] ?? 1)).toBeLessThan(15);
  });
}

test("a hundred thousand waiters on one element are enqueued, cancelled by tens, and drained", () => {
  const queue = new Queue();
  const waits = Array.from({ length: 100_001 }, () => queue.acquire("a"));
  for (const [index, wait] of waits.entries()) if (wait !== undefined && index % 10 === 5) queue.cancel(wait);
  expect(queue.state.waits.size).toBe(90_000);
  queue.drain("a");
  expect(queue.state.waits.size).toBe(0);
  expect(queue.looks).toBeLessThan(100_000 * LOOKS_EACH_MAX);
});
