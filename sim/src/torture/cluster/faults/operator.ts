// operator.ts: what operators do to a cluster under load: they move a partition to another node, and let it go again.
import { pause } from "../../../proxy/clock.ts";
import { between, choose } from "../../../proxy/random.ts";
import { always, type ClusterFault, hotPartition } from "./aim.ts";

const MOVED_MS_MAX = 5_000;
const LOOK_MS = 100;
const PIN = "/forelock/wish/pin/";

export const move: ClusterFault = {
  ...{ kind: "move", lane: "operator", weight: 3, unavailable: always },
  aim: ({ scene, random }) => `p${hotPartition(scene, random)}`,
  inflict: async ({ scene, clock, random }, target) => {
    const partition = Number(target.slice(1));
    const owner = scene.owners.of(partition);
    const heir = choose(
      random,
      scene.nodes.filter(({ name }) => name !== owner),
    );
    const asked = scene.members.map(({ gateway }) => gateway);
    const first = choose(random, asked);
    await first.put(`${PIN}${partition}`, heir.name).catch(() => {}); // Refused: then it does not move.
    const untilMs = clock.monotonicMs() + MOVED_MS_MAX;
    while (scene.owners.of(partition) !== heir.name && clock.monotonicMs() < untilMs) await pause(clock, LOOK_MS);
    const hasMoved = scene.owners.of(partition) === heir.name;
    await pause(clock, between(random, 0, 1_000));
    for (const gateway of asked) if (await unpinned(gateway.delete(`${PIN}${partition}`))) break;
    return hasMoved ? `from ${owner} to ${heir.name}` : undefined;
  },
};

async function unpinned(deleting: Promise<void>): Promise<boolean> {
  return deleting.then(
    () => true,
    () => false,
  );
}
