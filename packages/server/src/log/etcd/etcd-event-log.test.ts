import { afterAll, beforeAll, describe } from "vitest";
import { GrpcEtcd } from "../../etcd/grpc.ts";
import { MemoryEtcd, MemoryEtcdStore } from "../../etcd/memory.ts";
import { etcdVersion, type Members, startMembers } from "../../etcd/testing/members.ts";
import { realClock } from "../../real-time.ts";
import { eventLogContract } from "../contract.ts";
import { openEtcdEventLog } from "./etcd-event-log.ts";

const settings = { clock: realClock, owner: "n1", partitions: 64 };

eventLogContract("EtcdEventLog in memory", async () => {
  const etcd = new MemoryEtcd({ store: new MemoryEtcdStore({ clock: realClock }) });
  return {
    open: () => openEtcdEventLog({ ...settings, etcd, cluster: "test" }),
    [Symbol.asyncDispose]: () => etcd.close(),
  };
});

describe.skipIf(etcdVersion() === undefined)("with a real member", () => {
  let members: Members;
  let etcd: GrpcEtcd;
  let clusters = 0;
  beforeAll(async () => {
    members = await startMembers({ members: 1, flags: ["--unsafe-no-fsync"] });
    etcd = new GrpcEtcd({ endpoints: members.endpoints, clock: realClock });
  });
  afterAll(async () => {
    await etcd.close();
    await members[Symbol.asyncDispose]();
  });

  eventLogContract("EtcdEventLog", async () => {
    clusters += 1;
    const cluster = `test-${clusters}`;
    return {
      open: () => openEtcdEventLog({ ...settings, etcd, cluster }),
      [Symbol.asyncDispose]: async () => undefined,
    };
  });
});
