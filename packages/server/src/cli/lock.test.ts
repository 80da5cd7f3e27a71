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

test("a warning brings SIGTERM at once, and SIGKILL before the release is forced; it is acknowledged, and the exit code is 121", async () => {
  const terminal = new FakeTerminal();
  const ending = terminal.run("lock", "a", "--", "work");
  await terminal.settle();
  const child = terminal.children[0];
  terminal.server.safeMs = 9_500; // Of the countdown; heartbeats go on.
  terminal.server.warn("a");
  await terminal.settle();
  expect(child?.signals).toEqual(["SIGTERM"]);
  const safeMsAt = sink(terminal, () => child?.signals.length === 2);
  expect(child?.signals).toEqual(["SIGTERM", "SIGKILL"]);
  expect(safeMsAt).toBe(250);
  child?.die("SIGKILL");
  expect(await ending).toBe(121);
  expect(terminal.server.calls).toEqual(["acquire a", "acknowledge a", "release a", "close"]);
  expect(terminal.err).toBe(
    "forelock: The lock a is in the way of others (risk 0.90): It hangs. Stopping the command: SIGTERM now, SIGKILL in 9.25 s.\n",
  );
});

test.each([
  [0, "release a"],
  [3, "release a undo"],
])("with --rollback a command that gives %d on the SIGTERM of a warning ends in %s, and 121", async (code, call) => {
  const terminal = new FakeTerminal();
  const ending = terminal.run("lock", "a", "--rollback", "--", "work");
  await terminal.settle();
  terminal.server.warn("a");
  await terminal.settle();
  terminal.children[0]?.exit(code);
  expect(await ending).toBe(121);
  expect(terminal.server.calls).toContain(call);
});

test("a warning that is not enforced brings SIGTERM and no SIGKILL, as long as the lock is certainly held", async () => {
  const terminal = new FakeTerminal();
  const ending = terminal.run("lock", "a", "--", "work");
  await terminal.settle();
  terminal.server.warn("a", { enforced: false });
  await terminal.settle();
  terminal.advance(600_000);
  const child = terminal.children[0];
  expect(child?.signals).toEqual(["SIGTERM"]);
  expect(terminal.err).toContain("Stopping the command: SIGTERM now.\n");
  terminal.server.force("a", "enough");
  expect(child?.signals).toEqual(["SIGTERM", "SIGKILL"]); // SIGTERM comes once.
  child?.die("SIGKILL");
  expect(await ending).toBe(121);
});

test("an extension of the countdown moves SIGKILL on", async () => {
  const terminal = new FakeTerminal();
  const ending = terminal.run("lock", "a", "--", "work");
  await terminal.settle();
  terminal.server.safeMs = 1_000;
  terminal.server.warn("a");
  await terminal.settle();
  terminal.advance(700);
  terminal.server.safeMs = 20_000;
  terminal.advance(10_000);
  expect(terminal.children[0]?.signals).toEqual(["SIGTERM"]);
  terminal.children[0]?.exit(0);
  expect(await ending).toBe(121);
});

test("with --on-warning ignore a warning is not acknowledged, and the command stopped when its countdown runs low", async () => {
  const terminal = new FakeTerminal();
  const ending = terminal.run("lock", "a", "--on-warning", "ignore", "--kill-after", "2s", "--", "work");
  await terminal.settle();
  const child = terminal.children[0];
  terminal.server.safeMs = 9_500;
  terminal.server.warn("a");
  await terminal.settle();
  expect(child?.signals).toEqual([]);
  expect(sink(terminal, () => child?.signals.length === 1)).toBe(2_250);
  expect(sink(terminal, () => child?.signals.length === 2)).toBe(250);
  child?.die("SIGKILL");
  expect(await ending).toBe(121);
  expect(terminal.server.calls).not.toContain("acknowledge a");
});

test("when the client gives the lock up for a warning the command is killed at once", async () => {
  const terminal = new FakeTerminal();
  const ending = terminal.run("lock", "a", "--on-warning", "ignore", "--", "work");
  await terminal.settle();
  terminal.server.preempt("a");
  expect(terminal.children[0]?.signals).toEqual(["SIGTERM", "SIGKILL"]);
  terminal.children[0]?.die("SIGKILL");
  terminal.server.refusals.set("release", new ForelockError("preempted", "a was pre-empted."));
  expect(await ending).toBe(121);
});

test("a warning while waiting is told; the command runs, and is stopped when the countdown of its grant runs low", async () => {
  const terminal = new FakeTerminal();
  const { token } = terminal.server.hold("a");
  const ending = terminal.run("lock", "a", "--", "work");
  await terminal.settle();
  terminal.server.warn("a", { isPending: true });
  await terminal.settle();
  expect(terminal.err).toContain(
    "The request for a is in the way of others (risk 0.90): It hangs. Once granted, the command has 10.0 s.\n",
  );
  terminal.server.release("a", token, false);
  await terminal.settle();
  expect(terminal.children[0]?.signals).toEqual([]);
  terminal.children[0]?.exit(0);
  expect(await ending).toBe(0);
});

test("with --json a warning is an event, and so is what is done for it", async () => {
  const terminal = new FakeTerminal();
  const ending = terminal.run("lock", "a", "--json", "--", "work");
  await terminal.settle();
  terminal.server.warn("a");
  await terminal.settle();
  terminal.children[0]?.exit(0);
  expect(await ending).toBe(121);
  const events = terminal.err
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(events).toMatchObject([
    { event: "granted" },
    { event: "warned", warning: "w1.1", reason: "It hangs.", score: 0.9, enforced: true, pending: false },
    { event: "preempted", name: "a", reason: expect.stringContaining("It hangs.") },
    { event: "released", undo: false },
  ]);
});

test("the forecast of the wait is shown with the place", async () => {
  const terminal = new FakeTerminal();
  terminal.server.hold("a");
  terminal.server.eta = { p50Ms: 2_700, p90Ms: 27_700 };
  expect(await terminal.run("lock", "a", "--wait", "1ms", "--", "work")).toBe(112);
  expect(terminal.err).toContain("place 1, 2.70 s to 27.7 s to go (operation ref-a)");
});

test("--on-warning takes term or ignore: 110", async () => {
  const terminal = new FakeTerminal();
  expect(await terminal.run("lock", "a", "--on-warning", "panic", "--", "work")).toBe(110);
  expect(terminal.err).toContain('--on-warning is "panic": give term or ignore.');
});

/** Lets time pass and certainty with it, as without another answered heartbeat. @returns what was left when it happened */
function sink(terminal: FakeTerminal, happened: () => boolean): number {
  while (!happened() && terminal.server.safeMs > 0) {
    terminal.server.safeMs -= 10;
    terminal.advance(10);
  }
  return terminal.server.safeMs;
}
