import { ForelockError } from "@forelock/protocol";
import { expect, test } from "vitest";
import type { Given, Host } from "./host.ts";
import { MOVES_WAITING_MAX, Mover } from "./mover.ts";

/** Two workers that say what is asked of them. */
class Scene {
  readonly told: string[] = [];
  readonly holders: (number | undefined)[] = [0, 0];
  failure: { readonly at: string; readonly error: Error } | undefined;
  readonly mover = new Mover({
    hosts: [this.#host("a"), this.#host("b")],
    holder: (partition) => this.holders[partition],
    moved: (partition, worker) => {
      this.told.push(`${partition} is at ${worker ?? "nobody"}`);
      this.holders[partition] = worker;
    },
  });

  #host(name: string): Host {
    const say = async (what: string): Promise<void> => {
      this.told.push(`${name} ${what}`);
      if (this.failure?.at === `${name} ${what}`) throw this.failure.error;
    };
    return {
      give: async (partition): Promise<Given> => {
        await say(`gives ${partition}`);
        return { partition, epoch: 1, sequence: 1, state: new Uint8Array(1) };
      },
      take: ({ partition }) => say(`takes ${partition}`),
      keep: (partition) => say(`keeps ${partition}`),
      gave: (partition, to) => say(`gave ${partition} to ${to}`),
      lose: (partition) => say(`loses ${partition}`),
    };
  }
}

test("who asks is sent to the taker before the giver turns it away", async () => {
  const scene = new Scene();
  await scene.mover.move(1, 1);
  expect(scene.told).toEqual(["a gives 1", "b takes 1", "1 is at 1", "a gave 1 to 1"]);
});

test("a move to where the partition is does nothing", async () => {
  const scene = new Scene();
  await scene.mover.move(1, 0);
  expect(scene.told).toEqual([]);
});

test("a taker that has not got it leaves it with the giver", async () => {
  const scene = new Scene();
  scene.failure = { at: "b takes 1", error: new Error("no space") };
  await expect(scene.mover.move(1, 1)).rejects.toThrow("no space");
  expect(scene.told).toEqual(["a gives 1", "b takes 1", "a keeps 1"]);
  expect([scene.holders[1], scene.mover.failed]).toEqual([0, 1]);
});

test("when nobody knows whether the taker has it, nobody decides", async () => {
  const scene = new Scene();
  scene.failure = { at: "b takes 1", error: new ForelockError("log_stopped", "Its name may be durable.") };
  await expect(scene.mover.move(1, 1)).rejects.toMatchObject({ code: "log_stopped" });
  expect(scene.told).toEqual(["a gives 1", "b takes 1", "1 is at nobody", "a loses 1"]);
  await expect(scene.mover.move(1, 1)).rejects.toMatchObject({ code: "unavailable" });
});

test("a move that fails does not keep the next one from happening", async () => {
  const scene = new Scene();
  scene.failure = { at: "a gives 0", error: new Error("frozen for good") };
  const moves = await Promise.allSettled([scene.mover.move(0, 1), scene.mover.move(1, 1)]);
  expect(moves.map(({ status }) => status)).toEqual(["rejected", "fulfilled"]);
});

test("no more moves wait than there may be", async () => {
  const scene = new Scene();
  const moves = Array.from({ length: MOVES_WAITING_MAX }, (_, number) =>
    scene.mover.move(number % 2, number % 3 === 0 ? 1 : 0),
  );
  await expect(scene.mover.move(0, 1)).rejects.toMatchObject({ code: "overloaded" });
  await Promise.all(moves);
  await scene.mover.move(0, 1);
});
