// figure.ts: one figure of the reliability report, and how the report looks. Not here: where figures come from.

export interface Figure {
  readonly area: string;
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** What a release must show, in words; empty where there is no goal for one machine. */
  readonly goal: string;
  /** Undefined where it is only reported: times on a noisy machine, or counts that a short run cannot reach. */
  readonly isMet: boolean | undefined;
}

export function figure(area: string, name: string, value: number, unit: string): Figure {
  return { area, name, value, unit, goal: "", isMet: undefined };
}

/** A figure with a goal that this run is judged by. */
export function judged(plain: Figure, goal: string, isMet: boolean): Figure {
  return { ...plain, goal, isMet };
}

/** A figure with the goal of a release, that a short run only moves towards. */
export function towards(plain: Figure, goal: string): Figure {
  return { ...plain, goal };
}

export function tableOf(figures: readonly Figure[]): string {
  const rows = figures.map(({ area, name, value, unit, goal, isMet }) => [
    area,
    name,
    `${shown(value)} ${unit}`.trim(),
    goal,
    isMet === undefined ? "" : isMet ? "met" : "MISSED",
  ]);
  const all = [["area", "figure", "value", "goal", ""], ...rows];
  const widths = [0, 1, 2, 3, 4].map((column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  return all
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

function shown(value: number): string {
  return Number.isInteger(value)
    ? value.toLocaleString("en-US")
    : value.toLocaleString("en-US", { maximumFractionDigits: 2 });
}
