// contract.ts: what every bulk store must do, as one suite. Implementations call it with a way to open an empty one.

import { crc32 } from "node:zlib";
import { ForelockError } from "@forelock/protocol";
import fc from "fast-check";
import { afterEach, describe, expect, test } from "vitest";
import type { BulkFileId, BulkRecord, BulkStore } from "./bulk-store.ts";

export const ANA: BulkFileId = { partition: 3, file: 1 };
const BO: BulkFileId = { partition: 3, file: 2 };

/** One step of a history: files by small numbers, contents as text. */
export type Step =
  | { readonly kind: "append"; readonly file: number; readonly text: string }
  | { readonly kind: "truncate"; readonly file: number; readonly keep: number }
  | { readonly kind: "sync" };

/** The texts of each file's records: the sequential model of a store, and what a partition's state would count. */
export class FileTexts {
  readonly #textsByFile = new Map<number, string[]>();

  of(file: number): string[] {
    const texts = this.#textsByFile.get(file) ?? [];
    this.#textsByFile.set(file, texts);
    return texts;
  }

  /** Takes the step in the model, and in the store when there is one. */
  take(step: Step, store?: BulkStore): void {
    if (step.kind === "sync") return;
    const texts = this.of(step.file);
    const id = { partition: 0, file: step.file };
    if (step.kind === "append") {
      store?.append(id, recordOf(texts, step.text));
      texts.push(step.text);
    } else {
      texts.length = Math.min(texts.length, step.keep);
      store?.truncate(id, texts.length, lengthOf(texts), 0);
    }
  }

  /** Expects the store to hold exactly this, in bytes and in records. */
  async expectIn(store: BulkStore): Promise<void> {
    for (const [file, texts] of this.#textsByFile) {
      const id = { partition: 0, file };
      expect(await textOf(store, id, lengthOf(texts))).toBe(texts.join(""));
      expect(await recordsOf(store, id, texts.length)).toEqual(texts);
    }
  }
}

/** Histories over three files, with records from empty to a few hundred bytes. */
export const steps = (stepsMax: number): fc.Arbitrary<Step[]> => {
  const file = fc.integer({ min: 1, max: 3 });
  const text = fc.oneof(
    fc.string({ unit: "grapheme-ascii", maxLength: 12 }),
    fc.string({ unit: "grapheme-ascii", minLength: 100, maxLength: 300 }),
  );
  const append = fc.record({ kind: fc.constant("append" as const), file, text });
  const truncate = fc.record({ kind: fc.constant("truncate" as const), file, keep: fc.integer({ min: 0, max: 12 }) });
  const sync = fc.record({ kind: fc.constant("sync" as const) });
  return fc.array(
    fc.oneof({ arbitrary: append, weight: 8 }, { arbitrary: truncate, weight: 2 }, { arbitrary: sync, weight: 1 }),
    { maxLength: stepsMax },
  );
};

/** The record that comes after `texts`. */
export function recordOf(texts: readonly string[], text: string): BulkRecord {
  const bytes = Buffer.from(text);
  return { index: texts.length, offset: lengthOf(texts), bytes, checksum: crc32(bytes) };
}

export function lengthOf(texts: readonly string[]): number {
  return texts.reduce((length, text) => length + Buffer.byteLength(text), 0);
}

/** Appends texts after `before`. */
export function appendTexts(
  store: BulkStore,
  id: BulkFileId,
  texts: readonly string[],
  before: readonly string[] = [],
): void {
  for (const [place, text] of texts.entries()) store.append(id, recordOf([...before, ...texts.slice(0, place)], text));
}

/** The whole file in reads of 7 bytes and more, as a caller with small buffers would. */
export async function textOf(store: BulkStore, id: BulkFileId, length: number): Promise<string> {
  const parts: Uint8Array[] = [];
  for (let offset = 0; offset < length; ) {
    const part = await store.read(id, { offset, bytesMax: 7 + offset, length });
    expect(part.length).toBeGreaterThan(0);
    expect(part.length).toBeLessThanOrEqual(7 + offset);
    parts.push(part);
    offset += part.length;
  }
  return Buffer.concat(parts).toString();
}

export async function recordsOf(store: BulkStore, id: BulkFileId, count: number): Promise<readonly string[]> {
  const texts: string[] = [];
  while (texts.length < count) {
    const part = await store.readRecords(id, { index: texts.length, recordsMax: 5, bytesMax: 200, count });
    expect(part.length).toBeGreaterThan(0);
    texts.push(...part.map((record) => Buffer.from(record).toString()));
  }
  return texts;
}

