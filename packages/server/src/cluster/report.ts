// report.ts: what GetCluster tells: nodes, partitions and moves, from what this node sees and what its peers answered. Pure but for looking.
// Not here: asking the peers (administration.ts), etcd's health (etcd-health.ts).
//   P1. Of two who say that they lead a partition, the one of the higher epoch does.
//   P2. A position is what its node answered, or what its record said last; only live nodes have one.
import type { ClusterMove, ClusterNode, ClusterPartition, GetClusterReply } from "@forelock/protocol";
import type { Membership } from "./membership.ts";
import type { Ownership } from "./ownership.ts";
import type { Planner } from "./planner.ts";
import { nodeOfOwner } from "./records.ts";
import type { Move } from "./timeline.ts";

export interface ClusterView {
  readonly cluster: string;
  readonly partitions: number;
  readonly replicas: number;
  readonly leaseMs: number;
  readonly ownership: Pick<Ownership, "nodeId" | "role" | "epoch" | "positions" | "timeline">;
  readonly members: Pick<Membership, "all" | "living" | "isOwnerLive">;
  readonly planner: Pick<Planner, "map" | "pins" | "isDraining">;
  /** Nodes that this one has not heard from directly of late. */
  readonly suspects: () => readonly string[];
}

/** What this node knows by itself: what it is to each partition, and its own moves. */
export function ownPart(
  { cluster, ownership, replicas, leaseMs, suspects }: ClusterView,
  movesMax: number,
): GetClusterReply {
  const { nodeId, timeline } = ownership;
  const partitions = ownership.positions().map((sequence, partition) => {
    const role = ownership.role(partition);
    const isOwner = role === "leading" || role === "giving";
    const epoch = ownership.epoch(partition)?.epoch ?? 0;
    return { ...NO_PARTITION, partition, owner: isOwner ? nodeId : "", epoch, sequence: Math.max(0, sequence), role };
  });
  const moves = timeline.moves.map((move) => moveOf(nodeId, move)).reverse();
  return {
    ...{ node: nodeId, cluster, nodes: [], etcd: undefined, replicas, leaseMs },
    ...{ partitions, moves: moves.slice(0, movesMax), moreMoves: moves.length > movesMax },
    suspects: [...suspects()],
  };
}

/** @param parts what each node told of itself that answered, this one's first */
export function reportOf(
  view: ClusterView,
  parts: readonly [GetClusterReply, ...GetClusterReply[]],
  movesMax: number,
): GetClusterReply {
  const [own] = parts;
  const positions = positionsOf(view, parts);
  const pins = view.planner.pins();
  const map = view.planner.map;
  const partitions = own.partitions.map(({ partition, role }): ClusterPartition => {
    const { owner, epoch } = ownerOf(view, parts, partition);
    const sequence = positions.get(owner)?.[partition] ?? 0;
    const [wishedOwner = "", ...wishedStandbys] = map?.partitions[partition] ?? [];
    const standbys = [...positions]
      .flatMap(([node, all]) =>
        node === owner || (all[partition] ?? -1) < 0 ? [] : [{ node, at: all[partition] ?? 0 }],
      )
      .map(({ node, at }) => ({ node, sequence: at, lag: owner === "" ? 0 : Math.max(0, sequence - at) }));
    const pinned = pins.get(partition) ?? "";
    return {
      partition,
      owner,
      epoch,
      sequence: Math.max(0, sequence),
      standbys,
      wishedOwner,
      wishedStandbys,
      pinned,
      role,
    };
  });
  const moves = parts
    .flatMap((part) => part.moves)
    .sort((a, b) => b.atMs - a.atMs || (a.node < b.node ? -1 : 1) || b.epoch - a.epoch);
  return {
    ...own,
    nodes: nodesOf(view, parts, partitions),
    partitions,
    moves: moves.slice(0, movesMax),
    moreMoves: moves.length > movesMax || parts.some((part) => part.moreMoves),
  };
}

const NO_PARTITION = { standbys: [], wishedOwner: "", wishedStandbys: [], pinned: "" };

const moveOf = (node: string, { wallMs, kind, partition, node: other, epoch, ms }: Move): ClusterMove => ({
  ...{ atMs: Math.max(0, Math.round(wallMs)), node, kind, partition, other, epoch, tookMs: ms },
});

/** P2. By node, in the order of ids; -1 where it has nothing. */
function positionsOf(view: ClusterView, parts: readonly GetClusterReply[]): ReadonlyMap<string, readonly number[]> {
  return new Map(
    view.members.living().map((record) => {
      const told = parts.find(({ node }) => node === record.id)?.partitions;
      const has = ({ role, sequence }: ClusterPartition): number =>
        role === "away" || role === "loading" ? -1 : sequence;
      return [record.id, told === undefined ? record.positions : told.map(has)];
    }),
  );
}

/** P1 */
function ownerOf(
  { ownership, members }: ClusterView,
  parts: readonly GetClusterReply[],
  partition: number,
): { readonly owner: string; readonly epoch: number } {
  const record = ownership.epoch(partition);
  const isLive = record !== undefined && members.isOwnerLive(record.owner);
  const seen = { owner: isLive ? nodeOfOwner(record.owner) : "", epoch: record?.epoch ?? 0 };
  const claims = parts.flatMap((part) =>
    part.partitions.filter((each) => each.partition === partition && each.owner !== ""),
  );
  return claims.reduce((best, { owner, epoch }) => (epoch > best.epoch ? { owner, epoch } : best), seen);
}

function nodesOf(
  { members, planner }: ClusterView,
  parts: readonly GetClusterReply[],
  partitions: readonly ClusterPartition[],
): ClusterNode[] {
  const count = (is: (partition: ClusterPartition) => boolean): number => partitions.filter(is).length;
  return members.all().map(({ record: { id, host, port, version, isLeaving }, isLive, silentMs }) => ({
    ...{ id, address: `${host.includes(":") ? `[${host}]` : host}:${port}`, version, live: isLive },
    silentMs: Math.max(0, Math.round(silentMs)),
    leaving: isLeaving,
    draining: planner.isDraining(id),
    owned: count(({ owner }) => owner === id),
    standingBy: count(({ standbys }) => standbys.some(({ node }) => node === id)),
    answered: parts.some(({ node }) => node === id),
    suspectedBy: parts.filter(({ suspects }) => suspects.includes(id)).map(({ node }) => node),
  }));
}
