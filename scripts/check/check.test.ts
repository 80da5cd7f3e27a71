import { describe, expect, test } from "vitest";
import { examplesIn } from "./examples.ts";
import { importProblems, problemsOf } from "./imports.ts";
import { lockFileProblems, pathProblems, sizeProblems } from "./sources.ts";

describe("this repository", () => {
  test.each([
    ["imports point one way", importProblems],
    ["no file holds two concepts", sizeProblems],
    ["no file names a path of one machine", pathProblems],
    ["the lock file names no host", lockFileProblems],
  ])("%s", (_, problems) => {
    expect(problems()).toEqual([]);
  });
});

const inServer = (inside: string, text: string): readonly string[] =>
  problemsOf({ path: inside, name: "server", inside, text }).map(({ message }) => message);

describe("an import is refused", () => {
  test.each([
    ["lock/lock.ts", 'import { open } from "node:fs";'],
    ["lock/lock.ts", 'import type { Files } from "../log/segment/files.ts";'],
    ["lock/lock.ts", 'import {\n  one,\n  two,\n} from "valibot";'],
    ["lock/lock.ts", 'export { Edge } from "../edge/edge.ts";'],
    ["shard/shard.ts", 'import { SegmentLog } from "../log/segment/segment.ts";'],
    ["log/segment/segment.ts", 'import { lock } from "../../lock/lock.ts";'],
    ["log/segment/segment.ts", 'import { Etcd } from "../../etcd/etcd.ts";'],
    ["etcd/grpc.ts", 'import { ClusterKeys } from "../log/etcd/keys.ts";'],
    ["bulk/disk.ts", 'const late = await import("../edge/edge.ts");'],
    ["edge/edge.ts", 'import { main } from "../main.ts";'],
    ["helpers/any.ts", ""],
  ])("in %s: %s", (inside, text) => {
    expect(inServer(inside, text)).toHaveLength(1);
  });

  test("in the client, when it reaches for the server", () => {
    const source = { path: "", name: "client", inside: "index.ts", text: 'import { run } from "forelock";' };
    expect(problemsOf(source)).toHaveLength(1);
  });
});

test("imports along the map are allowed", () => {
  expect(inServer("lock/lock.ts", 'import { assert } from "@forelock/protocol";\nimport "./other.ts";')).toEqual([]);
  expect(inServer("shard/shard.ts", 'import type { EventLog } from "../log/event-log.ts";')).toEqual([]);
  expect(inServer("log/etcd/read.ts", 'import type { Etcd } from "../../etcd/etcd.ts";')).toEqual([]);
  expect(inServer("main.ts", 'import { DiskBulkStore } from "./bulk/disk.ts";\nimport pino from "pino";')).toEqual([]);
});

test("a pure folder does not wait, but may speak of waiting", () => {
  expect(inServer("lock/lock.ts", "// an await is refused\nexport const one = 1; ")).toEqual([]);
  expect(inServer("lock/lock.ts", "export async function one() {}")).toHaveLength(1);
});

test("examples are found with their line, fragments are left out", () => {
  const page = "# Title\n\n```ts\nconst one = 1;\n```\n\n```ts fragment\nnot code\n```\n\n```toml\na = 1\n```\n";
  expect(examplesIn("README.md", page)).toEqual([{ path: "README.md", line: 4, text: "const one = 1;\n" }]);
});
