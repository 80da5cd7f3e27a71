// storage.ts: what serve.ts needs from where partitions keep their events: alone on this machine's disk, or shared through etcd. One
// variant each: storage-embedded.ts, storage-shared.ts.
import type { BulkStore } from "./bulk/bulk-store.ts";
import type { Address } from "./cluster/membership.ts";
import type { EventLog } from "./log/event-log.ts";
import type { PartitionState } from "./partition/state.ts";
import type { ReadHistory } from "./shard/history.ts";
import type { Node } from "./shard/node.ts";
import type { Ownership } from "./shard/ownership.ts";
import type { Service } from "./shard/service.ts";

export interface Storage {
  readonly log: EventLog;
  readonly bulk: BulkStore;
  readonly states: readonly PartitionState[];
  /** 16 bytes, from the format record. */
  readonly placementKey: Uint8Array;
  /** Undefined: through `log`. */
  readonly readHistory?: ReadHistory;
  /** Undefined: every partition is led. */
  readonly ownership?: Ownership;
  /** What the edge gives requests to. */
  service(node: Node): Service;
  /** Takes over what is to be led. Called before the port opens, or after it where others must know the address. */
  readonly begin:
    | { readonly when: "before_port"; run(node: Node): Promise<void> }
    | { readonly when: "after_port"; run(node: Node, address: Address): Promise<void> };
  /** This thread leads nothing, and only sends requests on to those that do. */
  readonly isFront?: true;
  /** Rejects when the server cannot go on. */
  readonly failed?: Promise<never>;
  /** The port is open. */
  listening?(address: string): void;
  /** The way back, in order: before the node is drained, and after. */
  leave(): Promise<void>;
  close(): Promise<void>;
}

/** Descriptors of a bulk store. */
export const OPEN_FILES_MAX = 64;

/** One line for the operator, with fields. */
export type Note = (line: string, fields: Readonly<Record<string, unknown>>) => void;
