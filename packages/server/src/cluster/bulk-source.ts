// bulk-source.ts: the contents that this node gives to a peer that lacks them, as owner or as standby.
//   J1. Only what both states agree on: the same file, cut as often. Its records up to there are then the same.
//   J2. At most SERVED_MAX at once, FILL_BYTES each: who asks more is told to come back.
import { crc32 } from "node:zlib";
import { ForelockError } from "@forelock/protocol";
import type { BulkStore } from "../bulk/bulk-store.ts";
import type { PartitionState } from "../partition/state.ts";
import { type BulkRequest, type FetchedRecord, FILL_BYTES, FILL_RECORDS } from "./filler.ts";

export interface BulkSourceOptions {
  readonly bulk: BulkStore;
  /** As this node follows or leads it; undefined where it does neither. */
  readonly stateOf: (partition: number) => PartitionState | undefined;
}

const SERVED_MAX = 2;
const RETRY_MS = 100;

export class BulkSource {
  readonly #options: BulkSourceOptions;
  #served = 0;

  constructor(options: BulkSourceOptions) {
    this.#options = options;
  }

  /** @throws ForelockError `overloaded`, `unavailable` when the states differ, `bulk_unavailable` when this node lacks them too */
  async read(request: BulkRequest): Promise<readonly FetchedRecord[]> {
    if (this.#served >= SERVED_MAX) {
      const message = `${this.#served} peers are being served file contents.`;
      throw new ForelockError("overloaded", message, { retryAfterMs: RETRY_MS }); // J2
    }
    this.#served += 1;
    try {
      const { partition, number: file, index, end } = request;
      const count = Math.min(end, this.#countOf(request));
      const range = { index, recordsMax: FILL_RECORDS, bytesMax: FILL_BYTES, count };
      const records = await this.#options.bulk.readRecords({ partition, file }, range);
      this.#countOf(request); // J1, also after the read.
      return records.map((bytes) => ({ bytes, checksum: crc32(bytes) }));
    } finally {
      this.#served -= 1;
    }
  }

  /** J1 */
  #countOf({ partition, file, number, undos, index }: BulkRequest): number {
    const row = this.#options.stateOf(partition)?.files.get(file);
    if (row !== undefined && row.number === number && row.undos === undos && row.count > index) return row.count;
    const message = `This node does not have record ${index} of ${file}, partition ${partition}, cut ${undos} times.`;
    throw new ForelockError("unavailable", message, { retryAfterMs: RETRY_MS });
  }
}
