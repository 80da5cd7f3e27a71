import { ForelockError } from "@forelock/protocol";
import { expect, test } from "vitest";
import { FakeTerminal } from "../testing/fake-io.ts";
import { readLine, wantedAt } from "./words.ts";

test("a script walks through acquire, append, release", async () => {
  const terminal = new FakeTerminal();
  expect(
    await terminal.feed("acquire file_0\nappend file_0 hello  world\ncat file_0\nrelease file_0\nquit\n", "shell"),
  ).toBe(0);
  expect(terminal.out).toBe(
    [
      "granted file_0, token 101",
      "appended to file_0: length 13 bytes, version 1",
      "hello  world",
      "released file_0",
      "",
    ].join("\n"),
  );
  expect(terminal.err).toBe("");
  expect(terminal.server.calls.at(-1)).toBe("close");
});

test("a step without its operands asks for them: the next lines are the answers", async () => {
  const terminal = new FakeTerminal();
  expect(await terminal.feed("acquire\nfile_7\nappend\n\nsome text\nrelease\n", "shell")).toBe(0);
  expect(terminal.server.text("file_7")).toBe("some text\n");
  expect(terminal.out).toContain("released file_7");
});

test("locks still held at the end are named and given back", async () => {
  const terminal = new FakeTerminal();
  expect(await terminal.feed("acquire a\nacquire b\n", "shell")).toBe(0);
  expect(terminal.err).toBe("forelock: still held: a (token 101), b (token 102); releasing.\n");
  expect(terminal.server.calls).toContain("release b");
});

test("a step that fails says why, the shell goes on, and the exit code is that of the first failure", async () => {
  const terminal = new FakeTerminal();
  terminal.server.hold("taken");
  expect(await terminal.feed("acquire taken --no-wait\nfrobnicate\nappend b x\nacquire a\nrelease a\n", "shell")).toBe(
    111,
  );
  expect(terminal.err).toContain("[busy]");
  expect(terminal.err).toContain('"frobnicate" is no command here');
  expect(terminal.err).toContain("This shell does not hold b");
  expect(terminal.out).toContain("granted a");
});

test("a lock that is lost is told at once, and is no longer ours", async () => {
  const terminal = new FakeTerminal();
  const ending = terminal.run("shell");
  terminal.stdin.write("acquire a\n");
  await terminal.settle();
  terminal.server.force("a", "it hangs");
  terminal.stdin.end("append a x\n");
  expect(await ending).toBe(117);
  expect(terminal.out).toContain("LOST a: [lock_lost] a was taken away by an operator: it hangs.");
});

test("a warning is told at once, with the time that is left, and acknowledged", async () => {
  const terminal = new FakeTerminal();
  const ending = terminal.run("shell");
  terminal.stdin.write("acquire a\n");
  await terminal.settle();
  terminal.server.warn("a");
  terminal.stdin.end("release a\n");
  expect(await ending).toBe(0);
  expect(terminal.out).toContain(
    "WARNED The lock a is in the way of others (risk 0.90): It hangs. Release it within 10.0 s.\n",
  );
  expect(terminal.server.calls).toContain("acknowledge a");
});

test("release --undo takes back what was appended", async () => {
  const terminal = new FakeTerminal();
  expect(await terminal.feed("acquire a --rollback\nappend a x\nrelease a --undo\n", "shell")).toBe(0);
  expect(terminal.out).toContain("released a; what was appended under it is undone");
  expect(terminal.server.text("a")).toBe("");
});

test("while waiting the place in the queue is shown", async () => {
  const terminal = new FakeTerminal();
  terminal.server.hold("a");
  const ending = terminal.feed("acquire a\nrelease a\n", "shell");
  await terminal.settle();
  terminal.server.force("a", "x");
  expect(await ending).toBe(0);
  expect(terminal.out).toContain("waiting for a: place 1 in the queue");
  expect(terminal.out).toContain("granted a, token 102");
});

test("SIGTERM releases what is held and gives 143", async () => {
  const terminal = new FakeTerminal();
  const ending = terminal.run("shell");
  terminal.stdin.write("acquire a\n");
  await terminal.settle();
  terminal.stop("SIGTERM");
  expect(await ending).toBe(143);
  expect(terminal.server.calls).toContain("release a");
});

test("SIGTERM while waiting gives the wait up", async () => {
  const terminal = new FakeTerminal();
  terminal.server.hold("a");
  const ending = terminal.run("shell");
  terminal.stdin.write("acquire a\n");
  await terminal.settle();
  terminal.stop("SIGTERM");
  expect(await ending).toBe(143);
});

