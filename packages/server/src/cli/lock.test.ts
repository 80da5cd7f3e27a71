import { ForelockError } from "@forelock/protocol";
import { expect, test } from "vitest";
import { FakeTerminal } from "./testing/fake-io.ts";

test("the command runs with token, lock, endpoint and reference in its environment, and its code is ours", async () => {
  const terminal = new FakeTerminal();
  terminal.env["PATH"] = "/bin";
  terminal.onChild = (child) => child.exit(7);
  expect(await terminal.run("lock", "orders/42", "--", "work", "-x", "--json")).toBe(7);
  expect(terminal.children[0]?.wish).toEqual({
    command: "work",
    args: ["-x", "--json"],
    env: {
      PATH: "/bin",
      FORELOCK_TOKEN: "101",
      FORELOCK_LOCK: "orders/42",
      FORELOCK_ENDPOINT: "127.0.0.1:7420",
      FORELOCK_REFERENCE: "ref-orders/42",
    },
  });
  expect(terminal.server.calls).toEqual(["acquire orders/42", "release orders/42", "close"]);
  expect(terminal.out).toBe("");
});

test("busy gives 111 and the command does not run", async () => {
  const terminal = new FakeTerminal();
  terminal.server.hold("a");
  expect(await terminal.run("lock", "a", "--no-wait", "--", "work")).toBe(111);
  expect(terminal.children).toEqual([]);
  expect(terminal.err).toContain("[busy]");
});

test("a wait that ends gives 112 and the command does not run", async () => {
  const terminal = new FakeTerminal();
  terminal.server.hold("a");
  expect(await terminal.run("lock", "a", "--wait", "1ms", "--", "work")).toBe(112);
  expect(terminal.children).toEqual([]);
  expect(terminal.err).toContain("waiting for a, place 1 (operation ref-a)");
});

test("options reach the acquire", async () => {
  const terminal = new FakeTerminal();
  terminal.onChild = (child) => child.exit(0);
  expect(await terminal.run("lock", "a", "--permits", "5", "--take", "2", "--ttl", "3s", "--", "work")).toBe(0);
  expect(terminal.server.sessions).toEqual([{ session: "open", ttlMs: 3_000 }]);
});

test.each([
  [0, "release a"],
  [3, "release a undo"],
])("with --rollback a command that gives %d ends in %s", async (code, call) => {
  const terminal = new FakeTerminal();
  terminal.onChild = (child) => child.exit(code);
  expect(await terminal.run("lock", "a", "--rollback", "--", "work")).toBe(code);
  expect(terminal.server.calls).toContain(call);
});

test("a command that a signal ended gives 128 and its number", async () => {
  const terminal = new FakeTerminal();
  terminal.onChild = (child) => child.die("SIGKILL");
  expect(await terminal.run("lock", "a", "--", "work")).toBe(137);
  expect(terminal.server.calls).toContain("release a");
});

test.each([
  ["ENOENT", 127, "was not found"],
  ["EACCES", 126, "cannot be run (EACCES)"],
])("a command that does not start (%s) gives %d, and the lock is given back", async (errno, code, words) => {
  const terminal = new FakeTerminal();
  terminal.onChild = (child) => child.fail(errno);
  expect(await terminal.run("lock", "a", "--", "work")).toBe(code);
  expect(terminal.err).toContain(words);
  expect(terminal.server.calls).toContain("release a");
});

test("signals are passed on to the command, and the lock is released when it has ended", async () => {
  const terminal = new FakeTerminal();
  const ending = terminal.run("lock", "a", "--", "work");
  await terminal.settle();
  terminal.stop("SIGTERM");
  expect(terminal.children[0]?.signals).toEqual(["SIGTERM"]);
  terminal.children[0]?.die("SIGTERM");
  expect(await ending).toBe(143);
  expect(terminal.server.calls).toEqual(["acquire a", "release a", "close"]);
});

test("a signal while waiting withdraws the wait, closes the session and gives 128 and its number", async () => {
  const terminal = new FakeTerminal();
  terminal.server.hold("a");
  const ending = terminal.run("lock", "a", "--", "work");
  await terminal.settle();
  terminal.stop("SIGINT");
  expect(await ending).toBe(130);
  expect(terminal.server.queues.get("a")).toEqual([]);
  expect(terminal.server.calls).toEqual(["acquire a", "close"]);
});

test("a lock that is taken away stops the command: SIGTERM at once, SIGKILL 400 ms later, exit 113", async () => {
  const terminal = new FakeTerminal();
  const ending = terminal.run("lock", "a", "--", "work");
  await terminal.settle();
  const child = terminal.children[0];
  terminal.server.force("a", "it hangs");
  expect(child?.signals).toEqual(["SIGTERM"]);
  terminal.advance(399);
  expect(child?.signals).toEqual(["SIGTERM"]);
  terminal.advance(1);
  expect(child?.signals).toEqual(["SIGTERM", "SIGKILL"]);
  child?.die("SIGKILL");
  expect(await ending).toBe(113);
  expect(terminal.err).toContain("taken away by an operator: it hangs");
});

test("a command that ends well on the SIGTERM of a lost lock counts as lost all the same", async () => {
  const terminal = new FakeTerminal();
  const ending = terminal.run("lock", "a", "--rollback", "--", "work");
  await terminal.settle();
  terminal.server.force("a", "x");
  terminal.children[0]?.exit(0);
  expect(await ending).toBe(113);
});

test("when heartbeats are no longer answered the command is told, then killed, before safe-until passes", async () => {
  const terminal = new FakeTerminal();
  const ending = terminal.run("lock", "a", "--kill-after", "5s", "--", "work");
  await terminal.settle();
  const child = terminal.children[0];
  const safeMsAt: number[] = [];
  while (terminal.server.safeMs > 0) {
    terminal.server.safeMs -= 10;
    terminal.advance(10);
    while (safeMsAt.length < (child?.signals.length ?? 0)) safeMsAt.push(terminal.server.safeMs);
  }
  expect(child?.signals).toEqual(["SIGTERM", "SIGKILL"]);
  expect(safeMsAt).toEqual([5_250, 250]);
  child?.die("SIGKILL");
  expect(await ending).toBe(113);
});

test("while heartbeats are answered the command is left alone for ever", async () => {
  const terminal = new FakeTerminal();
  const ending = terminal.run("lock", "a", "--", "work");
  await terminal.settle();
  terminal.advance(3_600_000);
  expect(terminal.children[0]?.signals).toEqual([]);
  terminal.children[0]?.exit(0);
  expect(await ending).toBe(0);
});

test("a release that fails is told; with --rollback it is a failure, for nobody knows what stays", async () => {
  for (const [argv, code] of [
    [["lock", "a", "--", "work"], 0],
    [["lock", "a", "--rollback", "--", "work"], 114],
  ] as const) {
    const terminal = new FakeTerminal();
    terminal.onChild = (child) => child.exit(0);
    terminal.server.refusals.set("release", new ForelockError("unavailable", "gone."));
    expect(await terminal.run(...argv)).toBe(code);
    expect(terminal.err).toContain("[unavailable]");
  }
});

test("with --json events are lines on stderr, and stdout stays the command's", async () => {
  const terminal = new FakeTerminal();
  terminal.onChild = (child) => child.exit(0);
  expect(await terminal.run("lock", "a", "--json", "--", "work")).toBe(0);
  expect(
    terminal.err
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line)),
  ).toEqual([
    { event: "granted", name: "a", token: "101", reference: "ref-a" },
    { event: "released", name: "a", token: "101", undo: false },
  ]);
  expect(terminal.out).toBe("");
});
