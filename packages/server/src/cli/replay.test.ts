// replay.test.ts: `forelock replay` from files on disk to what it prints. What policies come to: replay/*.test.ts.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { LogRecord } from "../log/event-log.ts";
import { nodeFiles } from "../log/segment/files.ts";
import { openSegmentEventLog } from "../log/segment/segment-event-log.ts";
import { Log } from "../replay/testing/log.ts";
import { EXIT_CODES } from "./exit-codes.ts";
import { FakeTerminal } from "./testing/fake-io.ts";

let folder = "";
const path = (name: string): string => join(folder, name);

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "forelock-replay-"));
  const lines = ["start_ts,client,element,duration"];
  for (let index = 0; index < 400; index += 1) {
    const seconds = index % 40 === 0 ? 30 : 2 + (index % 3);
    lines.push(`${index * 3},c${index % 2},e${index % 4},${seconds}`);
  }
  writeFileSync(path("holds.csv"), `${lines.join("\n")}\n`);
  writeFileSync(path("bad.csv"), "start_ts,client,element,duration\n1,a,b,long\n");
});

afterAll(() => rmSync(folder, { recursive: true }));

interface Printed {
  readonly requests: number;
  readonly policies: readonly Readonly<Record<string, string | number>>[];
  readonly eta: Readonly<Record<string, number>>;
  readonly thresholdMoves: { readonly count: number };
}

async function printed(...argv: readonly string[]): Promise<Printed> {
  const terminal = new FakeTerminal();
  expect([await terminal.run("replay", "--json", ...argv), terminal.err]).toEqual([0, ""]);
  return JSON.parse(terminal.out) as Printed; // What the tests below look at is there, or they fail.
}

test("--json prints one document with every policy of the sweep, and the coverage of estimates", async () => {
  const { requests, policies, eta } = await printed("--durations", path("holds.csv"), "--inject-stuck", "0.05");
  expect(requests).toBe(400);
  const names = policies.map(({ name }) => name);
  expect([names[0], names[1], names[2], names.at(-1)]).toEqual(["none", "fixed-1000", "fixed-1250", "forelock"]);
  const fields = ["grants", "waitMsMean", "waitMsP90", "waitMsP99", "workLostMs", "preemptions", "falsePreemptions"];
  for (const policy of policies)
    for (const field of [...fields, "gracefulReleases", "unfinished"]) expect(policy[field]).toBeGreaterThanOrEqual(0);
  expect(Object.keys(eta)).toEqual(expect.arrayContaining(["coverage50", "coverage90"]));
});

test("a seed decides who gets stuck, --limit how many rows are read, --utilisation how far they are apart", async () => {
  const run = (...argv: readonly string[]) =>
    printed("--durations", path("holds.csv"), "--inject-stuck", "0.05", ...argv);
  const [one, again, other] = [await run("--seed", "5"), await run("--seed", "5"), await run("--seed", "6")];
  expect(again).toEqual(one);
  expect(other.policies).not.toEqual(one.policies);
  expect((await run("--limit", "50")).requests).toBe(50);
  const waitOfNone = ({ policies }: Printed): number => Number(policies[0]?.["waitMsMean"]);
  const well = ["--inject-stuck", "0"];
  const [dense, sparse] = [await run(...well), await run(...well, "--utilisation", "0.1")];
  expect(waitOfNone(sparse)).toBeLessThan(waitOfNone(dense) / 2);
});

test("for people: a table, a plot, and what it comes to; the drawing goes into a file", async () => {
  const terminal = new FakeTerminal();
  const code = await terminal.run(
    "replay",
    "--durations",
    path("holds.csv"),
    "--svg",
    path("frontier.svg"),
    "--utilisation",
    "0.1",
  );
  expect([code, terminal.err]).toEqual([0, ""]);
  expect(terminal.out).toMatch(/^400 requests for 4 elements; gaps of 4 stretched, by /);
  expect(terminal.out).toMatch(/\nPOLICY +WAIT MEAN +P90 +P99 /);
  expect(terminal.out).toContain("N none, F forelock");
  expect(terminal.out).toMatch(/\nforelock: p99 wait .* \(none: .*\), \d+ false pre-emptions? and \d+ healthy forced/);
  expect(readFileSync(path("frontier.svg"), "utf8")).toContain("holds.csv");
});

