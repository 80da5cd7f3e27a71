// exit-codes-command.ts: `forelock exit-codes`: the table of exit-codes.ts, for people and for docs/cli.md.
import { type ForelockCommand, type Invocation, makeLocalCommand, onRun } from "./command.ts";
import { EXIT_CODES, EXIT_SIGNAL_BASE, type ExitName, errorCodesOf } from "./exit-codes.ts";
import { renderTable } from "./table.ts";

export function exitCodesCommand(invocation: Invocation): ForelockCommand {
  const command = makeLocalCommand({
    usage: "exit-codes",
    summary: "List the exit codes and what they mean",
    examples: ["forelock exit-codes", "forelock exit-codes --json"],
    notes: [`Ended by a signal: ${EXIT_SIGNAL_BASE} and its number, as 130 for Ctrl-C and 143 for SIGTERM.`],
  });
  return onRun(command, invocation, async (context) => {
    const rows = exitRows();
    if (context.json) await context.printJson({ exitCodes: rows });
    else {
      const cells = rows.map(({ code, meaning, errors }) => [String(code), meaning, errors.join(", ")]);
      await context.out.lines(renderTable(COLUMNS, cells, undefined));
    }
    return 0;
  });
}

const COLUMNS = [
  { title: "CODE", align: "right" },
  { title: "MEANING", align: "left" },
  { title: "ERRORS", align: "left" },
] as const;

export interface ExitRow {
  readonly code: number;
  readonly meaning: string;
  /** Codes of the error table that end with it. */
  readonly errors: readonly string[];
}

export function exitRows(): readonly ExitRow[] {
  // Cast: Object.keys of a record keyed by ExitName.
  return (Object.keys(EXIT_CODES) as ExitName[]).map((name) => ({ ...EXIT_CODES[name], errors: errorCodesOf(name) }));
}
