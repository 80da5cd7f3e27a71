// read.ts: the records of one partition, read back in order and checked. Not here: several partitions (merge.ts), new ones as they
// come (follow.ts).
import { ForelockError } from "@forelock/protocol";
import type { Etcd, KeyValue } from "../../etcd/etcd.ts";
import type { ClusterKeys } from "./keys.ts";
import { decodeRecord, type FoundRecord, SLOTS_MAX, slotsOf } from "./record.ts";

/** Slots of one page. A slot has at most 256 KiB: so many fit a message of the client. */
export const PAGE_SLOTS = 192;
/** What a page should have when records are as large as in the page before. */
const PAGE_BYTES = 1_048_576;

export interface ReadOptions {
  readonly etcd: Etcd;
  readonly keys: ClusterKeys;
  readonly partition: number;
  /** The last sequence that the caller has. */
  readonly after: number;
  /** The last one to read. */
  readonly through: number;
  /** Slots of the first page; default and most: PAGE_SLOTS. */
  readonly firstSlots?: number;
}

/**
 * Pages of records, from the first above `after` that is there.
 * @throws ForelockError `log_damaged` at a gap within, or when a record does not fit its checksum
 */
export async function* readPages(options: ReadOptions): AsyncGenerator<readonly FoundRecord[], void> {
  const { etcd, keys, partition, through } = options;
  let next = options.after + 1;
  let limit = Math.max(SLOTS_MAX + 1, Math.min(PAGE_SLOTS, options.firstSlots ?? PAGE_SLOTS));
  while (next <= through) {
    const { entries, more } = await etcd.range({ ...keys.records(partition, next, through), limit });
    const records = recordsIn(keys, entries, more);
    const last = records.at(-1);
    if (last === undefined) return;
    if (next > options.after + 1) assertNext(partition, next - 1, records);
    yield records;
    next = last.record.sequence + 1;
    if (!more) return;
    limit = slotsFor(entries);
  }
}

/**
 * The whole records of a range that began with a first slot.
 * @param isCut whether the range went on: then the last record may lack slots, and is left out
 */
export function recordsIn(keys: ClusterKeys, entries: readonly KeyValue[], isCut: boolean): readonly FoundRecord[] {
  const records: FoundRecord[] = [];
  for (let at = 0; at < entries.length; ) {
    const first = entries[at];
    const parsed = first === undefined ? undefined : keys.parse(first.key);
    if (first === undefined || parsed?.kind !== "slot" || parsed.slot !== 0)
      throw new ForelockError("log_damaged", `${first?.key} in etcd is no record of a log.`);
    const slots = Math.max(1, slotsOf(first.value));
    if (isCut && at + slots > entries.length) break;
    const { partition, sequence } = parsed;
    const prefix = `${first.key}/`;
    const own = entries.slice(at, at + slots).filter(({ key }, index) => index === 0 || key.startsWith(prefix));
    const revision = first.modRevision;
    const record = decodeRecord({ partition, sequence, revision, values: own.map(({ value }) => value) });
    assertNext(partition, records.at(-1)?.record.sequence, [record]);
    records.push(record);
    at += slots;
  }
  return records;
}

/** @throws ForelockError `log_damaged` when the first of `records` does not follow `before` */
export function assertNext(partition: number, before: number | undefined, records: readonly FoundRecord[]): void {
  const next = records[0]?.record.sequence;
  if (before === undefined || next === undefined || next === before + 1) return;
  throw new ForelockError(
    "log_damaged",
    `Partition ${partition} in etcd has record ${next} behind ${before}: those between are missing.`,
  );
}

/** As many slots as make about a page, by the size of those before. */
export function slotsFor(entries: readonly { readonly value: { readonly byteLength: number } }[]): number {
  const bytes = entries.reduce((sum, { value }) => sum + value.byteLength, 0);
  const each = Math.max(1, bytes / Math.max(1, entries.length));
  return Math.max(SLOTS_MAX + 1, Math.min(PAGE_SLOTS, Math.ceil(PAGE_BYTES / each)));
}
