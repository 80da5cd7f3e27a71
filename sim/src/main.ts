// main.ts: `npm run sim`: runs seeds of the simulation, and for one that fails says which, how to repeat it, and what came last.

import { parseArgs } from "node:util";
import { drawProfile } from "./simulator/profile.ts";
import { simulate } from "./simulator/simulation.ts";
import { Situations } from "./simulator/situations.ts";
import { Trace } from "./simulator/trace.ts";

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    seeds: { type: "string", default: "1" },
    steps: { type: "string", default: "400" },
    trace: { type: "boolean", default: false },
    coverage: { type: "boolean", default: false },
    keep: { type: "boolean", default: false },
  },
});
const situations = new Situations();
const first = Number(values.seed);
const steps = Number(values.steps);
let failed = 0;
for (let seed = first; seed < first + Number(values.seeds); seed += 1) {
  const trace = new Trace(values.trace ? (line) => console.log(line) : undefined);
  const result = await simulate(drawProfile(seed, steps, new Set()), trace, situations);
  if (result.violation === undefined) {
    if (values.seeds === "1")
      console.log(
        `seed ${seed}: hash ${trace.hash}, ${trace.count} lines, ${result.events} events, ${result.simulatedMs.toFixed(0)} ms`,
      );
    continue;
  }
  failed += 1;
  console.log(`seed ${seed} step ${result.step}: ${result.violation.message.slice(0, 1500)}`);
  if (!values.trace && !values.keep) console.log(trace.last(30).join("\n"));
  if (!values.keep) break;
}
if (values.coverage) for (const [key, count] of [...situations.counts].sort()) console.log(`${count}\t${key}`);
console.log(`${values.seeds} seeds, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;
