// format.ts: the format record of a cluster: what was chosen when it was made, and never changes. The first node that comes makes it.
import { ForelockError } from "@forelock/protocol";
import type { RandomBytes } from "../../clock.ts";
import { type Etcd, isEtcdError } from "../../etcd/etcd.ts";
import type { ClusterKeys } from "./keys.ts";

export const FORMAT_VERSION = 1;
const HASH_KEY_BYTES = 16;
const ATTEMPTS = 5;

export interface ClusterFormat {
  readonly formatVersion: number;
  readonly partitions: number;
  /** 16 bytes, hexadecimal: the key of the hash that places names. */
  readonly hashKey: string;
  /** Wall clock. */
  readonly createdMs: number;
}

export interface OpenFormatOptions {
  readonly etcd: Etcd;
  readonly keys: ClusterKeys;
  /** From the settings. Must be what the cluster was made with. */
  readonly partitions: number;
  readonly wallMs: number;
  readonly randomBytes: RandomBytes;
}

/** What tells the contents of this disk and this cluster from all others: what marks of them are kept under. */
export function contentsIdentity(
  { device, inode, machineId }: Readonly<Record<"device" | "inode" | "machineId", string>>,
  { hashKey, createdMs }: Pick<ClusterFormat, "hashKey" | "createdMs">,
): string {
  return [device, inode, machineId, hashKey, createdMs].join(" ");
}

export function encodeFormat(format: Omit<ClusterFormat, "formatVersion">): Uint8Array {
  return Buffer.from(JSON.stringify({ formatVersion: FORMAT_VERSION, ...format } satisfies ClusterFormat));
}

/** The record of a cluster that is there. @throws ForelockError `not_supported`, `log_damaged` */
export async function readFormat(etcd: Etcd, keys: ClusterKeys): Promise<ClusterFormat | undefined> {
  const { entries } = await etcd.range({ key: keys.format });
  const [entry] = entries;
  return entry === undefined ? undefined : known(keys.format, entry.value);
}

/** @throws ForelockError `data_in_use` while an import is not finished */
export async function refuseUnfinishedImport(etcd: Etcd, keys: ClusterKeys): Promise<void> {
  const { entries } = await etcd.range({ key: keys.importing });
  if (entries.length === 0) return;
  const message = `An import into ${keys.all.key} is not finished; run \`forelock import\` to its end first.`;
  throw new ForelockError("data_in_use", message);
}

/** @throws ForelockError `bad_setting` for another number of partitions; `not_supported` for a newer format; `log_damaged` */
export async function openFormat(options: OpenFormatOptions): Promise<ClusterFormat> {
  const { etcd, keys, partitions, wallMs, randomBytes } = options;
  const hashKey = Buffer.from(randomBytes(HASH_KEY_BYTES)).toString("hex");
  const made: ClusterFormat = { formatVersion: FORMAT_VERSION, partitions, hashKey, createdMs: wallMs };
  const value = encodeFormat(made);
  const key = keys.format;
  for (let attempt = 1; ; attempt++) {
    try {
      const { answers, succeeded } = await etcd.txn({
        compare: [{ key, target: "create", is: "equal", to: 0 }],
        success: [{ kind: "put", key, value }],
        failure: [{ kind: "range", key }],
      });
      const [found] = answers;
      return succeeded || found?.kind !== "range" ? made : checked(key, found.entries[0]?.value, partitions);
    } catch (error) {
      // Whether it was made is seen by trying again.
      if (!isEtcdError(error, "outcome_unknown") || attempt === ATTEMPTS) throw error;
    }
  }
}

function known(key: string, value: Uint8Array | undefined): ClusterFormat {
  const format = parsed(value);
  if (format === undefined) throw new ForelockError("log_damaged", `${key} in etcd is no format record.`);
  if (format.formatVersion > FORMAT_VERSION)
    throw new ForelockError(
      "not_supported",
      `The cluster has format ${format.formatVersion}, newer than this version's.`,
    );
  return format;
}

function checked(key: string, value: Uint8Array | undefined, partitions: number): ClusterFormat {
  const format = known(key, value);
  if (format.partitions !== partitions)
    throw new ForelockError(
      "bad_setting",
      `The cluster was made with ${format.partitions} partitions, and the setting says ${partitions}. It cannot change.`,
    );
  return format;
}

function parsed(value: Uint8Array | undefined): ClusterFormat | undefined {
  try {
    const { formatVersion, partitions, hashKey, createdMs } = JSON.parse(Buffer.from(value ?? []).toString());
    const isOne = [formatVersion, partitions, createdMs].every((one) => typeof one === "number");
    return isOne && typeof hashKey === "string" ? { formatVersion, partitions, hashKey, createdMs } : undefined;
  } catch {
    return undefined; // The caller says what is wrong.
  }
}
