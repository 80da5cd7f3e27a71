// A node that shares its partitions with others: what it leads changes while it runs.
import type { ForelockError } from "@forelock/protocol";
import { expect, test } from "vitest";
import { MemoryBulkStore } from "../bulk/memory.ts";
import type { LogRecord } from "../log/event-log.ts";
import { MemoryEventLog, MemoryLogDisk, type MemoryLogOptions } from "../log/memory.ts";
import { decodeEvents } from "../partition/codec.ts";
import { stateHash } from "../partition/hash.ts";
import { createState } from "../partition/state.ts";
import { Node } from "./node.ts";
import { recover } from "./recovery.ts";
import { CALLER, Client, describe, ManualClock, NODE_LIMITS, settle, type World } from "./testing/world.ts";

const PARTITIONS = 2;

class Shared {
  readonly clock = new ManualClock();
  readonly disk = new MemoryLogDisk();
  readonly fenced: number[] = [];
  mayAnswer = true;
  readonly held: (() => void)[] = [];
  full: string | undefined;
  pinned: string | undefined;
  readonly node: Node;

  constructor(options: Pick<MemoryLogOptions, "fault" | "pause"> = {}) {
    let drawn = 0;
    this.node = new Node({
      states: Array.from({ length: PARTITIONS }, (_, partition) => createState(partition)),
      ownership: {
        mayAnswer: () => this.mayAnswer,
        holds: (_, run) => {
          if (!this.mayAnswer) this.held.push(run);
          return !this.mayAnswer;
        },
        growthRefused: () => this.full,
        appendRefused: () => this.pinned,
        fenced: (partition) => this.fenced.push(partition),
      },
      log: new MemoryEventLog({ disk: this.disk, ...options }),
      bulk: new MemoryBulkStore(),
      clock: this.clock,
      random: (bytes) => {
        drawn += 1;
        return Buffer.alloc(bytes, drawn);
      },
      defer: (run) => setImmediate(run),
      limits: NODE_LIMITS,
      placementKey: new Uint8Array(16),
      isDurable: true,
      version: "test",
      isPredicting: false,
      note: () => {},
    });
    this.node.open();
  }

  client(): Client {
    const opened = this.node.openSession(CALLER, { ttlMs: undefined, client: "test" });
    // All that a client needs of a world is its node.
    return new Client({ node: this.node } as unknown as World, CALLER, opened);
  }

  nameIn(partition: number): string {
    for (let index = 0; ; index += 1) if (this.node.partitionOf(`n${index}`) === partition) return `n${index}`;
  }

  async lead(partition: number, epoch = 1): Promise<void> {
    await this.node.lead(createState(partition), epoch);
  }
}

test("a partition that is not led answers not_owner, the others serve", async () => {
  const shared = new Shared();
  await shared.lead(1);
  const ana = shared.client();
  expect(describe(await ana.acquire(shared.nameIn(0)))).toBe("error not_owner");
  expect(describe(await ana.acquire(shared.nameIn(1)))).toBe("granted 1");
  expect(shared.node.led).toEqual([1]);
});

test("what is asked of a frozen partition waits: a thaw answers it, a resignation says not_owner", async () => {
  const shared = new Shared();
  await shared.lead(0);
  const ana = shared.client();
  const name = shared.nameIn(0);
  await shared.node.shardAt(0).freeze();
  let answered = "";
  const first = ana.acquire(name).then((reply) => (answered = describe(reply)));
  await settle();
  expect(answered).toBe("");
  shared.node.shardAt(0).thaw();
  await first;
  expect(answered).toBe("granted 1");
  await shared.node.shardAt(0).freeze();
  const second = ana.acquire(`${name}`, { waitMs: 0 });
  shared.node.resign(0);
  expect(describe(await second)).toBe("error not_owner");
});

test("where the log has no room, what grows is refused with its reason, and releases are served", async () => {
  const shared = new Shared();
  await shared.lead(0);
  const ana = shared.client();
  const name = shared.nameIn(0);
  const token = await ana.token(ana.acquire(name));
  shared.full = "80 % of etcd's quota are in use";
  const { body } = await ana.acquire(name, { waitMs: 0 });
  expect(body?.$case === "error" && [body.value.code, body.value.message]).toEqual([
    "overloaded",
    expect.stringContaining("80 % of etcd's quota"),
  ]);
  expect(describe(await ana.release(name, token))).toBe("release");
});

