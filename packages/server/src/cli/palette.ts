// palette.ts: the few colours of the command line. Meaning never rests on a colour alone.

export interface Palette {
  bold(text: string): string;
  dim(text: string): string;
  good(text: string): string;
  warning(text: string): string;
  bad(text: string): string;
}

const wrap =
  (open: number, close: number) =>
  (text: string): string =>
    `\u001b[${open}m${text}\u001b[${close}m`;

const COLOURS: Palette = {
  bold: wrap(1, 22),
  dim: wrap(2, 22),
  good: wrap(32, 39),
  warning: wrap(33, 39),
  bad: wrap(31, 39),
};

const same = (text: string): string => text;
const PLAIN: Palette = { bold: same, dim: same, good: same, warning: same, bad: same };

/** Colours only on a terminal, and never when NO_COLOR is set to anything (no-color.org) or the terminal is a dumb one. */
export function paletteFor(isTerminal: boolean, env: Readonly<Record<string, string | undefined>>): Palette {
  const refused = (env["NO_COLOR"] ?? "") !== "" || env["TERM"] === "dumb";
  return isTerminal && !refused ? COLOURS : PLAIN;
}
