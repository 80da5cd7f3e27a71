import fc from "fast-check";
import { expect, test } from "vitest";
import { framed } from "../testing/edge-scene.ts";
import { FrameReader } from "./reader.ts";

const FRAMES = [Buffer.from("a"), Buffer.alloc(300, 1), Buffer.from("bc"), Buffer.alloc(5_000, 2), Buffer.from("d")];
const BYTES = Buffer.concat(FRAMES.map(framed));

/** The frames as one text: comparing thousands of buffers byte by byte would take minutes. */
function pushAll(chunks: readonly Buffer[], holdEvery = Number.POSITIVE_INFINITY): string {
  const taken: Buffer[] = [];
  const reader = new FrameReader(10_000, (frame) => taken.push(Buffer.from(frame)) % holdEvery !== 0);
  for (const chunk of chunks) {
    expect(reader.push(chunk)).toBeUndefined();
    while (reader.isHolding) expect(reader.resume()).toBeUndefined();
  }
  expect(reader.isInside).toBe(false);
  return textOf(taken);
}

function textOf(frames: readonly Buffer[]): string {
  return frames.map((frame) => frame.toString("latin1")).join("|");
}

test("frames come out whole however the stream is cut, and whenever the receiver holds", () => {
  expect(pushAll([BYTES])).toBe(textOf(FRAMES));
  expect(pushAll(Array.from(BYTES, (byte) => Buffer.from([byte])))).toBe(textOf(FRAMES));
  for (let cut = 1; cut < BYTES.length; cut++)
    expect(pushAll([BYTES.subarray(0, cut), BYTES.subarray(cut)])).toBe(textOf(FRAMES));
  fc.assert(
    fc.property(fc.array(fc.nat(BYTES.length), { maxLength: 8 }), fc.integer({ min: 1, max: 4 }), (cuts, holdEvery) => {
      const ends = [0, ...cuts, BYTES.length].sort((a, b) => a - b);
      const chunks = ends.slice(1).map((end, at) => BYTES.subarray(ends[at], end));
      expect(pushAll(chunks, holdEvery)).toBe(textOf(FRAMES));
    }),
    { numRuns: 500, seed: 3 },
  );
});

test("what comes while the receiver holds is kept for later", () => {
  const taken: number[] = [];
  const reader = new FrameReader(10_000, (frame) => taken.push(frame.length) === 0);
  reader.push(BYTES.subarray(0, 20));
  reader.push(BYTES.subarray(20));
  expect(taken).toEqual([1]);
  while (reader.isHolding) reader.resume();
  expect(taken).toEqual([1, 300, 2, 5_000, 1]);
});

test.each([0, 10_001, 2 ** 31, 2 ** 32 - 1])(
  "a length of %i is a problem, also when its bytes come one by one",
  (length) => {
    const header = Buffer.alloc(4);
    header.writeUInt32BE(length);
    const problem = length === 0 ? { kind: "empty" } : { kind: "too_large", bytes: length };
    const take = (): boolean => true;
    expect(new FrameReader(10_000, take).push(header)).toEqual(problem);
    const reader = new FrameReader(10_000, take);
    expect(Array.from(header, (byte) => reader.push(Buffer.from([byte]))).at(-1)).toEqual(problem);
  },
);
