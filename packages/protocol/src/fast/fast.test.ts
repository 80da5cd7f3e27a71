import { BinaryWriter } from "@bufbuild/protobuf/wire";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  AcquireReply,
  AcquireRequest,
  ClientFrame,
  Grant,
  Notice,
  Operation,
  ReleaseReply,
  ReleaseRequest,
  Reply,
  ServerFrame,
} from "../generated/forelock.ts";
import { decodeClientFrame, decodeServerFrame } from "./decode.ts";
import { encodeClientFrame, encodeServerFrame } from "./encode.ts";
import { FastWriter } from "./writer.ts";

const RUNS = { numRuns: 400 };

const uint32 = fc.oneof(fc.constant(0), fc.nat({ max: 127 }), fc.nat(), fc.constant(2 ** 32 - 1));
const sequence = fc.oneof(fc.nat({ max: 300 }), fc.maxSafeNat(), fc.constant(2 ** 31), fc.constant(1.7e15));
const token = fc.oneof(fc.bigInt({ min: 0n, max: 300n }), fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }));
const text = fc.oneof(
  fc.string({ unit: "grapheme-ascii", maxLength: 20 }),
  fc.string({ unit: "grapheme-ascii", minLength: 100, maxLength: 300 }),
  fc.string({ unit: "binary", maxLength: 150 }), // Halves of surrogate pairs, too.
  fc.constantFrom("orders/1", "orders/2", "\ufefforders/1"),
);
const kind = fc.constantFrom(0, 1, 2);

const acquire = fc
  .record({
    name: text,
    mode: kind,
    permits: uint32,
    take: uint32,
    priority: uint32,
    onLoss: kind,
    actor: text,
    reenter: token,
    preemptible: kind,
  })
  .chain((value) =>
    fc.option(uint32, { nil: undefined }).map((waitMs) => ({ ...AcquireRequest.create(), ...value, waitMs })),
  );
const release = fc
  .record({ name: text, token, undo: fc.boolean() })
  .map((value): ReleaseRequest => ({ ...ReleaseRequest.create(), ...value }));
const grant = fc
  .record({ name: text, token, partition: uint32 })
  .map((value): Grant => ({ ...Grant.create(), ...value }));
const error = fc.record({ code: text, message: text, detailsJson: text, retryAfterMs: uint32 });
const acquired = fc
  .record({
    ...{ sequence, reference: text, state: fc.constantFrom(0, 1, 2, 3), position: uint32, partition: uint32 },
    ...{ grants: fc.array(grant, { maxLength: 3 }), error: fc.option(error, { nil: undefined, freq: 8 }) },
  })
  .map((value) => ({ ...AcquireReply.create(), ...value }) as AcquireReply); // Kinds are of the enum's values.
const released = fc
  .record({ stillHeld: fc.boolean(), undone: uint32 })
  .map((value): ReleaseReply => ({ ...ReleaseReply.create(), ...value }));
const settled = fc.array(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), { maxLength: 3 });
const keep = fc.option(fc.record({ requestId: text, keepMs: uint32 }), { nil: undefined, freq: 5 });

const operation = fc
  .record({
    sequence,
    keep,
    body: fc.oneof(
      acquire.map((value) => ({ $case: "acquire", value })),
      release.map((value) => ({ $case: "release", value })),
      fc.record({ name: text }).map((value) => ({ $case: "why", value })),
      fc.constant(undefined),
    ),
  })
  .map((value) => ({ ...Operation.create(), ...value }) as Operation); // As above.
const clientFrame = fc
  .record({ lowestUnanswered: sequence, operations: fc.array(operation, { maxLength: 5 }), settled })
  .map((value): ClientFrame => ({ ...ClientFrame.create(), ...value }));

const reply = fc
  .record({
    sequence,
    body: fc.oneof(
      acquired.map((value) => ({ $case: "acquire", value })),
      released.map((value) => ({ $case: "release", value })),
      error.map((value) => ({ $case: "error", value })),
      fc.record({ cancelled: fc.boolean() }).map((value) => ({ $case: "cancel", value })),
      fc.constant(undefined),
    ),
  })
  .map((value) => ({ ...Reply.create(), ...value }) as Reply); // As above.
const notice = fc
  .oneof(
    acquired.map((value) => ({ $case: "operation", value })),
    fc
      .record({ name: text, token, why: text, reason: text, undone: uint32 })
      .map((value) => ({ $case: "lost", value })),
  )
  .map((body) => ({ ...Notice.create(), body }) as Notice); // As above.
const serverFrame = fc
  .record({
    replies: fc.array(reply, { maxLength: 5 }),
    notices: fc.array(notice, { maxLength: 3 }),
    closing: fc.option(error, { nil: undefined, freq: 8 }),
  })
  .map((value): ServerFrame => ({ ...ServerFrame.create(), ...value }));

