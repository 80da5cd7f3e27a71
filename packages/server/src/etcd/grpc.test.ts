import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { realClock } from "../real-time.ts";
import { etcdContract, kindOf, putOne } from "./contract.ts";
import { prefixEnd } from "./etcd.ts";
import { GrpcEtcd } from "./grpc.ts";
import { etcdVersion, type Members, startMembers } from "./testing/members.ts";

describe.skipIf(etcdVersion() === undefined)("with a real member of a small quota", () => {
  test("puts past the quota are told from other failures, the alarm is seen, and deletes go on", async () => {
    const quota = ["--quota-backend-bytes", String(8 * 1_048_576), "--unsafe-no-fsync"];
    await using members = await startMembers({ members: 1, flags: quota });
    const etcd = new GrpcEtcd({ endpoints: members.endpoints, clock: realClock });
    let kind = "none";
    for (let index = 0; index < 40 && kind === "none"; index++)
      kind = await kindOf(putOne(etcd, `/full/${index}`, "x".repeat(500_000)));
    expect(kind).toBe("no_space");
    for (let turn = 0; turn < 200 && (await etcd.alarms()).length === 0; turn++)
      await new Promise<void>((resolve) => realClock.after(20, () => resolve()));
    expect((await etcd.alarms()).map((alarm) => alarm.kind)).toEqual(["no_space"]);
    expect(await kindOf(putOne(etcd, "/small", "x"))).toBe("no_space");
    const range = { kind: "delete", key: "/full/", end: prefixEnd("/full/") } as const;
    expect((await etcd.txn({ compare: [], success: [range] })).succeeded).toBe(true);
    const [status] = await etcd.status();
    expect(status?.dbBytes).toBeGreaterThan(4_000_000);
    await etcd.close();
  });
});

describe.skipIf(etcdVersion() === undefined)("with real members", () => {
  let members: Members;
  beforeAll(async () => {
    members = await startMembers({ members: 1, flags: ["--unsafe-no-fsync"] });
  });
  afterAll(async () => members[Symbol.asyncDispose]());

  etcdContract("GrpcEtcd", async () => ({
    open: () => new GrpcEtcd({ endpoints: members.endpoints, clock: realClock }),
    pass: (ms) => new Promise((resolve) => realClock.after(ms, () => resolve())),
    [Symbol.asyncDispose]: async () => {},
  }));
});
