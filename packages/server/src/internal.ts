// internal.ts: what the simulator and the benchmark of this repository run and inspect. No public surface: it changes with any release.

export type { BulkStore } from "./bulk/bulk-store.ts";
export { DiskBulkStore } from "./bulk/disk.ts";
export { MemoryBulkStore } from "./bulk/memory.ts";
export { SimulatedFiles } from "./bulk/simulated-files.ts";
export type { Clock, RandomBytes, Timer } from "./clock.ts";
export { Cluster } from "./cluster/cluster.ts";
export type { PeerAddress } from "./cluster/owners.ts";
export { ownerName } from "./cluster/records.ts";
export { Router } from "./cluster/router.ts";
export type { EpochRecord } from "./cluster/shared-log.ts";
export { Upkeep } from "./cluster/upkeep.ts";
export { acceptNative } from "./edge/edge.ts";
export type { EdgeLimits, EdgeOptions, PrincipalOptions } from "./edge/options.ts";
export type { CallOptions, Etcd, WatchBatch, WatchRequest } from "./etcd/etcd.ts";
export {
  type EtcdFaults,
  type FaultRates,
  NO_FAULTS,
  type RequestFault,
  type RequestKind,
  seededFaults,
  type WatchFault,
} from "./etcd/faults.ts";
export { GrpcEtcd } from "./etcd/grpc.ts";
export { MemoryEtcd, MemoryEtcdStore } from "./etcd/memory.ts";
export type { WaitEdge } from "./lock/deadlock.ts";
export { MODE_NAMES, type Mode } from "./lock/mode.ts";
export { ancestorsOf } from "./lock/name.ts";
export { stuckEdges } from "./lock/stuck.ts";
export { decodeEpoch } from "./log/etcd/epoch.ts";
export { type EtcdEventLog, openEtcdEventLog } from "./log/etcd/etcd-event-log.ts";
export { ClusterKeys } from "./log/etcd/keys.ts";
export { decodeRecord } from "./log/etcd/record.ts";
export type { EventLog, LogRecord } from "./log/event-log.ts";
export { type FileCall, type FileFault, faultyFiles } from "./log/segment/faulty-files.ts";
export type { Files } from "./log/segment/files.ts";
export { MemoryFiles } from "./log/segment/memory-files.ts";
export { openSegmentEventLog } from "./log/segment/segment-event-log.ts";
export { apply } from "./partition/apply.ts";
export { decodeEvents } from "./partition/codec.ts";
export type { PartitionEvent } from "./partition/events.ts";
export { stateHash } from "./partition/hash.ts";
export { SILENT } from "./partition/observer.ts";
export { decodeSnapshot, encodeSnapshot } from "./partition/snapshot.ts";
export {
  type CompensationTerms,
  createState,
  type Element,
  type FileRow,
  type Grant,
  holdersOf,
  type Operation as RememberedOperation,
  type PartitionState,
  type Session,
  type Terms,
  tokenOf,
  type Wait,
  type Warning,
  type WarningCause,
} from "./partition/state.ts";
export type { HoldForecasts, HoldQuantiles } from "./preempt/engine.ts";
export { Node, type NodeLimits } from "./shard/node.ts";
export type { CallOut, OwedCall } from "./shard/owed.ts";
export { recover } from "./shard/recovery.ts";
export type { Caller, NodeSession, NoticeSink, OpenedSession, Service } from "./shard/service.ts";
export { buildSnapshots } from "./shard/snapshot-build.ts";
export { Snapshots } from "./shard/snapshots.ts";
export { type Actors, addActorsInTheWay, waitEdges } from "./shard/wait-edges.ts";
