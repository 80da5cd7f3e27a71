import { ForelockError } from "@forelock/protocol";
import { describe, expect, test } from "vitest";
import { BLOCK_BYTES, SECTOR_BYTES } from "./block.ts";
import { type Survey, survey } from "./recover.ts";
import { FOLDER, type Image, imageFiles, SEGMENT_BYTES, smallLog } from "./scene.ts";

const look = (image: Image): Promise<Survey> => survey(imageFiles(image), FOLDER, () => undefined);

/** What a start makes of the image: where it sees damage, or the sequences it finds. */
async function verdict(image: Image): Promise<string> {
  try {
    const { tailByPartition } = await look(image);
    return [...tailByPartition].map(([partition, { sequence }]) => `${partition}:${sequence}`).join(" ");
  } catch (error) {
    if (error instanceof ForelockError && error.code === "log_damaged") return "damaged";
    throw error;
  }
}

/** Where nothing was written, bytes differ only by their place in a sector: steps that are prime to it meet each. */
const UNWRITTEN_STEP = 5;
const CUT_STEP = 37;

const whole = "0:2 1:4 2:1";
const segmentsOf = (image: Image): readonly string[] =>
  [...image.keys()].filter((name) => name.endsWith(".log")).sort();

describe("a changed byte", () => {
  test.each([0, 1, 2, 3])("of a written block is found, and any other loses no record (segment %i)", async (index) => {
    const image = await smallLog({ isSnapshotSaved: false });
    expect(await verdict(image)).toBe(whole);
    const { segments, next, lastCommitOffset = 0 } = await look(image);
    const end = segments[index]?.endOffset ?? BLOCK_BYTES;
    const name = segmentsOf(image)[index] ?? "";
    const bytes = image.get(name) ?? new Uint8Array(0);
    expect(bytes.byteLength).toBe(SEGMENT_BYTES);
    for (let at = 0; at < bytes.byteLength; at += at < end ? 1 : UNWRITTEN_STEP) {
      const before = bytes[at] ?? 0;
      bytes[at] = before ^ (1 << (at % 8));
      const seen = await verdict(image);
      bytes[at] = before;
      // A tag of the last commit may have been lost by a crash as well: the content is there, and is kept.
      const isHealed = next.path.endsWith(name) && at >= lastCommitOffset && at % SECTOR_BYTES < 4 && seen === whole;
      if (seen !== "damaged" && !isHealed && (at < end || seen !== whole)) expect.fail(`${name} byte ${at}: ${seen}`);
    }
  });

  test.each([0x00, 0xff, 0x01, 0x02, 0x03])(
    "to %i of any generation tag loses nothing, and is found but in the last commit",
    async (value) => {
      const image = await smallLog({ isSnapshotSaved: false });
      const { segments, next, lastCommitOffset = 0 } = await look(image);
      for (const { path, endOffset } of segments) {
        const bytes = image.get(path.slice(FOLDER.length + 1)) ?? new Uint8Array(0);
        for (let at = 0; at < endOffset; at += SECTOR_BYTES) {
          const before = bytes[at] ?? 0;
          if (before === value) continue;
          bytes[at] = value;
          const isLast = path === next.path && at >= lastCommitOffset;
          expect(isLast ? [whole, "damaged"] : ["damaged"], `${path} byte ${at}`).toContain(await verdict(image));
          bytes[at] = before;
        }
      }
    },
  );

  test("of the only snapshot is found", async () => {
    const image = await smallLog({ isSnapshotSaved: true });
    const name = "snapshot-0000000001.snap";
    const bytes = image.get(name) ?? new Uint8Array(0);
    for (let at = 0; at < bytes.byteLength; at++) {
      for (let bit = 0; bit < 8; bit++) {
        bytes[at] = (bytes[at] ?? 0) ^ (1 << bit);
        const seen = await verdict(image).catch(String);
        if (seen !== "damaged") expect.fail(`byte ${at} bit ${bit}: ${seen}`);
        bytes[at] = (bytes[at] ?? 0) ^ (1 << bit);
      }
    }
  });
});

test("a segment or a snapshot cut at any length is refused", async () => {
  const image = await smallLog({ isSnapshotSaved: true });
  for (const [name, bytes] of image) {
    const isEach = name.endsWith(".snap") || name === segmentsOf(image)[0];
    for (let length = 0; length < bytes.byteLength; length += isEach ? 1 : CUT_STEP) {
      image.set(name, bytes.subarray(0, length));
      const seen = await verdict(image);
      if (seen !== "damaged") expect.fail(`${name} cut to ${length}: ${seen}`);
    }
    image.set(name, bytes);
  }
});

test("a missing segment is refused, be it the first, one between or the last with records", async () => {
  const image = await smallLog({ isSnapshotSaved: false });
  const names = segmentsOf(image);
  expect(names.length).toBeGreaterThan(3);
  for (const name of names.slice(0, -1)) {
    const without = new Map(image);
    without.delete(name);
    const seen = await verdict(without);
    if (seen !== "damaged") expect.fail(`without ${name}: ${seen}`);
  }
});

describe("a write that a power cut stopped", () => {
  const sectors = BLOCK_BYTES / SECTOR_BYTES;

  /** The small log with some sectors of its last commit, two blocks, as they were before it. */
  async function tornBy(isLost: (sector: number) => boolean): Promise<string> {
    const image = await smallLog({ isSnapshotSaved: false });
    const { next, lastCommitOffset = 0 } = await look(image);
    const bytes = image.get(next.path.slice(FOLDER.length + 1)) ?? new Uint8Array(0);
    expect(next.offset - lastCommitOffset).toBe(2 * BLOCK_BYTES);
    for (let sector = 0; sector < 2 * sectors; sector++) {
      const at = lastCommitOffset + sector * SECTOR_BYTES;
      if (isLost(sector)) bytes.fill(0, at, at + SECTOR_BYTES);
    }
    return verdict(image);
  }

  test("is cut, whichever of its sectors are missing", async () => {
    for (let pattern = 1; pattern < 1 << (2 * sectors); pattern += 127) {
      const seen = await tornBy((sector) => ((pattern >> sector) & 1) === 1);
      // When only padding is missing, all of the commit is there.
      const isPaddingOnly = (pattern & 0x3fff) === 0;
      if (seen !== (isPaddingOnly ? whole : "0:2 1:4")) expect.fail(`pattern ${pattern.toString(2)}: ${seen}`);
    }
  });

  test("is damage when a later commit was written", async () => {
    const image = await smallLog({ isSnapshotSaved: false });
    const { segments } = await look(image);
    for (const { path, endOffset } of segments.slice(0, -1)) {
      const name = path.slice(FOLDER.length + 1);
      const bytes = image.get(name) ?? new Uint8Array(0);
      for (let at = BLOCK_BYTES; at < endOffset; at += SECTOR_BYTES) {
        const torn = bytes.slice();
        torn.fill(0, at, at + SECTOR_BYTES);
        const seen = await verdict(new Map(image).set(name, torn));
        if (seen !== "damaged") expect.fail(`${name} sector at ${at}: ${seen}`);
      }
    }
  });
});
