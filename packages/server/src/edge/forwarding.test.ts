import { ForelockError, Forwarded, Hello, Purpose } from "@forelock/protocol";
import { expect, test } from "vitest";
import { AGE_MS_MAX, proofOf } from "../cluster/proof.ts";
import { Authenticator } from "./authenticate.ts";
import { createCounters } from "./counters.ts";
import { Forwarding } from "./forwarding.ts";
import type { EdgeOptions } from "./options.ts";
import { acquireBody, type EdgeScene, edgeScene, realClock } from "./testing/edge-scene.ts";

const SECRET = "a secret of the whole cluster";
const CLUSTER = { nodeId: "b", secret: SECRET, san: [] };
const ANA: EdgeOptions["principals"][number] = {
  ...{ name: "ana", token: "the token of ana", tokenSha256: undefined, san: [] },
  rights: [{ right: "read", prefix: "orders" }],
};
let nonces = 0;

/** A Hello of node `a` for ana, with `changes` made before the proof, and `after` made behind its back. */
function forwardedHello(
  changes: Partial<Forwarded> = {},
  after: Partial<Forwarded> = {},
  secret = SECRET,
): Partial<Hello> {
  const claims = {
    ...{ node: "a", to: "b", nonce: Buffer.alloc(16, ++nonces), atMs: Math.floor(realClock.wallMs()) },
    ...{ principal: "ana", remoteAddress: "10.0.0.7", resumed: false },
    ...changes,
  };
  const hello = { purpose: Purpose.SESSIONLESS, sessionId: Buffer.alloc(16, 1) };
  return { ...hello, forwarded: { ...claims, proof: proofOf(secret, claims, hello), ...after } };
}

async function answerTo(scene: EdgeScene, hello: Partial<Hello>): Promise<string> {
  const client = await scene.connect();
  const { welcome, closing } = await client.hello(hello);
  return welcome === undefined ? `${closing?.code}: ${closing?.message}` : `welcome ${welcome.principal}`;
}

test("a node with the secret of the cluster speaks for its client, whose rights are those of this node's table", async () => {
  await using scene = await edgeScene({ principals: [ANA], cluster: CLUSTER });
  const client = await scene.connect();
  expect((await client.hello(forwardedHello())).welcome?.principal).toBe("ana");
  expect((await client.ask({ $case: "why", value: { name: "orders/1" } })).$case).toBe("why");
  const refused = await client.ask({ $case: "why", value: { name: "other/1" } });
  expect(refused).toMatchObject({ value: { code: "permission_denied" } });
});

test("without principals a forwarded client is local, like every other", async () => {
  await using scene = await edgeScene({ cluster: CLUSTER });
  expect(await answerTo(scene, forwardedHello())).toBe("welcome local");
});

test.each<[string, Partial<Hello>, RegExp]>([
  ["of another secret", forwardedHello({}, {}, "another secret, guessed"), /^unauthenticated: .*proof is wrong/],
  [
    "for somebody else than it was made for",
    forwardedHello({}, { principal: "root" }),
    /^unauthenticated: .*proof is wrong/,
  ],
  ["from another address than it was made for", forwardedHello({}, { remoteAddress: "127.0.0.1" }), /proof is wrong/],
  [
    "for another session than it was made for",
    { ...forwardedHello(), sessionId: Buffer.alloc(16, 9) },
    /proof is wrong/,
  ],
  ["meant for another node", forwardedHello({ to: "c" }), /^unauthenticated: .*meant for node c/],
  [
    "too old",
    forwardedHello({ atMs: Math.floor(realClock.wallMs()) - AGE_MS_MAX - 1_000 }),
    /^unauthenticated: .*ms old/,
  ],
  [
    "of the future",
    forwardedHello({ atMs: Math.floor(realClock.wallMs()) + AGE_MS_MAX + 60_000 }),
    /^unauthenticated: .*ms old/,
  ],
  ["that is cut short", forwardedHello({}, { proof: Buffer.alloc(31) }), /^unauthenticated: .*proof is wrong/],
  ["that is missing", forwardedHello({}, { proof: Buffer.alloc(0) }), /^unauthenticated: .*neither a proof/],
  ["for a principal that this node does not know", forwardedHello({ principal: "bo" }), /^permission_denied/],
])("a proof %s is refused", async (_what, hello, told) => {
  await using scene = await edgeScene({ principals: [ANA], cluster: CLUSTER });
  expect(await answerTo(scene, hello)).toMatch(told);
});

test("a proof holds once", async () => {
  await using scene = await edgeScene({ principals: [ANA], cluster: CLUSTER });
  const hello = forwardedHello();
  expect(await answerTo(scene, hello)).toBe("welcome ana");
  expect(await answerTo(scene, hello)).toMatch(/^unauthenticated: .*used before/);
});

test("outside a cluster, and without a secret, nobody speaks for others", async () => {
  await using alone = await edgeScene({ principals: [ANA] });
  expect(await answerTo(alone, forwardedHello())).toMatch(/^unauthenticated: .*in no cluster/);
  await using secretless = await edgeScene({ principals: [ANA], cluster: { ...CLUSTER, secret: "" } });
  expect(await answerTo(secretless, forwardedHello())).toMatch(/^unauthenticated: .*no cluster.secret/);
});

test("a forwarded connection takes nothing over from the client's own, and carries heartbeats", async () => {
  await using scene = await edgeScene({ cluster: CLUSTER });
  const own = await scene.open();
  const welcome = own.frames[0]?.welcome;
  const sessionId = welcome?.sessionId ?? Buffer.alloc(0);
  const hello = { purpose: Purpose.OPERATIONS, sessionId, sessionSecret: welcome?.sessionSecret ?? Buffer.alloc(0) };
  const claims = Forwarded.fromPartial({ ...forwardedHello().forwarded, proof: Buffer.alloc(0) });
  const node = await scene.connect();
  const answer = await node.hello({ ...hello, forwarded: { ...claims, proof: proofOf(SECRET, claims, hello) } });
  expect(answer.closing).toBeUndefined();
  node.beat({ number: 7, lagMs: 0, health: 0 });
  expect((await node.until((frame) => frame.heartbeat !== undefined)).heartbeat?.number).toBe(7);
  expect((await own.ask(acquireBody("a"))).$case).toBe("acquire");
});

test("no more forwarded connections are taken than can be remembered, until the oldest is too old to be shown again", () => {
  let nowMs = 0;
  const clock = { ...realClock, monotonicMs: () => nowMs };
  const counters = createCounters();
  const log = { info: () => {}, warn: () => {}, error: () => {} };
  const authenticator = new Authenticator({ principals: [], clock, log, counters });
  const forwarding = new Forwarding(CLUSTER, authenticator, clock, 2);
  const peer = { address: "10.0.0.1", san: [], bearer: "" };
  const come = (): string => {
    const hello = Hello.fromPartial(forwardedHello());
    try {
      return forwarding.authenticate(peer, hello, hello.forwarded ?? Forwarded.create()).principal;
    } catch (error) {
      return String(error instanceof ForelockError ? error.code : error);
    }
  };
  expect([come(), come(), come()]).toEqual(["local", "local", "rate_limited"]);
  nowMs += 2 * AGE_MS_MAX;
  expect(come()).toBe("local");
});
