import { expect, test } from "vitest";
import { codeOf } from "../contract.ts";
import { openFormat } from "./format.ts";
import { ClusterKeys } from "./keys.ts";
import { Scene } from "./testing/scene.ts";

const randomBytes = (bytes: number): Uint8Array => new Uint8Array(bytes).fill(7);

test("the first node makes the format record, and the others find it", async () => {
  const scene = new Scene();
  const { etcd } = await scene.node("a");
  const keys = new ClusterKeys("test");
  etcd.faults.push("answer_lost");
  const first = await openFormat({ etcd, keys, partitions: 64, wallMs: 5, randomBytes });
  expect(first).toEqual({ formatVersion: 1, partitions: 64, hashKey: "07".repeat(16), createdMs: 5 });
  expect(await openFormat({ etcd, keys, partitions: 64, wallMs: 99, randomBytes })).toEqual(first);
  expect(await codeOf(openFormat({ etcd, keys, partitions: 32, wallMs: 99, randomBytes }))).toBe("bad_setting");
});

test("a newer format, and what is none, are refused", async () => {
  const scene = new Scene();
  const { etcd } = await scene.node("a");
  const keys = new ClusterKeys("test");
  const open = () => openFormat({ etcd, keys, partitions: 64, wallMs: 5, randomBytes });
  const put = (text: string) =>
    scene.store.txn({ compare: [], success: [{ kind: "put", key: keys.format, value: Buffer.from(text) }] });
  put(JSON.stringify({ formatVersion: 2, partitions: 64, hashKey: "", createdMs: 1 }));
  expect(await codeOf(open())).toBe("not_supported");
  put("{");
  expect(await codeOf(open())).toBe("log_damaged");
});

test("a cluster's name must fit a key", () => {
  for (const name of ["", "a/b", "ä", "x".repeat(65), ".a"]) expect(() => new ClusterKeys(name)).toThrow("bad_setting");
  expect(new ClusterKeys("team-1.eu").format).toBe("/team-1.eu/format");
});
