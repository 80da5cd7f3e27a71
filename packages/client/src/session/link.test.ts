import { AcquireRequest, ForelockError } from "@forelock/protocol";
import { describe, expect, test } from "vitest";
import { eventually, Scene } from "../testing/scene.ts";

describe("a connection that is lost", () => {
  test("answers that were lost are asked for again under the same number, and nothing happens twice", async () => {
    await using scene = await Scene.open();
    const client = await scene.client();
    const lock = await client.lock("log");
    scene.server.faults.loseAnswers = true;
    const appended = Promise.all(["a", "b", "c"].map((text) => client.file("log").append(text, { lock })));
    await eventually(() => scene.server.sessions.executed.filter((line) => line.startsWith("append")).length === 3);
    scene.server.faults.loseAnswers = false;
    scene.server.cut();
    expect((await appended).map(({ index }) => index)).toEqual([0, 1, 2]);
    expect(scene.server.sessions.elements.recordsByFile.get("log")?.map(String)).toEqual(["a", "b", "c"]);
    expect(new Set(scene.server.sessions.executed).size).toBe(scene.server.sessions.executed.length);
  });

  test("a stream of appends cut after every few bytes arrives complete, in order and once", async () => {
    await using scene = await Scene.open();
    const client = await scene.client({ inFlightMax: 20 });
    const lock = await client.lock("log");
    const expected = Array.from({ length: 200 }, (_, index) => `record-${index}`);
    scene.server.sessions.limits = { ...scene.server.sessions.limits, frameOperations: 3 };
    let cuts = 0;
    const cutting = setInterval(() => {
      cuts++;
      scene.server.faults.loseAnswers = cuts % 3 === 0;
      if (cuts % 2 === 0) scene.server.cut();
      else scene.server.faults.cutAfterBytes = 700 + 37 * cuts;
    }, 4);
    const results = await Promise.all(expected.map((text) => client.file("log").append(text, { lock })));
    clearInterval(cutting);
    expect(scene.server.sessions.elements.recordsByFile.get("log")?.map(String)).toEqual(expected);
    expect(results.map(({ index }) => index)).toEqual(expected.map((_, index) => index));
    expect(scene.server.connections).toBeGreaterThan(3);
  });

  test("a restarted server finds the session again: the lock stays, and a queued wait is granted later", async () => {
    await using scene = await Scene.open();
    const [ana, bo] = [await scene.client(), await scene.client()];
    const first = await ana.lock("a");
    const second = bo.lock("a");
    await eventually(() => scene.server.sessions.elements.elementByName.get("a")?.queue.length === 1);
    await scene.server.stop();
    const released = first.release();
    await scene.server.start();
    await released;
    expect((await second).token).toBeGreaterThan(first.token);
    expect(first.signal.aborted).toBe(false);
  });

  test("a grant that came while the connection was down is told by the Welcome", async () => {
    await using scene = await Scene.open();
    const [ana, bo] = [await scene.client(), await scene.client()];
    const first = await ana.lock("a");
    const second = bo.lock("a");
    await eventually(() => scene.server.sessions.elements.elementByName.get("a")?.queue.length === 1);
    scene.server.faults.loseAnswers = true;
    const released = first.release();
    await eventually(() => scene.server.sessions.executed.some((line) => line.startsWith("release")));
    scene.server.faults.loseAnswers = false;
    scene.server.cut();
    await released;
    expect((await second).held).toBe(true);
  });

  test("a slow server is waited for, and no request is carried out twice", async () => {
    await using scene = await Scene.open();
    const client = await scene.client({ requestMs: 3_000 });
    scene.server.faults.delayMs = 700; // Longer than the time after which a silent connection is replaced.
    const lock = await client.lock("a");
    expect(lock.held).toBe(true);
    expect(scene.server.sessions.executed).toEqual(["acquire 1"]);
    expect(scene.server.greeted).toBe(2);
  });

  test("without an answer in time a read is `unavailable` and an append `outcome_unknown`", async () => {
    await using scene = await Scene.open();
    const client = await scene.client({ requestMs: 80 });
    const lock = await client.lock("log");
    scene.server.faults.loseAnswers = true;
    await expect(client.why("log")).rejects.toMatchObject({ code: "unavailable" });
    await expect(client.file("log").append("a", { lock })).rejects.toMatchObject({ code: "outcome_unknown" });
  });

  test("a grant that comes after its caller gave up is given back", async () => {
    await using scene = await Scene.open();
    const client = await scene.client({ requestMs: 80 });
    scene.server.faults.loseAnswers = true;
    await expect(client.lock("a")).rejects.toMatchObject({ code: "unavailable" });
    scene.server.faults.loseAnswers = false;
    scene.server.cut();
    await eventually(() => scene.server.sessions.executed.some((line) => line.startsWith("release")));
    expect(scene.server.sessions.elements.holdersOf(scene.server.only.id)).toEqual([]);
  });

  test("what the server holds for a resumed session and nobody here knows is released", async () => {
    await using scene = await Scene.open();
    const client = await scene.client();
    await client.lock("known");
    const { elements } = scene.server.sessions;
    elements.acquire(scene.server.only.id, 999, AcquireRequest.create({ name: "unknown" }), () => {});
    scene.server.cut();
    await eventually(() => elements.holdersOf(scene.server.only.id).length === 1);
    expect(elements.holdersOf(scene.server.only.id)[0]?.name).toBe("known");
  });

  test("what was believed held and is absent after resuming is lost", async () => {
    await using scene = await Scene.open();
    const client = await scene.client();
    const [kept, gone] = [await client.lock("kept"), await client.lock("gone")];
    scene.server.sessions.elements.elementByName.get("gone")!.holders = []; // Not told, as after a restore.
    scene.server.cut();
    await eventually(() => gone.signal.aborted);
    expect(gone.signal.reason).toMatchObject({ code: "lock_lost" });
    expect(kept.held).toBe(true);
    await expect(gone.release()).rejects.toMatchObject({ code: "lock_lost" });
  });
});

