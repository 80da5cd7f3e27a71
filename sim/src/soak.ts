// soak.ts: `npm run soak -- --seconds S [--seed N]`: simulates one seed after the other for the time that was given, every CLUSTER_EVERY-th
// one as a whole cluster too, and reports what was
// covered: simulated hours, operations, faults of each kind, violations. The only real clock of the simulator is here, and it decides
// nothing but when to stop.
import { parseArgs } from "node:util";
import { commandOf, runClusterSeed } from "./cluster/seed.ts";
import { runSeed } from "./simulator/seed.ts";
import { Situations } from "./simulator/situations.ts";

const REPORT_SECONDS = 60;
/** A cluster takes several times as long as one server. */
const CLUSTER_EVERY = 5;
const CLUSTER_STEPS = 150;

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "60" },
    seed: { type: "string", default: "1000000" },
    steps: { type: "string", default: "600" },
  },
});
const steps = Number(values.steps);
const situations = new Situations();
const totals = new Map<string, number>();
const violations: string[] = [];
let [seeds, clusters, simulatedMs, events, reported] = [0, 0, 0, 0, 0];
const begunMs = performance.now();
const elapsedSeconds = (): number => (performance.now() - begunMs) / 1_000;

while (elapsedSeconds() < Number(values.seconds)) {
  const seed = Number(values.seed) + seeds;
  const { result, order } = await runSeed({ seed, steps, without: new Set(), situations, print: undefined });
  seeds += 1;
  simulatedMs += result.simulatedMs;
  events += result.events;
  for (const [name, count] of result.counts) totals.set(name, (totals.get(name) ?? 0) + count);
  if (result.violation !== undefined) {
    violations.push(`npm run sim -- --seed ${order.seed} --steps ${steps}: ${result.violation.message.split("\n")[0]}`);
    console.log(violations.at(-1));
  }
  if (seeds % CLUSTER_EVERY === 0) await soakCluster(seed);
  if (elapsedSeconds() - reported < REPORT_SECONDS) continue;
  reported = elapsedSeconds();
  console.log(summary());
}
for (const [name, count] of [...totals].sort()) console.log(`${String(count).padStart(10)}  ${name}`);
console.log(summary());
if (violations.length > 0) process.exitCode = 1;

async function soakCluster(seed: number): Promise<void> {
  const cluster = { seed, steps: CLUSTER_STEPS, without: new Set<string>(), print: undefined };
  const { result: run } = await runClusterSeed(cluster);
  clusters += 1;
  simulatedMs += run.simulatedMs;
  events += run.events;
  for (const [name, count] of run.counts) totals.set(`cluster: ${name}`, (totals.get(`cluster: ${name}`) ?? 0) + count);
  if (run.violation === undefined) return;
  violations.push(`${commandOf(cluster)}: ${run.violation.message.split("\n")[0]}`);
  console.log(violations.at(-1));
}

function summary(): string {
  const hours = (simulatedMs / 3_600_000).toFixed(1);
  const share = (situations.hitRatio * 100).toFixed(1);
  return `${elapsedSeconds().toFixed(0)} s: ${seeds} seeds, ${clusters} clusters, ${hours} simulated hours, ${events} events, ${share} % of situations, ${violations.length} violations`;
}
