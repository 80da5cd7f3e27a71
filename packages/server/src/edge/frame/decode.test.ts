import { ClientFrame, type Operation } from "@forelock/protocol";
import { expect, test } from "vitest";
import { decodeFrame } from "./decode.ts";

const release = (sequence: number): Operation => ({
  sequence,
  keep: undefined,
  body: { $case: "release", value: { name: `jobs/${sequence}`, token: 7n, undo: false } },
});
const status = (sequence: number): Operation => ({
  sequence,
  keep: undefined,
  body: { $case: "getStatus", value: {} },
});
const encoded = (frame: Partial<ClientFrame>): Uint8Array =>
  ClientFrame.encode({ ...ClientFrame.create(), ...frame }).finish();

test("a frame of operations says the same whether or not all of them are of the frequent kinds", () => {
  for (const operations of [
    [release(1), release(2)],
    [release(1), status(2)],
  ]) {
    const frame = decodeFrame(encoded({ operations, lowestUnanswered: 9 }), 10);
    expect([frame.operations, frame.operationCount, frame.lowestUnanswered]).toEqual([operations, 2, 9]);
    expect([frame.hello, frame.heartbeat, frame.settled]).toEqual([undefined, undefined, []]);
  }
});

test("as many operations as allowed are decoded; of one more, none", () => {
  const operations = Array.from({ length: 11 }, (_, index) => release(index + 1));
  expect(decodeFrame(encoded({ operations }), 11).operations).toHaveLength(11);
  const tooMany = decodeFrame(encoded({ operations }), 10);
  expect([tooMany.operations, tooMany.operationCount]).toEqual([[], 11]);
});

test("settled operations are found beside the frequent kinds", () => {
  const settled = Uint8Array.of(0x22, 2, 3, 4); // Written by hand: the generated code cannot write this list.
  const frame = decodeFrame(Buffer.concat([encoded({ operations: [release(1)] }), settled]), 10);
  expect([frame.operations, frame.settled]).toEqual([[release(1)], [3, 4]]);
});

test("an operation that does not end where its length says refuses the frame", () => {
  const bytes = encoded({ operations: [release(1), release(2)] });
  for (const change of [1, -1]) {
    const broken = bytes.slice();
    broken[1] = (broken[1] ?? 0) + change;
    expect(() => decodeFrame(broken, 10)).toThrow("could not be parsed");
  }
});

test("a frame is read from where it begins, whatever stands before it", () => {
  for (const frame of [{ operations: [release(1)], lowestUnanswered: 3 }, { operations: [release(1), status(2)] }]) {
    const bytes = encoded(frame);
    for (const before of [1, 4, 300]) {
      const longer = Buffer.concat([Buffer.alloc(before, 0x1a), bytes]);
      expect(decodeFrame(longer, 10, before)).toEqual(decodeFrame(bytes, 10));
    }
    const cut = Buffer.concat([Buffer.alloc(4), bytes.subarray(0, -1)]);
    expect(() => decodeFrame(cut, 10, 4)).toThrow(expect.objectContaining({ code: "bad_frame" }));
  }
});
