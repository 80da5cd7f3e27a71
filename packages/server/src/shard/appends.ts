// appends.ts: whether file contents are taken now. Not here: whether the request may append (file/append.ts).
import { ForelockError } from "@forelock/protocol";
import type { BulkStore } from "../bulk/bulk-store.ts";
import type { Ownership } from "./ownership.ts";

/** Bulk that is queued and not yet on disk: beyond it appends are held back. */
const BULK_PENDING_BYTES_MAX = 64 * 1024 * 1024;

/** @throws ForelockError `bulk_stopped`, `overloaded` */
export function refuseAppend(bulk: BulkStore, ownership: Ownership | undefined): void {
  if (bulk.stopped !== undefined) throw new ForelockError("bulk_stopped", "File contents cannot be written.");
  if (bulk.pendingBytes > BULK_PENDING_BYTES_MAX) {
    throw new ForelockError("overloaded", `${bulk.pendingBytes} bytes wait for the disk.`, { retryAfterMs: 200 });
  }
  const why = ownership?.appendRefused();
  if (why !== undefined) throw new ForelockError("overloaded", `Appends wait: ${why}.`, { retryAfterMs: 1_000 });
}