/** One writer for all frames, as a node has it. */
const writer = new FastWriter();

function written(write: (writer: FastWriter) => void): Buffer {
  writer.begin();
  write(writer);
  return writer.finish();
}

/** What a decoder makes of bytes: a message, or the error that it throws. */
function outcome(decode: () => unknown): unknown {
  try {
    return { message: decode() };
  } catch (thrown) {
    return { thrown: String(thrown) };
  }
}

/** A field that no message has, as a later version may send it. */
const UNKNOWN = new BinaryWriter()
  .uint32((900 << 3) | 2)
  .string("later")
  .finish();

describe("what the fast path writes", () => {
  test("is byte for byte what the generated code writes, for frames of clients", () => {
    const property = fc.property(clientFrame, (frame) => {
      expect(written((to) => encodeClientFrame(frame, to))).toEqual(Buffer.from(ClientFrame.encode(frame).finish()));
    });
    fc.assert(property, RUNS);
  });

  test("is byte for byte what the generated code writes, for frames of servers", () => {
    const property = fc.property(serverFrame, (frame) => {
      expect(written((to) => encodeServerFrame(frame, to))).toEqual(Buffer.from(ServerFrame.encode(frame).finish()));
    });
    fc.assert(property, RUNS);
  });

  test("is not touched by the frames after it", () => {
    const property = fc.property(fc.array(serverFrame, { maxLength: 30 }), (frames) => {
      const all = frames.map((frame) => written((to) => encodeServerFrame(frame, to)));
      expect(all).toEqual(frames.map((frame) => Buffer.from(ServerFrame.encode(frame).finish())));
    });
    fc.assert(property, { numRuns: 50 });
  });

  test("grows with the frame", () => {
    const names = Array.from({ length: 3_000 }, (_, index) => `${"n".repeat(index % 200)}${index}`);
    const operations = names.map((name, index): Operation => {
      const value = { ...AcquireRequest.create(), name };
      return { ...Operation.create(), sequence: index + 1, body: { $case: "acquire", value } };
    });
    const frame = { ...ClientFrame.create(), operations };
    const generated = Buffer.from(ClientFrame.encode(frame).finish());
    for (let turn = 0; turn < 3; turn++)
      expect(written((to) => encodeClientFrame(frame, to)).equals(generated)).toBe(true);
  });

  test.each([
    ["a sequence below 0", { sequence: -1 }],
    ["a sequence with a fraction", { sequence: 1.5 }],
    ["a token above 64 bits", { body: { $case: "release", value: { name: "a", token: 2n ** 64n, undo: false } } }],
    ["a token below 0", { body: { $case: "release", value: { name: "a", token: -1n, undo: false } } }],
    [
      "a priority above 32 bits",
      { body: { $case: "acquire", value: { ...AcquireRequest.create(), priority: 2 ** 32 } } },
    ],
  ])("is refused as the generated code refuses it: %s", (_, fields) => {
    const frame = { ...ClientFrame.create(), operations: [{ ...Operation.create(), ...fields } as Operation] }; // Wrong on purpose.
    const fast = outcome(() => written((to) => encodeClientFrame(frame, to)));
    expect(fast).toHaveProperty("thrown");
    expect(fast).toEqual(outcome(() => ClientFrame.encode(frame).finish()));
    expect(written((to) => encodeClientFrame(ClientFrame.create(), to)).byteLength).toBe(0); // Nothing is left behind.
  });

  test("a negative kind, and one of a later version, are written as the generated code writes them", () => {
    for (const mode of [-1, 77, 2 ** 31 - 1]) {
      const value = { ...AcquireRequest.create(), mode } as AcquireRequest; // Of no version yet.
      const frame = { ...ClientFrame.create(), operations: [Operation.create({ body: { $case: "acquire", value } })] };
      expect(written((to) => encodeClientFrame(frame, to))).toEqual(Buffer.from(ClientFrame.encode(frame).finish()));
    }
  });
});

