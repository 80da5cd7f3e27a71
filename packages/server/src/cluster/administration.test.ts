import type { ChangeClusterRequest, GetClusterReply, Reply } from "@forelock/protocol";
import { expect, test } from "vitest";
import { EtcdError, type MemberStatus } from "../etcd/etcd.ts";
import type { Caller } from "../shard/service.ts";
import { CALLER, ManualClock } from "../shard/testing/world.ts";
import type { Administration } from "./administration.ts";
import { EtcdHealth } from "./etcd-health.ts";
import { Fleet, LEASE_MS } from "./testing/fleet.ts";

const PARTITIONS = 8;

function administrationOf(fleet: Fleet, id: string): Administration {
  const { cluster, etcd } = fleet.get(id);
  const admission = () => ({ why: undefined, fileBytes: 4_096 });
  const quotaBytes = 1_000_000;
  return cluster.administration(
    new EtcdHealth({ etcd, endpoints: ["memory", "http://gone:2379"], quotaBytes, admission, clock: fleet.clock }),
  );
}

/** What `id` answers. `deaf` are peers that never do. */
async function report(fleet: Fleet, id: string, movesMax = 0, deaf: readonly string[] = []): Promise<GetClusterReply> {
  const forwarded: Caller = { ...CALLER, forwardedBy: id };
  const body = { $case: "getCluster", value: { movesMax } } as const;
  const ask = async (peer: { readonly id: string }): Promise<Reply> => {
    if (deaf.includes(peer.id)) return new Promise(() => {});
    return { sequence: 1, body: await administrationOf(fleet, peer.id).carryOut(forwarded, body, refuse) };
  };
  const reply = await fleet.passing(administrationOf(fleet, id).carryOut(CALLER, body, ask));
  if (reply?.$case !== "getCluster") throw new Error(`answered ${reply?.$case}`);
  return reply.value;
}

const refuse = (): Promise<Reply> => Promise.reject(new Error("what was forwarded is not asked of others"));

function change(fleet: Fleet, id: string, wish: Partial<ChangeClusterRequest>, caller = CALLER) {
  const value = { action: "", node: "", partition: undefined, reason: "a test", ...wish };
  return fleet.passing(administrationOf(fleet, id).carryOut(caller, { $case: "changeCluster", value }, refuse));
}

const ownersOf = ({ partitions }: GetClusterReply): readonly string[] => partitions.map(({ owner }) => owner);

test("every node tells the same nodes, owners, epochs, positions and standbys", async () => {
  const fleet = await Fleet.of(["a", "b", "c"]);
  const [a, b] = [await report(fleet, "a"), await report(fleet, "b")];
  expect(a).toMatchObject({ node: "a", cluster: "test", replicas: 2, leaseMs: LEASE_MS });
  expect(a.nodes.map(({ id, live, answered }) => [id, live, answered])).toEqual([
    ["a", true, true],
    ["b", true, true],
    ["c", true, true],
  ]);
  expect(a.nodes.map(({ owned }) => owned)).toEqual(["a", "b", "c"].map((id) => fleet.get(id).node.led.length));
  expect(a.nodes[1]).toMatchObject({ address: "127.0.0.1:7420", version: "test", leaving: false, draining: false });
  expect(a.partitions).toHaveLength(PARTITIONS);
  for (const [partition, row] of a.partitions.entries()) {
    expect(row.owner).toBe(fleet.leaderOf(partition));
    expect(row.wishedOwner).toBe(row.owner);
    expect(row.sequence).toBeGreaterThan(0);
    expect(row.epoch).toBeGreaterThan(0);
    expect(row.standbys.map(({ node }) => node)).toEqual(expect.arrayContaining([...row.wishedStandbys]));
    expect(row.standbys.every(({ sequence, lag }) => sequence === row.sequence && lag === 0)).toBe(true);
    expect(row.role === "leading").toBe(row.owner === "a");
  }
  const apart = ({ role: _, ...row }: GetClusterReply["partitions"][number]): unknown => row;
  expect(b.partitions.map(apart)).toEqual(a.partitions.map(apart));
});

test("moves of all nodes are told, the newest first, at most as many as asked for", async () => {
  const fleet = await Fleet.of(["a"]);
  await fleet.join("b");
  await fleet.settle();
  const { moves, moreMoves } = await report(fleet, "a", 1_000);
  const kinds = new Set(moves.map(({ node, kind, other }) => `${node} ${kind} ${other}`.trim()));
  expect(kinds).toEqual(new Set(["a took_over", "a gave b", "b received"]));
  const times = moves.map(({ atMs }) => atMs);
  expect(times).toEqual(times.toSorted((x, y) => y - x));
  expect(moreMoves).toBe(false);
  const few = await report(fleet, "b", 3);
  expect(few.moves).toEqual(moves.slice(0, 3));
  expect(few.moreMoves).toBe(true);
});

