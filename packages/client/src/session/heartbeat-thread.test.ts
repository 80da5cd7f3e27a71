import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { connect } from "../connect.ts";
import { buildClient, startEchoProcess } from "../testing/build.ts";

let echo: Awaited<ReturnType<typeof startEchoProcess>>;
beforeAll(async () => {
  await buildClient();
  echo = await startEchoProcess();
});
afterAll(() => void echo.process.kill());

/** Blocks this thread, timers and sockets included. */
function block(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

describe("the heartbeat thread", () => {
  test("keeps a lock while the main thread is blocked for longer than the ttl", async () => {
    await using client = await connect({ endpoints: echo.endpoint, ttlMs: 1_000 });
    const lock = await client.lock("a");
    await new Promise((resolve) => setTimeout(resolve, 200)); // The thread is starting.
    block(1_300);
    expect(lock.held).toBe(true);
    expect(lock.signal.aborted).toBe(false);
  });

  test("gives the lock up when the main thread has been blocked for longer than it may", async () => {
    await using client = await connect({ endpoints: echo.endpoint, ttlMs: 1_000, lagMsMax: 200 });
    const lock = await client.lock("a");
    await new Promise((resolve) => setTimeout(resolve, 200));
    block(1_300);
    expect(lock.held).toBe(false);
    expect(lock.signal.reason).toMatchObject({ code: "lock_lost" });
  });

  test("serves several clients of one process", async () => {
    await using ana = await connect({ endpoints: echo.endpoint, ttlMs: 1_000 });
    await using bo = await connect({ endpoints: echo.endpoint, ttlMs: 1_000 });
    const locks = [await ana.lock("a"), await bo.lock("b")];
    await new Promise((resolve) => setTimeout(resolve, 200));
    block(1_000);
    expect(locks.map(({ held }) => held)).toEqual([true, true]);
  });
});
