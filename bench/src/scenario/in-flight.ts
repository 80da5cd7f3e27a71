// scenario/in-flight.ts: one client process with 1 to 1,024 cycles under way, each on a name of its own; and 200 clients with
// one each. Targets take turns within a repetition, so that a slow minute of the machine hurts all of them.

import { count } from "../table.ts";
import { type Bench, type CyclesLoad, measureCycles } from "./bench.ts";

type Load = Pick<CyclesLoad, "scenario" | "load" | "connections" | "inFlight">;

export const IN_FLIGHT: readonly Load[] = [1, 16, 256, 1_024].map((inFlight) => ({
  scenario: "in-flight",
  load: `${count(inFlight)} in flight`,
  connections: 1,
  inFlight,
}));

export const CONNECTIONS: readonly Load[] = [
  { scenario: "connections", load: "200 connections", connections: 200, inFlight: 1 },
];

/** A target that fails is said so and left out from then on: a peer's limit is not the others' problem. */
export async function runLoads(bench: Bench, loads: readonly Load[]): Promise<void> {
  const failed = new Set<string>();
  for (let repetition = 1; repetition <= bench.options.repetitions; repetition += 1) {
    for (const load of loads) {
      for (const target of bench.targets) {
        const { name } = target;
        const key = `${name}, ${load.load}`;
        if (failed.has(key)) continue;
        try {
          const perSecond = await measureCycles(bench, await bench.started(target), { ...load, target: name });
          bench.say(`${repetition}/${bench.options.repetitions}  ${load.load}  ${name}  ${count(perSecond)} cycles/s`);
        } catch (error) {
          failed.add(key);
          bench.say(`FAILED  ${key}: ${error instanceof Error ? error.message : String(error)}`);
          await bench.started(target).catch((cause: unknown) => bench.say(String(cause))); // Tells how the server ended, if it did.
        }
      }
    }
  }
}
