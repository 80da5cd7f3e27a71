// main.ts: `npm run torture`. The only file of the torture run that makes a clock and ends the process.
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { systemClock } from "../proxy/clock.ts";
import { runNow } from "./cluster/command.ts";
import { runClusterTorture } from "./cluster/run.ts";
import { clusterLines } from "./cluster/summary.ts";
import { commandOf, parseOptions, type TortureOptions, USAGE } from "./options.ts";
import type { RunTools, TortureReport } from "./play.ts";
import { runTorture } from "./run.ts";
import { hasFailed, summarize } from "./summary.ts";

const SERVER_SCRIPT = fileURLToPath(new URL("../../../packages/server/bin/forelock.js", import.meta.url));

async function torture(options: TortureOptions): Promise<number> {
  const startNs = process.hrtime.bigint();
  const nowNs = (): number => Number(process.hrtime.bigint() - startNs);
  const log = (line: string): void => console.error(`${(nowNs() / 1e9).toFixed(1).padStart(7)} s  ${line}`);
  const interrupted = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => interrupted.abort());
  const tools = { clock: systemClock(), nowNs, serverScript: SERVER_SCRIPT, log, interrupted: interrupted.signal };
  const missing = options.cluster ? etcdMissing() : undefined;
  if (missing !== undefined) {
    console.log(`skipped     the cluster: no program etcd (${missing})`);
    return 0;
  }
  const report = await (options.cluster ? clusterTorture(options, tools) : runTorture(options, tools));
  console.log(summarize(report));
  console.log(`history     ${options.history}`);
  console.log(`again       ${commandOf(options)}`);
  return hasFailed(report) ? 1 : 0;
}

const etcdMissing = (): string | undefined => runNow("etcd", ["--version"]).failure;

async function clusterTorture(options: TortureOptions, tools: RunTools): Promise<TortureReport> {
  const report = await runClusterTorture(options, tools);
  console.log(clusterLines(report));
  return report;
}

function optionsOrExit(): TortureOptions {
  try {
    const options = parseOptions(process.argv.slice(2), () => mkdtempSync(join(tmpdir(), "forelock-history-")));
    if (options !== "help") return options;
    console.log(USAGE);
    process.exit(0);
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`);
    process.exit(2);
  }
}

process.exit(await torture(optionsOrExit()));
