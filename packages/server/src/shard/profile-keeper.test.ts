import { expect, test } from "vitest";
import { ProfileKeeper, type ProfileStore } from "./profile-keeper.ts";
import { World } from "./testing/world.ts";

function memory(): ProfileStore & { bytes: Uint8Array | undefined } {
  return {
    bytes: undefined,
    async load() {
      return this.bytes;
    },
    async save(bytes) {
      this.bytes = bytes;
    },
  };
}

async function worldWith(store: ProfileStore): Promise<{ world: World; keeper: ProfileKeeper; notes: string[] }> {
  const world = await World.open({ isPredicting: true });
  const notes: string[] = [];
  const { profiles } = world.node.foresight;
  const keeper = await ProfileKeeper.start({ profiles, store, clock: world.clock, note: (line) => notes.push(line) });
  return { world, keeper, notes };
}

test("what was learned before is known after a restart, from the last save or from the end", async () => {
  const store = memory();
  const first = await worldWith(store);
  const ana = first.world.client(undefined, "worker");
  const token = await ana.token(ana.acquire("a"));
  await first.world.clock.advance(700);
  await ana.release("a", token);
  await first.keeper.close();
  const second = await worldWith(store);
  expect(second.world.node.foresight.profiles.quantiles("worker", "a", 0, 0)?.source).toBe("pair");
  expect(second.notes).toEqual([]);
  store.bytes = undefined;
  await second.world.clock.advance(300_001);
  expect(store.bytes).toBeDefined();
});

test("a file that cannot be read or written is noted, and nothing more", async () => {
  const store: ProfileStore = {
    load: () => Promise.resolve(new Uint8Array(40)),
    save: () => Promise.reject(new Error("EIO")),
  };
  const { keeper, notes } = await worldWith(store);
  await keeper.close();
  expect(notes).toEqual(["profiles not read; forecasts start afresh", "profiles not written"]);
});
