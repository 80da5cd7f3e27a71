import { request } from "node:https";
import { type ConnectionOptions, connect } from "node:tls";
import { Forwarded, OpenSessionReply, Purpose } from "@forelock/protocol";
import { Client, credentials, Metadata } from "@grpc/grpc-js";
import { expect, test } from "vitest";
import { makeCertificates } from "./testing/certificates.ts";
import { clientFrame, edgeScene, NativeClient } from "./testing/edge-scene.ts";

const server = makeCertificates("DNS:localhost,IP:127.0.0.1");
const worker = makeCertificates("DNS:worker-1,URI:spiffe://cluster/worker");
const stranger = makeCertificates("DNS:worker-1");
if (server === undefined) console.log("tls.test.ts: skipped, the openssl command is not here");

const PRINCIPALS = [
  {
    name: "worker",
    token: undefined,
    tokenSha256: undefined,
    san: ["URI:spiffe://cluster/worker"],
    rights: [{ right: "lock", prefix: "" }],
  },
  {
    name: "root",
    token: "token-of-root-0123456789",
    tokenSha256: undefined,
    san: [],
    rights: [{ right: "read", prefix: "" }],
  },
] as const;
const tls = (clientRequired: boolean) => ({
  key: server!.key, // These tests run only with certificates.
  cert: server!.cert,
  clientCa: worker!.ca,
  clientRequired,
});

async function native(port: number, options: ConnectionOptions): Promise<NativeClient> {
  const socket = connect({ port, host: "127.0.0.1", servername: "localhost", ca: server!.ca, ...options });
  await new Promise((resolve, reject) => {
    socket.once("secureConnect", resolve);
    socket.once("error", reject);
  });
  return new NativeClient(socket);
}

test.skipIf(server === undefined)("every carrier works over TLS, and none without it", async () => {
  await using scene = await edgeScene({ tls: tls(false), principals: PRINCIPALS });
  const { port } = scene.edge;
  const client = await native(port, { ALPNProtocols: ["forelock/1"] });
  expect((await client.hello({ token: "token-of-root-0123456789" })).welcome?.principal).toBe("root");

  const status = await new Promise((resolve, reject) => {
    const asking = request(
      { port, host: "127.0.0.1", path: "/healthz", ca: server!.ca, servername: "localhost" },
      (r) => resolve(r.statusCode),
    );
    asking.on("error", reject);
    asking.end();
  });
  expect(status).toBe(200);

  const browser = connect({
    port,
    host: "127.0.0.1",
    servername: "localhost",
    ca: server!.ca,
    ALPNProtocols: ["h2", "http/1.1"],
  });
  await new Promise((resolve) => browser.once("secureConnect", resolve));
  expect(browser.alpnProtocol).toBe("http/1.1");
  browser.destroy();

  const grpc = new Client(`localhost:${port}`, credentials.createSsl(Buffer.from(server!.ca)));
  const metadata = new Metadata();
  metadata.set("authorization", "Bearer token-of-root-0123456789");
  const opened = await new Promise<OpenSessionReply | undefined>((resolve, reject) => {
    const path = "/forelock.v1.Forelock/OpenSession";
    const decode = (bytes: Buffer) => OpenSessionReply.decode(bytes);
    grpc.makeUnaryRequest(
      path,
      () => Buffer.alloc(0),
      decode,
      {},
      metadata,
      (error, reply) => (error ? reject(error) : resolve(reply)),
    );
  });
  grpc.close();
  expect(opened?.session).toMatch(/^[\w-]{22}\.[\w-]{43}$/);

  const plain = await scene.connect();
  plain.socket.write(clientFrame({ hello: { token: "token-of-root-0123456789" } }));
  await plain.ended();
  expect(plain.frames).toEqual([]);
  for (const one of [client]) one.socket.destroy();
});

test.skipIf(server === undefined)(
  "a client certificate names its principal by SAN, verified, and never by common name",
  async () => {
    await using scene = await edgeScene({ tls: tls(false), principals: PRINCIPALS });
    const { port } = scene.edge;
    const known = await native(port, { key: worker!.key, cert: worker!.cert });
    expect((await known.hello()).welcome?.principal).toBe("worker");
    // Its common name is `root`, and its authority is not ours.
    const foreign = await native(port, { key: stranger!.key, cert: stranger!.cert });
    expect((await foreign.hello()).closing?.code).toBe("unauthenticated");
    const bare = await native(port, {});
    expect((await bare.hello()).closing?.code).toBe("unauthenticated");
    for (const one of [known, foreign, bare]) one.socket.destroy();
  },
);

test.skipIf(server === undefined)(
  "where certificates are required, no connection gets far without a good one",
  async () => {
    await using scene = await edgeScene({ tls: tls(true), principals: PRINCIPALS });
    const expired = makeCertificates("URI:spiffe://cluster/worker", 0);
    for (const bad of [{}, { key: stranger!.key, cert: stranger!.cert }, { key: expired!.key, cert: expired!.cert }]) {
      const answer = await native(scene.edge.port, { ...bad, maxVersion: "TLSv1.2" }).then(
        async (client) => {
          await client.ended();
          return client.frames.length;
        },
        () => 0,
      );
      expect(answer).toBe(0);
    }
    await expect(native(scene.edge.port, { maxVersion: "TLSv1.1", minVersion: "TLSv1" })).rejects.toThrow();
  },
);

test.skipIf(server === undefined)("certificates are renewed without a restart", async () => {
  await using scene = await edgeScene({ tls: tls(false), principals: PRINCIPALS });
  const renewed = makeCertificates("DNS:localhost");
  scene.edge.renewTls({ ...tls(false), key: renewed!.key, cert: renewed!.cert });
  await expect(native(scene.edge.port, {})).rejects.toThrow(/certificate/);
  const client = await native(scene.edge.port, { ca: renewed!.ca });
  expect((await client.hello({ token: "token-of-root-0123456789" })).welcome?.principal).toBe("root");
  client.socket.destroy();
});

test.skipIf(server === undefined)("a certificate that the settings name as a node's stands for the proof", async () => {
  const cluster = { nodeId: "b", secret: "", san: ["DNS:worker-1"] };
  await using scene = await edgeScene({ tls: tls(false), principals: PRINCIPALS, cluster });
  const claims = { node: "a", to: "b", principal: "worker", remoteAddress: "10.0.0.7" };
  const forwarded = Forwarded.fromPartial(claims);
  const answer = async (options: ConnectionOptions): Promise<string | undefined> => {
    const client = await native(scene.edge.port, options);
    const { welcome, closing } = await client.hello({ purpose: Purpose.SESSIONLESS, forwarded });
    return welcome?.principal ?? closing?.code;
  };
  expect(await answer({ key: worker!.key, cert: worker!.cert })).toBe("worker");
  expect(await answer({ key: stranger!.key, cert: stranger!.cert })).toBe("unauthenticated");
  expect(await answer({})).toBe("unauthenticated");
});
