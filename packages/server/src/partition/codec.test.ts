import { ERROR_CODES } from "@forelock/protocol";
import fc from "fast-check";
import { expect, test } from "vitest";
import { ByteWriter } from "./bytes.ts";
import { decodeEvents, encodeEvent } from "./codec.ts";
import type { EventPart, EventRequest, PartitionEvent } from "./events.ts";
import { GOLDEN } from "./testing/golden-events.ts";

const encode = (events: readonly PartitionEvent[]): Uint8Array => {
  const out = new ByteWriter(16);
  for (const event of events) encodeEvent(out, event);
  return out.take();
};

const decode = (bytes: Uint8Array): readonly PartitionEvent[] => {
  const events: PartitionEvent[] = [];
  decodeEvents(bytes, (event) =>
    events.push(event.kind === "appended" ? { ...event, bytes: new Uint8Array(event.bytes) } : event),
  );
  return events;
};

const whole = fc.oneof(fc.nat({ max: 300 }), fc.nat(), fc.integer({ min: 0, max: 2 ** 50 }));
const text = fc.oneof(fc.string({ maxLength: 20 }), fc.string({ unit: "grapheme", maxLength: 80 }));
const name = text.filter((one) => one !== "");
const token = fc.bigInt({ min: 1n, max: 2n ** 63n - 1n });
const tokenOrNone = fc.oneof(fc.constant(0n), token);
const code = fc.constantFrom(...ERROR_CODES);
const list = <Item>(item: fc.Arbitrary<Item>): fc.Arbitrary<Item[]> => fc.array(item, { maxLength: 5 });
const ms = fc.oneof(fc.constant(-1), fc.double({ noNaN: true, min: -1e15, max: 1e15 }));
const wait = fc.record({ wait: whole });

const request: fc.Arbitrary<EventRequest> = fc
  .record({
    session: whole,
    sequence: whole,
    requestId: fc.oneof(fc.constant(""), text),
    keepMs: whole,
    digest: fc.integer(),
  })
  .map((one) => (one.requestId === "" ? { ...one, keepMs: 0 } : one));

const parts: fc.Arbitrary<readonly EventPart[]> = fc.array(
  fc.oneof(
    fc.record({ name, mode: fc.constantFrom(0 as const, 1 as const), take: fc.constant(1), limit: fc.constant(0) }),
    fc.record({ name, mode: fc.constant(2 as const), take: whole, limit: whole }),
  ),
  { minLength: 1, maxLength: 4 },
);

const terms = { request, parts, rollback: fc.boolean(), actor: text, reserve: fc.boolean(), upgradeOf: tokenOrNone };

const target = fc.oneof(
  fc.record({ wait: fc.constant(0), name, token }),
  fc.record({ wait: fc.integer({ min: 1, max: 1e6 }), name: fc.constant(""), token: fc.constant(0n) }),
);
const call = fc.record({ url: text, argument: text, blocks: fc.boolean() });
const ratio = fc.double({ min: 0, max: 1, noNaN: true });
const cause = fc.record({
  countdownMs: whole,
  enforce: fc.boolean(),
  score: ratio,
  threshold: ratio,
  parts: list(fc.record({ name: text, value: ratio, weight: ratio })),
  reason: text,
  by: text,
});

