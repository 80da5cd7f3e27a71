// The log on three real members that die and stand still, and under real compaction.
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { GrpcEtcd } from "../../etcd/grpc.ts";
import { etcdVersion, type Members, startMembers } from "../../etcd/testing/members.ts";
import { realClock } from "../../real-time.ts";
import { codeOf, record, recordsOf } from "../contract.ts";
import { openEtcdEventLog } from "./etcd-event-log.ts";
import { Follower, NOTHING } from "./testing/scene.ts";

const upTo = (count: number): readonly number[] => Array.from({ length: count }, (_, index) => index + 1);

describe.skipIf(etcdVersion() === undefined)("on three real members", () => {
  let members: Members;
  const clients: GrpcEtcd[] = [];
  beforeEach(async () => {
    members = await startMembers({ members: 3, flags: ["--unsafe-no-fsync"] });
  });
  afterEach(async () => {
    for (const etcd of clients.splice(0)) await etcd.close();
    await members[Symbol.asyncDispose]();
  });

  const node = (owner: string) => {
    const etcd = new GrpcEtcd({ endpoints: members.endpoints, clock: realClock });
    clients.push(etcd);
    return openEtcdEventLog({ etcd, clock: realClock, cluster: "real", owner, partitions: 8, stallMs: 1_000 });
  };

  test("members are killed and stopped under appends: nothing is lost or doubled, and the follower has it all", async () => {
    const [a, b] = [await node("a"), await node("b")];
    const followers = upTo(8).map(() => new Follower());
    const ends = followers.map((one, partition) => b.follow(partition, NOTHING, one, one.stop.signal));
    const leader = members.members[await leaderOf()];
    const other = members.members.find((one) => one !== leader);
    await Promise.all(
      followers.map(async (_, partition) => {
        for (const sequence of upTo(150)) {
          if (partition === 0 && sequence === 40) other?.process.kill("SIGSTOP");
          if (partition === 0 && sequence === 80) other?.process.kill("SIGCONT");
          if (partition === 0 && sequence === 100) leader?.process.kill("SIGKILL");
          await a.append(record(partition, sequence));
        }
      }),
    );
    await until(() => followers.every(({ sequences }) => sequences.length === 150));
    for (const { sequences } of followers) expect(sequences).toEqual(upTo(150));
    const taken = await again(() => b.takeOver(3, { owner: "b", after: { epoch: 1, sequence: 140 } }));
    expect(taken.records.map(({ sequence }) => sequence)).toEqual(upTo(10).map((more) => more + 140));
    expect(await codeOf(a.append(record(3, 151)))).toBe("fenced");
    await b.append(record(3, 151, { epoch: taken.epoch }));
    expect((await recordsOf(await again(() => node("c")))).length).toBe(8 * 150 + 1);
    for (const { stop } of followers) stop.abort();
    await Promise.all(ends);
    await Promise.all([a.close(), b.close()]);
  });

  test("a hand-over under load goes to a follower that begins at once, again and again", async () => {
    const logs = [await node("a"), await node("b")] as const;
    const names = ["a", "b"] as const;
    let sequence = 1;
    await logs[0].append(record(0, 1));
    const followers = logs.map(() => new Follower());
    const stop = new AbortController();
    const ends = logs.map((log, index) => log.follow(0, NOTHING, followers[index] ?? new Follower(), stop.signal));
    for (let turn = 0; turn < 20; turn++) {
      const [from, to] = turn % 2 === 0 ? [0, 1] : [1, 0];
      const epoch = turn + 1;
      for (let more = 0; more < 3; more++) {
        sequence += 1;
        await logs[from]?.append(record(0, sequence, { epoch }));
      }
      sequence += 1;
      await logs[from]?.giveTo(0, names[to] ?? "", record(0, sequence, { epoch }));
      await until(() => followers[to]?.epochs.at(-1)?.epoch === epoch + 1);
      const claim = followers[to]?.epochs.at(-1);
      expect(followers[to]?.sequences.at(-1)).toBe(sequence);
      if (claim !== undefined) await logs[to]?.adopt(claim, { epoch, sequence });
    }
    await until(() => followers.every(({ sequences }) => sequences.length === sequence)); // The other one may lag.
    for (const { sequences } of followers) expect(sequences).toEqual(upTo(sequence));
    stop.abort();
    await Promise.all(ends);
    await Promise.all(logs.map((log) => log.close()));
  });

  test("what is truncated and compacted leaves the members' files, and a slow follower begins from the snapshot", async () => {
    const [a, b] = [await node("a"), await node("b")];
    const events = new Uint8Array(100_000).fill(1);
    let sequence = 0;
    for (let round = 0; round < 8; round++) {
      for (let more = 0; more < 40; more++) {
        sequence += 1;
        await a.append(record(0, sequence, { events }));
      }
      await a.saveSnapshots([{ partition: 0, epoch: 1, sequence, state: events }]);
      await a.truncate();
      await a.compactHistory();
    }
    const [status] = (await clients[0]?.status()) ?? [];
    expect(status?.dbBytes ?? 0).toBeLessThan(sequence * events.byteLength);
    const follower = new Follower();
    expect(await b.follow(0, NOTHING, follower, follower.stop.signal)).toBe("behind");
    expect((await b.loadSnapshot(0))?.sequence).toBe(sequence);
    await Promise.all([a.close(), b.close()]);
  });

  async function leaderOf(): Promise<number> {
    const statuses = (await clients[0]?.status()) ?? [];
    return statuses.findIndex(({ isLeader }) => isLeader);
  }
});

async function until(isTrue: () => boolean): Promise<void> {
  for (let turn = 0; turn < 3_000 && !isTrue(); turn++) await new Promise((resolve) => setTimeout(resolve, 10));
  expect(isTrue()).toBe(true);
}

/** While the members elect. */
async function again<Value>(act: () => Promise<Value>): Promise<Value> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await act();
    } catch (error) {
      if (attempt === 5) throw error;
    }
  }
}
