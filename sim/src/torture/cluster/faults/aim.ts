// aim.ts: whom a fault befalls: owners and standbys of what clients want most.
import { choose, type Random } from "../../../proxy/random.ts";
import { ELEMENTS } from "../../elements.ts";
import type { Fault, FaultContext } from "../../faults/fault.ts";
import type { ClusterScene } from "../scene.ts";

export type ClusterFault = Fault<ClusterScene>;
export type ClusterContext = FaultContext<ClusterScene>;

export const always = (): undefined => undefined;
const HOT = ELEMENTS.filter((name) => !name.startsWith("cold"));

export function anyNode({ scene, random }: ClusterContext): string {
  return choose(random, scene.nodes).name;
}

export function anyMember({ scene, random }: ClusterContext): string {
  return choose(random, scene.members).place.name;
}

/** Of an element that many clients want. */
export function hotPartition(scene: ClusterScene, random: Random): number {
  return scene.partitionOf(choose(random, HOT)) ?? 0;
}

export function ownerOfHot(context: ClusterContext): string {
  return context.scene.owners.of(hotPartition(context.scene, context.random)) ?? anyNode(context);
}

export function standbyOfHot(context: ClusterContext): string {
  const standbys = context.scene.owners.standbysOf(hotPartition(context.scene, context.random));
  return standbys.length === 0 ? anyNode(context) : choose(context.random, standbys);
}