describe("a command line is refused with field, value and range:", () => {
  const refusals: readonly (readonly [readonly string[], string])[] = [
    [[], "Give either --durations FILE or --data DIR."],
    [["--durations", "a", "--data", "b"], "Give either --durations FILE or --data DIR."],
    [["--durations", "a", "--utilisation", "0"], '--utilisation is "0": give a number from 0.001 to 1.'],
    [["--durations", "a", "--inject-stuck", "1.5"], '--inject-stuck is "1.5": give a number from 0 to 1.'],
    [["--durations", "a", "--seed", "x"], '--seed is "x": give a whole number from 0 to'],
    [["--durations", "a", "--limit", "0"], '--limit is "0": give a whole number from 1 to'],
    [["--durations", "a", "--set", "threshold=7"], '--set threshold: "7"; allowed 0 to 1.'],
    [["--durations", "a", "--set", "treshold=1"], '--set: there is no field "treshold"; allowed: policy'],
    [["--durations", "/nowhere/a.csv"], '--durations is "/nowhere/a.csv": it cannot be read (ENOENT).'],
    [["--data", "/nowhere"], '--data is "/nowhere": there is no such folder'],
  ];
  test.each(refusals)("%j", async (argv, message) => {
    const terminal = new FakeTerminal();
    expect(await terminal.run("replay", ...argv)).toBe(EXIT_CODES.usage.code);
    expect(terminal.err).toContain(message);
  });

  test("a malformed line, with file and line", async () => {
    const terminal = new FakeTerminal();
    expect(await terminal.run("replay", "--durations", path("bad.csv"))).not.toBe(0);
    expect(terminal.err).toContain('bad.csv, line 2: duration is "long"; it must be seconds, a number from 0 to');
  });

  test("a log that holds nothing", async () => {
    await writeLog(path("log"), []);
    const terminal = new FakeTerminal();
    expect(await terminal.run("replay", "--data", path("log"))).toBe(EXIT_CODES.usage.code);
    expect(terminal.err).toContain("There is nothing to replay: let the server run for longer");
  });
});

async function writeLog(folder: string, records: readonly LogRecord[]): Promise<void> {
  mkdirSync(folder);
  const log = await openSegmentEventLog({ folder, files: nodeFiles, segmentBytes: 2 ** 20, notice: () => {} });
  for (const record of records) await log.append(record);
  await log.close();
}

test("a small log is replayed, with a word on how little there was and on who answered warnings", async () => {
  const log = new Log();
  for (let hold = 0; hold < 10; hold += 1)
    log.acquire("ana", "a").acquire("bo", "a").after(1_000).release("ana").after(500).release("bo");
  log.acquire("ana", "a").acquire("bo", "a").after(100).warn("a", 10_000).after(50).acknowledge("ana", 1_000);
  log.after(2_000).release("ana").after(500).release("bo");
  await writeLog(path("small"), log.records);
  const terminal = new FakeTerminal();
  const argv = ["replay", "--data", path("small"), "--set", "threshold=0.5,thresholdMin=0.5,waitMsTarget=100"];
  expect([await terminal.run(...argv), terminal.err]).toEqual([0, ""]);
  expect(terminal.out).toContain("The log holds 22 holds of exclusive locks, by 2 clients on 1 element, in ");
  expect(terminal.out).toContain("That is little: under 100 holds a p99 is the longest wait there was");
  expect(terminal.out).toContain("1 holder of it was warned, 1 acknowledged and 1 got more time");
  expect(terminal.out).toMatch(/The controller (left the threshold|moved thresholds)/);
  const { requests, policies, thresholdMoves } = await printed(...argv.slice(1));
  expect([requests, policies.at(-1)?.["name"], thresholdMoves]).toEqual([22, "forelock", expect.anything()]);
});
