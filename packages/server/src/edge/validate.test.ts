import { Mode, type Operation } from "@forelock/protocol";
import { expect, test } from "vitest";
import type { OperationBody, OperationCase } from "./authorize.ts";
import { nameProblem, prefixProblem } from "./names.ts";
import { TEST_LIMITS } from "./testing/edge-scene.ts";
import { bodyOf, EXAMPLES } from "./testing/examples.ts";
import { validate } from "./validate.ts";

const check = (body: OperationBody | undefined, keep?: Operation["keep"]) =>
  validate({ sequence: 1, keep, body }, TEST_LIMITS);

function changed<Case extends OperationCase>(kind: Case, change: Readonly<Record<string, unknown>>): OperationBody {
  // Wrong on purpose: values as the wire could bring them.
  return { $case: kind, value: { ...EXAMPLES[kind]("orders/42"), ...change } } as unknown as OperationBody;
}

test("a valid operation of every case passes", () => {
  const cases = Object.keys(EXAMPLES) as OperationCase[]; // Its keys are the cases.
  for (const kind of cases) expect([kind, check(bodyOf(kind, "orders/42"))]).toEqual([kind, undefined]);
});

test.each<[string, RegExp]>([
  ["", /is empty/],
  ["a//b", /empty, "\."/],
  ["/a", /empty, "\."/],
  ["a/", /empty, "\."/],
  [".", /part/],
  ["a/../b", /part/],
  ["a/./b", /part/],
  ["é/..", /part/],
  ["e\u0301", /NFC/],
  ["a\u0000", /control/],
  ["a\u007f", /control/],
  ["a\u0085b", /control/],
  ["a\ufffdb", /not UTF-8/],
  ["a\ud800", /not UTF-8/],
  ["a".repeat(513), /513 bytes long; allowed 1 to 512/],
  ["é".repeat(257), /514 bytes long/],
  [`{t}${"/a".repeat(16)}`, /17 parts deep; allowed 1 to 16/],
  [`{é}${"/a".repeat(16)}`, /17 parts deep/],
])("the name %j is refused", (name, why) => {
  expect(nameProblem(name)).toMatch(why);
  expect(check(bodyOf("acquire", name))).toMatchObject({ code: "bad_name", message: expect.stringMatching(/^name: /) });
});

test.each([
  "a",
  "a.b",
  "...",
  ".env",
  "a/..b",
  "é",
  "{t}/a",
  "a b",
  `x${"/a".repeat(100)}`,
  `{}${"/a".repeat(20)}`,
  "a".repeat(512),
])("the name %j is canonical", (name) => expect(nameProblem(name)).toBeUndefined());

test("a prefix may end anywhere in a name", () => {
  for (const prefix of ["", "a", "a/", "a/.", "orders/4"]) expect(prefixProblem(prefix)).toBeUndefined();
  for (const prefix of ["/", "a//", "a/../"]) expect(prefixProblem(prefix)).toBeDefined();
});

test.each<[OperationCase, Record<string, unknown>, string]>([
  ["acquire", { mode: 7 }, "mode: 7; allowed 0 to 2."],
  ["acquire", { permits: 3 }, "only with MODE_PERMIT"],
  ["acquire", { mode: Mode.PERMIT, permits: 0 }, "permits: 0; allowed 1 to 1000000."],
  ["acquire", { mode: Mode.PERMIT, permits: 2, take: 3 }, "take: 3; allowed 1 to 2."],
  ["acquire", { waitMs: 86_400_001 }, "waitMs: 86400001; allowed 0 to 86400000."],
  ["acquire", { priority: 10 }, "priority: 10; allowed 0 to 9."],
  ["acquire", { onLoss: 2 }, "onLoss: 2; allowed 0 to 1."],
  ["acquire", { actor: "a".repeat(129) }, "actor: 129 bytes; allowed 0 to 128."],
  ["acquire", { reenter: 2n ** 63n }, "reenter: 9223372036854775808; allowed 1 to"],
  ["acquireAll", { elements: [] }, "elements: 0; allowed 1 to 256."],
  ["release", { token: 0n }, "token: 0; allowed 1 to"],
  ["upgrade", { token: 0n }, "token: 0; allowed 1 to"],
  ["downgrade", { token: 0n }, "token: 0; allowed 1 to"],
  ["append", { token: 0n }, "token: 0; allowed 1 to"],
  ["append", { bytes: Buffer.alloc(196_609) }, "bytes: 196609 bytes; allowed 0 to 196608."],
  ["append", { element: "a//b" }, 'element: "a//b" has an empty'],
  ["cancel", { sequence: 3 }, "give exactly one"],
  ["cancel", { reference: "a b" }, 'reference: "a b"; allowed'],
  ["getOperation", { name: "a" }, "give a reference, or a requestId"],
  ["getOperation", { reference: "", name: "a", requestId: "short" }, 'requestId: "short"; allowed 22 to 64'],
  ["forceRelease", { reason: "" }, "reason: 0 bytes; allowed 1 to 256."],
  ["forceRelease", { reason: "a\nb" }, "control character"],
  ["endSession", { session: "x" }, 'session: "x" is not a session id'],
  ["readFile", { bytesMax: 2_000_000 }, "bytesMax: 2000000; allowed 0 to 1048576."],
  ["readRecords", { recordsMax: 1_001 }, "recordsMax: 1001; allowed 0 to 1000."],
  ["listFiles", { limit: 1_001 }, "limit: 1001; allowed 0 to 1000."],
  ["listLocks", { prefix: "a//" }, 'prefix: "a//" has an empty'],
  ["listSessions", { limit: 1_001 }, "limit: 1001; allowed 0 to 1000."],
  ["watch", { pattern: "a//*" }, "pattern: "],
  ["getCluster", { movesMax: 1_001 }, "movesMax: 1001; allowed 0 to 1000."],
  ["changeCluster", { action: "spin" }, 'action: "spin"; allowed drain, undrain, rebalance, move.'],
  ["changeCluster", { node: "a b" }, 'node: "a b"; with drain 1 to 64 letters'],
  ["changeCluster", { node: "" }, 'node: ""; with drain 1 to 64 letters'],
  ["changeCluster", { partition: 3 }, "partition: 3; with drain none."],
  ["changeCluster", { action: "rebalance" }, 'node: "b"; with rebalance none.'],
  ["changeCluster", { action: "move" }, "partition: missing; move needs one."],
  ["changeCluster", { reason: "" }, "reason: 0 bytes; allowed 1 to 256."],
  ["unwatch", { watch: 0 }, "watch: 0; allowed 1 to"],
])("%s, example %#, is refused", (kind, change, message) => {
  expect(check(changed(kind, change))?.message).toContain(message);
});

test("batches name each element once; keep is for what changes something; a body is needed", () => {
  const element = { name: "a", mode: 0, permits: 0, take: 0 };
  expect(check(changed("acquireAll", { elements: [element, element] }))?.message).toContain(
    'elements[1].name: "a" is there twice',
  );
  const keep = { requestId: "abcdefghijklmnopqrstuv", keepMs: 0 };
  expect(check(bodyOf("acquire", "a"), keep)).toBeUndefined();
  expect(check(bodyOf("why", "a"), keep)?.message).toContain("only for operations that change something");
  expect(check(bodyOf("acquire", "a"), { ...keep, requestId: "x" })?.message).toContain("keep.requestId");
  expect(check(bodyOf("acquire", "a"), { ...keep, keepMs: 86_400_001 })?.message).toContain("keep.keepMs");
  expect(check(undefined)?.message).toContain("body: missing");
});
