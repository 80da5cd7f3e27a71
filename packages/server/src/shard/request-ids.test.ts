import { expect, test } from "vitest";
import { World } from "./testing/world.ts";

const ID = "kept-request-0123456789ab";

test("a sequence that comes again with a name of another partition is refused, also after a restart", async () => {
  const world = await World.open();
  const ana = world.client();
  const other = world.nameBeside(["a"]);
  await ana.acquire("a");
  const again = (): ReturnType<typeof ana.acquire> => ana.acquire(other, {}, { sequence: 1 });
  expect((await again()).body).toMatchObject({ value: { code: "request_id_reused" } });
  await world.restart();
  ana.resume();
  expect((await again()).body).toMatchObject({ value: { code: "request_id_reused" } });
  expect((await ana.acquire("a", {}, { sequence: 1 })).body?.$case).toBe("acquire"); // The same request finds its answer.
  expect((await ana.acquire(other)).body?.$case).toBe("acquire");
});

test("a kept request id that comes again with a name of another partition is refused, from another session too", async () => {
  const world = await World.open();
  const [ana, bo] = [world.client(), world.client()];
  const keep = { requestId: ID, keepMs: 0 };
  await ana.acquire("a", {}, { keep });
  const reply = await bo.acquire(world.nameBeside(["a"]), {}, { keep });
  expect(reply.body).toMatchObject({ value: { code: "request_id_reused" } });
  expect((await bo.acquire("a", {}, { keep })).body?.$case).toBe("acquire");
});

test("a sequence that the client has the answer of is refused in every partition", async () => {
  const world = await World.open();
  const ana = world.client();
  await ana.acquire("a");
  await ana.acquire("b");
  world.node.acknowledge(ana.opened.session, 3, []);
  const reply = await ana.acquire(world.nameBeside(["a", "b"]), {}, { sequence: 1 });
  expect(reply.body).toMatchObject({ value: { code: "request_forgotten" } });
});

test("a kept operation that waits is cancelled by its sequence, too", async () => {
  const world = await World.open();
  const [ana, bo] = [world.client(), world.client()];
  const token = await ana.token(ana.acquire("a"));
  await bo.acquire("a", {}, { keep: { requestId: ID, keepMs: 0 } });
  const cancelled = await bo.submit({ $case: "cancel", value: { reference: "", sequence: bo.sequence } });
  expect(cancelled.body).toEqual({ $case: "cancel", value: { cancelled: true } });
  await ana.release("a", token);
  expect(world.node.shardOf("a").state.grants).toBe(0);
});
