// network.ts: what the network does between hosts: packets vanish both ways, one way or now and then, cables are pulled, and by the
// gates of the nodes: delay, and answers that are lost.
//   W1. Without hosts of their own a cut stands still what passes a gate: that is what TCP makes of a cut that is healed.
import { pause } from "../../../proxy/clock.ts";
import { between, choose } from "../../../proxy/random.ts";
import { CALM_DIRECTION, type Direction, type WeatherCounts } from "../../../proxy/weather.ts";
import type { ClusterNode } from "../cluster-node.ts";
import type { LinkName } from "../gate.ts";
import type { Drop, Host } from "../hosts.ts";
import type { ClusterScene } from "../scene.ts";
import { always, anyMember, anyNode, type ClusterContext, type ClusterFault, ownerOfHot } from "./aim.ts";

const lane = "network";
/** Below the window, around half a lease, past the lease, and past what others wait after it. */
const CUT_MS_CHOICES = [150, 400, 1_100, 2_600, 4_000] as const;
const LOSS_MS = [1_500, 3_500] as const;

const needsHosts = ({ lack }: ClusterScene): string | undefined =>
  lack === undefined ? undefined : `needs hosts of their own: ${lack}`;

/** What a node can be cut from. */
const SIDES = ["etcd", "etcd", "peer", "peers", "clients"] as const;

function otherSide({ scene, random }: ClusterContext, node: ClusterNode): { word: string; hosts: readonly Host[] } {
  const side = choose(random, SIDES);
  const peers = scene.nodes.filter((other) => other !== node).map(({ host }) => host);
  switch (side) {
    case "etcd":
      return { word: "etcd", hosts: scene.members.map(({ place }) => place.host) };
    case "peer": {
      const peer = choose(random, peers);
      return { word: peer.name, hosts: [peer] };
    }
    case "peers":
      return { word: "the other nodes", hosts: peers };
    case "clients":
      return { word: "the clients", hosts: [scene.hosts.here] };
  }
}

function drops(from: readonly Host[], to: readonly Host[], percent?: number): readonly Drop[] {
  return from.flatMap((source) =>
    to.map((target) => ({ from: source, to: target, ...(percent === undefined ? {} : { percent }) })),
  );
}

async function cut(context: ClusterContext, target: string, isOneWay: boolean): Promise<string | undefined> {
  const { scene, clock, random } = context;
  const { network } = scene.hosts;
  const node = scene.node(target);
  const ms = choose(random, CUT_MS_CHOICES);
  if (network === undefined) return stall(context, node, isOneWay, ms);
  const { word, hosts } = otherSide(context, node);
  const [outward, inward] = [drops([node.host], hosts), drops(hosts, [node.host])];
  const isOutward = random() < 0.5;
  const made = await network.drop(isOneWay ? (isOutward ? outward : inward) : [...outward, ...inward]);
  await pause(clock, ms);
  const packets = await made.heal();
  const way = isOneWay ? (isOutward ? "to" : "from") : "to and from";
  return packets > 0 ? `nothing ${way} ${word} for ${ms} ms, ${packets} packets` : undefined;
}

/** W1 */
async function stall(
  { clock, random }: ClusterContext,
  { gate }: ClusterNode,
  isOneWay: boolean,
  ms: number,
): Promise<string | undefined> {
  const isEtcd = random() < 0.5;
  const links: readonly LinkName[] = isEtcd ? gate.etcd.map((_, link) => link) : ["in"];
  const still = { ...CALM_DIRECTION, stalled: true };
  const isToServer = random() < 0.5;
  const weather = {
    toServer: !isOneWay || isToServer ? still : CALM_DIRECTION,
    toClient: !isOneWay || !isToServer ? still : CALM_DIRECTION,
  };
  const before = await traceOf(gate, links, ({ chunksStalled }) => chunksStalled);
  for (const link of links) await gate.set(link, weather);
  await pause(clock, ms);
  for (const link of links) await gate.set(link, undefined);
  const chunks = (await traceOf(gate, links, ({ chunksStalled }) => chunksStalled)) - before;
  const way = isOneWay ? (isToServer ? "requests" : "answers") : "everything";
  return chunks > 0 ? `${way} ${isEtcd ? "to etcd" : "to the node"} stood still for ${ms} ms` : undefined;
}

async function traceOf(
  gate: ClusterNode["gate"],
  links: readonly LinkName[],
  trace: (counts: WeatherCounts) => number,
): Promise<number> {
  const counts = await Promise.all(links.map((link) => gate.counts(link)));
  return counts.reduce((sum, one) => sum + trace(one), 0);
}

