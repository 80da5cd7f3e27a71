import { ForelockError } from "@forelock/protocol";
import { expect, test } from "vitest";
import { splitPieces } from "./append.ts";
import { FakeTerminal } from "./testing/fake-io.ts";

test("append takes the lock, appends stdin, releases, and prints length and version", async () => {
  const terminal = new FakeTerminal();
  expect(await terminal.feed("hello\n", "append", "file_0")).toBe(0);
  expect(terminal.server.text("file_0")).toBe("hello\n");
  expect(terminal.out).toBe("file_0: appended 6 B; length 6 bytes, version 1\n");
  expect(terminal.server.calls).toEqual(["acquire file_0", "append file_0 6", "release file_0", "close"]);
});

test("input above 192 KiB becomes several records", async () => {
  const terminal = new FakeTerminal();
  expect(await terminal.feed(Buffer.alloc(500_000, "x"), "append", "f", "--json")).toBe(0);
  expect(terminal.server.files.get("f")?.map((record) => record.length)).toEqual([196_608, 196_608, 106_784]);
  expect(JSON.parse(terminal.out)).toMatchObject({ appendedBytes: 500_000, records: 3, length: 500_000, version: 3 });
});

test("when a later record fails, the earlier ones are undone", async () => {
  const terminal = new FakeTerminal();
  const server = terminal.server;
  const append = server.append.bind(server);
  let calls = 0;
  server.append = (wish) => {
    calls += 1;
    if (calls === 2) throw new ForelockError("file_full", "f has reached its limit.");
    return append(wish);
  };
  expect(await terminal.feed(Buffer.alloc(400_000), "append", "f")).toBe(118);
  expect(server.text("f")).toBe("");
  expect(server.calls).toContain("release f undo");
});

test("a token from `lock -- CMD` is used for its own lock only, and nothing is acquired", async () => {
  const terminal = new FakeTerminal();
  const { token } = terminal.server.hold("f");
  terminal.env["FORELOCK_LOCK"] = "f";
  terminal.env["FORELOCK_TOKEN"] = String(token);
  expect(await terminal.feed("a", "append", "f")).toBe(0);
  expect(terminal.server.calls).toEqual(["append f 1", "close"]);
});

test("in the shell of another lock the guarding lock is taken", async () => {
  const terminal = new FakeTerminal();
  terminal.env["FORELOCK_LOCK"] = "other";
  terminal.env["FORELOCK_TOKEN"] = "5";
  expect(await terminal.feed("a", "append", "f")).toBe(0);
  expect(terminal.server.calls[0]).toBe("acquire f");
});

test("a stale token is refused with 113 and nothing is appended", async () => {
  const terminal = new FakeTerminal();
  terminal.server.hold("f");
  expect(await terminal.feed("a", "append", "f", "--token", "5")).toBe(113);
  expect(terminal.err).toContain("[stale_token]");
  expect(terminal.server.text("f")).toBe("");
});

test("an empty stdin appends nothing and says so", async () => {
  const terminal = new FakeTerminal();
  expect(await terminal.feed("", "append", "f")).toBe(0);
  expect(terminal.err).toContain("nothing was appended");
  expect(terminal.server.calls).toEqual([]);
});

test("a signal in the middle undoes and releases, although stdin stays open", async () => {
  const terminal = new FakeTerminal();
  const ending = terminal.run("append", "f");
  terminal.stdin.write(Buffer.alloc(196_608));
  await terminal.settle();
  expect(terminal.server.files.get("f")).toHaveLength(1);
  terminal.stop("SIGTERM");
  expect(await ending).toBe(143);
  expect(terminal.server.files.get("f")).toHaveLength(0);
});

test("a lock that is lost in the middle gives 113", async () => {
  const terminal = new FakeTerminal();
  const ending = terminal.run("append", "f");
  terminal.stdin.write(Buffer.alloc(196_608));
  await terminal.settle();
  terminal.server.force("f", "x");
  expect(await ending).toBe(113);
});

test("pieces are full whatever the chunks were", async () => {
  async function* chunks(): AsyncGenerator<Uint8Array> {
    for (const size of [1, 5, 0, 2, 9]) yield Buffer.alloc(size, size);
  }
  const sizes: number[] = [];
  for await (const piece of splitPieces(chunks(), 4)) sizes.push(piece.length);
  expect(sizes).toEqual([4, 4, 4, 4, 1]);
});

test("a warning is acknowledged and told; input that is not over at its end is given up, and nothing is appended: 121", async () => {
  const terminal = new FakeTerminal();
  terminal.stdin.write(Buffer.alloc(200_000, "x")); // More than one piece: the lock is taken for the first.
  const ending = terminal.run("append", "f");
  await terminal.settle();
  terminal.server.warn("f");
  await terminal.settle();
  expect(terminal.err).toContain("End the input within 10.0 s, or nothing is appended.\n");
  expect(terminal.server.calls).toContain("acknowledge f");
  terminal.server.preempt("f");
  expect(await ending).toBe(121);
  expect(terminal.server.text("f")).toBe("");
  expect(terminal.server.calls).toContain("release f undo");
});

test("input that ends within the countdown of a warning is appended", async () => {
  const terminal = new FakeTerminal();
  terminal.stdin.write(Buffer.alloc(200_000, "x")); // More than one piece: the lock is taken for the first.
  const ending = terminal.run("append", "f");
  await terminal.settle();
  terminal.server.warn("f", { enforced: false });
  terminal.stdin.end("last");
  expect(await ending).toBe(0);
  expect(terminal.server.text("f")).toHaveLength(200_004);
});
