import type { Operation } from "@forelock/protocol";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Right } from "../shard/service.ts";
import {
  authorize,
  type EdgeCaller,
  isInside,
  type OperationBody,
  type OperationCase,
  RULES,
  rightsOf,
} from "./authorize.ts";
import { nameProblem } from "./names.ts";
import { edgeScene, type NativeClient } from "./testing/edge-scene.ts";
import { bodyOf, EXAMPLES } from "./testing/examples.ts";

const RIGHTS: readonly Right[] = ["read", "lock", "write", "operate", "admin", "direct"];
const CASES = Object.keys(RULES) as readonly OperationCase[]; // Its keys are the cases.

function callerWith(right: Right | undefined, prefix: string): EdgeCaller {
  const rights = rightsOf(right === undefined ? [] : [{ right, prefix }]);
  return { principal: "ana", remoteAddress: "", may: rights.may, mayAnywhere: rights.mayAnywhere };
}

/** What each operation needs on a name: written out a second time, by hand, so that a slip in the table shows. */
const NEEDED: {
  readonly [Case in OperationCase]:
    | Right
    | "everything:operate"
    | "everything:read"
    | "everything:admin"
    | "anywhere:read"
    | "own"
    | "nodes";
} = {
  acquire: "lock",
  acquireAll: "lock",
  upgrade: "lock",
  downgrade: "lock",
  release: "lock",
  append: "write",
  cancel: "own",
  closeSession: "own",
  getOperation: "own",
  forceRelease: "operate",
  endSession: "everything:operate",
  readFile: "read",
  readRecords: "read",
  listFiles: "anywhere:read",
  listLocks: "anywhere:read",
  listSessions: "everything:read",
  why: "read",
  getStatus: "own",
  watch: "read",
  unwatch: "own",
  acknowledge: "own",
  warn: "operate",
  setPolicy: "operate",
  listPolicies: "anywhere:read",
  getProfile: "read",
  getPrediction: "anywhere:read",
  getHistory: "read",
  getCluster: "everything:read",
  changeCluster: "everything:admin",
  readBulk: "nodes",
  peer: "nodes",
};

function isAllowed(kind: OperationCase, right: Right | undefined, prefix: string, name: string): boolean {
  const needed = NEEDED[kind];
  if (needed === "own") return true;
  if (needed === "nodes") return false; // Whatever its rights.
  if (needed === "everything:operate") return right === "operate" && prefix === "";
  if (needed === "everything:admin") return right === "admin" && prefix === "";
  if (needed === "everything:read") return right === "read" && prefix === "";
  if (needed === "anywhere:read") return right === "read";
  return right === needed && isInside(name, prefix);
}

test("each operation is allowed with its right on its names, and with nothing else", () => {
  let denied = 0;
  for (const kind of CASES) {
    for (const right of [undefined, ...RIGHTS]) {
      for (const prefix of ["", "orders", "orders/42", "order", "{orders}", "other"]) {
        for (const name of ["orders", "orders/42", "orders2", "orders/421", "{orders}/a", "other/orders", "ordersé"]) {
          const isExpected = isAllowed(kind, right, prefix, name);
          const refusal = authorize(callerWith(right, prefix), bodyOf(kind, name));
          expect([kind, right, prefix, name, refusal === undefined]).toEqual([kind, right, prefix, name, isExpected]);
          if (!isExpected) denied++;
        }
      }
    }
  }
  expect(denied).toBeGreaterThan(1_000);
});

test("one name without the right refuses the whole batch, and a foreign guarding element the append", () => {
  const elements = ["orders/1", "orders/2", "stock/1"].map((name) => ({ name, mode: 0 as const, permits: 0, take: 0 }));
  const all: OperationBody = { $case: "acquireAll", value: { elements, waitMs: undefined, onLoss: 0, actor: "" } };
  expect(authorize(callerWith("lock", "orders"), all)?.message).toContain("stock/1");
  const append: OperationBody = {
    $case: "append",
    value: { file: "orders/1", bytes: Buffer.alloc(0), token: 1n, element: "stock/1" },
  };
  expect(authorize(callerWith("write", "orders"), append)?.message).toContain("stock/1");
});

test("a prefix covers whole parts: what is allowed lies inside it", () => {
  const part = fc.stringMatching(/^[a-c.{}]{1,3}$/);
  const path = fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => parts.join("/"));
  fc.assert(
    fc.property(path, path, (name, prefix) => {
      fc.pre(nameProblem(name) === undefined && nameProblem(prefix) === undefined);
      const parts = prefix.split("/");
      const inside =
        name.split("/").slice(0, parts.length).join("/") === prefix && name.split("/").length >= parts.length;
      expect(callerWith("lock", prefix).may("lock", name)).toBe(inside);
    }),
    { numRuns: 20_000, seed: 11 },
  );
});

