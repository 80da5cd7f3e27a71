import type { ClusterPartition, ClusterReport } from "@forelock/client";
import { ForelockError } from "@forelock/protocol";
import { expect, test } from "vitest";
import { moveText, oddities, stateOf } from "./cluster-tables.ts";
import { FakeTerminal } from "./testing/fake-io.ts";

const NODE = {
  ...{ address: "10.0.0.1:7420", version: "0.1.0", live: true, silentMs: 300, leaving: false, draining: false },
  suspectedBy: [],
};

const PARTITION: ClusterPartition = {
  partition: 0,
  owner: "a",
  epoch: 4,
  sequence: 1_200,
  standbys: [{ node: "b", sequence: 1_190, lag: 10 }],
  wishedOwner: "a",
  wishedStandbys: ["b"],
  pinned: "",
  role: "leading",
};

function reportWith(change: Partial<ClusterReport> = {}): ClusterReport {
  return {
    node: "a",
    cluster: "prod",
    nodes: [
      { ...NODE, id: "a", owned: 2, standingBy: 0, answered: true },
      { ...NODE, id: "b", owned: 0, standingBy: 2, answered: false },
    ],
    partitions: [PARTITION, { ...PARTITION, partition: 1, wishedOwner: "b" }],
    etcd: {
      members: [
        {
          ...{ endpoint: "10.0.0.1:2379", answered: true, version: "3.5.21", leader: true, hasLeader: true },
          ...{
            fileBytes: 20_971_520,
            inUseBytes: 10_485_760,
            quotaBytes: 2_147_483_648,
            alarms: ["no_space"],
            errors: [],
          },
        },
        {
          ...{ endpoint: "10.0.0.2:2379", answered: false, version: "", leader: false, hasLeader: false },
          ...{ fileBytes: 0, inUseBytes: 0, quotaBytes: 0, alarms: [], errors: [] },
        },
      ],
      unreachable: "",
      admission: "growth_refused",
      admissionReason: "80 % are in use",
    },
    moves: [{ atMs: 0, node: "a", kind: "gave", partition: 1, other: "b", epoch: 5, tookMs: 4.25 }],
    moreMoves: true,
    replicas: 2,
    leaseMs: 2_000,
    ...change,
  };
}

test("status shows nodes, etcd, what is not as it should be, and the last moves", async () => {
  const terminal = new FakeTerminal();
  terminal.server.clusters = [reportWith()];
  expect(await terminal.run("cluster", "status")).toBe(0);
  expect(terminal.out).toBe(
    [
      "Cluster prod, as node a sees it",
      "",
      "NODE  ADDRESS        VERSION  STATE                  OWNS  STANDS BY  HEARD",
      "a     10.0.0.1:7420  0.1.0    live                      2          0  300 ms ago",
      "b     10.0.0.1:7420  0.1.0    live, does not answer     0          2  300 ms ago",
      "",
      "ETCD           VERSION  STATE                FILE    IN USE    QUOTA  ALARMS",
      "10.0.0.1:2379  3.5.21   leader           20.0 MiB  10.0 MiB  2.0 GiB  no_space",
      "10.0.0.2:2379           does not answer",
      "Growth is refused: 80 % are in use",
      "",
      "2 partitions, 2 copies of each: 1 not as they should be",
      "PARTITION  OWNER  EPOCH  RECORD  STANDBYS       NOTE",
      "        1  a          4   1,200  b (10 behind)  is to go to b",
      "",
      "WHEN                      PARTITION  WHAT            EPOCH     TOOK",
      "1970-01-01T00:00:00.000Z          1  a gave it to b      5  4.25 ms",
      "and more moves: raise --moves.",
      "",
    ].join("\n"),
  );
});

test("status shows every partition when it is asked for all, and the whole report as JSON", async () => {
  const terminal = new FakeTerminal();
  terminal.server.clusters = [reportWith()];
  expect(await terminal.run("cluster", "status", "--partitions")).toBe(0);
  expect(terminal.out.split("\n").filter((line) => line.includes("(10 behind)"))).toHaveLength(2);
  terminal.out = "";
  expect(await terminal.run("cluster", "status", "--json")).toBe(0);
  expect(JSON.parse(terminal.out)).toMatchObject({
    cluster: "prod",
    partitions: [{ owner: "a" }, { wishedOwner: "b" }],
  });
});

