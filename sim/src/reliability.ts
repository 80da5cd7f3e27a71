// reliability.ts: `npm run reliability`: the figures of the reliability goals that one machine can show, as a table and as JSON.
// `--slice` is the short form for CI. Exits 1 when a goal that such a run is judged by was missed.
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { systemClock } from "./proxy/clock.ts";
import { cluster } from "./reliability/cluster.ts";
import { type Figure, tableOf } from "./reliability/figure.ts";
import { fuzz } from "./reliability/fuzz.ts";
import { herd } from "./reliability/herd.ts";
import { memory } from "./reliability/memory.ts";
import { overload } from "./reliability/overload.ts";
import { restart } from "./reliability/restart.ts";
import { alertness, safety } from "./reliability/safety.ts";
import { runNow } from "./torture/cluster/command.ts";
import { runClusterTorture } from "./torture/cluster/run.ts";
import { runTorture } from "./torture/run.ts";
import { Scene } from "./torture/scene.ts";
import { summarize } from "./torture/summary.ts";

const SERVER_SCRIPT = fileURLToPath(new URL("../../packages/server/bin/forelock.js", import.meta.url));
const USAGE = `Usage: npm run reliability -- [--slice] [--seed 1] [--json FILE]

Runs faults, overload, fuzzing, a reconnecting herd and restarts against a real server, and reports the figures.
--slice takes about two minutes; without it, about half an hour, with a cluster among it.
`;

interface Size {
  readonly tortureSeconds: number;
  readonly overloadSeconds: number;
  readonly frames: number;
  readonly herd: number;
  readonly waits: number;
  readonly restartSeconds: number;
}

const SLICE: Size = {
  tortureSeconds: 45,
  overloadSeconds: 4,
  frames: 5_000,
  herd: 200,
  waits: 20_000,
  restartSeconds: 5,
};
const WHOLE: Size = {
  tortureSeconds: 600,
  overloadSeconds: 30,
  frames: 200_000,
  herd: 2_000,
  waits: 1_000_000,
  restartSeconds: 30,
};

/** Enough for one cut. */
const LYING_SECONDS = 7;

async function report(
  size: Size,
  seed: number,
): Promise<{ readonly figures: readonly Figure[]; readonly skipped: readonly string[] }> {
  const startNs = process.hrtime.bigint();
  const nowNs = (): number => Number(process.hrtime.bigint() - startNs);
  const log = (line: string): void => console.error(`${(nowNs() / 1e9).toFixed(1).padStart(7)} s  ${line}`);
  const clock = systemClock();
  const interrupted = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => interrupted.abort());
  const history = join(mkdtempSync(join(tmpdir(), "forelock-history-")), "history.jsonl");
  const tools = { clock, nowNs, serverScript: SERVER_SCRIPT, log, interrupted: interrupted.signal };
  const torture = await runTorture({ seconds: size.tortureSeconds, seed, history, faults: undefined }, tools);
  console.error(summarize(torture));
  log("a disk that lies and loses power: work must be lost, and that must be found");
  const lying = await runTorture({ seconds: LYING_SECONDS, seed, history, faults: ["lying_power_cut"] }, tools);
  const figures: Figure[] = [...safety(torture), ...alertness(lying)];
  const skipped = [...torture.skipped];
  if (size === WHOLE) {
    const lack = runNow("etcd", ["--version"]).failure;
    if (lack === undefined) {
      log("a cluster under faults");
      const order = { seconds: size.tortureSeconds, seed, history, faults: undefined, cluster: true, loopback: false };
      const whole = await runClusterTorture(order, tools);
      figures.push(...cluster(whole));
      skipped.push(...whole.skipped);
    } else skipped.push(`cluster: no program etcd (${lack})`);
  }
  const parts = [
    {
      name: "overload",
      run: (scene: Scene) =>
        overload({ port: scene.port ?? 0, clock, secondsEach: size.overloadSeconds, isJudged: size === WHOLE }),
    },
    { name: "fuzz", run: (scene: Scene) => fuzz({ scene, clock, seed, frames: size.frames }) },
    { name: "herd", run: (scene: Scene) => herd({ scene, clock, sessions: size.herd }) },
    { name: "memory", run: (scene: Scene) => memory({ scene, clock, waits: size.waits }) },
    { name: "restart", run: (scene: Scene) => restart({ scene, clock, seconds: size.restartSeconds }) },
  ] as const;
  for (const { name, run } of parts) {
    if (interrupted.signal.aborted) break;
    log(name);
    // A server of its own for each: none inherits what another left behind.
    const scene = await Scene.open({
      seed,
      clock,
      serverScript: SERVER_SCRIPT,
      wantsImage: false,
      wantsShim: false,
      log,
    });
    try {
      await scene.start();
      const found = await run(scene);
      if (typeof found === "string") skipped.push(`${name}: ${found}`);
      else figures.push(...found);
    } finally {
      await scene.close();
    }
  }
  return { figures, skipped };
}

const { values } = parseArgs({
  options: {
    slice: { type: "boolean", default: false },
    seed: { type: "string", default: "1" },
    json: { type: "string" },
    help: { type: "boolean", default: false },
  },
});
if (values.help) {
  console.log(USAGE);
  process.exit(0);
}
const seed = Number(values.seed);
if (!Number.isInteger(seed) || seed < 0) {
  console.error(`--seed: ${values.seed}; allowed 0 or more\n\n${USAGE}`);
  process.exit(2);
}
const { figures, skipped } = await report(values.slice ? SLICE : WHOLE, seed);
console.log(tableOf(figures));
for (const line of skipped) console.log(`skipped ${line}`);
console.log(`again   npm run reliability -- --seed ${seed}${values.slice ? " --slice" : ""}`);
if (values.json !== undefined)
  writeFileSync(values.json, `${JSON.stringify({ seed, slice: values.slice, figures, skipped }, undefined, 2)}\n`);
process.exit(figures.some(({ isMet }) => isMet === false) ? 1 : 0);
