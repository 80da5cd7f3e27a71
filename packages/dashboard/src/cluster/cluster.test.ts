import { expect, test } from "vitest";
import {
  ableNodes,
  copiesOf,
  huesOf,
  lanesOf,
  memberState,
  moveWords,
  nodeState,
  oddityOf,
  partitionRow,
  partitionWords,
} from "./cluster.ts";

const row = partitionRow({
  owner: "a",
  epoch: 3,
  sequence: 1_200,
  standbys: [{ node: "b", lag: 2 }],
  wishedOwner: "a",
});

test("what is zero or empty on the wire is in place, and a partition is told in words", () => {
  expect(partitionRow({})).toEqual({
    ...{ partition: 0, owner: "", epoch: 0, sequence: 0, standbys: [], wishedOwner: "", pinned: "" },
  });
  expect(partitionWords(row, 2)).toBe("Partition 0: owned by a, epoch 3, record 1,200, standbys b (2 behind)");
  expect(partitionWords({ ...row, owner: "", standbys: [], pinned: "b" }, 2)).toBe(
    "Partition 0: no owner, epoch 3, record 1,200, no standby, has no owner, moved to b by hand",
  );
});

test("a partition is odd without an owner, on its way, or without a standby that there could be", () => {
  expect(oddityOf(row, 2)).toBe("");
  expect(oddityOf({ ...row, wishedOwner: "b" }, 2)).toBe("is to go to b");
  expect(oddityOf({ ...row, standbys: [] }, 2)).toBe("lacks a standby");
  expect(oddityOf({ ...row, standbys: [] }, 1)).toBe("");
  expect(copiesOf({ replicas: 2, nodes: [{ live: true }, {}] })).toBe(1);
});

test("nodes and members of etcd have a state in words, the worst first", () => {
  expect(nodeState({})).toEqual({ words: "silent", tone: "bad" });
  expect(nodeState({ live: true, leaving: true, draining: true }).words).toBe("stopping");
  expect(nodeState({ live: true, draining: true, owned: 3 }).words).toBe("draining");
  expect(nodeState({ live: true, draining: true }).words).toBe("drained");
  expect(nodeState({ live: true }).words).toBe("live, does not answer");
  expect(nodeState({ live: true, answered: true })).toEqual({ words: "live", tone: "good" });
  const missed = nodeState({ live: true, answered: true, suspectedBy: ["a", "b"] });
  expect(missed).toEqual({ words: "live, not heard by a and b", tone: "warn" });
  expect(ableNodes([{ id: "a", live: true }, { id: "b", live: true, draining: true }, { id: "c" }])).toEqual(["a"]);
  expect([{}, { answered: true }, { answered: true, hasLeader: true }].map((each) => memberState(each).words)).toEqual([
    "does not answer",
    "has no leader",
    "follower",
  ]);
});

test("owners have colours by their order, and the ninth shares the first", () => {
  const hues = huesOf(Array.from({ length: 9 }, (_, index) => ({ id: String(index) })));
  expect([hues.get("0"), hues.get("1"), hues.get("8")]).toEqual(["owner-0", "owner-1", "owner-0"]);
});

test("moves lie on a line for each node, from the oldest to the newest", () => {
  const move = (atMs: number, node: string, kind: string) => ({ atMs, node, kind, other: "x", partition: 4 });
  const lanes = lanesOf([move(3_000, "b", "took_over"), move(2_000, "a", "gave"), move(1_000, "b", "received")]);
  expect(lanes).toMatchObject({ nodes: ["a", "b"], fromMs: 1_000, toMs: 3_000 });
  expect(lanes.marks.map(({ place, lane }) => [place, lane])).toEqual([
    [1, 1],
    [0.5, 0],
    [0, 1],
  ]);
  expect(lanes.marks[0]?.title).toBe("Partition 4: b took it over from x, which was silent");
  expect(moveWords({ node: "a", kind: "lost" })).toBe("a found that another node owns it");
  expect(moveWords({ node: "a", kind: "took_over" })).toBe("a took it over");
  expect(lanesOf([move(1_000, "a", "suspected")]).marks[0]?.title).toBe("a does not hear x");
  expect(lanesOf([move(1_000, "a", "heard")]).marks[0]?.title).toBe("a hears x again");
});