/** What an event of each kind can hold, but for its kind: the compiler asks for every kind. */
const FIELDS: {
  readonly [Kind in PartitionEvent["kind"]]: fc.Arbitrary<Omit<PartitionEvent & { kind: Kind }, "kind">>;
} = {
  started: fc.record({ epoch: whole }),
  session_opened: fc.record({ id: text, secretHash: text, principal: text, client: text, ttlMs: whole }),
  session_silent: fc.record({ session: whole, sinceMs: whole }),
  session_heard: fc.record({ session: whole }),
  session_ended: fc.record({
    session: whole,
    why: fc.constantFrom("expired" as const, "closed" as const, "forced" as const),
    reason: text,
  }),
  acknowledged: fc.record({ session: whole, below: whole, settled: list(whole) }),
  tombstones_dropped: fc.record({ ids: list(text) }),
  queued: fc.record({ ...terms, arrivalMs: ms, waitMs: ms, priority: whole }),
  granted: fc.record(terms),
  wait_granted: wait,
  wait_ended: fc.record({ wait: whole, code, message: text }),
  reentered: fc.record({ request, name, token }),
  released: fc.record({ request, name, token, undo: fc.boolean() }),
  downgraded: fc.record({ request, name, token }),
  forced: fc.record({ name, token, by: text, reason: text }),
  cancelled: fc.record({ request, wait: whole }),
  file_created: fc.record({ name }),
  appended: fc.record({
    request,
    file: name,
    element: name,
    token,
    bytes: fc.uint8Array({ maxLength: 300 }),
    checksum: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  }),
  noted: fc.record({ request, code, message: text }),
  kept_forgotten: fc.record({ keys: list(text) }),
  batch_opened: fc.record({ request, parts, waitMs: ms, rollback: fc.boolean(), actor: text }),
  batch_confirming: fc.record({ batch: whole }),
  batch_granted: fc.record({ batch: whole, grants: list(fc.record({ name, token })) }),
  batch_ended: fc.record({ batch: whole, code, message: text }),
  batch_cancelled: fc.record({ request, batch: whole }),
  part_confirmed: fc.record({ part: text }),
  part_abandoned: fc.record({ part: text }),
  parts_fenced: fc.record({ home: whole, number: whole }),
  terms: fc.record({
    target,
    terms: fc.record({ never: fc.boolean(), compensation: fc.option(call, { nil: undefined }) }),
  }),
  warned: fc.record({ target, cause }),
  warning_acknowledged: fc.record({ request, warning: whole, extensionMs: whole, refusal: text }),
  warning_over: fc.record({
    warning: whole,
    why: fc.constantFrom("ignored" as const, "passed_over" as const, "withdrawn" as const),
  }),
  preempted: fc.record({ warning: whole }),
  compensated: fc.record({ compensation: whole, isDelivered: fc.boolean() }),
  policy_set: fc.record({
    prefix: text,
    row: fc.record({
      set: fc.array(fc.tuple(text, text), { maxLength: 3 }).map((fields) => new Map(fields)),
      threshold: fc.double({ min: -1, max: 1, noNaN: true }),
      by: text,
      reason: text,
      wallMs: whole,
    }),
  }),
};

const event: fc.Arbitrary<PartitionEvent> = fc.oneof(
  ...Object.entries(FIELDS).map(([kind, fields]) =>
    // The pair of kind and fields is that of the table; the compiler cannot follow it through the entries.
    (fields as fc.Arbitrary<object>).map((rest) => ({ kind, ...rest }) as PartitionEvent),
  ),
);

test("what is encoded is decoded, whatever the events of a record", () => {
  fc.assert(
    fc.property(fc.array(event, { maxLength: 8 }), (events) => {
      expect(decode(encode(events))).toEqual(events);
    }),
    { numRuns: 1_000, seed: 8_141 },
  );
});

test("a record that is cut anywhere is refused, or holds the events before the cut and nothing of the one that is cut", () => {
  fc.assert(
    fc.property(fc.array(event, { minLength: 1, maxLength: 3 }), (events) => {
      const ends = new Map(events.map((_, index) => [encode(events.slice(0, index)).length, index]));
      const bytes = encode(events);
      for (let length = 0; length < bytes.length; length += 1) {
        const before = ends.get(length);
        const cut = bytes.subarray(0, length);
        if (before === undefined) expect(() => decode(cut)).toThrow();
        else expect(decode(cut)).toEqual(events.slice(0, before));
      }
    }),
    { numRuns: 40, seed: 8_141 },
  );
});

test("the bytes of every kind of event are those of the format, version 1", () => {
  for (const [title, golden] of Object.entries(GOLDEN)) {
    const { bytes, ...expected } = golden;
    expect([title, Buffer.from(encode([expected.event])).toString("base64")]).toEqual([title, bytes]);
    expect(decode(Buffer.from(bytes, "base64"))).toEqual([expected.event]);
  }
});

test("a kind, a mode, an error or an end of a session that is not known is refused", () => {
  expect(() => decode(Uint8Array.of(200))).toThrow("kind 200");
  const ended = encode([{ kind: "wait_ended", wait: 1, code: "timeout", message: "" }]);
  expect(() => decode(ended.map((byte) => (byte === "t".charCodeAt(0) ? "x".charCodeAt(0) : byte)))).toThrow("ximeoux");
  const over = encode([{ kind: "session_ended", session: 1, why: "expired", reason: "" }]);
  expect(() => decode(over.with(2, 9))).toThrow("known ways");
});
