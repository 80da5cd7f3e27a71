import { ERROR_CODES, ForelockError } from "@forelock/protocol";
import { expect, test } from "vitest";
import { EXIT_CODES, type ExitName, errorCodesOf, exitCodeOfError } from "./exit-codes.ts";
import { ServerUnreachable } from "./remote.ts";
import { FakeTerminal } from "./testing/fake-io.ts";

test("help starts with usage and two examples, then commands, then options with their defaults", async () => {
  const terminal = new FakeTerminal();
  expect(await terminal.run("--help")).toBe(0);
  const places = [
    "Usage: forelock COMMAND",
    "Examples:",
    "  forelock serve",
    "Commands:",
    "  lock NAME -- CMD [ARG...]",
    "Options:",
    "Connection:",
  ].map((text) => terminal.out.indexOf(text));
  expect(places).toEqual([...places].sort((a, b) => a - b));
  expect(Math.min(...places)).toBe(0);
  expect(terminal.out).toContain("(default: 127.0.0.1:7420; or FORELOCK_ENDPOINT)");
});

const COMMANDS = [
  "serve",
  "lock",
  "shell",
  "status",
  "locks",
  "why",
  "history",
  "sessions",
  "warn",
  "release",
  "policy",
  "prediction",
  "append",
  "cat",
  "files",
  "operation",
  "watch",
  "bench",
  "log",
  "exit-codes",
];

test.each(COMMANDS)("%s --help has a usage, at least two examples, and --json", async (command) => {
  const terminal = new FakeTerminal();
  expect(await terminal.run(command, "--help")).toBe(0);
  expect(terminal.out).toMatch(new RegExp(`^Usage: forelock ${command}`));
  const examples = terminal.out.split("Examples:\n")[1]?.split("\n\n")[0]?.split("\n") ?? [];
  expect(examples.length).toBeGreaterThanOrEqual(2);
  expect(terminal.out).toContain("--json");
  expect(terminal.err).toBe("");
});

test("without a command the help goes to stderr, and the exit code is that of a wrong command line", async () => {
  const terminal = new FakeTerminal();
  expect(await terminal.run()).toBe(110);
  expect(terminal.err).toContain("Usage: forelock COMMAND");
  expect(terminal.out).toBe("");
});

test("--version prints the version", async () => {
  const terminal = new FakeTerminal();
  expect(await terminal.run("--version")).toBe(0);
  expect(terminal.out).toBe("0.1.0\n");
});

test.each([
  [["lokc", "a"], "Did you mean lock?"],
  [["status", "--nonsense"], "--nonsense"],
  [["why"], "name"],
  [["why", "a", "b"], "too many arguments"],
  [["lock", "a"], "No command: put it behind --"],
  [["lock", "a", "--wait", "5", "--", "true"], '--wait is "5": give a number and a unit'],
  [["lock", "a", "--shared", "--permits", "3", "--", "true"], "exclude each other"],
  [["lock", "a", "--take", "3", "--", "true"], "add --permits N"],
  [["lock", "a", "--permits", "2", "--take", "3", "--", "true"], "from 1 to 2"],
  [["lock", "a", "--shared", "--rollback", "--", "true"], "needs an exclusive lock"],
  [["release", "a"], "add --force"],
  [["release", "--force", "a"], "--reason has 0 bytes"],
  [["release", "--force", "a", "--reason", "x", "--token", "soon"], '--token is "soon"'],
  [["operation", "r", "--wait", "--cancel"], "exclude each other"],
  [["status", "--endpoint", "nowhere:99999"], "give HOST:PORT"],
  [["status", "--endpoint", "http://x:1"], "give HOST:PORT"],
  [["status", "--connect-timeout", "soon"], '--connect-timeout is "soon"'],
  [["status", "--cert", "c.pem"], "--cert and --key go together"],
  [["status", "--ca", "missing.pem"], '--ca is "missing.pem": the file cannot be read (ENOENT)'],
  [["locks", "--limit", "0"], "from 1 to"],
  [["history", "a", "--since", "10"], '--since is "10"'],
  [["history", "a", "--limit", "10001"], "from 1 to 10,000"],
  [["warn", "a"], "--reason has 0 bytes"],
  [["warn", "a", "--reason", "x", "--countdown", "50ms"], "from 100ms to 1h"],
  [["warn", "a", "--reason", "x", "--countdown", "2h"], "from 100ms to 1h"],
  [["policy", "--reason", "x"], "--reason goes with --set"],
  [["policy", "--set", "threshold=0.7", "--reason", "x"], "Name the prefix"],
  [["policy", "a", "--set", "threshold=0.7"], "--reason has 0 bytes"],
  [["policy", "a", "--set", "threshold", "--reason", "x"], '--set has "threshold": give FIELD=VALUE'],
  [["policy", "a", "--set", "threshold=", "--reason", "x"], "give FIELD=VALUE"],
  [["policy", "a", "--set", "weights=hold:2,harm:1", "--reason", "x"], '--set has "harm:1": give FIELD=VALUE'],
  [["policy", "a", "--set", "threshold=1", "--unset", "threshold", "--reason", "x"], "is given twice"],
  [["policy", "a", "--unset", "threshold=1", "--reason", "x"], "give the name of one field"],
  [["policy", "a", "--set", "countdownMs=10q", "--reason", "x"], '--set countdownMs is "10q"'],
  [["prediction", "--limit", "1001"], "from 1 to 1,000"],
  [["append", "f", "--token", "5", "--wait", "1s"], "exclude each other"],
])("forelock %j is refused with 110 before anything is sent", async (argv, complaint) => {
  const terminal = new FakeTerminal();
  terminal.stdin.end("x");
  expect(await terminal.run(...argv)).toBe(110);
  expect(terminal.err).toContain(complaint);
  expect(terminal.err.trim().split("\n")).toHaveLength(1);
  expect(terminal.server.targets).toEqual([]);
});

