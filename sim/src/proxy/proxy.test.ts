import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { afterEach, expect, test } from "vitest";
import { systemClock } from "./clock.ts";
import { TcpProxy } from "./proxy.ts";
import { seededRandom } from "./random.ts";
import { CALM, CALM_DIRECTION, type Direction } from "./weather.ts";

const cleanups: (() => Promise<void> | void)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** Unlike `once`, a reset is no failure here: it is what is waited for. */
const closing = (socket: Socket): Promise<void> => new Promise((resolve) => socket.on("close", () => resolve()));

/** A server that answers each chunk with itself, behind a proxy, with one client connected. */
async function scene(weather: { readonly toServer?: Partial<Direction>; readonly toClient?: Partial<Direction> } = {}) {
  const sockets = new Set<Socket>();
  const received: Buffer[] = [];
  const echo: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("data", (bytes) => {
      received.push(bytes);
      socket.write(bytes);
    });
  });
  echo.listen(0, "127.0.0.1");
  await once(echo, "listening");
  const address = echo.address();
  const proxy = await TcpProxy.open({ clock: systemClock(), random: seededRandom(7) });
  proxy.targetPort = typeof address === "object" && address !== null ? address.port : undefined;
  proxy.weather = {
    toServer: { ...CALM_DIRECTION, ...weather.toServer },
    toClient: { ...CALM_DIRECTION, ...weather.toClient },
  };
  const client = connect(proxy.port, "127.0.0.1");
  let answered = "";
  client.on("error", () => {});
  client.on("data", (bytes) => {
    answered += bytes.toString();
  });
  await once(client, "connect");
  cleanups.push(
    () => {
      echo.close();
      for (const socket of sockets) socket.destroy();
    },
    () => proxy.close(),
    () => void client.destroy(),
  );
  return {
    proxy,
    client,
    answered: () => answered,
    received: () => Buffer.concat(received).toString(),
    until: (text: string) => expect.poll(() => answered, { timeout: 3_000, interval: 5 }).toBe(text),
  };
}

test("calm weather passes bytes both ways", async () => {
  const { client, until } = await scene();
  client.write("hello");
  await until("hello");
});

test("delay and jitter keep the order", async () => {
  const { client, until, proxy } = await scene({ toServer: { delayMs: 5, jitterMs: 30 } });
  for (const letter of "abcdef") {
    client.write(letter);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await until("abcdef");
  expect(proxy.counts.chunksDelayed).toBeGreaterThan(0);
});

test("a stall holds everything back until it ends", async () => {
  const { client, until, proxy, received, answered } = await scene({ toClient: { stalled: true } });
  client.write("wait");
  await expect.poll(() => proxy.counts.chunksStalled).toBe(1);
  expect([received(), answered()]).toEqual(["wait", ""]);
  proxy.weather = CALM;
  await until("wait");
});

test("lost answers reach nobody, the request does, and the connection is reset afterwards", async () => {
  const { client, proxy, received, answered } = await scene({ toClient: { dropped: true } });
  client.write("gone");
  await expect.poll(() => proxy.counts.bytesDropped).toBe(4);
  const closed = closing(client);
  proxy.weather = CALM;
  await closed;
  expect([received(), answered(), proxy.counts.resets]).toEqual(["gone", "", 1]);
});

test("a connection is cut after exactly so many bytes", async () => {
  const { client, answered, proxy } = await scene({ toClient: { cutAfterBytes: 3 } });
  const closed = closing(client);
  client.write("abcdef");
  await closed;
  expect([answered(), proxy.counts.cuts]).toEqual(["abc", 1]);
});

test("a slow reader takes a little at a time", async () => {
  const { client, until, proxy } = await scene({ toServer: { bytesPerSecond: 500 } });
  client.write("x".repeat(30));
  await until("x".repeat(30));
  expect(proxy.counts.chunksSlowed).toBeGreaterThanOrEqual(3);
});

test("a reset ends every connection, and a proxy without a target refuses new ones", async () => {
  const { client, proxy } = await scene();
  await expect.poll(() => proxy.connections).toBe(1);
  const closed = closing(client);
  expect(proxy.resetAll()).toBe(1);
  await closed;
  proxy.targetPort = undefined;
  const refused = connect(proxy.port, "127.0.0.1");
  refused.on("error", () => {});
  await closing(refused);
  expect(proxy.counts.refused).toBe(1);
});

test("a half-closed connection still carries answers", async () => {
  const { client, proxy, until } = await scene({ toClient: { delayMs: 30 } });
  client.write("last");
  await expect.poll(() => proxy.counts.chunksDelayed).toBe(1);
  expect(proxy.halfCloseAll()).toBe(1);
  await until("last");
});