async function recordsFrom(store: BulkStore, index: number, count: number): Promise<readonly string[]> {
  const range = { index, recordsMax: 99, bytesMax: 999, count };
  return (await store.readRecords(ANA, range)).map((record) => Buffer.from(record).toString());
}

export async function codeOf(outcome: Promise<unknown>): Promise<string> {
  return outcome.then(
    () => "no error",
    (error: unknown) => (error instanceof ForelockError ? error.code : String(error)),
  );
}

export function bulkStoreContract(name: string, open: () => Promise<BulkStore>): void {
  describe(`${name} as a bulk store`, () => {
    const opened: BulkStore[] = [];
    const openOne = async (): Promise<BulkStore> => {
      const store = await open();
      opened.push(store);
      return store;
    };
    afterEach(async () => {
      for (const store of opened.splice(0)) await store.close();
    });

    test("a read sees every append made before it, on disk or not", async () => {
      const store = await openOne();
      appendTexts(store, ANA, ["one", "", "three"]);
      expect(await textOf(store, ANA, 8)).toBe("onethree");
      expect(await recordsOf(store, ANA, 3)).toEqual(["one", "", "three"]);
    });

    test("a read may begin and end inside records", async () => {
      const store = await openOne();
      appendTexts(store, ANA, ["one", "two", "three"]);
      const part = await store.read(ANA, { offset: 2, bytesMax: 5, length: 11 });
      expect(Buffer.from(part).toString()).toBe("etwot");
    });

    test("a read goes no further than the caller's length and count", async () => {
      const store = await openOne();
      appendTexts(store, ANA, ["one", "two"]);
      expect(Buffer.from(await store.read(ANA, { offset: 0, bytesMax: 100, length: 3 })).toString()).toBe("one");
      expect(await store.read(ANA, { offset: 3, bytesMax: 100, length: 3 })).toHaveLength(0);
      expect(await store.readRecords(ANA, { index: 0, recordsMax: 9, bytesMax: 99, count: 1 })).toHaveLength(1);
      expect(await store.readRecords(ANA, { index: 1, recordsMax: 9, bytesMax: 99, count: 1 })).toHaveLength(0);
    });

    test("one record comes even when it is larger than bytesMax", async () => {
      const store = await openOne();
      appendTexts(store, ANA, ["a long one", "two"]);
      expect(await store.readRecords(ANA, { index: 0, recordsMax: 9, bytesMax: 1, count: 2 })).toHaveLength(1);
    });

    test("files of one number in two partitions are two files", async () => {
      const store = await openOne();
      appendTexts(store, ANA, ["ana"]);
      appendTexts(store, { ...ANA, partition: 4 }, ["other"]);
      expect(await textOf(store, ANA, 3)).toBe("ana");
    });

    test("an empty file needs no storage to be read", async () => {
      const store = await openOne();
      expect(await store.read(BO, { offset: 0, bytesMax: 10, length: 0 })).toHaveLength(0);
      expect(await store.readRecords(BO, { index: 0, recordsMax: 9, bytesMax: 99, count: 0 })).toHaveLength(0);
    });

    test("what is cut is gone, and other records take its place", async () => {
      const store = await openOne();
      appendTexts(store, ANA, ["one", "two", "three"]);
      store.truncate(ANA, 1, 3, 0);
      appendTexts(store, ANA, ["zwei"], ["one"]);
      expect(await recordsOf(store, ANA, 2)).toEqual(["one", "zwei"]);
      expect(await codeOf(store.readRecords(ANA, { index: 2, recordsMax: 1, bytesMax: 9, count: 3 }))).toBe(
        "bulk_damaged",
      );
    });

    test("a cut leaves a shorter file as it is", async () => {
      const store = await openOne();
      appendTexts(store, ANA, ["one"]);
      store.truncate(ANA, 5, 50, 0);
      store.truncate(BO, 0, 0, 0);
      expect(await textOf(store, ANA, 3)).toBe("one");
    });

    test("replaying an append that is there changes nothing", async () => {
      const store = await openOne();
      appendTexts(store, ANA, ["one", "two", "three"]);
      await store.sync();
      appendTexts(store, ANA, ["one", "two"]);
      expect(await recordsOf(store, ANA, 3)).toEqual(["one", "two", "three"]);
    });

    test("another record in the place of an old one cuts what follows", async () => {
      const store = await openOne();
      appendTexts(store, ANA, ["one", "two", "three"]);
      await store.sync();
      appendTexts(store, ANA, ["zwo"], ["one"]);
      expect(await recordsOf(store, ANA, 2)).toEqual(["one", "zwo"]);
      expect(await codeOf(store.readRecords(ANA, { index: 2, recordsMax: 1, bytesMax: 9, count: 3 }))).toBe(
        "bulk_damaged",
      );
    });

    test("a record that fails its checksum is never returned", async () => {
      const store = await openOne();
      appendTexts(store, ANA, ["one"]);
      store.append(ANA, { index: 1, offset: 3, bytes: Buffer.from("two"), checksum: crc32("other") });
      expect(await codeOf(store.read(ANA, { offset: 4, bytesMax: 1, length: 6 }))).toBe("bulk_damaged");
      expect(await codeOf(store.readRecords(ANA, { index: 1, recordsMax: 1, bytesMax: 9, count: 2 }))).toBe(
        "bulk_damaged",
      );
      expect(await textOf(store, ANA, 3)).toBe("one");
    });

    test("contents that are missing are told as damage", async () => {
      const store = await openOne();
      expect(await codeOf(store.read(ANA, { offset: 0, bytesMax: 1, length: 6 }))).toBe("bulk_damaged");
    });

    test("a record behind a gap can be read, and what is missing is refused", async () => {
      const store = await openOne();
      const texts = ["one", "two", "three", "four", "five"];
      appendTexts(store, ANA, ["one"]);
      appendTexts(store, ANA, ["four", "five"], texts.slice(0, 3));
      expect(await recordsFrom(store, 3, 5)).toEqual(["four", "five"]);
      const behind = { index: 3, offset: 11 };
      const part = await store.read(ANA, { offset: 13, bytesMax: 4, length: 19, behind });
      expect(Buffer.from(part).toString()).toBe("urfi");
      expect(await recordsFrom(store, 0, 1)).toEqual(["one"]);
      for (const index of [1, 2]) {
        const read = store.readRecords(ANA, { index, recordsMax: 1, bytesMax: 99, count: 5 });
        expect(await codeOf(read)).toMatch(/^bulk_(unavailable|damaged)$/);
      }
      const inside = store.read(ANA, { offset: 5, bytesMax: 9, length: 19 });
      expect(await codeOf(inside)).toMatch(/^bulk_(unavailable|damaged)$/);
    });

    test("a gap is filled from its start, and nothing behind it is cut", async () => {
      const store = await openOne();
      const texts = ["one", "two", "", "four", "five"];
      appendTexts(store, ANA, ["four"], texts.slice(0, 3));
      for (const index of [0, 1, 2]) store.fill(ANA, recordOf(texts.slice(0, index), texts[index] ?? ""));
      appendTexts(store, ANA, ["five"], texts.slice(0, 4));
      expect(await recordsOf(store, ANA, 5)).toEqual(texts);
      expect(await textOf(store, ANA, lengthOf(texts))).toBe(texts.join(""));
    });

    test("a file cut inside a gap goes on from there", async () => {
      const store = await openOne();
      const texts = ["one", "two", "three", "four"];
      appendTexts(store, ANA, ["four"], texts.slice(0, 3));
      store.truncate(ANA, 2, 6, 0);
      appendTexts(store, ANA, ["drei"], texts.slice(0, 2));
      expect(await recordsFrom(store, 2, 3)).toEqual(["drei"]);
      for (const index of [0, 1]) store.fill(ANA, recordOf(texts.slice(0, index), texts[index] ?? ""));
      expect(await recordsOf(store, ANA, 3)).toEqual(["one", "two", "drei"]);
    });

    test("what an older life of the file left does not hide what is written over it", async () => {
      const store = await openOne();
      appendTexts(store, ANA, ["a very long record indeed", "another one", "and more"]);
      appendTexts(store, ANA, ["new"], ["1", "2"]);
      expect(await recordsFrom(store, 2, 3)).toEqual(["new"]);
      for (const [index, text] of ["1", "2"].entries()) store.fill(ANA, recordOf(["1", "2"].slice(0, index), text));
      expect(await textOf(store, ANA, 5)).toBe("12new");
    });

    test("nothing is pending after a sync", async () => {
      const store = await openOne();
      appendTexts(store, ANA, ["one", "two"]);
      appendTexts(store, BO, ["one", "two"]);
      await store.sync();
      expect(store.pendingBytes).toBe(0);
      expect(store.stopped).toBeUndefined();
    });

    test("any history of appends, cuts and syncs reads back as in a plain list", async () => {
      const property = fc.asyncProperty(steps(60), async (history) => {
        const store = await open();
        const texts = new FileTexts();
        for (const step of history) {
          if (step.kind === "sync") void store.sync();
          texts.take(step, store);
        }
        await texts.expectIn(store);
        await store.close();
      });
      await fc.assert(property, { numRuns: 60 });
    });
  });
}