test("a freeze resolves only when everything decided is durable", async () => {
  let write: (() => void) | undefined;
  let isSlow = false;
  const pause = (): Promise<void> => (isSlow ? new Promise((resolve) => (write = resolve)) : Promise.resolve());
  const shared = new Shared({ pause });
  await shared.lead(0);
  const ana = shared.client();
  isSlow = true;
  const granted = ana.acquire(shared.nameIn(0));
  await settle();
  let isFrozen = false;
  const frozen = shared.node
    .shardAt(0)
    .freeze()
    .then(() => (isFrozen = true));
  await settle();
  expect(isFrozen).toBe(false);
  write?.();
  await frozen;
  expect(describe(await granted)).toBe("granted 1");
});

/** A partition with one record on its way, and behind it one more grant decided, or one look at the state. */
async function behindASlowWrite(what: "grant" | "look" = "grant") {
  let write: (() => void) | undefined;
  let isSlow = false;
  const pause = (): Promise<void> => (isSlow ? new Promise((resolve) => (write = resolve)) : Promise.resolve());
  const shared = new Shared({ pause });
  await shared.lead(0);
  const [ana, bo] = [shared.client(), shared.client()];
  const name = shared.nameIn(0);
  await ana.acquire(`{${name}}/before`);
  isSlow = true;
  const first = ana.acquire(`{${name}}/first`).then(describe);
  await settle();
  const answers: string[] = [];
  const asked =
    what === "grant" ? bo.acquire(`{${name}}/second`) : bo.submit({ $case: "why", value: { name: `{${name}}/first` } });
  const second = asked.then((reply) => answers.push(describe(reply)));
  await settle();
  isSlow = false;
  return { shared, shard: shared.node.shardAt(0), first, second, answers, write: () => write?.() };
}

test("a hand-over takes along what is decided and has no record yet, and answers it once that is durable", async () => {
  const { shared, shard, first, second, answers, write } = await behindASlowWrite();
  const given: (LogRecord | undefined)[] = [];
  let named: ((successor: string) => void) | undefined;
  const handed = shard.handOver((last) => {
    given.push(last);
    return new Promise<string>((resolve) => (named = resolve));
  });
  await settle();
  expect(given).toEqual([]); // One record is on its way.
  write();
  expect(await first).toBe("granted 1");
  await settle();
  const durable = shared.disk.records.length;
  expect([given.map((last) => last?.sequence), answers]).toEqual([[durable + 1], []]);
  named?.("b");
  expect(await handed).toBe("b");
  await second;
  expect([answers, shared.disk.records.length]).toEqual([["granted 1"], durable]); // The log got it with the successor's name.
});

test("what a failed hand-over had taken along goes to the log after all, and the partition goes on", async () => {
  const { shared, shard, second, answers, write } = await behindASlowWrite();
  const handed = shard.handOver(() => Promise.reject(new Error("etcd is away")));
  write();
  await expect(handed).rejects.toThrow("etcd is away");
  expect(answers).toEqual([]);
  shard.thaw();
  await settle();
  expect(answers).toEqual(["granted 1"]);
  await second;
  const ana = shared.client();
  expect(describe(await ana.acquire(shared.nameIn(0)))).toBe("granted 1");
  const { states } = await recover(new MemoryEventLog({ disk: shared.disk }), PARTITIONS, undefined);
  expect(states.map(stateHash)[0]).toBe(stateHash(shard.state));
});

test("a look at the state behind a record is answered by the hand-over, or by a thaw", async () => {
  for (const isGiven of [true, false]) {
    const { shard, second, answers, write } = await behindASlowWrite("look");
    const handed = shard.handOver(async (last) => {
      expect([last, answers]).toEqual([undefined, []]);
      if (!isGiven) throw new Error("etcd is away");
    });
    write();
    await handed.catch(() => undefined);
    if (!isGiven) shard.thaw();
    await second;
    expect(answers).toEqual(["why"]);
  }
});

