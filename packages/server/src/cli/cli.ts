// cli.ts: `forelock`: finds the command that is asked for, runs it, and turns whatever happens into an exit code.
// Each command stands in a file of its own name; what it touches comes in as CliIo.
import { CommanderError } from "commander";
import { appendCommand } from "./append.ts";
import { benchCommand } from "./bench.ts";
import { clusterCommand } from "./cluster.ts";
import { type ForelockCommand, Invocation, makeCommand } from "./command.ts";
import { EXIT_CODES } from "./exit-codes.ts";
import { exitCodesCommand } from "./exit-codes-command.ts";
import { exportCommand, importCommand } from "./export.ts";
import { reportFailure } from "./failure.ts";
import { catCommand, filesCommand } from "./files.ts";
import { historyCommand } from "./history.ts";
import type { CliIo } from "./io.ts";
import { lockCommand } from "./lock.ts";
import { locksCommand, releaseCommand } from "./locks.ts";
import { logCommand } from "./log.ts";
import { operationCommand } from "./operation.ts";
import { policyCommand } from "./policy.ts";
import { predictionCommand } from "./prediction.ts";
import { replayCommand } from "./replay.ts";
import { serveCommand } from "./serve.ts";
import { shellCommand } from "./shell/shell.ts";
import { sessionsCommand, statusCommand } from "./status.ts";
import { warnCommand } from "./warn.ts";
import { watchCommand } from "./watch.ts";
import { whyCommand } from "./why.ts";

/**
 * Runs one command line. Never rejects.
 * @param argv what stands after `forelock`
 * @returns the exit code, from EXIT_CODES or the child of `lock`
 */
export async function runCli(argv: readonly string[], io: CliIo): Promise<number> {
  const invocation = new Invocation(io);
  const help = { asked: "", complained: "" };
  const program = await buildProgram(invocation, argv);
  collectHelp(program, help);
  try {
    await program.parseAsync([...argv], { from: "user" });
    return invocation.code;
  } catch (error) {
    return await conclude(error, { invocation, help, json: isJson(argv) });
  }
}

async function buildProgram(invocation: Invocation, argv: readonly string[]): Promise<ForelockCommand> {
  const program = makeCommand({
    usage: "forelock",
    summary: "Locks, semaphores and guarded files over the network, durable and fenced",
    examples: ["forelock serve", "forelock lock orders/42 --wait 5s -- ./import.sh"],
    notes: ["`forelock COMMAND --help` tells more about each; `forelock exit-codes` lists the exit codes."],
  });
  program.enablePositionalOptions(); // What stands behind `lock NAME -- CMD` is the command's.
  program.helpCommand("help [command]", "Print the help of a command");
  program.version(invocation.io.version, "-V, --version", "Print the version");
  program.addCommand(await serveCommand(invocation, { withFlags: argv.includes("serve") }));
  const commands = [
    lockCommand,
    shellCommand,
    statusCommand,
    locksCommand,
    whyCommand,
    historyCommand,
    sessionsCommand,
    warnCommand,
    releaseCommand,
    policyCommand,
    predictionCommand,
    clusterCommand,
    appendCommand,
    catCommand,
    filesCommand,
    operationCommand,
    watchCommand,
    benchCommand,
    replayCommand,
    logCommand,
    exportCommand,
    importCommand,
    exitCodesCommand,
  ];
  for (const make of commands) program.addCommand(make(invocation));
  return program;
}

interface HelpText {
  /** For stdout: `--help`, `--version`. */
  asked: string;
  /** For stderr: a command is missing. */
  complained: string;
}

/** Commander writes at once and everywhere; we write at the end, with back-pressure, where it belongs. */
function collectHelp(command: ForelockCommand, help: HelpText): void {
  command.configureOutput({
    writeOut: (text) => {
      help.asked += text;
    },
    writeErr: (text) => {
      help.complained += text;
    },
    outputError: () => {}, // failure.ts prints the message.
  });
  // Cast: createCommand makes every subcommand one of ours.
  for (const each of command.commands as readonly ForelockCommand[]) collectHelp(each, help);
}

interface Conclusion {
  readonly invocation: Invocation;
  readonly help: HelpText;
  readonly json: boolean;
}

async function conclude(error: unknown, { invocation, help, json }: Conclusion): Promise<number> {
  try {
    if (error instanceof CommanderError && error.exitCode === 0) {
      await invocation.out.write(help.asked);
      return EXIT_CODES.ok.code;
    }
    if (error instanceof CommanderError && error.code === "commander.help") {
      await invocation.err.write(help.complained);
      return EXIT_CODES.usage.code;
    }
    return await reportFailure(error, { err: invocation.err, json });
  } catch (failure) {
    return reportFailure(failure, { err: invocation.err, json }).catch(() => EXIT_CODES.internal.code); // stderr is gone, too.
  }
}

/** Whether failures are to be JSON: asked of the bare arguments, for a command line that does not parse has no options. */
function isJson(argv: readonly string[]): boolean {
  const own = argv.includes("--") ? argv.slice(0, argv.indexOf("--")) : argv;
  return own.includes("--json");
}
