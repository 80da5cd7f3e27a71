// listing.ts: how lists are printed: rows on stdout, what is to be said about them on stderr.
import type { Context } from "./context.ts";
import { plural } from "./quantity.ts";
import { type Column, renderTable } from "./table.ts";

export interface Rows {
  readonly columns: readonly Column[];
  readonly rows: readonly (readonly string[])[];
  readonly more: boolean;
  readonly noun: string;
}

/** Rows on stdout; how many there are, and that the list was cut, on stderr. */
export async function printRows(context: Context, { columns, rows, more, noun }: Rows): Promise<void> {
  if (rows.length > 0) {
    const [titles = "", ...lines] = renderTable(columns, rows, context.out.width);
    await context.out.lines([context.out.palette.dim(titles), ...lines]);
  }
  const count =
    rows.length === 0 ? `No ${noun}s.` : `${plural(rows.length, noun)}${more ? ", and more: raise --limit." : "."}`;
  await context.err.line(context.err.palette.dim(count));
}
