import type { Socket } from "node:net";
import { MessageChannel } from "node:worker_threads";
import { expect, onTestFinished, test } from "vitest";
import { Channel } from "./channel.ts";

/** Both ends of a channel in one thread, and what the second one is given. */
function scene() {
  const { port1, port2 } = new MessageChannel();
  const accepted: Socket[] = [];
  const first = new Channel(port1, "first", (socket) => accepted.push(socket));
  const second = new Channel(port2, "second", (socket) => accepted.push(socket));
  onTestFinished(() => {
    first.close();
    second.close();
  });
  return { first, second, accepted };
}

async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await new Promise((resolve) => setImmediate(resolve));
}

const received = (socket: Socket): { readonly text: () => string } => {
  let text = "";
  socket.on("data", (chunk: Buffer) => {
    text += chunk.toString();
  });
  return { text: () => text };
};

test("what is written on many connections arrives on each in its order, both ways", async () => {
  const { first, accepted } = scene();
  const dialled = [first.dial(), first.dial()];
  dialled[0]?.write("one ");
  dialled[1]?.write("other");
  dialled[0]?.write("two");
  await until(() => accepted.length === 2);
  const heard = accepted.map(received);
  await until(() => heard[0]?.text() === "one two" && heard[1]?.text() === "other");
  const answered = received(dialled[1]!); // There are two.
  accepted[1]?.write("yes");
  await until(() => answered.text() === "yes");
});

test("the bytes may change once they are written", async () => {
  const { first, accepted } = scene();
  const bytes = Buffer.from("before");
  first.dial().write(bytes);
  bytes.fill("x");
  await until(() => accepted.length === 1);
  const heard = received(accepted[0]!);
  await until(() => heard.text() === "before");
});

test("both ends may dial, and one that ends closes the other", async () => {
  const { first, second, accepted } = scene();
  const [one, other] = [first.dial(), second.dial()];
  await until(() => accepted.length === 2);
  let closed = 0;
  for (const socket of accepted) socket.on("close", () => (closed += 1)).resume();
  one.end("bye");
  other.destroy();
  await until(() => closed === 2);
  await until(() => first.size === 0 && second.size === 0);
});

test("a writer waits when its reader does not read, and goes on when it does", async () => {
  const { first, accepted } = scene();
  const dialled = first.dial();
  await until(() => accepted.length === 1);
  const chunk = Buffer.alloc(256 * 1024, "x");
  for (let number = 0; number < 16; number += 1) dialled.write(chunk);
  for (let turn = 0; turn < 50; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  expect(dialled.writableLength).toBeGreaterThanOrEqual(11 * chunk.length);
  let bytes = 0;
  accepted[0]?.on("data", (part: Buffer) => {
    bytes += part.length;
  });
  await until(() => bytes === 16 * chunk.length);
  await until(() => dialled.writableLength === 0);
});

test("a reader that pauses keeps what is on its way", async () => {
  const { first, accepted } = scene();
  const dialled = first.dial();
  await until(() => accepted.length === 1);
  const reader = accepted[0]!; // Just seen.
  const heard = received(reader);
  reader.pause();
  dialled.write("kept");
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  expect(heard.text()).toBe("");
  reader.resume();
  await until(() => heard.text() === "kept");
});
