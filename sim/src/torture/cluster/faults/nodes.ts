// nodes.ts: faults of the processes of nodes: killed, frozen for less and for more than others wait, stopped by an operator.
import { pause } from "../../../proxy/clock.ts";
import { between, choose } from "../../../proxy/random.ts";
import { LEASE_MS } from "../scene.ts";
import { always, type ClusterContext, type ClusterFault, ownerOfHot, standbyOfHot } from "./aim.ts";

const DOWN_MS_MAX = 3_000;
/** Around the window in which an owner may answer by itself, and below the lease. */
const SHORT_MS_CHOICES = [120, 190, 230, 400, 900, 1_600] as const;
/** Past the lease: another has taken over when it wakes, or is about to. */
const LONG_MS_CHOICES = [LEASE_MS, LEASE_MS + 250, LEASE_MS + 700, 2 * LEASE_MS] as const;

const lane = "nodes";

async function kill({ scene, clock, random }: ClusterContext, target: string): Promise<string | undefined> {
  const node = scene.node(target);
  const { pid } = node;
  await node.down();
  const downMs = between(random, 0, DOWN_MS_MAX);
  await pause(clock, downMs);
  const { startMs } = await node.up();
  return pid === undefined ? undefined : `down for ${downMs} ms, up again ${Math.round(startMs)} ms later`;
}

async function freeze({ scene, clock }: ClusterContext, target: string, ms: number): Promise<string | undefined> {
  const node = scene.node(target);
  const beganMs = clock.monotonicMs();
  node.freeze();
  await pause(clock, ms);
  node.thaw();
  return node.pid === undefined ? undefined : `stood still for ${Math.round(clock.monotonicMs() - beganMs)} ms`;
}

export const killOwner: ClusterFault = {
  ...{ kind: "kill_owner", lane, weight: 3, unavailable: always, aim: ownerOfHot, inflict: kill },
};

export const killStandby: ClusterFault = {
  ...{ kind: "kill_standby", lane, weight: 2, unavailable: always, aim: standbyOfHot, inflict: kill },
};

export const pauseOwner: ClusterFault = {
  ...{ kind: "pause_owner", lane, weight: 3, unavailable: always, aim: ownerOfHot },
  inflict: (context, target) => freeze(context, target, choose(context.random, SHORT_MS_CHOICES)),
};

export const pauseOwnerLong: ClusterFault = {
  ...{ kind: "pause_owner_long", lane, weight: 3, unavailable: always, aim: ownerOfHot },
  inflict: (context, target) => freeze(context, target, choose(context.random, LONG_MS_CHOICES)),
};

export const pauseStandby: ClusterFault = {
  ...{ kind: "pause_standby", lane, weight: 2, unavailable: always, aim: standbyOfHot },
  inflict: (context, target) =>
    freeze(context, target, choose(context.random, [...SHORT_MS_CHOICES, ...LONG_MS_CHOICES])),
};

export const leave: ClusterFault = {
  ...{ kind: "leave", lane, weight: 1, unavailable: always, aim: ownerOfHot },
  inflict: async ({ scene }, target) => {
    const node = scene.node(target);
    const isGraceful = await node.stop();
    await node.down();
    await node.up();
    return isGraceful ? "stopped in order, and started again" : "had to be killed: SIGTERM was not obeyed in time";
  },
};
