// faults.ts: what befalls a cluster in one step, from the seed. Everything that is broken is mended again after a while.
import { between, choose, type Random } from "../proxy/random.ts";
import { Process, type SimulatedTime } from "../simulator/time.ts";
import { LEASE_MS, type Member } from "./member.ts";
import type { PeerNetwork } from "./network.ts";
import type { ClusterFault } from "./profile.ts";

export interface FaultedWorld {
  readonly time: SimulatedTime;
  readonly random: Random;
  readonly network: PeerNetwork;
  readonly members: readonly Member[];
  readonly partitions: number;
}

/** Past the lease of a node and the silence after it, and less. */
const CUT_MS_MAX = 3 * LEASE_MS;
const PAUSE_MS_MAX = 3 * LEASE_MS;
const DOWN_MS_MAX = 5_000;
const WAYS = ["requests", "answers", "writes", "writes", "refused", "lossy", "lossy"] as const;
const fate = new Process("fate");

/** A fault of nodes, or of what is between them. Those of clients are the simulation's. */
export function befall(world: FaultedWorld, kind: ClusterFault): string {
  const { random, members, network, time, partitions } = world;
  const member = choose(random, members);
  const [amount, again, way] = [random(), random(), choose(random, WAYS)];
  const later = (ms: number, run: () => void): void => void time.after(fate, ms, run);
  const cutMs = 100 + again * CUT_MS_MAX;
  switch (kind) {
    case "etcd_way":
      member.weather.way = way;
      later(cutMs, () => member.weather.heal());
      return `${member.id} ${way} for ${cutMs.toFixed(0)} ms`;
    case "etcd_refuses":
      for (const each of members) each.weather.way = "refused";
      later(cutMs / 2, () => {
        for (const each of members) each.weather.heal();
      });
      return `for ${(cutMs / 2).toFixed(0)} ms`;
    case "watch":
      member.weather.watchRatio = amount;
      later(cutMs, () => {
        member.weather.watchRatio = 0;
      });
      return `${member.id} at ${amount.toFixed(2)}`;
    case "peer_cut": {
      const others = members.filter((other) => other !== member && (amount < 0.3 || other.id !== members[0]?.id));
      for (const { id } of others) {
        if (again < 0.7) network.cut(member.id, id);
        if (again > 0.3) network.cut(id, member.id);
        later(cutMs, () => {
          network.mend(member.id, id);
          network.mend(id, member.id);
        });
      }
      return `${member.id} and ${others.map(({ id }) => id).join()} for ${cutMs.toFixed(0)} ms`;
    }
    case "pause": {
      // As often shorter than the window and the lease as longer.
      const ms = amount < 0.3 ? again * 400 : again * PAUSE_MS_MAX;
      member.pause(ms);
      return `${member.id} for ${ms.toFixed(0)} ms`;
    }
    case "crash":
      member.crash(amount * again * DOWN_MS_MAX);
      return member.id;
    case "leave":
      member.leave(amount * again * DOWN_MS_MAX);
      return member.id;
    case "drain": {
      const { id } = choose(random, members);
      member.wish((cluster) => cluster.planner.drain(id, amount < 0.5));
      return `${id} ${amount < 0.5}`;
    }
    case "pin": {
      const [partition, { id }] = [between(random, 0, partitions - 1), choose(random, members)];
      if (amount < 0.15) member.wish((cluster) => cluster.planner.unpin());
      else member.wish((cluster) => cluster.planner.pin(partition, id));
      return `p${partition} to ${id}`;
    }
    default:
      return "";
  }
}

/** Nothing is broken any more, and operators want nothing. */
export function heal({ members, network }: FaultedWorld): void {
  network.mendAll();
  for (const member of members) member.weather.heal();
}
