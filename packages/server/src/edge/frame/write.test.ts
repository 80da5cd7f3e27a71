import { type Notice, type Reply, ServerFrame } from "@forelock/protocol";
import { expect, test } from "vitest";
import { FrameWriter, HEADER_BYTES, type Outgoing } from "./write.ts";

const NOTHING: Outgoing = { welcome: undefined, replies: [], notices: [], heartbeats: [], closing: undefined };
const small = (sequence: number): Reply => ({
  sequence,
  body: { $case: "release", value: { stillHeld: false, undone: 0 } },
});
const large = (sequence: number, bytes: number): Reply => ({
  sequence,
  body: { $case: "readFile", value: { bytes: Buffer.alloc(bytes), length: bytes, version: 1, provisionalFrom: bytes } },
});

function framesOf(outgoing: Partial<Outgoing>, bytesMax = 10_000): readonly ServerFrame[] {
  const frames: ServerFrame[] = [];
  new FrameWriter(bytesMax).write({ ...NOTHING, ...outgoing }, (frame) => {
    const bytes = Buffer.from(frame);
    expect(bytes.readUInt32BE(0)).toBe(bytes.length - HEADER_BYTES);
    expect(bytes.length - HEADER_BYTES).toBeLessThanOrEqual(bytesMax);
    frames.push(ServerFrame.decode(bytes.subarray(HEADER_BYTES)));
  });
  return frames;
}

test("small replies share a frame, large ones travel alone, and the order stays", () => {
  const frames = framesOf({
    replies: [small(1), small(2), large(3, 5_000), small(4), large(5, 9), large(6, 9), small(7)],
  });
  expect(frames.map((frame) => frame.replies.map((reply) => reply.sequence))).toEqual([
    [1, 2],
    [3],
    [4],
    [5],
    [6],
    [7],
  ]);
});

test("more than fits is split, and what alone is too long is answered as such", () => {
  const replies = Array.from({ length: 2_500 }, (_, index) => small(index + 1));
  expect(framesOf({ replies }).flatMap((frame) => frame.replies.map((reply) => reply.sequence))).toEqual(
    replies.map((r) => r.sequence),
  );
  const [frame] = framesOf({ replies: [large(9, 20_000)] });
  expect(frame?.replies).toMatchObject([{ sequence: 9, body: { value: { code: "frame_too_large" } } }]);
  const body: Notice["body"] = {
    $case: "moved",
    value: { sequence: 1, reference: "r".repeat(100), position: 1, eta: undefined, soon: false },
  };
  expect(
    framesOf({ notices: Array.from({ length: 300 }, () => ({ body })) }).flatMap((each) => each.notices),
  ).toHaveLength(300);
});

test("each heartbeat has a frame of its own, and closing comes last", () => {
  const beat = (number: number) => ({ number, partitions: [], expiredPartitions: [] });
  const closing = { code: "unavailable", message: "", detailsJson: "", retryAfterMs: 0 };
  const frames = framesOf({ heartbeats: [beat(1), beat(2)], replies: [small(1)], closing });
  expect(frames.map((frame) => frame.heartbeat?.number)).toEqual([undefined, 1, 2, undefined]);
  expect(frames.at(-1)?.closing?.code).toBe("unavailable");
});

test("nothing to say makes no frame, and a reply that cannot be encoded spoils no later one", () => {
  expect(framesOf({})).toEqual([]);
  const writer = new FrameWriter(10_000);
  // Wrong on purpose: a bug elsewhere.
  const broken = small(-1);
  expect(() => writer.write({ ...NOTHING, replies: [broken] }, () => undefined)).toThrow();
  const frames: Uint8Array[] = [];
  writer.write({ ...NOTHING, replies: [small(1)] }, (frame) => frames.push(frame));
  expect(ServerFrame.decode(frames[0]!.subarray(HEADER_BYTES)).replies).toEqual([small(1)]);
});
