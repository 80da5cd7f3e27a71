import { expect, test } from "vitest";
import { MemoryEtcd, MemoryEtcdStore } from "../../etcd/memory.ts";
import { ManualClock } from "../../shard/testing/world.ts";
import { codeOf } from "../contract.ts";
import { checkMembers, checkVersion } from "./version.ts";

test.each([
  ["3.5.0", "refused"],
  ["3.5.2", "refused"],
  ["3.5.3", "warned"],
  ["3.5.4", "warned"],
  ["3.5.5", "warned"],
  ["3.5.12", "warned"],
  ["3.5.13", "fine"],
  ["3.5.21", "fine"],
  ["3.6.4", "fine"],
  ["3.6.0-rc.1", "warned"],
  ["3.4.7", "refused"],
  ["3.4.8", "warned"],
  ["3.4.16", "warned"],
  ["3.4.23", "warned"],
  ["3.3.27", "refused"],
  ["2.3.8", "refused"],
  ["not decided", "warned"],
])("etcd %s is %s", (version, expected) => {
  const { refused, warned } = checkVersion(version);
  expect(refused !== undefined ? "refused" : warned !== undefined ? "warned" : "fine").toBe(expected);
});

test("a verdict names its source", () => {
  expect(checkVersion("3.5.1").refused).toContain("https://github.com/etcd-io/etcd/issues/13766");
});

test("members are looked at: an unsafe one is refused, an old one warned of once", async () => {
  const members = (version: string) =>
    new MemoryEtcd({ store: new MemoryEtcdStore({ clock: new ManualClock(), version }) });
  expect(await codeOf(checkMembers(members("3.5.1")))).toBe("not_supported");
  expect(await checkMembers(members("3.4.23"))).toEqual([expect.stringContaining("3.4 is old")]);
  expect(await checkMembers(members("3.5.21"))).toEqual([]);
});
