// A lockAll over several partitions whose parts are lost before the whole is granted: it ends, and names nothing as granted.
import { describe, expect, test } from "vitest";
import type { Entry, Shard } from "./shard.ts";
import { settle, World } from "./testing/world.ts";

/** Until the part that holds `name` has its token. */
async function confirmed(world: World, name: string): Promise<bigint> {
  const { state } = world.node.shardOf(name);
  for (;;) {
    const holders = state.elements.get(name)?.holders;
    if (holders !== undefined && !(holders instanceof Map) && !holders.reserved) return holders.token;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

const FORCED = { by: "operator", reason: "test" };

/** Has the grant of `name` forced right before, or right behind, the entry that `isIt` tells. */
function forceAt(shard: Shard, name: string, isIt: (entry: Entry) => boolean, isBefore: boolean): void {
  const enter = shard.enter.bind(shard);
  let isDone = false;
  shard.enter = (entry) => {
    const isNow = !isDone && isIt(entry);
    isDone ||= isNow;
    const command = { kind: "force_release", name, token: 0n, ...FORCED } as const;
    const force = (): void =>
      shard.submit(
        command,
        () => undefined,
        () => {},
      );
    if (isNow && isBefore) force();
    enter(entry);
    if (isNow && !isBefore) force();
  };
}

describe("a part that is lost after it got its token, and before its batch is granted,", () => {
  test.each(["the first", "the last"] as const)("ends the batch: %s one, by force", async (which) => {
    const world = await World.open();
    const other = world.nameBeside(["a"]);
    const name = which === "the first" ? "a" : other;
    forceAt(world.node.shardOf(name), name, ({ command }) => command?.kind === "confirm_part", false);
    const ana = world.client();
    await ana.acquireAll(["a", other]);
    await settle();
    expect(ana.ended()).toBe("ended lock_lost");
    for (const each of ["a", other]) expect(world.node.shardOf(each).state.grants).toBe(0);
    expect(world.node.shardOf("a").state.batches.size).toBe(0);
  });

  test("ends the batch: by force in the turn that was to grant it", async () => {
    const world = await World.open();
    const other = world.nameBeside(["a"]);
    forceAt(world.node.shardOf("a"), "a", (entry) => entry.constructor.name === "GrantEntry", true);
    const ana = world.client();
    await ana.acquireAll(["a", other]);
    await settle();
    expect(ana.ended()).toBe("ended lock_lost");
    expect(world.node.shardOf(other).state.grants).toBe(0);
  });

  test("ends the batch: by a countdown", async () => {
    const world = await World.open();
    const other = world.nameBeside(["a"]);
    const [ana, bo] = [world.client(), world.client()];
    const reply = ana.acquireAll(["a", other]);
    await confirmed(world, "a");
    void bo.acquire("a");
    const risk = { score: 1, threshold: 0, parts: [], reason: "test", by: "operator" };
    const shard = world.node.shardOf("a");
    shard.submit(
      { kind: "warn", name: "a", token: 0n, wait: 0, cause: { countdownMs: 0, enforce: true, ...risk } },
      () => undefined,
      () => {},
    );
    shard.submit(
      { kind: "tick" },
      () => undefined,
      () => {},
    );
    await reply;
    await settle();
    expect(ana.ended()).toBe("ended lock_lost");
    expect(bo.ended()).toBe("granted 1");
    expect(world.node.shardOf(other).state.grants).toBe(0);
  });
});

test("a part that is lost after the batch was granted is told of as lost", async () => {
  const world = await World.open();
  const other = world.nameBeside(["a"]);
  const ana = world.client();
  await ana.acquireAll(["a", other]);
  await settle();
  expect(ana.ended()).toBe("granted 2");
  await ana.submit({ $case: "forceRelease", value: { name: other, token: 0n, reason: "test" } });
  await settle();
  expect(ana.notices.filter(({ body }) => body?.$case === "lost")).toHaveLength(1);
});
