import { describe, expect, test } from "vitest";
import { ManualClock } from "../shard/testing/world.ts";
import { Heartbeats, partnersOf } from "./heartbeats.ts";
import { ClusterWorld } from "./testing/cluster-world.ts";
import { ask, told } from "./testing/conversation.ts";
import { Fleet, LEASE_MS } from "./testing/fleet.ts";

interface Scene {
  readonly clock: ManualClock;
  readonly heartbeats: Heartbeats;
  readonly told: string[];
  readonly partners: Set<string>;
  /** Nodes that answer; others are asked in vain. */
  readonly answering: Set<string>;
  /** Questions that wait for an answer. */
  asked: number;
  /** The process did not run for so long: no timer fired. */
  stoppedMs: number;
}

function open(ids: readonly string[]): Scene {
  const clock = new ManualClock();
  const [partners, answering] = [new Set(ids), new Set(ids)];
  const told: string[] = [];
  const heartbeats = new Heartbeats({
    clock: {
      wallMs: () => clock.wallMs(),
      monotonicMs: () => clock.monotonicMs() + scene.stoppedMs,
      after: (delayMs, fire) => clock.after(delayMs, fire),
    },
    leaseMs: LEASE_MS,
    partners: () => partners,
    beat: async (id) => {
      if (answering.has(id)) return;
      scene.asked += 1;
      await new Promise<void>(() => {});
    },
    changed: (id, isSuspected) => told.push(`${isSuspected ? "suspects" : "hears"} ${id}`),
  });
  const scene: Scene = { clock, heartbeats, told, partners, answering, asked: 0, stoppedMs: 0 };
  heartbeats.start();
  return scene;
}

test("a node that answers no more is suspected well before its lease ends, once, and heard again", async () => {
  const scene = open(["b", "c"]);
  await scene.clock.advance(LEASE_MS * 3);
  expect(scene.told).toEqual([]);
  scene.answering.delete("b");
  await scene.clock.advance(LEASE_MS / 4);
  expect(scene.told).toEqual([]);
  await scene.clock.advance(LEASE_MS / 2);
  expect(scene.told).toEqual(["suspects b"]);
  expect(scene.heartbeats.suspects).toEqual(["b"]);
  await scene.clock.advance(LEASE_MS * 5);
  expect(scene.asked).toBe(1); // B2: one question at a time.
  scene.heartbeats.heard("b"); // By a heartbeat of its own.
  expect(scene.told).toEqual(["suspects b", "hears b"]);
  expect(scene.heartbeats.suspects).toEqual([]);
});

test("a heartbeat that comes counts as much as one that is answered", async () => {
  const scene = open(["b"]);
  scene.answering.clear();
  for (let time = 0; time < 20; time += 1) {
    await scene.clock.advance(LEASE_MS / 5);
    scene.heartbeats.heard("b");
  }
  expect(scene.told).toEqual([]);
});

test("who was stopped itself suspects nobody for that", async () => {
  const scene = open(["b"]);
  await scene.clock.advance(LEASE_MS);
  scene.answering.clear(); // As if it had not run: nothing is sent, nothing comes.
  scene.stoppedMs = LEASE_MS * 2;
  await scene.clock.advance(LEASE_MS / 5);
  expect(scene.told).toEqual([]);
});

test("nobody listens for a node that shares no partition any more, and a stranger's heartbeat is nothing", async () => {
  const scene = open(["b"]);
  scene.answering.clear();
  await scene.clock.advance(LEASE_MS);
  expect(scene.heartbeats.suspects).toEqual(["b"]);
  scene.partners.clear();
  await scene.clock.advance(LEASE_MS / 5);
  expect(scene.heartbeats.suspects).toEqual([]);
  scene.heartbeats.heard("z");
  expect(scene.told).toEqual(["suspects b"]);
});

test("an owner and its standbys are partners, standbys among themselves are not", () => {
  const places = [
    { owner: "a", wished: ["a", "b"] },
    { owner: "c", wished: ["c", "a", "d"] },
    { owner: "d", wished: ["d", "e"] },
  ];
  expect([...partnersOf("a", places)].sort()).toEqual(["b", "c"]);
  expect([...partnersOf("d", places)].sort()).toEqual(["c", "e"]);
  expect([...partnersOf("f", places)]).toEqual([]);
});

describe("in a cluster", () => {
  test("heartbeats travel over the links between nodes, under the name that they prove, and clients have none", async () => {
    await using world = await ClusterWorld.open();
    const peer = world.table.addresses.get("b");
    if (peer === undefined) throw new Error("no node b");
    await world.until(world.member("a").router.beat(peer));
    expect(world.heard).toEqual([{ by: "b", from: "a" }]);
    const ana = await world.client("b");
    const body = await ask(world, ana, { $case: "peer", value: { body: { $case: "beat", value: {} } } });
    expect(told(body)).toBe("error permission_denied");
    expect(world.heard).toHaveLength(1);
  });

  test("a node that only its peers do not hear is shown as suspected, and keeps what it owns", async () => {
    const fleet = await Fleet.of(["a", "b"]);
    const before = fleet.counts();
    const epochs = await fleet.epochs();
    fleet.hears = (from, to) => from !== "b" && to !== "b";
    await fleet.clock.advance(LEASE_MS * 5);
    const { heartbeats, ownership } = fleet.get("a").cluster;
    expect(heartbeats.suspects).toEqual(["b"]);
    expect(ownership.timeline.moves.filter(({ kind }) => kind === "suspected")).toMatchObject([{ node: "b" }]);
    expect(fleet.counts()).toEqual(before);
    expect(await fleet.epochs()).toEqual(epochs);
    fleet.hears = () => true;
    await fleet.clock.advance(LEASE_MS / 2);
    expect(heartbeats.suspects).toEqual([]);
    expect(ownership.timeline.moves.at(-1)).toMatchObject({ kind: "heard", node: "b" });
  });

  test("an owner that dies is suspected before it is replaced, and no longer when it has been", async () => {
    const fleet = await Fleet.of(["a", "b"]);
    const { heartbeats } = fleet.get("b").cluster;
    const led = fleet.get("b").node.led.length;
    fleet.cut("a");
    let suspectedMs = 0;
    for (let ms = 0; fleet.get("b").node.led.length === led && ms < LEASE_MS * 3; ms += 10) {
      await fleet.clock.advance(10);
      if (suspectedMs === 0 && heartbeats.suspects.length > 0) suspectedMs = ms;
    }
    expect(suspectedMs).toBeGreaterThan(0);
    expect(suspectedMs).toBeLessThan(LEASE_MS / 2 + LEASE_MS / 10);
    await fleet.settle();
    expect(heartbeats.suspects).toEqual([]);
    expect(fleet.get("b").node.led).toHaveLength(8);
  });
});
