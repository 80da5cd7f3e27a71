import { expect, test } from "vitest";
import { ANA, appendTexts, bulkStoreContract, codeOf } from "./contract.ts";
import { MemoryBulkStore } from "./memory.ts";

bulkStoreContract("MemoryBulkStore", async () => new MemoryBulkStore());

test("a stopped memory store refuses reads and syncs, as a failed disk does", async () => {
  const store = new MemoryBulkStore();
  appendTexts(store, ANA, ["one"]);
  store.stop(new Error("EIO"));
  expect(await codeOf(store.sync())).toBe("bulk_stopped");
  expect(await codeOf(store.read(ANA, { offset: 0, bytesMax: 3, length: 3 }))).toBe("bulk_stopped");
});