test("a partition that gathers begins with the first who asks, in one record, or when its time is over", async () => {
  const shared = new Shared();
  const begun = shared.lead(0);
  shared.node.shardAt(0).gather(3);
  const ana = shared.client();
  await settle();
  expect(shared.disk.records).toHaveLength(0);
  expect(describe(await ana.acquire(shared.nameIn(0)))).toBe("granted 1");
  await begun;
  expect(shared.disk.records).toHaveLength(1);
  const alone = shared.lead(1);
  shared.node.shardAt(1).gather(3);
  await settle();
  expect(shared.disk.records).toHaveLength(1);
  await shared.clock.advance(3);
  await alone;
  expect(shared.disk.records).toHaveLength(2);
});

test("a frozen partition has the clock of its records, however long it was only looked at", async () => {
  const shared = new Shared();
  await shared.lead(0);
  const ana = shared.client();
  const name = shared.nameIn(0);
  await ana.acquire(name);
  await shared.clock.advance(700);
  await ana.submit({ $case: "why", value: { name } });
  await shared.node.shardAt(0).freeze();
  const recorded = shared.disk.records.reduce((sum, { elapsedMs }) => sum + elapsedMs, 0);
  expect(shared.node.shardAt(0).state.clockMs).toBe(recorded);
  expect(shared.node.resign(0).clockMs).toBe(recorded);
});

test("the state given up is the one that the log gives, and leading it again keeps grants, queues and request ids", async () => {
  const shared = new Shared();
  await shared.lead(0);
  const ana = shared.client();
  const bo = shared.client();
  const name = shared.nameIn(0);
  const token = await ana.token(ana.acquire(name));
  expect(describe(await bo.acquire(name))).toBe("queued 1");
  await shared.node.shardAt(0).freeze();
  const state = shared.node.resign(0);
  const log = new MemoryEventLog({ disk: shared.disk });
  const { states } = await recover(log, PARTITIONS, undefined);
  expect(states.map(stateHash)[0]).toBe(stateHash(state));
  await shared.node.lead(state, 2);
  ana.beat();
  bo.beat();
  await settle();
  expect(describe(await ana.acquire(name, {}, { sequence: 1 }))).toBe("granted 1"); // Asked again: the same grant.
  await ana.release(name, token);
  await settle();
  expect(bo.ended()).toBe("granted 1");
});

test("without a fresh proof of ownership a read takes a record along, and heartbeats wait for one", async () => {
  const shared = new Shared();
  await shared.lead(0);
  const ana = shared.client();
  const name = shared.nameIn(0);
  await ana.acquire(name);
  const ask = () => ana.submit({ $case: "why", value: { name } });
  const before = shared.disk.records.length;
  await ask();
  expect(shared.disk.records.length).toBe(before);
  shared.mayAnswer = false;
  await ask();
  expect(shared.disk.records.length).toBe(before + 1);
  let isAnswered = false;
  shared.node.heartbeat(ana.opened.session, 1, { lagMs: 0, health: 0 }, () => (isAnswered = true));
  await settle();
  expect(isAnswered).toBe(false);
  for (const run of shared.held) run();
  expect(isAnswered).toBe(true);
});

test("an append that another owner's log refuses costs the partition, not the node, and callers are told to ask again", async () => {
  let isFenced = false;
  const shared = new Shared({ fault: (_, record) => (isFenced && record.partition === 0 ? "lost" : undefined) });
  await shared.lead(0);
  await shared.lead(1);
  const ana = shared.client();
  isFenced = true;
  fenceInsteadOfStop(shared);
  expect(describe(await ana.acquire(shared.nameIn(0)))).toBe("error not_owner");
  expect(shared.fenced).toEqual([0]);
  expect(shared.node.led).toEqual([1]);
  expect(shared.node.unavailable).toBeUndefined();
});

/** The log in memory has one writer and so no fence: its refusal is given the code that a log with several has. */
function fenceInsteadOfStop(shared: Shared): void {
  const { log } = shared.node.options;
  const append = log.append.bind(log);
  log.append = (record) =>
    append(record).catch((error: ForelockError) => {
      throw Object.assign(error, { code: "fenced" });
    });
}

const toldExpired = (shared: Shared, { opened }: Client): Promise<readonly number[]> =>
  new Promise((resolve) =>
    shared.node.heartbeat(opened.session, 1, { lagMs: 0, health: 0 }, (reply) => resolve(reply.expiredPartitions)),
  );

