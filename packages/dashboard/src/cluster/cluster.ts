// cluster.ts: a cluster as its screen shows it: rows with every field in place, words and colours. Pure.
import type {
  ClusterMove,
  ClusterNode,
  ClusterPartition,
  ClusterStandby,
  EtcdMember,
  GetClusterReply,
} from "@forelock/protocol";
import { count } from "../format/format.ts";
import type { Json } from "../wire/json.ts";

export interface PartitionRow {
  readonly partition: number;
  /** Empty: none. */
  readonly owner: string;
  readonly epoch: number;
  readonly sequence: number;
  readonly standbys: readonly { readonly node: string; readonly lag: number }[];
  readonly wishedOwner: string;
  readonly pinned: string;
}

export function partitionRow(row: Json<ClusterPartition>): PartitionRow {
  const { partition = 0, owner = "", epoch = 0, sequence = 0, standbys = [], wishedOwner = "", pinned = "" } = row;
  return { partition, owner, epoch, sequence, standbys: standbys.map(standbyRow), wishedOwner, pinned };
}

const standbyRow = ({ node = "", lag = 0 }: Json<ClusterStandby>) => ({ node, lag });

/** How many colours there are; with more nodes than that some share one, and their names tell them apart. */
const HUES = 8;

/** A class for each owner; the same node has the same one as long as no node of a lower id comes. */
export function huesOf(nodes: readonly Json<ClusterNode>[]): ReadonlyMap<string, string> {
  return new Map(nodes.map(({ id = "" }, index) => [id, `owner-${index % HUES}`]));
}

/** Empty where the partition is as it should be. */
export function oddityOf({ owner, wishedOwner, standbys }: PartitionRow, copies: number): string {
  if (owner === "") return "has no owner";
  if (wishedOwner !== "" && wishedOwner !== owner) return `is to go to ${wishedOwner}`;
  return standbys.length + 1 < copies ? "lacks a standby" : "";
}

/** Copies that there can be of each partition. */
export function copiesOf({ replicas = 1, nodes = [] }: Json<GetClusterReply>): number {
  return Math.min(replicas, nodes.filter(({ live = false }) => live).length);
}

export function standbyWords(standbys: PartitionRow["standbys"]): string {
  if (standbys.length === 0) return "no standby";
  return standbys.map(({ node, lag }) => (lag === 0 ? node : `${node} (${count(lag)} behind)`)).join(", ");
}

/** One partition, for those who do not see its colour. */
export function partitionWords(row: PartitionRow, copies: number): string {
  const { partition, owner, epoch, sequence, standbys, pinned } = row;
  const owned = owner === "" ? "no owner" : `owned by ${owner}`;
  const standing = standbys.length === 0 ? "no standby" : `standbys ${standbyWords(standbys)}`;
  const oddity = oddityOf(row, copies);
  return [
    `Partition ${partition}: ${owned}`,
    `epoch ${count(epoch)}`,
    `record ${count(sequence)}`,
    standing,
    ...(oddity === "" ? [] : [oddity]),
    ...(pinned === "" ? [] : [`moved to ${pinned} by hand`]),
  ].join(", ");
}

export interface NodeState {
  readonly words: string;
  readonly tone: "good" | "warn" | "bad";
}

export function nodeState(node: Json<ClusterNode>): NodeState {
  const { live = false, leaving = false, draining = false, answered = false, owned = 0, suspectedBy = [] } = node;
  if (!live) return { words: draining ? "silent, draining" : "silent", tone: "bad" };
  if (leaving) return { words: "stopping", tone: "warn" };
  if (draining) return { words: owned === 0 ? "drained" : "draining", tone: "warn" };
  const missed = suspectedBy.length === 0 ? [] : [`not heard by ${suspectedBy.join(" and ")}`];
  const words = ["live", ...(answered ? [] : ["does not answer"]), ...missed].join(", ");
  return { words, tone: words === "live" ? "good" : "warn" };
}

/** Who can be given partitions. */
export function ableNodes(nodes: readonly Json<ClusterNode>[]): readonly string[] {
  return nodes.flatMap(({ id = "", live = false, leaving = false, draining = false }) =>
    live && !leaving && !draining ? [id] : [],
  );
}

export function memberState({ answered = false, leader = false, hasLeader = false }: Json<EtcdMember>): NodeState {
  if (!answered) return { words: "does not answer", tone: "bad" };
  if (leader) return { words: "leader", tone: "good" };
  return hasLeader ? { words: "follower", tone: "good" } : { words: "has no leader", tone: "bad" };
}

/** Of a whole node, and of no partition. */
export const isOfNode = ({ kind }: Json<ClusterMove>): boolean => kind === "suspected" || kind === "heard";

/** A kind that this page does not know stands as it is. */
export function moveWords({ kind = "", node = "", other = "" }: Json<ClusterMove>): string {
  switch (kind) {
    case "took_over":
      return other === "" ? `${node} took it over` : `${node} took it over from ${other}, which was silent`;
    case "received":
      return `${node} was given it`;
    case "gave":
      return `${node} gave it to ${other}`;
    case "fenced":
    case "lost":
      return `${node} found that ${other === "" ? "another node" : other} owns it`;
    case "suspected":
      return `${node} does not hear ${other}`;
    case "heard":
      return `${node} hears ${other} again`;
    default:
      return `${node} ${kind} ${other}`.trimEnd();
  }
}

export interface Mark {
  /** 0: the oldest, 1: the newest. */
  readonly place: number;
  /** Of the node that tells it, from 0. */
  readonly lane: number;
  readonly kind: string;
  readonly title: string;
}

export interface Lanes {
  readonly nodes: readonly string[];
  readonly marks: readonly Mark[];
  readonly fromMs: number;
  readonly toMs: number;
}

/** Moves on a line for each node. @param moves the newest first; one or more */
export function lanesOf(moves: readonly Json<ClusterMove>[]): Lanes {
  const at = ({ atMs = 0 }: Json<ClusterMove>): number => Number(atMs);
  const [toMs, fromMs] = [at(moves[0] ?? {}), at(moves.at(-1) ?? {})];
  const nodes = [...new Set(moves.map(({ node = "" }) => node))].sort();
  const marks = moves.map((move) => ({
    place: (at(move) - fromMs) / Math.max(1, toMs - fromMs),
    lane: nodes.indexOf(move.node ?? ""),
    kind: move.kind ?? "",
    title: isOfNode(move) ? moveWords(move) : `Partition ${move.partition ?? 0}: ${moveWords(move)}`,
  }));
  return { nodes, marks, fromMs, toMs };
}
