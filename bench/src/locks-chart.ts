// locks-chart.ts: which of the measured numbers the README's chart shows. Pure.

import type { Bar, Chart } from "./chart.ts";
import type { Ledger, Measure } from "./ledger.ts";
import { count } from "./table.ts";
import type { Target } from "./target/target.ts";

const PANELS: readonly Pick<Measure, "scenario" | "load">[] = [
  { scenario: "in-flight", load: "256 in flight" },
  { scenario: "connections", load: "200 connections" },
  { scenario: "in-flight", load: "1 in flight" },
];

export function locksChart(ledger: Ledger, targets: readonly Target[]): Chart {
  return {
    title: "Lock cycles a second (acquire + release, each answered), from Node clients on one machine",
    note: "Longer is better. Medians of interleaved runs; docs/performance.md tells how and on what.",
    panels: PANELS.flatMap(({ scenario, load }) => {
      const bars = targets.flatMap((target): Bar[] => {
        const value = ledger.median({ scenario, target: target.name, load, metric: "cyclesPerSecond" });
        return value === undefined ? [] : [{ label: target.name, value, shown: count(value), kind: kindOf(target) }];
      });
      return bars.length === 0 ? [] : [{ title: load, bars }];
    }),
  };
}

function kindOf({ name, durable }: Target): Bar["kind"] {
  if (name === "forelock") return "ours";
  if (name.startsWith("bare-")) return "limit";
  return durable ? "durable_peer" : "volatile_peer";
}
