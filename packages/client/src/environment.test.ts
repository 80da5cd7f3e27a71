import { createServer, type Socket } from "node:net";
import { expect, test } from "vitest";
import { systemEnvironment } from "./environment.ts";

const environment = systemEnvironment(() => ({ stop: () => {} }));

/** Whether what is due soon runs before the loop turns on, with so many connections open. */
async function runsBeforeTheTurn(connections: number): Promise<boolean> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const dialled: Socket[] = [];
  for (let index = 0; index < connections; index++)
    dialled.push(environment.dial({ host: "127.0.0.1", port }, undefined, () => {}));
  const order: string[] = [];
  await new Promise<void>((resolve) => {
    setImmediate(() => order.push("turn"));
    environment.soon(() => order.push("soon"));
    setImmediate(resolve);
  });
  const closed = dialled.map((socket) => new Promise((resolve) => socket.once("close", resolve)));
  for (const socket of dialled) socket.destroy();
  await Promise.all(closed);
  server.close();
  return order[0] === "soon";
}

test("few connections send before the loop turns on, many after all that came was read, and few again when the others are closed", async () => {
  expect(await runsBeforeTheTurn(1)).toBe(true);
  expect(await runsBeforeTheTurn(100)).toBe(false);
  expect(await runsBeforeTheTurn(1)).toBe(true);
});
