import { connect, constants } from "node:http2";
import {
  AcquireReply,
  AcquireRequest,
  ClientFrame,
  GetOperationRequest,
  HeartbeatReply,
  HeartbeatRequest,
  OpenSessionReply,
  OpenSessionRequest,
  ReleaseReply,
  ReleaseRequest,
  ServerFrame,
} from "@forelock/protocol";
import { Client, credentials, Metadata, type ServiceError } from "@grpc/grpc-js";
import { afterEach, expect, test } from "vitest";
import type { Codec } from "../calls.ts";
import { acquireBody, clientFrame, edgeScene } from "../testing/edge-scene.ts";

const clients: Client[] = [];
afterEach(() => {
  for (const client of clients.splice(0)) client.close();
});

function grpcClient(port: number): Client {
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  clients.push(client);
  return client;
}

interface Asking<Request, Answer> {
  readonly rpc: string;
  readonly request: Codec<Request>;
  readonly reply: Codec<Answer>;
  readonly metadata?: Readonly<Record<string, string>>;
}

function ask<Request, Answer>(
  client: Client,
  { rpc, request, reply, metadata }: Asking<Request, Answer>,
  message: Request,
) {
  const headers = new Metadata();
  for (const [key, value] of Object.entries(metadata ?? {})) headers.set(key, value);
  return new Promise<Answer>((resolve, reject) => {
    client.makeUnaryRequest(
      `/forelock.v1.Forelock/${rpc}`,
      (value: Request) => Buffer.from(request.encode(value).finish()),
      (bytes: Buffer) => reply.decode(bytes),
      message,
      headers,
      (error, value) => (error === null && value !== undefined ? resolve(value) : reject(error)),
    );
  });
}

const ACQUIRE = { rpc: "Acquire", request: AcquireRequest, reply: AcquireReply };
const request = (name: string, waitMs?: number): AcquireRequest => {
  const body = acquireBody(name, waitMs);
  if (body.$case !== "acquire") throw new Error("not an acquire");
  return body.value;
};

test("unary calls open a session, acquire, wait for an operation and release", async () => {
  await using scene = await edgeScene();
  const client = grpcClient(scene.edge.port);
  const open = { rpc: "OpenSession", request: OpenSessionRequest, reply: OpenSessionReply };
  const ana = { "forelock-session": (await ask(client, open, { ttlMs: 0, client: "ana" })).session };
  const bo = { "forelock-session": (await ask(client, open, { ttlMs: 0, client: "bo" })).session };

  const { grants } = await ask(client, { ...ACQUIRE, metadata: ana }, request("a"));
  const queued = await ask(client, { ...ACQUIRE, metadata: bo }, request("a"));
  expect(queued).toMatchObject({ state: 0, position: 1, grants: [] });

  const waiting = ask(
    client,
    { rpc: "GetOperation", request: GetOperationRequest, reply: AcquireReply },
    { reference: queued.reference, requestId: "", name: "", waitMs: 5_000 },
  );
  const release = { rpc: "Release", request: ReleaseRequest, reply: ReleaseReply };
  await ask(client, { ...release, metadata: ana }, { name: "a", token: grants[0]!.token, undo: false });
  expect(await waiting).toMatchObject({ state: 1, grants: [{ name: "a" }] });

  const beat = { rpc: "Heartbeat", request: HeartbeatRequest, reply: HeartbeatReply };
  expect(await ask(client, { ...beat, metadata: ana }, { number: 7, lagMs: 0, health: 0 })).toMatchObject({
    number: 7,
  });
});

test("a unary call is kept under its request id, which is drawn when absent", async () => {
  await using scene = await edgeScene();
  const client = grpcClient(scene.edge.port);
  const open = { rpc: "OpenSession", request: OpenSessionRequest, reply: OpenSessionReply };
  const session = (await ask(client, open, { ttlMs: 0, client: "" })).session;
  const metadata = { "forelock-session": session, "forelock-request-id": "abcdefghijklmnopqrstuv" };
  const first = await ask(client, { ...ACQUIRE, metadata }, request("a"));
  expect(await ask(client, { ...ACQUIRE, metadata }, request("a"))).toEqual(first);
  await ask(client, { ...ACQUIRE, metadata: { "forelock-session": session } }, request("b"));
  const ids = scene.service.submitted.map((operation) => [operation.sequence, operation.keep?.requestId]);
  expect(ids).toEqual([
    [0, "abcdefghijklmnopqrstuv"],
    [0, "abcdefghijklmnopqrstuv"],
    [0, expect.stringMatching(/^[A-Za-z0-9_-]{24}$/)],
  ]);
});

