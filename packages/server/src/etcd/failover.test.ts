import { createServer, type Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { realClock } from "../real-time.ts";
import { kindOf, putOne } from "./contract.ts";
import { prefixEnd } from "./etcd.ts";
import { GrpcEtcd } from "./grpc.ts";
import { etcdVersion, type Members, startMembers } from "./testing/members.ts";

/** A port where someone listens and never says a word. */
async function silentEndpoint(): Promise<{ readonly endpoint: string; close(): void }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => sockets.add(socket));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = address === null || typeof address === "string" ? 0 : address.port;
  const close = (): void => {
    for (const socket of sockets) socket.destroy();
    server.close();
  };
  return { endpoint: `127.0.0.1:${port}`, close };
}

test("where no member is reached, a request was certainly not done", async () => {
  const etcd = new GrpcEtcd({ endpoints: ["127.0.0.1:1", "127.0.0.1:2"], clock: realClock, deadlineMs: 300 });
  expect(await kindOf(putOne(etcd, "/a"))).toBe("unavailable");
  expect(await kindOf(etcd.range({ key: "/a" }))).toBe("unavailable");
  expect(await kindOf(etcd.status())).toBe("unavailable");
  await etcd.close();
});

test("requests past the limits wait their turn, or are turned away", async () => {
  const silent = await silentEndpoint();
  const limits = { requestsMax: 2, waitingMax: 1, deadlineMs: 300, attemptMs: 100 };
  const etcd = new GrpcEtcd({ endpoints: [silent.endpoint], clock: realClock, ...limits });
  const kinds = await Promise.all(
    [1, 2, 3, 4].map(() => etcd.range({ key: "/a" }).catch((error: Error) => error.message)),
  );
  expect(kinds.filter((message) => String(message).includes("wait already")).length).toBe(1);
  await etcd.close();
  silent.close();
});

describe.skipIf(etcdVersion() === undefined)("with three real members", () => {
  let members: Members;
  beforeEach(async () => {
    members = await startMembers({ members: 3, flags: ["--unsafe-no-fsync"] });
  });
  afterEach(async () => members[Symbol.asyncDispose]());

  test("a member that dies, and one that stands still, cost a while but no request", async () => {
    const etcd = new GrpcEtcd({ endpoints: members.endpoints, clock: realClock, deadlineMs: 20_000 });
    await putOne(etcd, "/a/0");
    const seen: string[] = [];
    const stop = new AbortController();
    const watching = watchOn(etcd, seen, stop.signal);
    members.members[0]?.process.kill("SIGKILL");
    for (let index = 1; index <= 5; index++) await putSurely(etcd, `/a/${index}`);
    expect((await etcd.range({ key: "/a/", end: prefixEnd("/a/") })).count).toBe(6);
    for (let turn = 0; turn < 200 && seen.length < 6; turn++) await wait(50);
    expect(seen).toEqual([0, 1, 2, 3, 4, 5].map((index) => `/a/${index}`));
    expect((await etcd.status()).length).toBe(2);
    stop.abort();
    await watching;
    await etcd.close();
  });

  test("a request on a member that stands still is left for another one, unless it may have happened", async () => {
    const silent = await silentEndpoint();
    const endpoints = [silent.endpoint, ...members.endpoints];
    const etcd = new GrpcEtcd({ endpoints, clock: realClock, attemptMs: 500, deadlineMs: 20_000 });
    expect(await kindOf(putOne(etcd, "/b"))).toBe("outcome_unknown");
    expect(await kindOf(putOne(etcd, "/b"))).toBe("none");
    const reader = new GrpcEtcd({ endpoints, clock: realClock, attemptMs: 500, deadlineMs: 20_000 });
    expect((await reader.range({ key: "/b" })).count).toBe(1);
    await Promise.all([etcd.close(), reader.close()]);
    silent.close();
  });
});

/** As a caller must: an unknown outcome of a put that may be done twice is simply asked for again. */
async function putSurely(etcd: GrpcEtcd, key: string): Promise<void> {
  for (;;) {
    const kind = await kindOf(
      etcd.txn({
        compare: [{ key, target: "create", is: "equal", to: 0 }],
        success: [{ kind: "put", key, value: new Uint8Array(1) }],
      }),
    );
    if (kind === "none") return;
    expect(["outcome_unknown", "unavailable"]).toContain(kind);
  }
}

async function watchOn(etcd: GrpcEtcd, seen: string[], signal: AbortSignal): Promise<void> {
  for (let from = 1; !signal.aborted; ) {
    try {
      for await (const { events, revision } of etcd.watch({ key: "/a/", end: prefixEnd("/a/"), from }, signal)) {
        from = revision + 1;
        for (const event of events) seen.push(event.kind === "put" ? event.entry.key : "deleted");
      }
    } catch {
      await wait(50); // The member is gone: on the next one, from where this was.
    }
  }
}

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => realClock.after(ms, () => resolve()));
}
