// main.ts: `npm run sim`: runs seeds of the simulation (simulator/). For one that fails: what broke, the smallest run that still shows
// it, the command that repeats it, and the last lines of its trace.
//   --seed N     the first seed (1)          --steps M   steps of each (250)
//   --seeds K    how many (1)                --trace     print every line as it happens
//   --coverage   print the table of situations, and fail below its floor
//   --without F  leave out these kinds of fault, with commas between     --keep   go on after a failure
//   --strict     every policy enforces, clients hang and servers crash often: as much pre-emption as there can be
//   --cluster    three nodes on one etcd, cut off, paused, killed and moved around (cluster/); with --seed, --seeds, --steps, --without
//   --adversary  forecasts are as bad as they can be in every run, and well-behaved clients get as much done as under policy `off`
import { parseArgs } from "node:util";
import { runClusters } from "./cluster/run.ts";
import { compareThroughput, LOSS_RATIO_MAX } from "./simulator/adverse-load.ts";
import { FAULTS, type Fault } from "./simulator/profile.ts";
import { runSeed, type SeedRun } from "./simulator/seed.ts";
import { shrink } from "./simulator/shrink.ts";
import { SITUATIONS } from "./simulator/situation-table.ts";
import { HIT_RATIO_MIN, Situations } from "./simulator/situations.ts";

const LAST_LINES = 40;

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    seeds: { type: "string", default: "1" },
    steps: { type: "string", default: "250" },
    without: { type: "string", default: "" },
    trace: { type: "boolean", default: false },
    adversary: { type: "boolean", default: false },
    cluster: { type: "boolean", default: false },
    strict: { type: "boolean", default: false },
    coverage: { type: "boolean", default: false },
    keep: { type: "boolean", default: false },
  },
});

const first = whole("seed");
const seeds = whole("seeds");
const steps = whole("steps");
if (values.cluster) {
  const without = values.without.split(",").filter((fault) => fault !== "");
  const failures = await runClusters({ first, seeds, steps, without, isTraced: values.trace, isKept: values.keep });
  process.exit(failures === 0 ? 0 : 1);
}
const without = new Set(values.without.split(",").filter(isFault));
const situations = new Situations();
const print = values.trace ? (line: string): void => console.log(line) : undefined;
let [failed, simulatedMs, events] = [0, 0, 0];
for (let seed = first; seed < first + seeds; seed += 1) {
  const run = await runSeed({
    seed,
    steps,
    without,
    situations,
    print,
    isAdverse: values.adversary,
    isStrict: values.strict,
  });
  simulatedMs += run.result.simulatedMs;
  events += run.result.events;
  if (run.result.violation === undefined) {
    if (seeds === 1) console.log(`seed ${seed} hash ${run.trace.hash} (${run.trace.count} lines)`);
    continue;
  }
  failed += 1;
  await explain(run);
  if (!values.keep) break;
}
const hours = (simulatedMs / 3_600_000).toFixed(1);
console.log(`${seeds} seeds, ${failed} failed; ${hours} simulated hours, ${events} events`);
if (values.coverage) printCoverage();
if (values.adversary && failed === 0) await measureAdversary();
if (failed > 0) process.exitCode = 1;

async function explain(run: SeedRun): Promise<void> {
  const { violation, step } = run.result;
  console.log(`seed ${run.order.seed} at step ${step}: ${violation?.message}`);
  if (values.keep) return;
  const smallest = values.trace ? run : await shrink(run);
  if (print === undefined) console.log(smallest.trace.last(LAST_LINES).join("\n"));
  const left = [...smallest.order.without].join();
  const option = `${left === "" ? "" : ` --without ${left}`}${values.adversary ? " --adversary" : ""}${values.strict ? " --strict" : ""}`;
  console.log(`Repeat it: npm run sim -- --seed ${run.order.seed} --steps ${smallest.order.steps}${option} --trace`);
}

async function measureAdversary(): Promise<void> {
  const { off, enforce, lossRatio } = await compareThroughput(
    Array.from({ length: seeds }, (_, index) => first + index),
  );
  console.log(
    `${enforce.grants} grants under enforce with an adversary (${enforce.warnings} warnings, ${enforce.forced} forced), ` +
      `${off.grants} under off: ${(lossRatio * 100).toFixed(2)} % less; at most ${LOSS_RATIO_MAX * 100} %`,
  );
  if (!(lossRatio <= LOSS_RATIO_MAX)) process.exitCode = 1;
}

function printCoverage(): void {
  for (const [situation, count] of [...situations.counts].sort()) {
    const mark = SITUATIONS.includes(situation) ? " " : "+";
    console.log(`${mark}${String(count).padStart(8)}  ${situation}`);
  }
  for (const situation of situations.missing) console.log(`-       0  ${situation}`);
  const { hitRatio } = situations;
  console.log(
    `${(hitRatio * 100).toFixed(1)} % of ${SITUATIONS.length} situations met; the floor is ${HIT_RATIO_MIN * 100} %`,
  );
  if (hitRatio < HIT_RATIO_MIN) process.exitCode = 1;
}

function whole(name: "seed" | "seeds" | "steps"): number {
  const number = Number(values[name]);
  if (!Number.isSafeInteger(number) || number < 1)
    throw new Error(`--${name} is ${values[name]}; it must be 1 or more`);
  return number;
}

function isFault(text: string): text is Fault {
  if (text === "") return false;
  if (!(FAULTS as readonly string[]).includes(text))
    throw new Error(`--without ${text}: there are ${FAULTS.join(", ")}`);
  return true;
}