export const cutTwoWays: ClusterFault = {
  ...{ kind: "cut_two_ways", lane, weight: 3, unavailable: always, aim: ownerOfHot },
  inflict: (context, target) => cut(context, target, false),
};

export const cutOneWay: ClusterFault = {
  ...{ kind: "cut_one_way", lane, weight: 4, unavailable: always, aim: ownerOfHot },
  inflict: (context, target) => cut(context, target, true),
};

export const cutMember: ClusterFault = {
  ...{ kind: "cut_member", lane, weight: 2, unavailable: needsHosts, aim: anyMember },
  inflict: async ({ scene, clock, random }, target) => {
    const { host } = scene.member(target).place;
    const others = scene.members.map(({ place }) => place.host).filter((other) => other !== host);
    const way = choose(random, ["to", "from", "to and from"] as const);
    const [outward, inward] = [drops([host], others), drops(others, [host])];
    const ms = choose(random, CUT_MS_CHOICES);
    const made = await scene.hosts.network?.drop(
      way === "to" ? outward : way === "from" ? inward : [...outward, ...inward],
    );
    await pause(clock, ms);
    const packets = (await made?.heal()) ?? 0;
    return packets > 0 ? `nothing ${way} the other members for ${ms} ms, ${packets} packets` : undefined;
  },
};

export const unplug: ClusterFault = {
  ...{ kind: "unplug", lane, weight: 1, unavailable: needsHosts, aim: ownerOfHot },
  inflict: async ({ scene, clock, random }, target) => {
    const ms = choose(random, CUT_MS_CHOICES);
    const made = await scene.hosts.network?.unplug(scene.node(target).host);
    await pause(clock, ms);
    await made?.heal();
    return made === undefined ? undefined : `its cable was out for ${ms} ms`;
  },
};

export const loss: ClusterFault = {
  ...{ kind: "loss", lane, weight: 2, unavailable: needsHosts, aim: anyNode },
  inflict: async ({ scene, clock, random }, target) => {
    const { host } = scene.node(target);
    const percent = between(random, 5, 40);
    const others = [...scene.nodes, ...scene.members.map(({ place }) => place)].map((one) => one.host);
    const sources = [...others.filter((other) => other !== host), scene.hosts.here];
    const made = await scene.hosts.network?.drop(drops(sources, [host], percent));
    await pause(clock, between(random, ...LOSS_MS));
    const packets = (await made?.heal()) ?? 0;
    return packets > 0 ? `${percent} % of what came to it, ${packets} packets` : undefined;
  },
};

interface GateStorm {
  readonly kind: string;
  readonly weight: number;
  readonly lastsMs: readonly [number, number];
  readonly weather: (context: ClusterContext) => {
    readonly toServer?: Partial<Direction>;
    readonly toClient?: Partial<Direction>;
  };
  readonly trace: (counts: WeatherCounts) => number;
}

const GATE_STORMS: readonly GateStorm[] = [
  {
    ...{ kind: "delay", weight: 2, lastsMs: [1_000, 3_000] },
    weather: ({ random }) => {
      const direction = { delayMs: between(random, 5, 150), jitterMs: between(random, 0, 200) };
      return { toServer: direction, toClient: direction };
    },
    trace: ({ chunksDelayed }) => chunksDelayed,
  },
  {
    ...{ kind: "lost_answers", weight: 4, lastsMs: [200, 1_500] },
    weather: () => ({ toClient: { dropped: true } }),
    trace: ({ bytesDropped }) => bytesDropped,
  },
];

/** Between the node and etcd, or whoever asks the node. */
export const gateStorms: readonly ClusterFault[] = GATE_STORMS.map(({ kind, weight, lastsMs, weather, trace }) => ({
  ...{ kind, lane, weight, unavailable: always, aim: ownerOfHot },
  inflict: async (context, target) => {
    const { scene, clock, random } = context;
    const { gate } = scene.node(target);
    const isEtcd = random() < 0.6;
    const links: readonly LinkName[] = isEtcd ? gate.etcd.map((_, link) => link) : ["in"];
    const { toServer, toClient } = weather(context);
    const whole = { toServer: { ...CALM_DIRECTION, ...toServer }, toClient: { ...CALM_DIRECTION, ...toClient } };
    const before = await traceOf(gate, links, trace);
    for (const link of links) await gate.set(link, whole);
    const ms = between(random, ...lastsMs);
    await pause(clock, ms);
    for (const link of links) await gate.set(link, undefined);
    const grown = (await traceOf(gate, links, trace)) - before;
    return grown > 0
      ? `${isEtcd ? "from etcd to it" : "from it to who asks"}, for ${ms} ms, ${grown} of it`
      : undefined;
  },
}));
