// alone.ts: what the operations on a cluster answer where there is none: the server is its one node and owns everything.
// Not here: those of a cluster (cluster/report.ts, cluster/changes.ts).
import { type ChangeClusterReply, ForelockError, type GetClusterReply } from "@forelock/protocol";
import type { Node } from "./node.ts";

/** What a server that runs alone is called. */
const ALONE_ID = "local";

export function aloneReport({ shards, options }: Node): GetClusterReply {
  const partitions = shards.map(({ partition, sequence, state }) => ({
    partition,
    owner: ALONE_ID,
    epoch: state.epoch,
    sequence,
    standbys: [],
    wishedOwner: ALONE_ID,
    wishedStandbys: [],
    pinned: "",
    role: "leading",
  }));
  const self = {
    id: ALONE_ID,
    address: options.address?.() ?? "",
    version: options.version,
    live: true,
    silentMs: 0,
    leaving: false,
    draining: false,
    owned: shards.length,
    standingBy: 0,
    answered: true,
    suspectedBy: [],
  };
  return {
    ...{ node: ALONE_ID, cluster: "", nodes: [self], partitions, etcd: undefined },
    ...{ moves: [], moreMoves: false, replicas: 1, leaseMs: 0, suspects: [] },
  };
}

export async function refuseAlone(action: string): Promise<ChangeClusterReply> {
  throw new ForelockError(
    "not_supported",
    `action: ${action}; this server runs alone, without the setting cluster.etcd.`,
  );
}