test("common options may stand before or behind the command", async () => {
  const terminal = new FakeTerminal();
  expect(await terminal.run("--json", "--endpoint", "a:1", "status")).toBe(0);
  expect(await terminal.run("status", "--json", "--endpoint", "b:2")).toBe(0);
  expect(terminal.server.targets.map((target) => target.endpoint)).toEqual(["a:1", "b:2"]);
  for (const line of terminal.out.trim().split("\n")) expect(JSON.parse(line)).toMatchObject({ version: "0.1.0" });
});

test("flag, environment and default name the endpoint, in this order; the port may be left out", async () => {
  const terminal = new FakeTerminal();
  await terminal.run("status");
  terminal.env["FORELOCK_ENDPOINT"] = "lock.example";
  await terminal.run("status");
  await terminal.run("status", "--endpoint", "[::1]:9");
  expect(terminal.server.targets.map((target) => target.endpoint)).toEqual([
    "127.0.0.1:7420",
    "lock.example:7420",
    "[::1]:9",
  ]);
});

test("the token comes from --token-file or FORELOCK_AUTH_TOKEN, without its newline", async () => {
  const terminal = new FakeTerminal();
  terminal.env["FORELOCK_AUTH_TOKEN"] = "from-env";
  terminal.texts.set("token", "from-file\n");
  await terminal.run("status");
  await terminal.run("status", "--token-file", "token");
  expect(terminal.server.targets.map((target) => target.token)).toEqual(["from-env", "from-file"]);
});

test("an unreachable server is named with the next step, and gives 114", async () => {
  const terminal = new FakeTerminal();
  terminal.server.refusals.set("connect", new ServerUnreachable("127.0.0.1:7420", "ECONNREFUSED, tried for 2 s"));
  expect(await terminal.run("status")).toBe(114);
  expect(terminal.err).toBe(
    "forelock: No Forelock server answers at 127.0.0.1:7420 (ECONNREFUSED, tried for 2 s). Start one with `npm start` or `forelock serve`, or name another with --endpoint HOST:PORT.\n",
  );
});

test("with --json a failure is one JSON document on stderr, also when the command line does not parse", async () => {
  const terminal = new FakeTerminal();
  terminal.server.refusals.set(
    "status",
    new ForelockError("permission_denied", "ana may not read.", { details: { right: "read" } }),
  );
  expect(await terminal.run("status", "--json")).toBe(115);
  expect(JSON.parse(terminal.err)).toMatchObject({
    error: { code: "permission_denied", exitCode: 115, details: { right: "read" } },
  });
  terminal.err = "";
  expect(await terminal.run("status", "--json", "--nonsense")).toBe(110);
  expect(JSON.parse(terminal.err)).toMatchObject({ error: { code: "bad_argument", exitCode: 110 } });
  expect(terminal.out).toBe("");
});

test("every error code has an exit code of our own block, and the table lists each once", () => {
  for (const code of ERROR_CODES) {
    const exitCode = exitCodeOfError(new ForelockError(code, "x"));
    expect(exitCode).toBeGreaterThanOrEqual(110);
    expect(exitCode).toBeLessThanOrEqual(121);
  }
  const listed = (Object.keys(EXIT_CODES) as ExitName[]).flatMap((name) => errorCodesOf(name));
  expect([...listed].sort()).toEqual([...ERROR_CODES].sort());
});

test("the documented exit codes stay as scripts know them", () => {
  expect(Object.fromEntries(Object.entries(EXIT_CODES).map(([name, { code }]) => [name, code]))).toEqual({
    ok: 0,
    damaged: 1,
    usage: 110,
    busy: 111,
    timeout: 112,
    lost: 113,
    unavailable: 114,
    denied: 115,
    refused: 116,
    unknown: 117,
    full: 118,
    broken: 119,
    internal: 120,
    preempted: 121,
    not_executable: 126,
    not_found: 127,
  });
});
