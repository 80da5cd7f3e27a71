// help.ts: `--help` of every command: usage and examples first, then commands, then options with unit and default.
import type { Option } from "commander";
import type { ForelockCommand } from "./command.ts";
import { wrapWords } from "./table.ts";

const TERM_WIDTH_MAX = 32;
const LINE_WIDTH = 110;

export function formatHelp(command: ForelockCommand): string {
  const sections = [
    `${usage(command)}\n\n${command.description()}.`.replace("..", "."),
    section(
      "Examples:",
      command.examples.map((example) => `  ${example}`),
    ),
    section("Commands:", definitions(commandTerms(command))),
    ...optionGroups(command).map(([title, options]) => section(title, definitions(options.map(optionTerm)))),
    ...command.notes.map((note) => wrapWords(note, LINE_WIDTH).join("\n")),
  ];
  return `${sections.filter((text) => text !== "").join("\n\n")}\n`;
}

type Definition = readonly [term: string, help: string];

const usage = (command: ForelockCommand): string =>
  `Usage: ${[command.path, command.argumentsText, command.commands.length > 0 ? "COMMAND" : "", "[options]"].filter((part) => part !== "").join(" ")}`;

function section(title: string, lines: readonly string[]): string {
  return lines.length === 0 ? "" : [title, ...lines].join("\n");
}

function commandTerms(command: ForelockCommand): readonly Definition[] {
  // Cast: createCommand makes every subcommand one of ours.
  return (command.commands as readonly ForelockCommand[]).map((each) => [
    `${each.name()} ${each.argumentsText}`.trimEnd(),
    each.summary(),
  ]);
}

const optionTerm = (option: Option): Definition => [option.flags, option.description];

/** Options by heading, in order of declaration; those without one first. */
function optionGroups(command: ForelockCommand): readonly (readonly [string, readonly Option[]])[] {
  const groups = new Map<string, Option[]>();
  for (const option of command.createHelp().visibleOptions(command)) {
    const title = option.helpGroupHeading ?? "Options:";
    groups.set(title, [...(groups.get(title) ?? []), option]);
  }
  return [...groups];
}

function definitions(entries: readonly Definition[]): readonly string[] {
  const widest = Math.max(0, ...entries.map(([term]) => term.length).filter((length) => length <= TERM_WIDTH_MAX));
  const indent = " ".repeat(widest + 4);
  return entries.flatMap(([term, help]) => {
    const lines = wrapWords(help, LINE_WIDTH - indent.length);
    if (term.length > widest) return [`  ${term}`, ...lines.map((line) => indent + line)];
    return lines.map((line, index) => (index === 0 ? `  ${term.padEnd(widest)}  ${line}` : indent + line));
  });
}
