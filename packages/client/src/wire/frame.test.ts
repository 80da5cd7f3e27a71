import { ClientFrame, Operation } from "@forelock/protocol";
import { expect, test } from "vitest";
import { EMPTY_FRAME, encodeFrame, FRAME_BYTES_MAX, FrameSplitter } from "./frame.ts";

const frames = [1, 2, 300].map((sequence) => ({ ...EMPTY_FRAME, operations: [Operation.create({ sequence })] }));

test("frames come out as they went in, however the stream is cut", () => {
  const stream = Buffer.concat(frames.map((frame) => encodeFrame(frame)));
  for (let size = 1; size <= stream.byteLength; size++) {
    const splitter = new FrameSplitter();
    const sequences: number[] = [];
    for (let at = 0; at < stream.byteLength; at += size) {
      const chunk = Buffer.from(stream.subarray(at, at + size));
      splitter.push(chunk, (bytes) => {
        sequences.push(...ClientFrame.decode(bytes).operations.map(({ sequence }) => sequence));
      });
      chunk.fill(0xff); // As when the next read goes to the same memory.
    }
    expect(sequences).toEqual([1, 2, 300]);
  }
});

test("a length above the limit is refused before its bytes come", () => {
  const header = Buffer.alloc(4);
  header.writeUInt32BE(FRAME_BYTES_MAX + 1);
  const push = () => new FrameSplitter().push(header, () => {});
  expect(push).toThrow(expect.objectContaining({ code: "frame_too_large" }));
});
