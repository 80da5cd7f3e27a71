// command.ts: how a command is declared: commander's parser with our help, options and failures. help.ts prints it.
import { Command, Option } from "commander";
import { type CommonOptions, Context, DEFAULT_ENDPOINT } from "./context.ts";
import { formatHelp } from "./help.ts";
import type { CliIo } from "./io.ts";
import { Output } from "./output.ts";

/** One invocation: the streams, and the exit code that its command will have given. */
export class Invocation {
  readonly io: CliIo;
  readonly out: Output;
  readonly err: Output;
  code = 0;

  constructor(io: CliIo) {
    this.io = io;
    this.out = new Output(io.stdout, io.env);
    this.err = new Output(io.stderr, io.env);
  }
}

export interface CommandSpec {
  /** As after `forelock`: name and arguments, as in `why <name>`. */
  readonly usage: string;
  /** One sentence. */
  readonly summary: string;
  readonly examples: readonly string[];
  /** What else a reader of the help needs: sentences, printed at its end. */
  readonly notes?: readonly string[];
}

/** A commander command that knows its examples and notes. */
export class ForelockCommand extends Command {
  examples: readonly string[] = [];
  notes: readonly string[] = [];
  /** How the arguments are written in the usage line. */
  argumentsText = "";

  override createCommand(name?: string): ForelockCommand {
    return new ForelockCommand(name);
  }

  /** Command and all above it, as typed: `forelock log verify`. */
  get path(): string {
    const above = this.parent;
    return above instanceof ForelockCommand ? `${above.path} ${this.name()}` : this.name();
  }
}

/** An option with its unit and default in the help: `wait DURATION  How long ... (default: no limit)`. */
export function option(
  flags: string,
  help: string,
  facts?: { readonly default?: string; readonly env?: string },
): Option {
  const extras = [
    ...(facts?.default === undefined ? [] : [`default: ${facts.default}`]),
    ...(facts?.env === undefined ? [] : [`or ${facts.env}`]),
  ];
  return new Option(flags, extras.length === 0 ? help : `${help} (${extras.join("; ")})`);
}

export const CONNECTION_GROUP = "Connection:";

const COMMON_OPTIONS = (): readonly Option[] => [
  option("--json", "Print JSON: one document a line, tokens as strings, every field present"),
  ...[
    option("--endpoint <host:port>", "The server to talk to", { default: DEFAULT_ENDPOINT, env: "FORELOCK_ENDPOINT" }),
    option("--connect-timeout <duration>", "How long to try to reach it", { default: "2s" }),
    option("--token-file <file>", "File that holds the bearer token", { env: "FORELOCK_AUTH_TOKEN with the token" }),
    option("--tls", "Use TLS with the authorities that Node.js trusts"),
    option("--ca <file>", "Use TLS with this authority; PEM"),
    option("--cert <file>", "Client certificate; PEM"),
    option("--key <file>", "Private key of the client certificate; PEM"),
  ].map((each) => each.helpGroup(CONNECTION_GROUP)),
];

/** A command with the common options. `forelock --json status` and `forelock status --json` mean the same. */
export function makeCommand(spec: CommandSpec): ForelockCommand {
  const command = bareCommand(spec);
  for (const each of COMMON_OPTIONS()) command.addOption(each);
  return command;
}

/** A command that talks to no server: only --json. */
export function makeLocalCommand(spec: CommandSpec): ForelockCommand {
  return bareCommand(spec).addOption(option("--json", "Print JSON: one document a line"));
}

function bareCommand({ usage, summary, examples, notes }: CommandSpec): ForelockCommand {
  const [name = "", ...args] = usage.split(" ");
  const command = new ForelockCommand(name);
  command.argumentsText = args.join(" ");
  command.examples = examples;
  command.notes = notes ?? [];
  return command
    .summary(summary)
    .description(summary)
    .helpOption("-h, --help", "Print this help")
    .helpCommand(false)
    .exitOverride()
    .configureOutput({ writeOut: () => {}, writeErr: () => {}, outputError: () => {} }) // failure.ts prints, once.
    .configureHelp({ formatHelp: (each) => (each instanceof ForelockCommand ? formatHelp(each) : "") });
}

/**
 * Sets what a command does.
 * @param run gets the context, the command's own options and its operands; returns the exit code
 */
export function onRun<Options>(
  command: ForelockCommand,
  invocation: Invocation,
  run: (context: Context, options: Options, operands: readonly string[]) => Promise<number>,
): ForelockCommand {
  command.action(async () => {
    const options = command.optsWithGlobals<CommonOptions & Options>();
    const context = new Context(invocation.io, invocation.out, invocation.err, options);
    invocation.code = await run(context, options, command.args);
  });
  return command;
}
