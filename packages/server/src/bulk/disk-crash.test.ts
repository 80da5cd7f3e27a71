// What crashes, torn files and failing calls leave, and that a replay of the log from the last sync mends it.

import fc from "fast-check";
import { expect, test } from "vitest";
import { ANA, appendTexts, codeOf, FileTexts, recordsOf, type Step, steps, textOf } from "./contract.ts";
import { DiskBulkStore } from "./disk.ts";
import { SimulatedFiles } from "./simulated-files.ts";

const open = (files: SimulatedFiles): Promise<DiskBulkStore> =>
  DiskBulkStore.open({ folder: "/bulk", files, openFilesMax: 2 });

/** A small generator (mulberry32), so that a failing case of fast-check runs again alike. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Runs a history. @returns how many steps were made when the last sync that succeeded was called. */
async function play(store: DiskBulkStore, history: readonly Step[], texts: FileTexts): Promise<number> {
  let synced = 0;
  for (const [place, step] of history.entries()) {
    texts.take(step, store);
    if (step.kind === "sync" && (await codeOf(store.sync())) === "no error") synced = place;
  }
  return synced;
}

/** Replays what a log would still hold, and expects all of the history in the store. */
async function replay(files: SimulatedFiles, history: readonly Step[], from: number): Promise<DiskBulkStore> {
  const store = await open(files);
  const texts = new FileTexts();
  for (const [place, step] of history.entries()) texts.take(step, place < from ? undefined : store);
  await texts.expectIn(store);
  return store;
}

test("a replay from the last sync mends whatever a power cut leaves", async () => {
  const property = fc.asyncProperty(steps(40), fc.integer(), fc.nat(40), async (history, seed, earlier) => {
    const files = new SimulatedFiles(seeded(seed));
    const store = await open(files);
    const synced = await play(store, history, new FileTexts());
    // A snapshot may be older than the sync that covers it, so the log begins there or before.
    const logged = Math.max(synced - earlier, 0);
    const next = files.crash();
    await replay(next, history, logged);
    await replay(next.crash(), history, logged); // Crashed again, with no sync since.
  });
  await fc.assert(property, { numRuns: 300 });
});

test("after a replay and a sync the next power cut loses nothing", async () => {
  const property = fc.asyncProperty(steps(30), fc.integer(), fc.boolean(), async (history, seed, power) => {
    const files = new SimulatedFiles(seeded(seed));
    const synced = await play(await open(files), history, new FileTexts());
    const next = power ? files.crash() : files.kill();
    await (await replay(next, history, synced)).sync();
    await replay(next.crash(), history, history.length); // Nothing of the log is left.
  });
  await fc.assert(property, { numRuns: 200 });
});

test("files cut to any length are mended by a replay", async () => {
  const history: Step[] = ["one", "", "three", "four"].map((text) => ({ kind: "append", file: 1, text }));
  const whole = { data: 12, index: 64 };
  for (let data = 0; data <= whole.data + 5; data += 1)
    for (let index = 0; index <= whole.index + 20; index += 1) {
      const files = new SimulatedFiles(() => 0.9);
      const store = await open(files);
      await play(store, history, new FileTexts());
      await store.close();
      const cut = (length: number) => (bytes: Uint8Array) => Buffer.concat([bytes, Buffer.alloc(40, 7)], length);
      files.damage("/bulk/0/1.data", cut(data));
      files.damage("/bulk/0/1.index", cut(index));
      await replay(files, history, 0);
    }
});

test("records that the log lost give way to others", async () => {
  const property = fc.asyncProperty(steps(20), steps(20), fc.integer(), async (kept, lost, seed) => {
    const files = new SimulatedFiles(seeded(seed));
    const store = await open(files);
    const texts = new FileTexts();
    const synced = await play(store, kept, texts);
    await play(
      store,
      lost.filter((step) => step.kind === "append"),
      texts,
    );
    const next: Step[] = [1, 2, 3].map((file) => ({ kind: "append", file, text: "another end" }));
    await replay(files.crash(), [...kept, ...next], synced);
  });
  await fc.assert(property, { numRuns: 200 });
});

test("each failing call ends in an error or a stop, and the log mends what is left", async () => {
  const history: Step[] = [
    { kind: "append", file: 1, text: "one" },
    { kind: "append", file: 2, text: "two" },
    { kind: "sync" },
    { kind: "append", file: 1, text: "three" },
    { kind: "truncate", file: 2, keep: 0 },
    { kind: "append", file: 3, text: "four" },
    { kind: "append", file: 2, text: "five" },
    { kind: "sync" },
    { kind: "append", file: 2, text: "six" },
  ];
  const count = async (): Promise<number> => {
    const files = new SimulatedFiles(seeded(1));
    await playAndRead(files, history);
    return files.calls;
  };
  for (let call = (await count()) + 2; call > 0; call -= 1) {
    const files = new SimulatedFiles(seeded(1));
    files.failCall(call);
    const synced = await playAndRead(files, history);
    await replay(files.crash(), history, synced);
  }
});

/** Plays, and then reads all: right bytes or an error, and no sync after a stop. */
async function playAndRead(files: SimulatedFiles, history: readonly Step[]): Promise<number> {
  const opened = await open(files).catch(() => undefined);
  if (opened === undefined) return 0; // The folder could not be made: nothing was promised.
  const texts = new FileTexts();
  const synced = await play(opened, history, texts);
  for (const file of [1, 2, 3]) {
    const expected = texts.of(file);
    const read = recordsOf(opened, { partition: 0, file }, expected.length);
    const code = await codeOf(read);
    if (code === "no error") expect(await read).toEqual(expected);
    else expect(["bulk_stopped", "unavailable"]).toContain(code);
  }
  if (opened.stopped !== undefined) expect(await codeOf(opened.sync())).toBe("bulk_stopped");
  return synced;
}

test("a stopped store writes nothing more and tells the cause", async () => {
  const files = new SimulatedFiles(() => 0.9);
  const store = await open(files);
  appendTexts(store, ANA, ["one"]);
  await store.sync();
  files.failCall(files.calls + 1);
  appendTexts(store, ANA, ["two"], ["one"]);
  expect(await codeOf(store.sync())).toBe("bulk_stopped");
  const calls = files.calls;
  appendTexts(store, ANA, ["three"], ["one", "two"]);
  expect(await codeOf(store.sync())).toBe("bulk_stopped");
  expect(await codeOf(textOf(store, ANA, 3))).toBe("bulk_stopped");
  expect(files.calls).toBe(calls);
  expect(store.pendingBytes).toBe(0);
  expect(store.stopped?.cause).toBeInstanceOf(Error);
});
