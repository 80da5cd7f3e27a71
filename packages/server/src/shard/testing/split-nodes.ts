// split-nodes.ts: the partitions of one world as if several nodes had them, for the search for cycles: each tells of its own only, and is
// asked over a way that tests delay and break.
import { ForelockError } from "@forelock/protocol";
import { Deadlocks } from "../deadlocks.ts";
import { DeadlockDetector } from "../detector.ts";
import type { Shard } from "../shard.ts";
import type { WaitsAsk } from "../wait-answers.ts";
import type { World } from "./world.ts";

const NOBODY = new ForelockError("not_owner", "Another node has it.");

export class SplitNodes {
  readonly asked: { readonly from: string; readonly to: string; readonly ask: WaitsAsk }[] = [];
  /** Resolves when the question arrives; rejects when it does not. */
  way: ((from: string, to: string, ask: WaitsAsk) => Promise<void>) | undefined;
  readonly #world: World;
  readonly #nodes = new Map<string, Deadlocks>();
  readonly #ids: readonly string[];
  readonly dead = new Set<string>();

  constructor(world: World, ids: readonly string[]) {
    this.#world = world;
    this.#ids = ids;
    for (const id of ids) {
      const shards = world.node.shards.map((shard) =>
        this.ownerOf(shard.partition) === id ? shard : elsewhere(shard),
      );
      const deadlocks = new Deadlocks(shards, world.clock, () => 0);
      deadlocks.join({
        nodeId: id,
        ids: () => ids.filter((other) => other !== id && !this.dead.has(other)),
        ownerOf: (partition) => this.ownerOf(partition),
        ask: async (to, ask) => {
          this.asked.push({ from: id, to, ask });
          await this.way?.(id, to, ask);
          return this.node(to).answer(ask, id);
        },
      });
      this.#nodes.set(id, deadlocks);
    }
  }

  ownerOf(partition: number): string {
    return this.#ids[partition % this.#ids.length] ?? "";
  }

  /** The index-th name that `id` has. */
  nameAt(id: string, index = 0): string {
    const names = Array.from({ length: 400 }, (_, number) => `n${number}`);
    return names.filter((name) => this.ownerOf(this.#world.node.partitionOf(name)) === id)[index] ?? "";
  }

  node(id: string): Deadlocks {
    const node = this.#nodes.get(id);
    if (node === undefined || this.dead.has(id)) throw new ForelockError("unavailable", `no node ${id}`);
    return node;
  }

  /** Every node looks so many times, and has its answers. */
  async check(times: number): Promise<void> {
    for (let time = 0; time < times; time += 1) {
      for (const [id, node] of this.#nodes) if (!this.dead.has(id)) node.check();
      await this.#world.clock.advance(100);
    }
  }

  get found(): number {
    return [...this.#nodes.values()].reduce((sum, node) => sum + (node.counters()["deadlocks_total"] ?? 0), 0);
  }
}

function elsewhere({ partition, state }: Shard): Shard {
  return { partition, state, stopped: NOBODY } as unknown as Shard; // Cast: who sees that it has stopped asks no more of it.
}

/** What the detector of one node would refuse, had it all partitions. Nothing comes of it. */
export function foundByOne(world: World): readonly { readonly partition: number; readonly wait: number }[] {
  const refused: { readonly partition: number; readonly wait: number }[] = [];
  const detector = new DeadlockDetector(
    world.node.shards,
    () => 0,
    ({ victim }) => refused.push(victim),
  );
  detector.check();
  detector.check();
  return refused;
}
