// words.ts: one line of the shell as a command, operands and options; and what could complete it. Pure.
import { UsageError } from "../usage-error.ts";

export interface Line {
  /** "" for an empty line. */
  readonly command: string;
  readonly operands: readonly string[];
  /** `--wait 5s` is ["wait", "5s"]; a flag has "". */
  readonly options: ReadonlyMap<string, string>;
  /** What stands behind the first operand, as typed: text to append keeps its blanks. */
  readonly text: string;
}

/** Options that take a value; all others are flags. */
const VALUED: ReadonlySet<string> = new Set(["wait", "permits", "take"]);

/** @throws UsageError for a quote that is not closed, or an option without its value */
export function readLine(raw: string): Line {
  const { words, ends } = splitWords(raw);
  const [command = "", ...rest] = words;
  const operands: string[] = [];
  const options = new Map<string, string>();
  let text = "";
  for (let index = 0; index < rest.length; index += 1) {
    const word = rest[index] ?? "";
    if (word.startsWith("--") && word.length > 2 && operands.length < 2) {
      const name = word.slice(2);
      const value = VALUED.has(name) ? rest[index + 1] : "";
      if (value === undefined) throw new UsageError(`${word} needs a value behind it.`);
      if (VALUED.has(name)) index += 1;
      options.set(name, value);
    } else {
      operands.push(word);
      if (operands.length === 1) text = unquote(raw.slice(ends[index + 1]).trim());
    }
  }
  return { command: command.toLowerCase(), operands, options, text };
}

interface Words {
  readonly words: readonly string[];
  /** Where each word ends in the line. */
  readonly ends: readonly number[];
}

const WORD = /"([^"]*)"|'([^']*)'|([^\s"']\S*)/y;

function splitWords(raw: string): Words {
  const words: string[] = [];
  const ends: number[] = [];
  let at = 0;
  for (;;) {
    at += /^\s*/.exec(raw.slice(at))?.[0].length ?? 0;
    if (at >= raw.length) return { words, ends };
    WORD.lastIndex = at;
    const match = WORD.exec(raw);
    if (match === null) {
      // A quote inside text to append ("don't") is only text; as a word of its own it was meant to be closed.
      if (words.length < 2) throw new UsageError(`A quote is not closed: ${raw.slice(at)}`);
      return { words: [...words, raw.slice(at)], ends: [...ends, raw.length] };
    }
    words.push(match[1] ?? match[2] ?? match[3] ?? "");
    at = WORD.lastIndex;
    ends.push(at);
  }
}

const unquote = (text: string): string =>
  /^"([^"]*)"$|^'([^']*)'$/
    .exec(text)
    ?.slice(1)
    .find((part) => part !== undefined) ?? text;

/** What the word under the cursor could be. */
export type Wanted =
  | { readonly kind: "command"; readonly prefix: string }
  | { readonly kind: "operand"; readonly command: string; readonly prefix: string };

/** Only the command and its first operand have completions. */
export function wantedAt(line: string): Wanted | undefined {
  const match = /^\s*(\S*)(?:(\s+)(\S*))?$/.exec(line);
  if (match === null) return undefined;
  const [, command = "", gap, prefix = ""] = match;
  return gap === undefined
    ? { kind: "command", prefix: command }
    : { kind: "operand", command: command.toLowerCase(), prefix };
}
