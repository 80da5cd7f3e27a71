// report.ts: what GetCluster tells of a server with several workers: each of them as a node. Pure.
import type { ClusterNode, ClusterPartition, GetClusterReply } from "@forelock/protocol";
import { type WorkerOwners, workerId } from "./owners.ts";

export interface Moved {
  readonly partition: number;
  readonly from: number;
  readonly to: number;
  readonly epoch: number;
  /** Wall clock. */
  readonly atMs: number;
  /** How long it took. */
  readonly ms: number;
}

export interface ReportParts {
  readonly owners: WorkerOwners;
  readonly workers: number;
  readonly version: string;
  readonly address: string;
  readonly pins: ReadonlyMap<number, number>;
  readonly epochOf: (partition: number) => number;
  /** The newest first. */
  readonly moves: readonly Moved[];
}

export function reportOf(parts: ReportParts): Omit<GetClusterReply, "node" | "moreMoves"> {
  const { owners, workers, version, address, pins, epochOf, moves } = parts;
  const holders = owners.holders();
  const nodes = Array.from(
    { length: workers },
    (_, worker): ClusterNode => ({
      ...{ id: workerId(worker), address, version, live: true, silentMs: 0, leaving: false, draining: false },
      ...{
        owned: holders.filter((holder) => holder === worker).length,
        standingBy: 0,
        answered: true,
        suspectedBy: [],
      },
    }),
  );
  const partitions = holders.map((holder, partition): ClusterPartition => {
    const owner = holder === undefined ? "" : workerId(holder);
    const pin = pins.get(partition);
    return {
      ...{
        partition,
        owner,
        epoch: epochOf(partition),
        sequence: 0,
        standbys: [],
        wishedOwner: owner,
        wishedStandbys: [],
      },
      ...{ pinned: pin === undefined ? "" : workerId(pin), role: "away" },
    };
  });
  return {
    ...{ cluster: "", nodes, partitions, etcd: undefined, replicas: 1, leaseMs: 0, suspects: [] },
    moves: moves.map(({ partition, from, to, epoch, atMs, ms }) => ({
      ...{ atMs: Math.round(atMs), node: workerId(from), kind: "gave", partition, other: workerId(to), epoch },
      tookMs: ms,
    })),
  };
}
