// run-tests.ts: runs some tests in a copy of the repository and tells red from broken: a mutation that does not even load proves
// nothing.
import { spawn } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";

export type TestOutcome =
  | { readonly kind: "green"; readonly tests: number }
  /** `first`: a test that failed. */
  | { readonly kind: "red"; readonly first: string }
  /** Hangs are noticed too: that is what a reader of the checks would see. */
  | { readonly kind: "hung" }
  | { readonly kind: "broken"; readonly why: string };

const RUN_MS_MAX = 240_000;
const OUTPUT_CHARACTERS_MAX = 2_000;

interface VitestReport {
  readonly numTotalTests: number;
  readonly numFailedTests: number;
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly message: string;
    readonly assertionResults: readonly { readonly status: string; readonly fullName: string }[];
  }[];
}

/** Stops at the first failing test. */
export async function runTests(folder: string, tests: readonly string[]): Promise<TestOutcome> {
  const report = join(folder, "vitest-report.json");
  rmSync(report, { force: true });
  const vitest = join(folder, "node_modules", "vitest", "vitest.mjs");
  // One worker: of two that run at once, the one that is stopped for a failure of the other can take its report along.
  const args = [
    "run",
    "--bail",
    "1",
    "--maxWorkers=1",
    "--no-cache",
    "--reporter=json",
    `--outputFile=${report}`,
    ...tests,
  ];
  const child = spawn(process.execPath, [vitest, ...args], {
    cwd: folder,
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  let output = "";
  const say = (bytes: Buffer): void => {
    output = (output + bytes.toString()).slice(-OUTPUT_CHARACTERS_MAX);
  };
  child.stdout.on("data", say);
  child.stderr.on("data", say);
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL"); // With its workers: they are its group.
  }, RUN_MS_MAX);
  await new Promise((resolve) => child.on("exit", resolve));
  clearTimeout(timer);
  return isLate ? { kind: "hung" } : outcomeOf(report, output);
}

function outcomeOf(path: string, output: string): TestOutcome {
  let report: VitestReport;
  try {
    report = JSON.parse(readFileSync(path, "utf8")) as VitestReport; // Cast: written by vitest in this form.
  } catch {
    return { kind: "broken", why: `vitest left no report:\n${output}` };
  }
  for (const { name, status, message, assertionResults } of report.testResults) {
    const failed = assertionResults.find((result) => result.status === "failed");
    if (failed !== undefined) return { kind: "red", first: failed.fullName };
    if (status === "failed") return { kind: "broken", why: `${name}: ${message}` };
  }
  if (report.numTotalTests === 0) return { kind: "broken", why: "no test was found" };
  return { kind: "green", tests: report.numTotalTests };
}
