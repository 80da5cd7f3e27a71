// report.ts: the ledger as tables for people. Pure.

import type { Ledger, Measure } from "./ledger.ts";
import type { ScenarioName } from "./options.ts";
import { count, duration, ratio, table } from "./table.ts";

/** One table per scenario that was measured, loads in order, targets within. */
export function tables(ledger: Ledger): string {
  return SECTIONS.flatMap(({ scenario, title, columns }) => {
    const rows = rowsOf(ledger, scenario, columns);
    return rows.length === 0 ? [] : [`${title}\n\n${table(["", ...columns.map(([head]) => head)], rows)}`];
  }).join("\n\n");
}

type Column = readonly [head: string, metric: string, show: (value: number) => string, of?: "median" | "spreadRatio"];
interface Section {
  readonly scenario: ScenarioName;
  readonly title: string;
  readonly columns: readonly Column[];
}

const CYCLE_COLUMNS: readonly Column[] = [
  ["cycles/s", "cyclesPerSecond", count],
  ["spread", "cyclesPerSecond", (ratio) => `${Math.round(ratio * 100)} %`, "spreadRatio"],
  ["cycle p50", "cycleP50Ms", duration],
  ["cycle p99", "cycleP99Ms", duration],
  ["acquire p50", "acquireP50Ms", duration],
  ["acquire p99", "acquireP99Ms", duration],
  ["server CPU", "serverCpuMsPerCycle", duration],
  ["client CPU", "clientCpuMsPerCycle", duration],
];

const SECTIONS: readonly Section[] = [
  {
    scenario: "in-flight",
    title: "One client process, a name for each cycle in flight (CPU is per cycle)",
    columns: CYCLE_COLUMNS,
  },
  { scenario: "connections", title: "200 clients with one cycle in flight each", columns: CYCLE_COLUMNS },
  {
    scenario: "disk",
    title: "One in flight against the disk",
    columns: [
      ["write p50", "writeP50Ms", duration],
      ["write p99", "writeP99Ms", duration],
      ["acquire p50", "acquireP50Ms", duration],
      ["acquire p99", "acquireP99Ms", duration],
    ],
  },
  {
    scenario: "hand-off",
    title: "Release to the next waiter holding",
    columns: [
      ["p50", "handOffP50Ms", duration],
      ["p99", "handOffP99Ms", duration],
    ],
  },
  {
    scenario: "waiters",
    title: "A long queue on one element, time for each waiter",
    columns: [
      ["enqueue", "enqueueMsPerWaiter", duration],
      ["drain", "drainMsPerWaiter", duration],
    ],
  },
  {
    scenario: "held",
    title: "Many held elements, 256 in flight beside them",
    columns: [
      ["cycles/s", "cyclesPerSecond", count],
      ["cycle p99", "cycleP99Ms", duration],
      ["bytes each", "residentBytesPerElement", count],
    ],
  },
  {
    scenario: "restart",
    title: "Restart",
    columns: [
      ["events replayed", "replayedEvents", count],
      ["events/s", "eventsPerSecond", count],
      ["replay", "replayMs", duration],
      ["snapshot", "snapshotMs", duration],
    ],
  },
];

function rowsOf(ledger: Ledger, scenario: ScenarioName, columns: readonly Column[]): string[][] {
  const entries = ledger.entries().filter((entry) => entry.scenario === scenario);
  const keys = new Map(entries.map((entry) => [`${entry.load}|${entry.target}`, entry]));
  const loads = [...new Set(entries.map((entry) => entry.load))];
  const cell = (load: string, target: string, [, metric, show, of = "median"]: Column): string => {
    const found = entries.find((entry) => entry.load === load && entry.target === target && entry.metric === metric);
    return found === undefined ? "" : show(found[of]);
  };
  return loads.flatMap((load) =>
    [...keys.values()]
      .filter((entry) => entry.load === load)
      .map(({ target }) => [`${load}  ${target}`, ...columns.map((column) => cell(load, target, column))]),
  );
}

/** How Forelock stands against each other target of the same load: rate, and processor time of client and server together. */
export function ratios(ledger: Ledger): string {
  const rows = ledger
    .entries()
    .filter((entry) => entry.metric === "cyclesPerSecond" && entry.target !== "forelock" && entry.scenario !== "held")
    .flatMap((entry) => {
      const own = { ...entry, target: "forelock" };
      const rate = ledger.ratio(own, entry);
      if (rate === undefined) return [];
      return [[`${entry.load}  ${entry.target}`, ratio(rate), ratio(cpuMs(ledger, own) / cpuMs(ledger, entry))]];
    });
  return rows.length === 0 ? "" : table(["Forelock against", "cycles/s", "CPU a cycle"], rows);
}

function cpuMs(ledger: Ledger, at: Measure): number {
  const of = (metric: string): number => ledger.median({ ...at, metric }) ?? Number.NaN;
  return of("serverCpuMsPerCycle") + of("clientCpuMsPerCycle");
}
