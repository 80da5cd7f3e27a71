import { connect, createServer, type Socket } from "node:net";
import { expect, test } from "vitest";
import { readDirectly } from "./direct.ts";

/** Both ends of one connection. */
async function sockets(): Promise<{ readonly near: Socket; readonly far: Socket; close(): void }> {
  const server = createServer({ pauseOnConnect: true });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const accepted = new Promise<Socket>((resolve) => server.once("connection", resolve));
  const far = connect({ host: "127.0.0.1", port, noDelay: true });
  const near = await accepted;
  const close = (): void => {
    near.destroy();
    far.destroy();
    server.close();
  };
  return { near, far, close };
}

test("everything comes once and in order, however often reading is paused, and then the end", async () => {
  const { near, far, close } = await sockets();
  const text = Array.from({ length: 20_000 }, (_, index) => `${index},`).join("");
  let got = "";
  let chunks = 0;
  readDirectly(near, (chunk) => {
    got += chunk.toString("latin1");
    if (++chunks % 3 !== 0) return;
    near.pause();
    setImmediate(() => near.resume());
  });
  const ended = new Promise((resolve) => near.once("end", resolve));
  near.resume();
  for (let at = 0; at < text.length; at += 777) {
    far.write(text.slice(at, at + 777));
    if (at % 5 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  far.end();
  await ended;
  expect(got === text).toBe(true);
  close();
});

test("a paused socket hands on nothing, and its sender is held back", async () => {
  const { near, far, close } = await sockets();
  let bytes = 0;
  readDirectly(near, (chunk) => {
    bytes += chunk.length;
    near.pause();
  });
  near.resume();
  far.write(Buffer.alloc(1));
  await expect.poll(() => bytes).toBe(1);
  const isAllSent = far.write(Buffer.alloc(64 * 1024 * 1024));
  expect(isAllSent).toBe(false);
  await expect.poll(() => near.readableLength > 0).toBe(true);
  expect(bytes).toBe(1);
  expect(near.readableLength).toBeLessThan(1024 * 1024);
  expect(far.writableLength).toBeGreaterThan(0);
  close();
});
