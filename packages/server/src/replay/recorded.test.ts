import { describe, expect, test } from "vitest";
import { Freed } from "../lock/freed.ts";
import { EXCLUSIVE, SHARED } from "../lock/mode.ts";
import type { LogRecord } from "../log/event-log.ts";
import { apply } from "../partition/apply.ts";
import { ByteWriter } from "../partition/bytes.ts";
import { encodeEvent } from "../partition/codec.ts";
import type { Command, SessionIdentity } from "../partition/commands.ts";
import { decide } from "../partition/decide.ts";
import type { PartitionEvent } from "../partition/events.ts";
import { SILENT } from "../partition/observer.ts";
import { encodeSnapshot } from "../partition/snapshot.ts";
import { createState } from "../partition/state.ts";
import { LIMITS } from "../partition/testing/scene.ts";
import { Recorder } from "./recorded.ts";

/** A partition whose turns are kept as records, one a command. */
class Log {
  readonly records: LogRecord[] = [];
  readonly #state = createState(0);
  readonly #freed = new Freed();
  readonly #sequences = new Map<string, number>();
  #elapsedMs = 0;

  constructor() {
    this.do({ kind: "start", epoch: 1 });
  }

  after(ms: number): this {
    this.#state.clockMs += ms;
    this.#elapsedMs += ms;
    return this;
  }

  acquire(name: string, element: string, mode: typeof EXCLUSIVE | typeof SHARED = EXCLUSIVE): this {
    return this.do({
      ...{ kind: "acquire", session: identity(name), request: this.#request(name), waitMs: -1, priority: 0 },
      ...{
        parts: [{ name: element, mode, take: 1, limit: 0 }],
        rollback: false,
        actor: "",
        reenter: 0n,
        terms: undefined,
      },
    });
  }

  release(name: string): this {
    const grant = this.#state.sessions.get(name)?.firstGrant;
    if (grant === undefined) throw new Error(`${name} holds nothing`);
    const { token, element } = grant;
    return this.do({
      ...{
        kind: "release",
        session: identity(name),
        request: this.#request(name),
        name: element.name,
        token,
        undo: false,
      },
    });
  }

  do(command: Command): this {
    const events: PartitionEvent[] = [];
    const follow = (event: PartitionEvent): void => {
      apply(this.#state, event, { ...SILENT, freed: (element, below) => this.#freed.add(element, below) });
      events.push(event);
    };
    for (const event of decide(this.#state, command, LIMITS).events) follow(event);
    const grant = (wait: { readonly id: number }): void => follow({ kind: "wait_granted", wait: wait.id });
    this.#freed.grant({ state: this.#state, max: 100, grant, settled: () => {} });
    const out = new ByteWriter(64);
    for (const event of events) encodeEvent(out, event);
    const sequence = this.records.length + 1;
    this.records.push({ partition: 0, epoch: 1, sequence, elapsedMs: this.#elapsedMs, events: out.take() });
    this.#elapsedMs = 0;
    return this;
  }

  snapshot() {
    return { partition: 0, epoch: 1, sequence: this.records.length, state: encodeSnapshot(this.#state) };
  }

  #request(name: string) {
    const sequence = (this.#sequences.get(name) ?? 0) + 1;
    this.#sequences.set(name, sequence);
    return { sequence, requestId: "", keepMs: 0, digest: 1 };
  }
}

function identity(name: string): SessionIdentity {
  return { id: name, secretHash: "s", principal: "shop", client: name === "nameless" ? "" : name, ttlMs: 30_000 };
}

function recordedFrom(log: Log) {
  const recorder = new Recorder([]);
  for (const record of log.records) recorder.take(record);
  return recorder.result();
}

test("holds are told with their requests: granted at once, after a wait, and under the principal of who has no name", () => {
  const log = new Log();
  log
    .after(100)
    .acquire("ana", "a")
    .after(50)
    .acquire("nameless", "a")
    .after(250)
    .release("ana")
    .after(70)
    .release("nameless");
  expect(recordedFrom(log)).toMatchObject({
    rows: [
      { requestMs: 100, durationMs: 300, client: "ana", element: "a", isLost: false },
      { requestMs: 150, durationMs: 70, client: "shop", element: "a", isLost: false },
    ],
    ...{ lost: 0, stillHeld: 0, otherKinds: 0 },
  });
});

test("a session that closes has released, one that expires has not, and what is still held lasts to the end", () => {
  const log = new Log();
  const end = (sessionId: string, why: "closed" | "expired"): Command => ({
    kind: "end_session",
    sessionId,
    why,
    reason: "",
  });
  log.acquire("ana", "a").acquire("bo", "b").acquire("cy", "c");
  log.after(10).do(end("ana", "closed")).after(20).do(end("bo", "expired")).after(30).do({ kind: "tick" });
  const { rows, lost, stillHeld } = recordedFrom(log);
  expect(rows.map(({ client, durationMs, isLost }) => [client, durationMs, isLost])).toEqual([
    ["ana", 10, false],
    ["bo", 30, true],
    ["cy", 60, true],
  ]);
  expect([lost, stillHeld]).toEqual([1, 1]);
});

test("a hold that was pre-empted has not released", () => {
  const cause = { countdownMs: 100, enforce: true, score: 1, threshold: 1, parts: [], reason: "late", by: "ops" };
  const log = new Log().acquire("ana", "a").acquire("bo", "a");
  log.do({ kind: "warn", name: "a", token: 0n, wait: 0, cause }).after(100).do({ kind: "tick" }).after(5).release("bo");
  expect(recordedFrom(log).rows).toMatchObject([
    { client: "ana", durationMs: 100, isLost: true },
    { client: "bo", durationMs: 5, isLost: false },
  ]);
});

test("shared grants are counted, and are no rows", () => {
  const log = new Log().acquire("ana", "a", SHARED).acquire("bo", "a").after(5).release("ana").after(7).release("bo");
  const { rows, otherKinds } = recordedFrom(log);
  expect([rows.map(({ client }) => client), otherKinds]).toEqual([["bo"], 1]);
});

test("what the log last said of policies is told by prefix", () => {
  const row = { set: new Map([["threshold", "0.7"]]), threshold: -1, by: "ops", reason: "try", wallMs: 0 };
  expect(recordedFrom(new Log().do({ kind: "set_policy", prefix: "a", row })).policies).toEqual(
    new Map([["a", row.set]]),
  );
});

describe("a log that begins after a snapshot", () => {
  const log = new Log().after(40).acquire("ana", "a");
  const snapshot = log.snapshot();
  const later = log.after(60).release("ana").records.slice(snapshot.sequence);

  test("goes on from it: what was held then was asked for when it was granted", () => {
    const recorder = new Recorder([snapshot]);
    for (const record of later) recorder.take(record);
    expect(recorder.result().rows).toMatchObject([{ client: "ana", durationMs: 60 }]);
    expect(recorder.missingPartitions).toBe(0);
  });

  test("is left out, and counted, when that is missing", () => {
    const recorder = new Recorder([]);
    for (const record of later) recorder.take(record);
    expect([recorder.result().rows, recorder.missingPartitions]).toEqual([[], 1]);
  });
});