test("a server that runs alone says so, and has no etcd to show", async () => {
  const terminal = new FakeTerminal();
  const nodes = [{ ...NODE, id: "local", owned: 1, standingBy: 0, answered: true }];
  const partitions = [{ ...PARTITION, owner: "local", wishedOwner: "local", standbys: [] }];
  terminal.server.clusters = [
    reportWith({ cluster: "", nodes, partitions, etcd: undefined, replicas: 1, moves: [], moreMoves: false }),
  ];
  expect(await terminal.run("cluster", "status")).toBe(0);
  expect(terminal.out).toContain("This server runs alone\n");
  expect(terminal.out).not.toContain("ETCD");
  expect(terminal.out).toContain("1 partition, 1 copy of each: all as they should be\n");
});

test.each<[readonly string[], object, string]>([
  [["drain", "b"], { action: "drain", node: "b" }, "b: is to be drained, 3 partitions to give away\n"],
  [["undrain", "b"], { action: "undrain", node: "b" }, "b: takes its share again\n"],
  [["rebalance"], { action: "rebalance" }, "forgot 3 moves by hand\n"],
  [["move", "7", "b"], { action: "move", partition: 7, node: "b" }, "partition 7: is to move to b\n"],
])("%s writes the wish with its reason and says what it concerns", async (argv, change, line) => {
  const terminal = new FakeTerminal();
  expect(await terminal.run("cluster", ...argv, "--reason", "ticket 311")).toBe(0);
  expect(terminal.server.changes).toEqual([{ ...change, reason: "ticket 311" }]);
  expect(terminal.out).toBe(line);
  terminal.out = "";
  expect(await terminal.run("cluster", ...argv, "--reason", "again", "--json")).toBe(0);
  expect(JSON.parse(terminal.out)).toEqual({ ...change, partitions: 3, done: false });
});

/** Lets time pass until the command has ended. */
async function passing(terminal: FakeTerminal, code: Promise<number>): Promise<number> {
  let isDone = false;
  void code.finally(() => {
    isDone = true;
  });
  for (let step = 0; step < 1_000 && !isDone; step += 1) {
    terminal.advance(50);
    await terminal.settle();
  }
  return code;
}

const draining = (owned: number): ClusterReport =>
  reportWith({
    nodes: [{ ...NODE, id: "b", draining: true, owned, standingBy: 0, answered: true }],
    partitions: [0, 1, 2].map((partition) => ({ ...PARTITION, partition, owner: partition < owned ? "b" : "a" })),
  });

test("drain --wait tells on stderr how many are left, and ends when none are", async () => {
  const terminal = new FakeTerminal();
  // The node that is asked first hears of the wish a moment later.
  terminal.server.clusters = [reportWith(), draining(2), draining(2), draining(1), draining(0)];
  const code = passing(terminal, terminal.run("cluster", "drain", "b", "--wait", "--reason", "x"));
  expect(await code).toBe(0);
  expect(terminal.err).toBe("b: 0 partitions left\nb: 2 partitions left\nb: 1 partition left\n");
  expect(terminal.out).toBe("b: drained, 3 partitions given away\n");
});

const moving = (owner: string, pinned: string): ClusterReport =>
  reportWith({ partitions: [{ ...PARTITION, owner, pinned }] });

test("move --wait ends when the partition is there", async () => {
  const terminal = new FakeTerminal();
  terminal.server.clusters = [moving("a", ""), moving("a", "b"), moving("", "b"), moving("b", "b")];
  expect(await passing(terminal, terminal.run("cluster", "move", "0", "b", "--wait", "--reason", "x"))).toBe(0);
  expect(terminal.err).toContain("partition 0: at nobody, wished for b\n");
  expect(terminal.out).toBe("partition 0: is at b\n");
});