test("with --json every outcome is a document", async () => {
  const terminal = new FakeTerminal();
  expect(await terminal.feed("acquire a\nappend a x\nheld\nrelease a\nfrobnicate\n", "shell", "--json")).toBe(110);
  expect(
    terminal.out
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line)),
  ).toEqual([
    { event: "granted", lock: "a", token: "101", reference: "ref-a" },
    { event: "appended", file: "a", length: 2, version: 1, index: 0, offset: 0 },
    { held: [{ lock: "a", token: "101" }] },
    { event: "released", lock: "a", token: "101", undo: false },
  ]);
  expect(JSON.parse(terminal.err)).toMatchObject({ error: { code: "bad_argument" } });
});

test("a refused connection ends the shell with its exit code", async () => {
  const terminal = new FakeTerminal();
  terminal.server.refusals.set("connect", new ForelockError("unauthenticated", "No token."));
  expect(await terminal.feed("acquire a\n", "shell")).toBe(115);
});

test.each([
  ["acquire a", { command: "acquire", operands: ["a"], text: "" }],
  [
    "  APPEND 'my file'   two  blanks ",
    { command: "append", operands: ["my file", "two", "blanks"], text: "two  blanks" },
  ],
  ['append f "quoted text"', { command: "append", operands: ["f", "quoted text"], text: "quoted text" }],
  ["append f don't stop", { command: "append", text: "don't stop" }],
  ["append f --not an option", { command: "append", text: "--not an option" }],
  ["", { command: "", operands: [] }],
])("the line %j is read as meant", (raw, expected) => {
  expect(readLine(raw)).toMatchObject(expected);
});

test("options of a line take their values", () => {
  const { operands, options } = readLine("acquire a --wait 5s --shared");
  expect(operands).toEqual(["a"]);
  expect([...options]).toEqual([
    ["wait", "5s"],
    ["shared", ""],
  ]);
  expect(() => readLine("acquire a --wait")).toThrow("--wait needs a value");
  expect(() => readLine('acquire "a')).toThrow("not closed");
});

test("completion is offered for the command and its first operand", () => {
  expect(wantedAt("acq")).toEqual({ kind: "command", prefix: "acq" });
  expect(wantedAt("acquire fi")).toEqual({ kind: "operand", command: "acquire", prefix: "fi" });
  expect(wantedAt("append f te")).toBeUndefined();
});

/** What a person sees and types; the prompt is drawn by readline itself. */
function atTerminal(): FakeTerminal {
  const terminal = new FakeTerminal();
  Object.assign(terminal.stdin, { isTTY: true });
  terminal.isTerminal = true;
  return terminal;
}

test("at a terminal the prompt counts what is held, suggests names, and Tab completes them", async () => {
  const terminal = atTerminal();
  terminal.server.files.set("file_7", []);
  const ending = terminal.run("shell");
  await terminal.settle();
  terminal.stdin.write("acq\t");
  await terminal.settle();
  terminal.stdin.write("fi\t");
  await terminal.settle();
  terminal.stdin.write("\r");
  await terminal.settle();
  expect(terminal.out).toContain("file_7, token 101");
  expect(terminal.out).toContain("forelock (1 lock held)> ");
  terminal.stdin.write("append\r");
  await terminal.settle();
  expect(terminal.out).toContain("Which file [file_7]: ");
  terminal.stdin.write("\rone line\r");
  await terminal.settle();
  expect(terminal.server.text("file_7")).toBe("one line\n");
  terminal.stdin.write("quit\r");
  await terminal.settle();
  expect(terminal.out).toContain("You still hold file_7 (token 101). Release and leave? [Y/n] ");
  terminal.stdin.write("\r");
  expect(await ending).toBe(0);
});

test("Ctrl-C gives a wait up, and the prompt comes back", async () => {
  const terminal = atTerminal();
  terminal.server.hold("a");
  const ending = terminal.run("shell");
  await terminal.settle();
  terminal.stdin.write("acquire a\r");
  await terminal.settle();
  expect(terminal.out).toContain("waiting for a: place 1 in the queue");
  terminal.stdin.write("\u0003");
  await terminal.settle();
  expect(terminal.server.queues.get("a")).toEqual([]);
  terminal.stdin.write("\u0003");
  await terminal.settle();
  expect(terminal.out).toContain("quit, or Ctrl-D, leaves.");
  terminal.stdin.write("\u0004");
  expect(await ending).toBe(116);
});
