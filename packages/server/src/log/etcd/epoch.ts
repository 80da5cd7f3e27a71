// epoch.ts: the epoch record of a partition: who decides for it. The map is the wish, this is the truth.
import { ForelockError } from "@forelock/protocol";
import type { Compare, KeyValue, TxnOperation } from "../../etcd/etcd.ts";
import type { ClusterKeys } from "./keys.ts";
import { EPOCH_MAX } from "./record.ts";

export interface EpochRecord {
  readonly partition: number;
  /** 0 before the first owner. */
  readonly epoch: number;
  /** Node id; empty before the first owner. */
  readonly owner: string;
  /** Of etcd, at its last change: what a change is compared with. 0 before the first owner. */
  readonly modRevision: number;
}

export function noEpoch(partition: number): EpochRecord {
  return { partition, epoch: 0, owner: "", modRevision: 0 };
}

/** @throws ForelockError `log_damaged` */
export function decodeEpoch(partition: number, entry: KeyValue | undefined): EpochRecord {
  if (entry === undefined) return noEpoch(partition);
  const text = Buffer.from(entry.value).toString();
  const { epoch, owner } = parsed(text);
  if (typeof epoch !== "number" || !Number.isSafeInteger(epoch) || typeof owner !== "string")
    throw new ForelockError("log_damaged", `The epoch record ${entry.key} in etcd is not one: ${text.slice(0, 100)}.`);
  return { partition, epoch, owner, modRevision: entry.modRevision };
}

export function putEpoch(
  keys: ClusterKeys,
  { partition, epoch, owner }: Omit<EpochRecord, "modRevision">,
): TxnOperation {
  return { kind: "put", key: keys.epoch(partition), value: Buffer.from(JSON.stringify({ epoch, owner })) };
}

/** Holds while nobody changed the record since. */
export function isStill(keys: ClusterKeys, { partition, modRevision }: EpochRecord): Compare {
  return { key: keys.epoch(partition), target: "mod", is: "equal", to: modRevision };
}

/** @throws ForelockError `not_supported` */
export function nextEpoch(partition: number, epoch: number): number {
  if (epoch >= EPOCH_MAX)
    throw new ForelockError("not_supported", `Partition ${partition} has had its last epoch, ${EPOCH_MAX}.`);
  return epoch + 1;
}

function parsed(text: string): { readonly epoch?: unknown; readonly owner?: unknown } {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? value : {};
  } catch {
    return {}; // The caller tells what stands there instead.
  }
}
