// table.ts: numbers and rows as people read them on a terminal. Pure.

/** First column to the left, the others to the right; a rule under the head. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    widths
      .map((width, column) =>
        column === 0 ? (cells[column] ?? "").padEnd(width) : (cells[column] ?? "").padStart(width),
      )
      .join("  ")
      .trimEnd();
  return [line(head), widths.map((width) => "-".repeat(width)).join("  "), ...rows.map(line)].join("\n");
}

/** 87,412 */
export function count(value: number): string {
  return Number.isFinite(value) ? Math.round(value).toLocaleString("en-US") : "-";
}

/** Three significant digits with a unit that fits: 12.3 us, 4.56 ms, 1.20 s. */
export function duration(ms: number): string {
  if (!Number.isFinite(ms)) return "-";
  if (ms < 1) return `${significant(ms * 1_000)} us`;
  return ms < 1_000 ? `${significant(ms)} ms` : `${significant(ms / 1_000)} s`;
}

/** 0.0123x to 123x */
export function ratio(value: number): string {
  return Number.isFinite(value) ? `${significant(value)}x` : "-";
}

function significant(value: number): string {
  return value >= 100 ? count(value) : Number(value.toPrecision(3)).toString();
}