test("waiting ends with 112 when the time is over and 116 when the wish was taken back, and says what is so", async () => {
  const terminal = new FakeTerminal();
  terminal.server.clusters = [moving("a", "b")];
  const argv = ["cluster", "move", "0", "b", "--wait", "--timeout", "2s", "--reason", "x"];
  expect(await passing(terminal, terminal.run(...argv))).toBe(112);
  expect(terminal.err).toContain("It has not come true yet: partition 0: at a, wished for b. The wish stands.");
  terminal.server.clusters = [moving("a", "b"), moving("a", "")];
  expect(await passing(terminal, terminal.run(...argv))).toBe(116);
  expect(terminal.err).toContain("It was taken back meanwhile");
});

test("what is refused has the exit code of its error", async () => {
  const terminal = new FakeTerminal();
  const refusals = { bad_argument: 110, not_supported: 116, permission_denied: 115, outcome_unknown: 114 } as const;
  for (const [code, exit] of Object.entries(refusals)) {
    terminal.server.refusals.set("changeCluster", new ForelockError(code as keyof typeof refusals, "no"));
    expect(await terminal.run("cluster", "drain", "b", "--reason", "x")).toBe(exit);
  }
});

test.each([
  [["drain", "b"], "--reason has 0 bytes"],
  [["drain", "b", "--reason", "x", "--timeout", "5s"], "--timeout goes with --wait"],
  [["move", "x", "b", "--reason", "x"], 'PARTITION is "x"'],
  [["move", "3", "--reason", "x"], "node"],
  [["status", "--moves", "0"], "--moves"],
])("cluster %s is refused before anything is sent", async (argv, message) => {
  const terminal = new FakeTerminal();
  expect(await terminal.run("cluster", ...argv)).toBe(110);
  expect(terminal.err).toContain(message);
  expect(terminal.server.changes).toEqual([]);
});

test("states, oddities and moves are words", () => {
  const node = { ...NODE, id: "a", owned: 1, standingBy: 0, answered: true };
  expect(stateOf({ ...node, live: false })).toBe("silent");
  expect(stateOf({ ...node, live: false, draining: true })).toBe("silent, draining");
  expect(stateOf({ ...node, leaving: true })).toBe("stopping");
  expect(stateOf({ ...node, draining: true })).toBe("draining");
  expect(stateOf({ ...node, draining: true, owned: 0 })).toBe("drained");
  expect(oddities(PARTITION, 2, 2)).toEqual([]);
  expect(oddities({ ...PARTITION, owner: "" }, 2, 2)).toEqual(["has no owner"]);
  expect(oddities({ ...PARTITION, standbys: [] }, 2, 2)).toEqual(["lacks a standby"]);
  expect(oddities({ ...PARTITION, standbys: [] }, 2, 1)).toEqual([]);
  expect(oddities({ ...PARTITION, standbys: [{ node: "b", sequence: 0, lag: 1_001 }] }, 2, 2)).toEqual([
    "b far behind",
  ]);
  const move = { atMs: 0, node: "a", partition: 0, other: "b", epoch: 1, tookMs: 1 };
  expect(["took_over", "received", "gave", "lost", "new_word"].map((kind) => moveText({ ...move, kind }))).toEqual([
    "a took it over from b, which was silent",
    "a was given it",
    "a gave it to b",
    "a found that b owns it",
    "a new_word b",
  ]);
});

test("a node that others do not hear, and when they did not, is told", async () => {
  const node = { ...NODE, id: "b", owned: 2, standingBy: 0, answered: true };
  expect(stateOf({ ...node, suspectedBy: ["a", "c"] })).toBe("live, not heard by a and c");
  expect(stateOf({ ...node, answered: false, suspectedBy: ["a"] })).toBe("live, does not answer, not heard by a");
  const move = { atMs: 0, node: "a", partition: 0, other: "b", epoch: 0, tookMs: 850 };
  const terminal = new FakeTerminal();
  terminal.server.clusters = [
    reportWith({
      moves: [
        { ...move, kind: "heard" },
        { ...move, kind: "suspected" },
      ],
      moreMoves: false,
    }),
  ];
  await terminal.run("cluster", "status");
  expect(terminal.out).toMatch(/1970-01-01T00:00:00.000Z {2,}a hears b again {2,}850 ms\n/);
  expect(terminal.out).toMatch(/1970-01-01T00:00:00.000Z {2,}a does not hear b {2,}850 ms\n/);
});
