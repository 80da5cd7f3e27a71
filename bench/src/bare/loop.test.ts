// bare/loop.test.ts: both bare loops answer acquire and release, and keep the second holder out.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { BareClient } from "./client.ts";
import { FrameReader, FrameWriter, readRequests } from "./frame.ts";
import { Journal } from "./journal.ts";
import { startBareServer } from "./server.ts";

async function cycle(journal: Journal | undefined): Promise<string[]> {
  const server = await startBareServer(journal);
  const [ana, bo] = [await BareClient.open(server.port), await BareClient.open(server.port)];
  const story: string[] = [];
  const grants = await Promise.all(["x", "y", "z"].map((name) => ana.acquire(name)));
  story.push(`ana ${grants.map((grant) => grant.name).join(" ")}`);
  await bo.acquire("x").catch(() => story.push("bo refused x"));
  await Promise.all(grants.map((grant) => ana.release(grant)));
  const again = await bo.acquire("x");
  story.push(`bo ${again.name}`);
  await ana.release(grants[0]!).catch(() => story.push("ana stale x")); // Three grants were asked for.
  ana.close();
  bo.close();
  await server.close();
  return story;
}

const STORY = ["ana x y z", "bo refused x", "bo x", "ana stale x"];

test("the loop with a map grants once and releases once", async () => {
  expect(await cycle(undefined)).toEqual(STORY);
});

test.each(["loop", "pool"] as const)("the durable loop does the same, written from the %s", async (thread) => {
  const folder = await mkdtemp(join(tmpdir(), "forelock-bench-"));
  try {
    const journal = new Journal(join(folder, "journal"), thread);
    expect(await cycle(journal)).toEqual(STORY);
    journal.close();
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("a frame that comes in pieces is read once it is whole", () => {
  const writer = new FrameWriter();
  writer.request(1, 7, 0, "orders/42");
  writer.request(2, 8, 9, "orders/43");
  const frame = writer.take();
  const reader = new FrameReader();
  const seen: string[] = [];
  for (const byte of frame) {
    reader.push(Buffer.from([byte]), (bytes, from, to) =>
      readRequests(bytes, from, to, (kind, sequence, token, name) => seen.push(`${kind} ${sequence} ${token} ${name}`)),
    );
  }
  expect(seen).toEqual(["1 7 0 orders/42", "2 8 9 orders/43"]);
});
