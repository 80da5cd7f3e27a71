// cluster.e2e.test.ts: operating a real cluster by the real binary. Skips where etcd is not installed.
import type { ClusterReport } from "@forelock/client";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { etcdVersion } from "../etcd/testing/members.ts";
import { RealCluster } from "./testing/real-cluster.ts";
import { build } from "./testing/real-server.ts";

const PARTITIONS = 8;
const MOVED_MS_MAX = "30s";

describe.skipIf(etcdVersion() === undefined)("a cluster of two nodes", () => {
  let cluster: RealCluster;

  beforeAll(async () => {
    await build();
    cluster = await RealCluster.start(["a", "b"], ["--partitions", String(PARTITIONS)]);
    await vi.waitUntil(async () => (await status()).partitions.every(isServed), POLL);
  }, 180_000);

  afterAll(() => cluster?.stop());

  const run = (id: string, ...argv: readonly string[]) => cluster.run(id, argv).ended;
  const status = async (id = "a"): Promise<ClusterReport> => {
    const { code, out, err } = await run(id, "cluster", "status", "--json", "--moves", "1000");
    if (code !== 0) throw new Error(`cluster status gave ${code}: ${err}`);
    return JSON.parse(out) as ClusterReport;
  };
  const isServed = ({ owner, wishedOwner, standbys }: ClusterReport["partitions"][number]): boolean =>
    owner !== "" && owner === wishedOwner && standbys.length === 1;
  const POLL = { timeout: 30_000, interval: 200 };

  test("each node tells the same of nodes, partitions and etcd", async () => {
    const [a, b] = [await status("a"), await status("b")];
    expect([a.node, b.node]).toEqual(["a", "b"]);
    expect(a.nodes.map(({ id, live, answered, owned }) => [id, live, answered, owned])).toEqual([
      ["a", true, true, PARTITIONS / 2],
      ["b", true, true, PARTITIONS / 2],
    ]);
    expect(a.partitions.map(({ owner, epoch }) => [owner, epoch])).toEqual(
      b.partitions.map(({ owner, epoch }) => [owner, epoch]),
    );
    expect(a.etcd).toMatchObject({ members: [{ answered: true, leader: true }], unreachable: "", admission: "open" });
    expect(a.moves.some(({ node, kind }) => node === "b" && kind === "received")).toBe(true);
    const { code, out } = await run("b", "cluster", "status");
    expect(code).toBe(0);
    expect(out).toContain("Cluster forelock, as node b sees it\n");
    expect(out).toContain(`${PARTITIONS} partitions, 2 copies of each: all as they should be\n`);
  });

  test("a node is drained, and takes its share again; a lock held meanwhile stays held", async () => {
    const [before = { name: "", token: "" }] = await heldLock();
    const drained = await run("a", "cluster", "drain", "b", "--wait", "--timeout", MOVED_MS_MAX, "--reason", "a test");
    expect(drained).toMatchObject({ code: 0, out: `b: drained, ${PARTITIONS / 2} partitions given away\n` });
    expect(drained.err).toMatch(/b: \d partitions? left\n/);
    const { nodes, partitions } = await status("b");
    expect(nodes[1]).toMatchObject({ id: "b", draining: true, owned: 0 });
    expect(new Set(partitions.map(({ owner }) => owner))).toEqual(new Set(["a"]));
    const refused = await run("b", "cluster", "move", "1", "b", "--reason", "a test");
    expect(refused.code).toBe(110);
    expect(refused.err).toContain("node: b is draining; allowed a.");
    expect(await run("b", "cluster", "undrain", "b", "--reason", "a test")).toMatchObject({ code: 0 });
    await expect.poll(async () => (await status()).nodes[1]?.owned, POLL).toBe(PARTITIONS / 2);
    expect(await heldLock()).toEqual([before]);
    holder.kill("SIGTERM");
    await holder.ended;
  });

  let holder: ReturnType<RealCluster["run"]>;
  /** Who holds the lock of a command that runs as long as the test. */
  async function heldLock(): Promise<readonly { readonly name: string; readonly token: string }[]> {
    holder ??= cluster.run("b", ["lock", "jobs/1", "--ttl", "20s", "--", "sleep", "120"]);
    const locks = async () => JSON.parse((await run("a", "locks", "--json")).out).locks as readonly HeldLock[];
    await expect.poll(async () => (await locks()).length, POLL).toBe(1);
    return (await locks()).map(({ name, holders }) => ({ name, token: holders[0]?.token ?? "" }));
  }

  test("a partition is moved by hand, and rebalance forgets it", async () => {
    const partition = (await status()).partitions.find(({ owner }) => owner === "a")?.partition ?? -1;
    const moved = await run("a", "cluster", "move", String(partition), "b", "--wait", "--reason", "a test");
    expect(moved).toMatchObject({ code: 0, out: `partition ${partition}: is at b\n` });
    expect((await status()).partitions[partition]).toMatchObject({ owner: "b", pinned: "b" });
    const again = await run("b", "cluster", "move", String(partition), "b", "--reason", "a test", "--json");
    expect(JSON.parse(again.out)).toEqual({ action: "move", partition, node: "b", partitions: 0, done: false });
    expect(await run("b", "cluster", "rebalance", "--reason", "a test")).toMatchObject({
      code: 0,
      out: "forgot 1 move by hand\n",
    });
  });

  test("what is out of range or unknown is refused, naming what is allowed", async () => {
    const move = await run("a", "cluster", "move", String(PARTITIONS), "b", "--reason", "a test");
    expect(move.code).toBe(110);
    expect(move.err).toContain(`partition: ${PARTITIONS}; allowed 0 to ${PARTITIONS - 1}.`);
    const drain = await run("a", "cluster", "drain", "x", "--reason", "a test");
    expect(drain.code).toBe(110);
    expect(drain.err).toContain("node: x is not in this cluster; allowed a, b.");
  });

  test("figures of the cluster are among the metrics", async () => {
    const text = await (await fetch(`http://${cluster.nodes.get("a")?.address}/metrics`)).text();
    for (const name of ["partitions_led", "standby_lag_records_max", "epoch_changes_total", "takeovers_total"])
      expect(text).toMatch(new RegExp(`^forelock_${name} \\d+$`, "m"));
    expect(text).toMatch(/^forelock_nodes_live 2$/m);
    expect(text).toMatch(/^forelock_window_open 1$/m);
    expect(text).toMatch(/^forelock_etcd_file_bytes [1-9]\d*$/m);
  });

  test("a node that is killed is told as silent, and its partitions are taken over", async () => {
    await cluster.kill("b");
    await expect.poll(async () => (await status()).nodes[0]?.owned, POLL).toBe(PARTITIONS);
    const { nodes, moves } = await status();
    expect(nodes[1]).toMatchObject({ id: "b", live: false, answered: false, owned: 0 });
    expect(moves.some(({ node, kind, other }) => node === "a" && kind === "took_over" && other === "b")).toBe(true);
    const refused = await run("a", "cluster", "move", "1", "b", "--reason", "a test");
    expect(refused.err).toMatch(/node: b has been silent for \d+ ms; allowed a\./);
  });
});

interface HeldLock {
  readonly name: string;
  readonly holders: readonly { readonly token: string }[];
}
