// command.ts: programs of the system that are run to their end.
import { execFile, spawnSync } from "node:child_process";

export interface Ran {
  readonly out: string;
  readonly failure: string | undefined;
}

const COMMAND_MS_MAX = 20_000;

/** @param input goes to its standard input @throws with what it said when it fails */
export function run(program: string, words: readonly string[], input = ""): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = execFile(program, words, { timeout: COMMAND_MS_MAX }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(new Error(`${program} ${words.join(" ")}: ${stderr.trim() || error.message}`));
    });
    child.stdin?.on("error", () => {}); // It ended without reading: its exit tells why.
    child.stdin?.end(input);
  });
}

/** At once: for the way out, and for what must be known before anything begins. */
export function runNow(program: string, words: readonly string[]): Ran {
  const { status, stdout, stderr, error } = spawnSync(program, words, { encoding: "utf8", timeout: COMMAND_MS_MAX });
  const failure = status === 0 ? undefined : (stderr ?? "").trim() || error?.message || `ended with ${status}`;
  return { out: stdout ?? "", failure };
}
