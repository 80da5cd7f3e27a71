import { expect, test } from "vitest";
import { makeCertificates } from "../edge/testing/certificates.ts";
import { acquireBody } from "../edge/testing/edge-scene.ts";
import { ClusterWorld, HOLD_MS } from "./testing/cluster-world.ts";
import { told } from "./testing/conversation.ts";

const certificates = makeCertificates("DNS:node-1,IP:127.0.0.1");
if (certificates === undefined) console.log("dial.test.ts: skipped, the openssl command is not here");

/** What a client of node `a` is answered that wants what node `b` owns. */
async function forwarded(world: ClusterWorld): Promise<string> {
  const { router } = world.member("a");
  const caller = { principal: "local", may: () => true, remoteAddress: "test" };
  const { session } = router.openSession(caller, { ttlMs: undefined, client: "" });
  const operation = { sequence: 1, keep: undefined, body: acquireBody(world.nameAt("b")) };
  let answer = "";
  router.submit(caller, session, operation, ({ body }) => {
    answer = told(body);
  });
  await world.until(() => answer !== "" || (router.counters()["requests_held"] ?? 0) > 0);
  if (answer === "") await world.clock.advance(HOLD_MS + 100);
  await world.until(() => answer !== "");
  return answer;
}

test.skipIf(certificates === undefined)("nodes know one another by their certificates, without a secret", async () => {
  const tls = certificates ?? { ca: "", cert: "", key: "" };
  await using world = await ClusterWorld.open({ ids: ["a", "b"], tls, san: ["DNS:node-1"] });
  expect(await forwarded(world)).toBe("granted 1");
});

test.skipIf(certificates === undefined)("a certificate that is no node's opens nothing", async () => {
  const tls = certificates ?? { ca: "", cert: "", key: "" };
  await using world = await ClusterWorld.open({ ids: ["a", "b"], tls, san: ["DNS:node-2"] });
  expect(await forwarded(world)).toBe("error unavailable");
  expect(world.member("a").notes.some((note) => note.startsWith("a peer does not believe this node"))).toBe(true);
});