test("a node that does not answer in time is told by its record, and is not waited for", async () => {
  const fleet = await Fleet.of(["a", "b"]);
  const { nodes, partitions } = await report(fleet, "a", 0, ["b"]);
  expect(nodes[1]).toMatchObject({ id: "b", live: true, answered: false, owned: PARTITIONS / 2 });
  expect(partitions.every(({ sequence, standbys }) => sequence > 0 && standbys.length === 1)).toBe(true);
});

test("a silent node is told as such, and its partitions have another owner", async () => {
  const fleet = await Fleet.of(["a", "b", "c"]);
  fleet.cut("c");
  await fleet.settle();
  const { nodes, partitions } = await report(fleet, "a", 0, ["c"]);
  expect(nodes[2]).toMatchObject({ id: "c", live: false, answered: false, owned: 0, standingBy: 0 });
  expect(nodes[2]?.silentMs).toBeGreaterThan(LEASE_MS);
  expect(new Set(partitions.map(({ owner }) => owner))).toEqual(new Set(["a", "b"]));
});

test("a drained node gives everything away, and takes its share again when it is not drained any more", async () => {
  const fleet = await Fleet.of(["a", "b", "c"]);
  const owned = fleet.get("b").node.led.length;
  expect(await change(fleet, "a", { action: "drain", node: "b" })).toEqual({
    $case: "changeCluster",
    value: { partitions: owned },
  });
  await fleet.settle();
  const drained = await report(fleet, "c");
  expect(drained.nodes[1]).toMatchObject({ id: "b", draining: true, owned: 0 });
  expect(ownersOf(drained)).not.toContain("b");
  await change(fleet, "c", { action: "undrain", node: "b" });
  await fleet.settle();
  expect((await report(fleet, "a")).nodes[1]).toMatchObject({ draining: false });
  expect(new Set(ownersOf(await report(fleet, "a")))).toEqual(new Set(["a", "b", "c"]));
});

test("a partition is moved to a node and stays there, until the cluster is told to forget it", async () => {
  const fleet = await Fleet.of(["a", "b"]);
  const before = ownersOf(await report(fleet, "a"));
  const partitions = before.flatMap((owner, partition) => (owner === "a" ? [partition] : []));
  for (const partition of partitions) {
    const moved = await change(fleet, "b", { action: "move", node: "b", partition });
    expect(moved).toMatchObject({ value: { partitions: 1 } });
  }
  await fleet.settle();
  const moved = await report(fleet, "a");
  expect(partitions.map((partition) => moved.partitions[partition])).toEqual(
    partitions.map(() => expect.objectContaining({ owner: "b", pinned: "b", wishedOwner: "b" })),
  );
  const [partition = 0] = partitions;
  expect(await change(fleet, "b", { action: "move", node: "b", partition })).toMatchObject({
    value: { partitions: 0 },
  });
  expect(await change(fleet, "a", { action: "rebalance" })).toMatchObject({ value: { partitions: partitions.length } });
  await fleet.settle();
  const even = await report(fleet, "a");
  expect(even.partitions.every(({ pinned }) => pinned === "")).toBe(true);
  expect(even.nodes.map(({ owned }) => owned)).toEqual([PARTITIONS / 2, PARTITIONS / 2]);
});

test("what could never come true is refused, with the field, its value and what is allowed", async () => {
  const fleet = await Fleet.of(["a", "b", "c"]);
  const refused = (wish: Partial<ChangeClusterRequest>): Promise<string> =>
    change(fleet, "a", wish).then(
      () => "done",
      (error: Error & { readonly code?: string }) => `${error.code}: ${error.message}`,
    );
  const move = { action: "move", partition: 1 };
  expect(await refused({ action: "drain", node: "x" })).toContain(
    "bad_argument: [bad_argument] node: x is not in this cluster; allowed a, b, c.",
  );
  expect(await refused({ action: "undrain", node: "x" })).toContain("node: x is not in this cluster");
  expect(await refused({ ...move, node: "x" })).toContain("node: x is not in this cluster; allowed a, b, c.");
  expect(await refused({ ...move, node: "b", partition: PARTITIONS })).toContain("partition: 8; allowed 0 to 7.");
  await change(fleet, "a", { action: "drain", node: "b" });
  await fleet.settle();
  expect(await refused({ ...move, node: "b" })).toContain("node: b is draining; allowed a, c.");
  fleet.cut("c");
  await fleet.settle();
  expect(await refused({ ...move, node: "c" })).toMatch(/node: c has been silent for \d+ ms; allowed a\./);
  expect(await refused({ action: "drain", node: "a" })).toContain("no other node is live and not draining");
  expect(await refused({ action: "drain", node: "c" })).toBe("done"); // It is to own nothing when it comes back.
});

