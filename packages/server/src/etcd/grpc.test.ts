import { afterAll, beforeAll, describe } from "vitest";
import { realClock } from "../real-time.ts";
import { etcdContract } from "./contract.ts";
import { GrpcEtcd } from "./grpc.ts";
import { etcdVersion, type Members, startMembers } from "./testing/members.ts";

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