describe("refusals", () => {
  test("one to be tried later is tried again under its number", async () => {
    await using scene = await Scene.open();
    const client = await scene.client();
    scene.server.sessions.refusals.push("queue_full", "overloaded", "outcome_unknown");
    expect((await client.lock("a")).held).toBe(true);
    expect(scene.server.sessions.executed).toEqual(["acquire 1"]);
  });

  test("one to be tried later is told when the attempts are used up", async () => {
    await using scene = await Scene.open();
    const client = await scene.client({ retry: { attemptsMax: 2, pauseMs: 1, totalMs: 1_000 } });
    scene.server.sessions.refusals.push("queue_full", "queue_full", "queue_full");
    await expect(client.lock("a")).rejects.toMatchObject({ code: "queue_full" });
  });

  test("one that is final is told at once, with its code", async () => {
    await using scene = await Scene.open();
    const client = await scene.client();
    scene.server.sessions.refusals.push("permission_denied");
    await expect(client.lock("a")).rejects.toMatchObject({ code: "permission_denied", name: "ForelockError" });
  });

  test("connecting to where nobody listens is `unavailable`, in bounded time", async () => {
    await using scene = await Scene.open();
    await scene.server.stop();
    const started = performance.now();
    await expect(scene.client({ retry: { attemptsMax: 3, pauseMs: 1 } })).rejects.toMatchObject({
      code: "unavailable",
    });
    expect(performance.now() - started).toBeLessThan(5_000);
    await scene.server.start();
  });

  test("a connection refused for good is told with the server's code, one refused for now is tried again", async () => {
    await using scene = await Scene.open();
    scene.server.faults.closing = new ForelockError("unauthenticated", "Who are you?");
    await expect(scene.client()).rejects.toMatchObject({ code: "unauthenticated" });
    scene.server.faults.closing = new ForelockError("unavailable", "Starting.");
    const client = scene.client();
    await eventually(() => scene.server.connections > 3);
    scene.server.faults.closing = undefined;
    expect((await (await client).lock("a")).held).toBe(true);
  });
});

describe("limits", () => {
  test("what is issued together goes in one frame, up to the frame's limit", async () => {
    await using scene = await Scene.open();
    const client = await scene.client();
    await Promise.all(Array.from({ length: 2_500 }, (_, index) => client.lock(`a/${index}`)));
    expect(scene.server.frameSizes).toEqual([1_000, 1_000, 500]);
  });

  test("no frame is larger than the server's limit in bytes", async () => {
    await using scene = await Scene.open();
    scene.server.sessions.limits = { ...scene.server.sessions.limits, frameBytes: 300_000 };
    const client = await scene.client();
    const lock = await client.lock("log");
    const bytes = Buffer.alloc(100_000, "x");
    await Promise.all([1, 2, 3, 4, 5].map(() => client.file("log").append(bytes, { lock })));
    expect(scene.server.frameSizes).toEqual([1, 2, 2, 1]);
  });

  test("above the in-flight limit requests wait here in order, and above that they are refused `overloaded`", async () => {
    await using scene = await Scene.open();
    const client = await scene.client({ inFlightMax: 2, queuedMax: 3 });
    const outcomes = await Promise.allSettled(
      ["a", "b", "c", "d", "e"].map((name) => client.lock(name)), // The first three wait here until the frame is made.
    );
    expect(outcomes.map(({ status }) => status)).toEqual([
      "fulfilled",
      "fulfilled",
      "fulfilled",
      "rejected",
      "rejected",
    ]);
    expect(scene.server.frameSizes).toEqual([2, 1]);
    expect(outcomes[4]).toMatchObject({ reason: { code: "overloaded" } });
  });

  test("answers are acknowledged: the server forgets what was answered", async () => {
    await using scene = await Scene.open();
    const client = await scene.client();
    for (let index = 0; index < 50; index++) await (await client.lock("a")).release();
    expect(scene.server.only.replyBySequence.size).toBeLessThan(4);
  });

  test("ended waits are settled: the server forgets them, too", async () => {
    await using scene = await Scene.open();
    const [ana, bo] = [await scene.client(), await scene.client()];
    for (let index = 0; index < 5; index++) {
      const first = await ana.lock("a");
      const second = bo.lock("a");
      await eventually(() => scene.server.sessions.elements.elementByName.get("a")?.queue.length === 1);
      await first.release();
      await (await second).release();
    }
    await bo.why("a");
    const sessions = [...scene.server.sessions.sessionById.values()];
    expect(sessions.map(({ endBySequence }) => endBySequence.size)).toEqual([0, 0]);
  });
});
