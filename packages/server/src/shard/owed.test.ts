import { expect, test } from "vitest";
import { type CallOut, Owed, type OwedCall } from "./owed.ts";
import { type Client, settle, World } from "./testing/world.ts";

/** Takes what it is given; the test says what comes of it. */
class Receiver implements CallOut {
  readonly taken: OwedCall[] = [];
  readonly #done: ((isDelivered: boolean) => void)[] = [];

  take(call: OwedCall, done: (isDelivered: boolean) => void): void {
    if (this.taken.some(({ partition, id }) => partition === call.partition && id === call.id)) return;
    this.taken.push(call);
    this.#done.push(done);
  }

  end(index: number, isDelivered: boolean): void {
    this.#done[index]?.(isDelivered);
  }
}

const compensation = { url: "https://shop.example/undo", argument: "order 42", blocks: true };

async function forced(client: Client, name: string): Promise<bigint> {
  const token = await client.token(client.acquire(name, { compensation }));
  await client.submit({ $case: "forceRelease", value: { name, token: 0n, reason: "it hangs" } });
  return token;
}

async function lookAt(world: World, receiver: Receiver): Promise<void> {
  new Owed(world.node.shards, receiver).check();
  await settle();
}

test("a call that is owed is handed over with the grant that was lost, and is owed until its end is in the log", async () => {
  const world = await World.open();
  const ana = world.client();
  const token = await forced(ana, "a");
  const receiver = new Receiver();
  await lookAt(world, receiver);
  expect(receiver.taken).toEqual([
    {
      partition: world.node.partitionOf("a"),
      id: 1,
      url: compensation.url,
      argument: compensation.argument,
      element: "a",
      token,
      session: ana.opened.session.id,
      principal: "local",
      why: "forced",
    },
  ]);
  const bo = world.client();
  await bo.acquire("a");
  expect(bo.ended()).toBeUndefined(); // The element waits for the call.
  receiver.end(0, true);
  await settle();
  expect(world.node.shardOf("a").state.compensations.size).toBe(0);
  expect(bo.ended()).toBe("granted 1");
});

test("a call that is given up frees its element, too", async () => {
  const world = await World.open();
  const ana = world.client();
  await forced(ana, "a");
  const receiver = new Receiver();
  await lookAt(world, receiver);
  receiver.end(0, false);
  await settle();
  expect(await ana.token(ana.acquire("a"))).toBeGreaterThan(0n);
});

test("what had no end before a restart is handed over again, under the same partition and id", async () => {
  const world = await World.open();
  await forced(world.client(), "a");
  const first = new Receiver();
  await lookAt(world, first);
  await world.node.drain();
  first.end(0, true); // Too late: the log has stopped taking anything.
  await world.restart();
  const second = new Receiver();
  await lookAt(world, second);
  expect(second.taken).toEqual(first.taken);
});

test("looks that are under way are not doubled, and nothing is handed over where nothing is owed", async () => {
  const world = await World.open();
  const receiver = new Receiver();
  const owed = new Owed(world.node.shards, receiver);
  owed.check();
  await forced(world.client(), "a");
  for (let looks = 0; looks < 3; looks += 1) owed.check();
  await settle();
  expect(receiver.taken).toHaveLength(1);
});
