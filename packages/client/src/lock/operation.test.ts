import type { Moved } from "@forelock/protocol";
import { describe, expect, test } from "vitest";
import { eventually, Scene } from "../testing/scene.ts";

/** Tells the first waiter of the second session where it stands. */
function move(scene: Scene, reference: string, facts: Partial<Moved>): void {
  const session = [...scene.server.sessions.sessionById.values()][1]!;
  const value = { sequence: 1, reference, position: 1, eta: undefined, soon: false, ...facts };
  scene.server.notify(session, { $case: "moved", value });
}

describe("an operation", () => {
  test("of a free lock is granted at once", async () => {
    await using scene = await Scene.open();
    const client = await scene.client();
    const operation = await client.enqueue("a");
    expect(operation.state).toBe("granted");
    expect(await operation.granted()).toBe(await operation.granted());
  });

  test("in a queue tells its place and who is in the way, and is granted later", async () => {
    await using scene = await Scene.open();
    const [ana, bo] = [await scene.client(), await scene.client()];
    const lock = await ana.lock("a");
    const moves: unknown[] = [];
    const operation = await bo.enqueue("a", { onMoved: (position, eta) => moves.push([position, eta?.p90Ms]) });
    expect(operation).toMatchObject({ state: "queued", position: 1 });
    expect(operation.blockers).toMatchObject([{ token: lock.token, mode: "exclusive" }]);
    move(scene, operation.reference, { position: 7 });
    move(scene, operation.reference, { position: 7, eta: { p50Ms: 40, p90Ms: 900 }, soon: true });
    await eventually(() => moves.length === 2);
    expect(moves).toEqual([
      [7, undefined],
      [7, 900],
    ]);
    expect(operation).toMatchObject({ position: 7, eta: { p50Ms: 40, p90Ms: 900 }, soon: true });
    await lock.release();
    expect((await operation.granted()).held).toBe(true);
    expect(operation).toMatchObject({ state: "granted", position: 0, eta: undefined, soon: false });
  });

  test("tells its progress until it is granted; a slow loop misses steps, and never the end", async () => {
    await using scene = await Scene.open();
    const [ana, bo] = [await scene.client(), await scene.client()];
    const lock = await ana.lock("a");
    const operation = await bo.enqueue("a");
    const progress = operation.progress()[Symbol.asyncIterator]();
    const first = { state: "queued", position: 1, eta: undefined, soon: false };
    expect(await progress.next()).toEqual({ done: false, value: first });
    const next = progress.next();
    move(scene, operation.reference, { eta: { p50Ms: 40, p90Ms: 900 } });
    expect(await next).toMatchObject({ value: { position: 1, eta: { p50Ms: 40, p90Ms: 900 } } });
    move(scene, operation.reference, { position: 3 });
    move(scene, operation.reference, { position: 2, soon: true });
    await eventually(() => operation.soon);
    expect(await progress.next()).toMatchObject({ value: { position: 2, soon: true } });
    await lock.release();
    expect(await progress.next()).toEqual({
      done: false,
      value: { state: "granted", position: 0, eta: undefined, soon: false },
    });
    expect(await progress.next()).toMatchObject({ done: true });
  });

  test("tells its progress to several, and to one that gives up", async () => {
    await using scene = await Scene.open();
    const [ana, bo] = [await scene.client(), await scene.client()];
    await ana.lock("a");
    const operation = await bo.enqueue("a");
    const giveUp = new AbortController();
    const states = async (signal?: AbortSignal) => {
      const seen: string[] = [];
      for await (const { state } of operation.progress(signal && { signal })) seen.push(state);
      return seen;
    };
    const [one, two] = [states(), states(giveUp.signal)];
    two.catch(() => {});
    giveUp.abort(new Error("enough"));
    await expect(two).rejects.toThrow("enough");
    await operation.cancel();
    expect(await one).toEqual(["queued", "ended"]);
  });

  test("carries what was asked of pre-emption and compensation", async () => {
    await using scene = await Scene.open();
    const [ana, bo] = [await scene.client(), await scene.client()];
    await ana.lock("a");
    const compensation = { url: "https://undo.example/a", argument: "7", blocks: true };
    await bo.enqueue("a", { preemptible: "never", compensation });
    const [waiter] = scene.server.sessions.elements.elementByName.get("a")?.queue ?? [];
    expect(waiter?.request).toMatchObject({ preemptible: 1, compensation });
    await expect(bo.lock("b", { compensation: { url: "" } })).rejects.toMatchObject({ code: "bad_argument" });
    const long = { url: "https://undo.example/a", argument: "x".repeat(1_025) };
    await expect(bo.lock("b", { compensation: long })).rejects.toMatchObject({ code: "bad_argument" });
  });

  test("that is cancelled leaves the queue; one that was granted first stays granted", async () => {
    await using scene = await Scene.open();
    const [ana, bo] = [await scene.client(), await scene.client()];
    const lock = await ana.lock("a");
    const [first, second] = [await bo.enqueue("a"), await bo.enqueue("a")];
    expect(await second.cancel()).toBe(true);
    await expect(second.granted()).rejects.toMatchObject({ code: "cancelled" });
    await lock.release();
    await first.granted();
    expect(await first.cancel()).toBe(false);
  });

  test("refused from the start is told at once", async () => {
    await using scene = await Scene.open();
    const client = await scene.client();
    scene.server.sessions.refusals.push("bad_name");
    await expect(client.enqueue("../a")).rejects.toMatchObject({ code: "bad_name" });
  });

  test("is found by its reference from another connection, and awaited there", async () => {
    await using scene = await Scene.open();
    const [ana, bo, cy] = [await scene.client(), await scene.client(), await scene.client()];
    const lock = await ana.lock("a");
    const { reference } = await bo.enqueue("a");
    const found = cy.operation(reference);
    expect(await found.status()).toMatchObject({ state: "queued", position: 1 });
    const waiting = found.wait();
    await lock.release();
    const { state, grants } = await waiting;
    expect(state).toBe("granted");
    expect(grants).toMatchObject([{ name: "a" }]);
    await expect(cy.operation("nothing").status()).rejects.toMatchObject({ code: "operation_unknown" });
  });
});