test("a command leaves a line that says who, what, why and from where; one that is forwarded is refused", async () => {
  const fleet = await Fleet.of(["a", "b"]);
  await change(fleet, "a", { action: "move", node: "b", partition: 3, reason: "ticket 311" });
  const line = fleet.notes.find((note) => note.includes("cluster changed"));
  const { principal, remoteAddress: from } = CALLER;
  expect(line).toContain(
    JSON.stringify({ action: "move", node: "b", reason: "ticket 311", principal, from, partition: 3 }),
  );
  const forwarded: Caller = { ...CALLER, forwardedBy: "b" };
  await expect(change(fleet, "a", { action: "rebalance" }, forwarded)).rejects.toMatchObject({ code: "not_supported" });
});

test("a command whose write is lost says what is known of it", async () => {
  const fleet = await Fleet.of(["a", "b"]);
  fleet.fault = (id, kind) => (id === "a" && kind === "txn" ? { kind: "refused" } : undefined);
  await expect(change(fleet, "a", { action: "rebalance" })).rejects.toMatchObject({ code: "unavailable" });
  fleet.fault = (id, kind) => (id === "a" && kind === "txn" ? { kind: "answer_lost" } : undefined);
  await expect(change(fleet, "a", { action: "rebalance" })).rejects.toMatchObject({ code: "outcome_unknown" });
});

test("a live node that others do not hear is told with their names, in the moves and in the figures", async () => {
  const fleet = await Fleet.of(["a", "b", "c"]);
  fleet.hears = (from, to) => from !== "c" && to !== "c";
  await fleet.clock.advance(LEASE_MS);
  const { nodes, moves } = await report(fleet, "a");
  expect(nodes.map(({ id, live, suspectedBy }) => [id, live, suspectedBy])).toEqual([
    ["a", true, ["c"]],
    ["b", true, ["c"]],
    ["c", true, ["a", "b"]],
  ]);
  const told = moves.filter(({ kind }) => kind === "suspected").map(({ node, other }) => `${node} ${other}`);
  expect(told.sort()).toEqual(["a c", "b c", "c a", "c b"]);
  const figures = administrationOf(fleet, "c").counters();
  expect(figures).toMatchObject({ nodes_live: 3, nodes_suspected: 2, suspicions_total: 2 });
});

test("figures for monitoring: what is led, how far standbys are behind, what has moved", async () => {
  const fleet = await Fleet.of(["a"]);
  await fleet.join("b");
  await fleet.settle();
  const [a, b] = [administrationOf(fleet, "a").counters(), administrationOf(fleet, "b").counters()];
  const half = PARTITIONS / 2;
  expect(a).toEqual({
    nodes_live: 2,
    partitions_led: half,
    standby_lag_records_max: 0,
    epoch_changes_total: half,
    takeovers_total: PARTITIONS,
    gifts_total: half,
    nodes_suspected: 0,
    suspicions_total: 0,
    window_open: 1,
    etcd_file_bytes: 4_096,
  });
  expect(b).toMatchObject({ partitions_led: half, takeovers_total: 0, gifts_total: 0 });
});

test("etcd's members are told, those that do not answer too, and looked at once a second at most", async () => {
  const clock = new ManualClock();
  const member: MemberStatus = {
    ...{ endpoint: "one:2379", memberId: "1", version: "3.5.21", dbBytes: 100, dbInUseBytes: 60, quotaBytes: 0 },
    ...{ isLeader: true, hasLeader: true, isLearner: false, raftTerm: 1, raftIndex: 1, errors: ["slow"] },
  };
  let looks = 0;
  const health = new EtcdHealth({
    etcd: {
      status: async () => {
        looks += 1;
        return [member];
      },
      alarms: async () => {
        if (looks > 1) throw new EtcdError("unavailable", "no leader");
        return [{ memberId: "1", kind: "no_space" }];
      },
    },
    endpoints: ["http://one:2379", "two:2379"],
    quotaBytes: 500,
    admission: () => ({ why: "it is full", fileBytes: 100 }),
    clock,
  });
  const first = await health.look();
  expect(first).toMatchObject({ unreachable: "", admission: "growth_refused", admissionReason: "it is full" });
  expect(first.members).toMatchObject([
    { endpoint: "one:2379", answered: true, leader: true, fileBytes: 100, quotaBytes: 500, alarms: ["no_space"] },
    { endpoint: "two:2379", answered: false, leader: false, alarms: [] },
  ]);
  await health.look();
  expect(looks).toBe(1);
  await clock.advance(1_000);
  expect(await health.look()).toMatchObject({ unreachable: "EtcdError: etcd: no leader", members: [{}, {}] });
  expect(looks).toBe(2);
});