const PRINCIPALS = [
  {
    name: "ana",
    token: "token-of-ana-0123456789",
    tokenSha256: undefined,
    san: [],
    rights: (["read", "lock", "write"] as const).map((right) => ({ right, prefix: "orders" })),
  },
  {
    name: "root",
    token: "token-of-root-0123456789",
    tokenSha256: undefined,
    san: [],
    rights: RIGHTS.map((right) => ({ right, prefix: "" })),
  },
  { name: "nobody", token: "token-of-nobody-0123456789", tokenSha256: undefined, san: [], rights: [] },
];

const isDenied = async (client: NativeClient, bodies: readonly OperationBody[]) => {
  const replies = await client.replies(client.send(...bodies));
  return replies.map((reply) => reply.$case === "error" && reply.value.code === "permission_denied");
};

test("in a frame each operation is judged by itself, and the denied ones never reach the service", async () => {
  await using scene = await edgeScene({ principals: PRINCIPALS });
  const client = await scene.open({ token: "token-of-ana-0123456789" });
  for (const kind of CASES.filter((each) => each !== "closeSession")) {
    const foreign = bodyOf(kind, "stock/1");
    const before = scene.service.submitted.length;
    const [first, middle, last] = await isDenied(client, [
      bodyOf("why", "orders/1"),
      foreign,
      bodyOf("why", "orders/2"),
    ]);
    const isExpected = NEEDED[kind] !== "own" && NEEDED[kind] !== "anywhere:read";
    expect([kind, first, middle, last]).toEqual([kind, false, isExpected, false]);
    const cases = scene.service.submitted.slice(before).map((operation) => operation.body?.$case);
    expect(cases.filter((each) => each !== "why")).toEqual(
      isExpected || kind === "watch" || kind === "unwatch" ? [] : [kind],
    );
  }
});

test("nothing of a foreign name leaks: lists, watches, references", async () => {
  await using scene = await edgeScene({ principals: PRINCIPALS });
  const root = await scene.open({ token: "token-of-root-0123456789" });
  const ana = await scene.open({ token: "token-of-ana-0123456789" });
  const watching = ana.send({ $case: "watch", value: { pattern: "*" } });
  await ana.replies(watching);
  await root.ask(bodyOf("acquire", "stock/1"));
  const secret = await root.ask(bodyOf("acquire", "stock/1"));
  await ana.ask(bodyOf("acquire", "orders/1"));
  const reference = secret.$case === "acquire" ? secret.value.reference : "";
  const asked: OperationBody = { $case: "getOperation", value: { reference, requestId: "", name: "", waitMs: 0 } };
  expect(await ana.ask(asked)).toMatchObject({ value: { code: "operation_unknown" } });
  const list = await ana.ask(bodyOf("listLocks", ""));
  expect(list).toMatchObject({ value: { locks: [{ name: "orders/1" }] } });
  const events = () => ana.frames.flatMap((frame) => frame.notices).map((notice) => notice.body);
  await ana.look(() => events().length > 0);
  expect(events()).toMatchObject([{ $case: "event", value: { name: "orders/1" } }]);
  const { sessionId, sessionSecret } = root.frames[0]!.welcome!;
  const thief = await scene.connect();
  const refused = await thief.hello({ token: "token-of-ana-0123456789", sessionId, sessionSecret });
  expect(refused.closing).toMatchObject({ code: "session_unknown" });
});

test("without rights nothing works, and without a session nothing that needs one", async () => {
  await using scene = await edgeScene({ principals: PRINCIPALS });
  const nobody = await scene.open({ token: "token-of-nobody-0123456789" });
  const denied = CASES.filter((kind) => NEEDED[kind] !== "own");
  expect(
    await isDenied(
      nobody,
      denied.map((kind) => bodyOf(kind, "a")),
    ),
  ).toEqual(denied.map(() => true));
  const reader = await scene.open({ token: "token-of-root-0123456789", purpose: 2 });
  for (const kind of CASES.filter((each) => RULES[each].session)) {
    expect(await reader.ask(bodyOf(kind, "a"))).toMatchObject({ value: { code: "session_unknown" } });
  }
});

test("the examples cover every case of the schema", () => {
  const cases: readonly NonNullable<Operation["body"]>["$case"][] = Object.keys(EXAMPLES) as OperationCase[]; // Its keys are the cases.
  expect([...cases].sort()).toEqual([...CASES].sort());
});