test("an end of a session that the log refuses is told to nobody", async () => {
  const isEnd = ({ events }: LogRecord): boolean => {
    const kinds: string[] = [];
    decodeEvents(events, ({ kind }) => kinds.push(kind));
    return kinds.includes("session_ended");
  };
  const shared = new Shared({ fault: (_, record) => (isEnd(record) ? "lost" : undefined) });
  await shared.lead(0);
  const ana = shared.client();
  await ana.acquire(shared.nameIn(0));
  fenceInsteadOfStop(shared);
  await shared.clock.advance(NODE_LIMITS.sessionTtlMs + 1_000); // As after a pause of the process: nobody was heard meanwhile.
  expect(shared.fenced).toEqual([0]);
  expect(await toldExpired(shared, ana)).toEqual([]);
});

test("a session that expired here may live at other nodes: its resume is told where it ended, by a sure owner alone", async () => {
  const shared = new Shared();
  await shared.lead(0);
  const ana = shared.client();
  await ana.acquire(shared.nameIn(0));
  const { id } = ana.opened.session;
  const forget = (): void => shared.node.directory.remove(shared.node.directory.get(id) ?? expect.unreachable());
  const resumed = async (): Promise<readonly number[]> => {
    const secret = ana.opened.secret ?? new Uint8Array(0);
    const wish = { sessionId: Buffer.from(id, "base64url"), secret, open: undefined, client: "test", ttlMs: undefined };
    return (await shared.node.welcome(CALLER, shared.node.resumeSession(CALLER, wish))).expiredPartitions;
  };
  await shared.clock.advance(NODE_LIMITS.sessionTtlMs + 1_000);
  forget(); // As once its connection is gone.
  shared.mayAnswer = false; // Another may own the partition by now, and know better.
  expect(await resumed()).toEqual([]);
  forget();
  shared.mayAnswer = true;
  expect(await resumed()).toEqual([0]);
});

test("where a session has expired is told by the owner alone", async () => {
  const shared = new Shared();
  await shared.lead(0);
  const ana = shared.client();
  await ana.acquire(shared.nameIn(0));
  await shared.clock.advance(NODE_LIMITS.sessionTtlMs + 1_000);
  expect(await toldExpired(shared, ana)).toEqual([0]);
  shared.node.resign(0);
  expect(await toldExpired(shared, ana)).toEqual([]);
});

test("a status taken while a partition is given away tells of the others", async () => {
  const shared = new Shared();
  await shared.lead(0);
  await shared.lead(1);
  const ana = shared.client();
  await ana.acquire(shared.nameIn(1));
  await shared.node.shardAt(0).freeze();
  const status = ana.submit({ $case: "getStatus", value: {} });
  await settle();
  shared.node.resign(0);
  const { body } = await status;
  expect(body?.$case === "getStatus" ? body.value.grants : body).toBe(1);
});

test("whoever awaits an operation of a partition that leaves is answered at once", async () => {
  const shared = new Shared();
  await shared.lead(0);
  const ana = shared.client();
  const bo = shared.client();
  const name = shared.nameIn(0);
  await ana.acquire(name);
  const { body } = await bo.acquire(name);
  const reference = body?.$case === "acquire" ? body.value.reference : "";
  const awaited = bo.submit({ $case: "getOperation", value: { reference, name: "", requestId: "", waitMs: 60_000 } });
  await settle();
  await shared.node.shardAt(0).freeze();
  shared.node.resign(0);
  expect(describe(await awaited)).toBe("error not_owner");
});

test("a session begun anew without its ttl takes it from who tells it, as long as it is registered nowhere", async () => {
  const shared = new Shared();
  await shared.lead(0);
  const words = { sessionId: Buffer.alloc(16, 7), secret: Buffer.alloc(32, 9), open: undefined, client: "test" };
  const resumed = (ttlMs: number | undefined) => shared.node.resumeSession(CALLER, { ...words, ttlMs });
  const standardMs = resumed(undefined).session.ttlMs;
  expect(standardMs).toBe(NODE_LIMITS.sessionTtlMs);
  const opened = resumed(2_000);
  expect(opened.session.ttlMs).toBe(2_000);
  expect(resumed(undefined).session.ttlMs).toBe(2_000);
  // All that a client needs of a world is its node.
  const ana = new Client({ node: shared.node } as unknown as World, CALLER, opened);
  expect(describe(await ana.acquire(shared.nameIn(0)))).toBe("granted 1");
  expect(resumed(5_000).session.ttlMs).toBe(2_000);
});
