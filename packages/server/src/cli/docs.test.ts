// docs.test.ts: docs/cli.md says what the program does: every command, every option, every exit code.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { exitRows } from "./exit-codes-command.ts";
import { FakeTerminal } from "./testing/fake-io.ts";

const DOCS = readFileSync(new URL("../../../../docs/cli.md", import.meta.url), "utf8");

async function helpOf(...argv: readonly string[]): Promise<string> {
  const terminal = new FakeTerminal();
  await terminal.run(...argv, "--help");
  return terminal.out;
}

const COMMANDS = [
  "lock",
  "append",
  "cat",
  "files",
  "status",
  "locks",
  "why",
  "history",
  "sessions",
  "warn",
  "release",
  "policy",
  "prediction",
  "cluster",
  "operation",
  "watch",
  "shell",
  "bench",
  "replay",
  "log",
  "export",
  "import",
];

const CLUSTER = ["status", "drain", "undrain", "rebalance", "move"].map((command) => ["cluster", command]);

test.each([...COMMANDS.map((command) => [command]), ["log", "verify"], ["log", "dump"], ...CLUSTER])(
  "docs/cli.md tells every option of %s %s",
  async (...argv) => {
    const command = argv.filter((word) => word !== undefined);
    const options = [...(await helpOf(...command)).matchAll(/^ {2}(?:-\w, )?(--[a-z-]+)/gm)].map(
      ([, flag = ""]) => flag,
    );
    expect(options.length).toBeGreaterThan(1);
    expect(options.filter((flag) => !DOCS.includes(flag))).toEqual([]);
    expect(DOCS).toContain(command[0]);
  },
);

test("the program's own list of commands is in docs/cli.md", async () => {
  const commands = (await helpOf()).split("Commands:\n")[1]?.split("\n\n")[0] ?? "";
  const names = [...commands.matchAll(/^ {2}([a-z-]+)/gm)].map(([, name = ""]) => name);
  expect(names).toHaveLength(24);
  expect(names.filter((name) => !DOCS.includes(name))).toEqual([]);
});

test("every exit code stands in docs/cli.md with the error codes behind it", () => {
  for (const { code, errors } of exitRows()) {
    const row = DOCS.split("\n").find((line) => line.startsWith(`| ${code} |`));
    expect(row, `exit code ${code}`).toBeDefined();
    expect(errors.filter((error) => !row?.includes(error))).toEqual([]);
  }
});
