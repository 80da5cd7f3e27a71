// inspect/cluster.ts: what a cluster is like and what operators can change in it: types. Not here: asking for it (reads.ts).
import type { RequestOptions } from "../lock/lock.ts";

export interface ClusterOptions extends RequestOptions {
  /** Moves at most, the newest first: 1 to 1,000. Absent: 100. */
  readonly movesMax?: number;
}

export interface ClusterReport {
  /** The node that answers; what it knows of others is as it sees them. */
  readonly node: string;
  /** The name of the cluster; empty when the server runs alone. */
  readonly cluster: string;
  /** By id. */
  readonly nodes: readonly ClusterNode[];
  /** By number. */
  readonly partitions: readonly ClusterPartition[];
  /** Undefined when the server runs alone. */
  readonly etcd: EtcdInfo | undefined;
  /** Of all nodes that answered, the newest first. */
  readonly moves: readonly ClusterMove[];
  readonly moreMoves: boolean;
  /** Copies of each partition that are wished for, the owner's included. */
  readonly replicas: number;
  /** How long a node must be silent before its partitions are taken over. */
  readonly leaseMs: number;
}

export interface ClusterNode {
  readonly id: string;
  /** Where nodes and clients reach it, as in `10.0.0.7:7420`. */
  readonly address: string;
  readonly version: string;
  /** It has written its record within the lease. */
  readonly live: boolean;
  /** Since it last did, as the answering node has seen it. */
  readonly silentMs: number;
  /** It is stopping, and gives away what it owns. */
  readonly leaving: boolean;
  /** An operator wants it to own nothing. */
  readonly draining: boolean;
  /** Partitions that it owns. */
  readonly owned: number;
  /** Partitions that it follows for others. */
  readonly standingBy: number;
  /** It answered when it was asked just now. Of one that did not, positions are those of its record, and moves are missing. */
  readonly answered: boolean;
  /** Nodes that share partitions with it and have not heard from it directly of late. The lease alone decides who owns what. */
  readonly suspectedBy: readonly string[];
}

export interface ClusterPartition {
  readonly partition: number;
  /** Empty: none, or one that is silent and not yet replaced. */
  readonly owner: string;
  readonly epoch: number;
  /** The last record of the owner; 0 without one. */
  readonly sequence: number;
  /** Who follows it, by id. */
  readonly standbys: readonly ClusterStandby[];
  /** Who is to own it by the plan, and who is to stand by. */
  readonly wishedOwner: string;
  readonly wishedStandbys: readonly string[];
  /** The node where an operator wants it; empty otherwise. */
  readonly pinned: string;
  /** What the answering node is to it: `leading`, `giving`, `taking`, `following`, `loading`, `away`. */
  readonly role: string;
}

export interface ClusterStandby {
  readonly node: string;
  /** The last record that it has. */
  readonly sequence: number;
  /** Records that the owner has and it has not. Both are asked a moment apart: under load some are on their way. */
  readonly lag: number;
}

export interface EtcdInfo {
  readonly members: readonly EtcdMember[];
  /** Why the members could not be asked; empty when they could. */
  readonly unreachable: string;
  /** `open`, or `growth_refused`: nothing is taken that makes the store larger for good. */
  readonly admission: string;
  /** Why it is refused. */
  readonly admissionReason: string;
}

export interface EtcdMember {
  readonly endpoint: string;
  /** False: it did not answer, and nothing else is known of it. */
  readonly answered: boolean;
  readonly version: string;
  readonly leader: boolean;
  /** False: it knows no leader, and serves nothing that must be current. */
  readonly hasLeader: boolean;
  readonly fileBytes: number;
  readonly inUseBytes: number;
  /** Of its file. */
  readonly quotaBytes: number;
  /** `no_space`, `corrupt`. */
  readonly alarms: readonly string[];
  /** In its own words. */
  readonly errors: readonly string[];
}

export interface ClusterMove {
  /** Wall clock of the node that tells it. */
  readonly atMs: number;
  /** The node that tells it. */
  readonly node: string;
  /**
   * `took_over` (from a silent owner), `received` (from a living one), `gave`; `fenced` and `lost`: another owner was there. Of no
   * partition: `suspected` (the other node was not heard from directly), `heard` (it was again).
   */
  readonly kind: string;
  readonly partition: number;
  /** The other node; empty when there is none. */
  readonly other: string;
  readonly epoch: number;
  /** From the decision to service, or to the end of it. */
  readonly tookMs: number;
}

export type ClusterChange =
  /** The node gives away what it owns and gets nothing new; and no more. */
  | { readonly action: "drain" | "undrain"; readonly node: string }
  /** What was moved by hand is forgotten, and partitions go where they are even. */
  | { readonly action: "rebalance" }
  /** The partition goes to the node, and stays while it can. */
  | { readonly action: "move"; readonly partition: number; readonly node: string };

export interface ChangeClusterOptions extends RequestOptions {
  /** 1 to 256 bytes; in the log of the node that was asked. */
  readonly reason: string;
}