test("errors come as a status with the code of the table in the metadata", async () => {
  await using scene = await edgeScene();
  const client = grpcClient(scene.edge.port);
  const refused = async (metadata: Record<string, string>, message: AcquireRequest) => {
    const error: unknown = await ask(client, { ...ACQUIRE, metadata }, message).catch((reason: unknown) => reason);
    const { code, details, metadata: told } = error as ServiceError; // Rejections of grpc-js are these.
    return [code, told.get("forelock-code")[0], details];
  };
  expect(await refused({}, request("a"))).toEqual([5, "session_unknown", expect.stringContaining("forelock-session")]);
  expect(await refused({ "forelock-session": "x" }, request("a"))).toEqual([3, "bad_argument", expect.anything()]);
  expect(await refused({}, request("a//b"))).toEqual([3, "bad_name", expect.stringContaining('name: "a//b"')]);
  expect(await refused({ "forelock-request-id": "short" }, request("a"))).toEqual([
    3,
    "bad_argument",
    expect.anything(),
  ]);
  const open = { rpc: "OpenSession", request: OpenSessionRequest, reply: OpenSessionReply };
  const metadata = { "forelock-session": (await ask(client, open, { ttlMs: 0, client: "" })).session };
  await ask(client, { ...ACQUIRE, metadata }, request("a"));
  expect(await refused(metadata, request("a", 0))).toEqual([10, "busy", expect.anything()]);
});

function sessionStream(client: Client, metadata = new Metadata()) {
  const stream = client.makeBidiStreamRequest(
    "/forelock.v1.Forelock/Session",
    (bytes: Buffer) => bytes,
    (bytes: Buffer) => ServerFrame.decode(bytes),
    metadata,
  );
  const frames: ServerFrame[] = [];
  const until = (matches: (frame: ServerFrame) => boolean) =>
    new Promise<ServerFrame>((resolve, reject) => {
      const look = (): void => {
        const found = frames.find(matches);
        if (found !== undefined) resolve(found);
      };
      stream.on("data", look);
      stream.on("error", reject);
      look();
    });
  stream.on("data", (frame: ServerFrame) => frames.push(frame));
  return { stream, frames, until, send: (bytes: Buffer) => stream.write(bytes.subarray(4)) };
}

test("the stream Session carries the frames of the native carrier", async () => {
  await using scene = await edgeScene();
  const { send, until, stream } = sessionStream(grpcClient(scene.edge.port));
  const errors: ServiceError[] = [];
  stream.on("error", (error: ServiceError) => errors.push(error));
  send(clientFrame({ hello: {} }));
  await until((frame) => frame.welcome !== undefined);
  const operations = Array.from({ length: 300 }, (_, index) => ({
    sequence: index + 1,
    keep: undefined,
    body: acquireBody(`a/${index}`),
  }));
  send(clientFrame({ operations }));
  expect((await until((frame) => frame.replies.length > 0)).replies).toHaveLength(300);
  send(clientFrame({ hello: {} }));
  const { closing } = await until((frame) => frame.closing !== undefined);
  expect(closing).toMatchObject({ code: "bad_frame" });
  await expect.poll(() => errors[0]?.metadata.get("forelock-code")[0]).toBe("bad_frame");
});

test("HTTP/2 is bounded: streams, headers, and resets", async () => {
  await using scene = await edgeScene();
  const session = connect(`http://127.0.0.1:${scene.edge.port}`);
  session.on("error", () => session.destroy()); // It is cut on purpose.
  await new Promise((resolve) => session.once("remoteSettings", resolve));
  expect(session.remoteSettings).toMatchObject({ maxConcurrentStreams: 100, maxHeaderListSize: 16_384 });
  const body = Buffer.from(
    ClientFrame.encode({
      hello: undefined,
      lowestUnanswered: 0,
      operations: [],
      settled: [],
      heartbeat: undefined,
    }).finish(),
  );
  let opened = 0;
  while (!session.destroyed && opened < 100_000) {
    for (let burst = 0; burst < 50 && !session.destroyed; burst++, opened++) {
      const stream = session.request({
        ":method": "POST",
        ":path": "/forelock.v1.Forelock/Session",
        "content-type": "application/grpc",
      });
      stream.on("error", () => stream.destroy()); // As above.
      stream.write(body);
      stream.close(constants.NGHTTP2_CANCEL);
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(session.destroyed).toBe(true);
  expect(opened).toBeLessThan(10_000);
  const client = grpcClient(scene.edge.port);
  const open = { rpc: "OpenSession", request: OpenSessionRequest, reply: OpenSessionReply };
  expect((await ask(client, open, { ttlMs: 0, client: "" })).ttlMs).toBe(30_000);
});
