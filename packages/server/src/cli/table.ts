// table.ts: rows as aligned columns for a terminal. Not here: what the cells say (each command), colours (palette.ts).
import { printable } from "./quantity.ts";

export interface Column {
  readonly title: string;
  readonly align: "left" | "right";
  /** The one column that gives way when the terminal is narrow. */
  readonly shrinks?: boolean;
}

const GAP = "  ";
/** A name cut below this tells nothing; then the line wraps. */
const SHRUNK_WIDTH_MIN = 12;

/**
 * Cells are made printable and padded. No trailing blanks, one line a row, the titles first.
 * @param widthMax columns of the terminal; undefined: no limit
 */
export function renderTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  widthMax: number | undefined,
): readonly string[] {
  const cells = [columns.map((column) => column.title), ...rows.map((row) => row.map(printable))];
  const widths = columns.map((_, index) => Math.max(...cells.map((row) => displayWidth(row[index] ?? ""))));
  shrink(columns, widths, widthMax);
  return cells.map((row) =>
    columns
      .map((column, index) => fit(row[index] ?? "", widths[index] ?? 0, column.align))
      .join(GAP)
      .trimEnd(),
  );
}

function shrink(columns: readonly Column[], widths: number[], widthMax: number | undefined): void {
  const index = columns.findIndex((column) => column.shrinks === true);
  if (widthMax === undefined || index < 0) return;
  const width = widths.reduce((sum, each) => sum + each, 0) + GAP.length * (columns.length - 1);
  const wish = (widths[index] ?? 0) - Math.max(0, width - widthMax);
  widths[index] = Math.min(widths[index] ?? 0, Math.max(SHRUNK_WIDTH_MIN, wish));
}

function fit(text: string, width: number, align: "left" | "right"): string {
  const cut = displayWidth(text) <= width ? text : `${take(text, width - 1)}…`;
  const padding = " ".repeat(Math.max(0, width - displayWidth(cut)));
  return align === "left" ? cut + padding : padding + cut;
}

function take(text: string, width: number): string {
  let taken = "";
  let used = 0;
  for (const { segment } of SEGMENTER.segment(text)) {
    used += segmentWidth(segment);
    if (used > width) break;
    taken += segment;
  }
  return taken;
}

const SEGMENTER = new Intl.Segmenter("en", { granularity: "grapheme" });
const WIDE =
  /[\p{Script=Han}\p{Script=Hangul}\p{Script=Hiragana}\p{Script=Katakana}\uff01-\uff60\u3000-\u303e]|\p{Emoji_Presentation}/u;

/** Terminal columns that `text` takes: two for East Asian wide characters and emoji, else one per grapheme. */
export function displayWidth(text: string): number {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: plain ASCII, the common case, needs no segmenting.
  if (/^[\u0000-\u007f]*$/.test(text)) return text.length;
  let width = 0;
  for (const { segment } of SEGMENTER.segment(text)) width += segmentWidth(segment);
  return width;
}

const segmentWidth = (segment: string): number => (WIDE.test(segment) ? 2 : 1);

/** Lines of at most `width` columns, broken between words; a longer word has a line of its own. */
export function wrapWords(text: string, width: number): readonly string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && displayWidth(line) + 1 + displayWidth(word) > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === "" ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}
