import { describe, expect, test } from "vitest";
import { eventually, Scene } from "../testing/scene.ts";

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
    const moves: number[] = [];
    const operation = await bo.enqueue("a", { onMoved: (position) => moves.push(position) });
    expect(operation).toMatchObject({ state: "queued", position: 1 });
    expect(operation.blockers).toMatchObject([{ token: lock.token, mode: "exclusive" }]);
    const session = [...scene.server.sessions.sessionById.values()][1]!;
    scene.server.notify(session, {
      $case: "moved",
      value: { sequence: 1, reference: operation.reference, position: 7, eta: undefined, soon: false },
    });
    await eventually(() => moves.length > 0);
    expect(moves).toEqual([7]);
    await lock.release();
    expect((await operation.granted()).held).toBe(true);
    expect(operation).toMatchObject({ state: "granted", position: 0 });
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
