import { connect, createServer, type Socket } from "node:net";
import { ForelockError, Hello, type Reply } from "@forelock/protocol";
import { expect, test } from "vitest";
import { acquireBody, realClock } from "../edge/testing/edge-scene.ts";
import { Link, type Pending } from "./link.ts";

interface Deaf extends AsyncDisposable {
  readonly link: Link;
  readonly told: string[];
  readonly sockets: Socket[];
}

/** A link to a peer that takes the connection and never answers. */
async function deaf(): Promise<Deaf> {
  const sockets: Socket[] = [];
  const server = createServer((socket) => sockets.push(socket.pause()));
  const port = await new Promise<number>((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      resolve(typeof address === "object" && address !== null ? address.port : 0);
    });
  });
  const told: string[] = [];
  const link = new Link({
    peer: { id: "b", host: "127.0.0.1", port },
    dial: ({ host }) => connect(port, host),
    hello: Hello.create(),
    clock: realClock,
    events: { welcomed: () => {}, notified: () => {}, ended: (error) => told.push(`ended ${error.code}`) },
  });
  const close = (): Promise<void> => {
    link.end();
    for (const socket of sockets) socket.destroy();
    return new Promise((resolve) => server.close(() => resolve()));
  };
  return { link, told, sockets, [Symbol.asyncDispose]: close };
}

function pending(told: string[]): Pending {
  const failed = (error: ForelockError): unknown => told.push(`failed ${error.code}`);
  return { isPatient: false, next: undefined, failed, reply: ({ sequence }: Reply) => told.push(`reply ${sequence}`) };
}

test("what is unanswered is failed once when the link ends, in the order in which it was asked, also under one number", async () => {
  await using peer = await deaf();
  const numbers = ["1", "2", "1 again"].map((what) => {
    const failed = (error: ForelockError): unknown => peer.told.push(`${what} ${error.code}`);
    peer.link.ask({ sequence: Number(what[0]), keep: undefined, body: acquireBody("a") }, { ...pending([]), failed });
    return what;
  });
  peer.link.fail(new ForelockError("unavailable", "The test ends it."));
  peer.link.fail(new ForelockError("internal", "Again."));
  expect(peer.told).toEqual([
    `${numbers[0]} unavailable`,
    `${numbers[2]} unavailable`,
    `${numbers[1]} unavailable`,
    "ended unavailable",
  ]);
});

test("a peer that does not read is asked for nothing more", async () => {
  await using peer = await deaf();
  const ask = (sequence: number): void => {
    const value = { file: "a", bytes: Buffer.alloc(190_000), token: 1n, element: "" };
    peer.link.ask({ sequence, keep: undefined, body: { $case: "append", value } }, pending(peer.told));
  };
  const fill = async (): Promise<void> => {
    for (let sequence = 1; sequence < 2_000; sequence += 1) {
      ask(sequence);
      if (sequence % 20 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
  };
  await expect(fill()).rejects.toThrow(expect.objectContaining({ code: "overloaded" }));
});