describe("what the fast path reads", () => {
  test("is what the generated code reads, for frames of clients", () => {
    const property = fc.property(clientFrame, (frame) => {
      const bytes = ClientFrame.encode(frame).finish();
      expect(decodeClientFrame(bytes)).toStrictEqual(ClientFrame.decode(bytes));
    });
    fc.assert(property, RUNS);
  });

  test("is what the generated code reads, for frames of servers", () => {
    const property = fc.property(serverFrame, (frame) => {
      const bytes = ServerFrame.encode(frame).finish();
      expect(decodeServerFrame(bytes)).toStrictEqual(ServerFrame.decode(bytes));
    });
    fc.assert(property, RUNS);
  });

  test("is what the generated code reads or refuses, when bytes are changed, cut off or put in", () => {
    const change = fc.record({
      at: fc.nat(),
      byte: fc.nat({ max: 255 }),
      how: fc.constantFrom("set", "cut", "insert", "unknown"),
    });
    const property = fc.property(
      clientFrame,
      serverFrame,
      fc.array(change, { minLength: 1, maxLength: 3 }),
      (asked, told, changes) => {
        for (const changed of changedBytes(ClientFrame.encode(asked).finish(), changes))
          expect(outcome(() => decodeClientFrame(changed))).toStrictEqual(outcome(() => ClientFrame.decode(changed)));
        for (const changed of changedBytes(ServerFrame.encode(told).finish(), changes))
          expect(outcome(() => decodeServerFrame(changed))).toStrictEqual(outcome(() => ServerFrame.decode(changed)));
      },
    );
    fc.assert(property, { numRuns: 700 });
  });

  test("is what the generated code reads or refuses, for any bytes", () => {
    const property = fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      expect(outcome(() => decodeClientFrame(bytes))).toStrictEqual(outcome(() => ClientFrame.decode(bytes)));
      expect(outcome(() => decodeServerFrame(bytes))).toStrictEqual(outcome(() => ServerFrame.decode(bytes)));
    });
    fc.assert(property, { numRuns: 1_000 });
  });

  test("leaves fields of a later version to the generated code, in a message of its own and within one", () => {
    const withUnknown = (encoded: BinaryWriter) => encoded.raw(UNKNOWN).finish();
    const grant = withUnknown(Grant.encode({ ...Grant.create(), name: "orders/1", token: 9n }));
    const acquired = withUnknown(
      AcquireReply.encode(AcquireReply.create({ state: 1 }))
        .uint32(0x2a)
        .bytes(grant),
    );
    for (const encoded of [
      new BinaryWriter().uint32(0x08).uint32(5).uint32(0x52).bytes(acquired).finish(),
      withUnknown(new BinaryWriter().uint32(0x08).uint32(5)),
    ]) {
      const bytes = new BinaryWriter().uint32(0x12).bytes(encoded).uint32(0x12).bytes(encoded).finish();
      const frame = decodeServerFrame(bytes);
      expect(frame.replies.map(({ sequence }) => sequence)).toEqual([5, 5]);
      expect(frame).toStrictEqual(ServerFrame.decode(bytes));
      const frameOfLater = Buffer.concat([bytes, UNKNOWN]);
      expect(decodeServerFrame(frameOfLater)).toStrictEqual(ServerFrame.decode(frameOfLater));
    }
  });

  test("stays when the bytes are used again", () => {
    const value = {
      ...AcquireReply.create(),
      reference: "p1.s.abc.1",
      grants: [{ ...Grant.create(), name: "orders/1", token: 7n }],
    };
    const bytes = ServerFrame.encode({
      ...ServerFrame.create(),
      replies: [{ sequence: 1, body: { $case: "acquire", value } }],
    }).finish();
    const frame = decodeServerFrame(bytes);
    bytes.fill(0);
    expect(frame.replies).toStrictEqual([{ ...Reply.create(), sequence: 1, body: { $case: "acquire", value } }]);
  });

  test("does not share lists between messages", () => {
    const bytes = ServerFrame.encode({
      ...ServerFrame.create(),
      replies: [1, 2].map((sequence) => Reply.create({ sequence, body: { $case: "acquire", value: { sequence } } })),
    }).finish();
    const [first, second] = decodeServerFrame(bytes).replies.map(({ body }) => body?.value as AcquireReply); // As encoded.
    first?.grants.push(Grant.create());
    first?.blockers.push({} as AcquireReply["blockers"][number]); // Only counted.
    expect([second?.grants, second?.blockers, decodeServerFrame(bytes).replies]).toEqual([
      [],
      [],
      ServerFrame.decode(bytes).replies,
    ]);
  });
});

type Change = { readonly at: number; readonly byte: number; readonly how: string };

function* changedBytes(bytes: Uint8Array, changes: readonly Change[]): Generator<Uint8Array> {
  let changed = bytes;
  for (const { at, byte, how } of changes) {
    const place = changed.length === 0 ? 0 : at % changed.length;
    const middle = how === "unknown" ? UNKNOWN : how === "cut" ? Uint8Array.of() : Uint8Array.of(byte);
    const rest = how === "set" || how === "cut" ? changed.subarray(place + 1) : changed.subarray(place);
    changed = Buffer.concat([changed.subarray(0, place), middle, rest]);
    yield changed;
  }
}
