// serve.ts: `forelock serve`: reads the settings, starts a node, greets, and waits until it has stopped.
// Not here: the settings (../settings), the node (../serve.ts).
import type { Settings } from "../settings/read.ts";
import { type ForelockCommand, type Invocation, makeLocalCommand, onRun, option } from "./command.ts";
import type { Context } from "./context.ts";
import { EXIT_SIGNAL_BASE } from "./exit-codes.ts";
import { greeting } from "./greeting.ts";
import { STOP_SIGNAL_NUMBERS } from "./io.ts";
import { UsageError } from "./usage-error.ts";

/** A node that serves. */
export interface Served {
  /** `host:port`, with the port that was really taken. */
  readonly address: string;
  /** Resolves when it has stopped, rejects when it had to. */
  readonly closed: Promise<void>;
}

export interface ServeIo {
  /** One line of the server's log. */
  log(line: string): void;
  /** Aborts to stop it: it finishes what is in flight first. */
  readonly signal: AbortSignal;
}

/** @throws ForelockError `data_in_use`, `bad_setting`, `log_damaged`, ... with nothing left open */
export type Serve = (settings: Settings, io: ServeIo) => Promise<Served>;

/** Headings of the help, by the first part of a setting's key. */
const GROUPS: Readonly<Record<string, string>> = {
  log: "Log:",
  session: "Sessions:",
  lock: "Locks:",
  deadlock: "Locks:",
  operation: "Operations:",
  file: "Files:",
  edge: "Connections:",
  tls: "TLS:",
};

/** @param withFlags false leaves the settings out, so that other commands start without loading them and their parsers */
export async function serveCommand(
  invocation: Invocation,
  { withFlags }: { readonly withFlags: boolean },
): Promise<ForelockCommand> {
  const command = makeLocalCommand({
    usage: "serve",
    summary: "Start a server",
    examples: ["forelock serve --data ./data", "forelock serve --port 0 --files 'file_{0..99}' --session-ttl-ms 10s"],
    notes: [
      "Every option is also a key of the settings file and an environment name: --session-ttl-ms is session.ttlMs and FORELOCK_SESSION_TTL_MS. Flags win over the environment, and that over the file. Times take a unit, as 10s; without one they are milliseconds. Sizes take KiB, MiB, GiB. Principals stand in the file only: see docs/settings.md.",
      "Stops at SIGTERM or Ctrl-C after finishing what is in flight; a second signal ends it at once.",
    ],
  });
  if (withFlags) await addFlags(command);
  return onRun<Readonly<Record<string, unknown>>>(command, invocation, (context, flags) => runServe(context, flags));
}

async function addFlags(command: ForelockCommand): Promise<void> {
  const { CONFIG_ENVIRONMENT_NAME, flagsOf } = await import("../settings/read.ts");
  command.addOption(option("--config <file>", "Settings file, TOML", { env: CONFIG_ENVIRONMENT_NAME }));
  command.addOption(
    option("--demo", "Add a lively load of clients that hang, die and overrun, on locks named demo/..."),
  );
  for (const flag of flagsOf()) {
    const group = flag.key.includes(".") ? GROUPS[flag.key.split(".")[0] ?? ""] : undefined;
    const each = option(flag.usage, flag.help, flag.default === "" ? undefined : { default: flag.default });
    command.addOption(group === undefined ? each : each.helpGroup(group));
  }
}

async function runServe(context: Context, flags: Readonly<Record<string, unknown>>): Promise<number> {
  const { CONFIG_ENVIRONMENT_NAME, readSettings } = await import("../settings/read.ts");
  const { io, err } = context;
  const file = typeof flags["config"] === "string" ? flags["config"] : io.env[CONFIG_ENVIRONMENT_NAME];
  const settings = readSettings({
    flags,
    env: io.env,
    fileText: file === undefined ? undefined : await readConfig(context, file),
  });
  const hasDemo = flags["demo"] === true;
  if (hasDemo) refuseDemo(settings);
  const asked = new AbortController();
  const stop = hasDemo ? new AbortController() : asked; // The demo cleans up after itself while there is a server.
  const impatient = listenForStop(context, asked);
  try {
    const served = await io.serve(settings, { log: (line) => io.stderr.write(`${line}\n`), signal: stop.signal });
    if (context.json)
      await context.printJson({ event: "serving", address: served.address, data: settings.values.data });
    else await context.out.lines(greeting(served.address, settings));
    if (hasDemo) void runWithDemo(context, served.address, asked.signal, stop);
    const code = await Promise.race([served.closed.then(() => 0), impatient.code]);
    if (code === 0) await err.line("forelock: stopped.");
    return code;
  } finally {
    impatient.release();
  }
}

/** Its clients are plain ones. */
function refuseDemo({ values, principals }: Settings): void {
  if (values["tls.cert"] === "" && principals.length === 0) return;
  throw new UsageError(
    "--demo needs a server without TLS and without principals: try it beside this one, on a port and folder of its own.",
  );
}

/** How long a stop may be held up by the demo. */
const DEMO_END_MS = 3_000;

/** Does not reject: the server goes on without it. */
async function runWithDemo(
  context: Context,
  endpoint: string,
  asked: AbortSignal,
  stop: AbortController,
): Promise<void> {
  const { clock } = context.io;
  const stopLater = (): void => void clock.after(DEMO_END_MS, () => stop.abort());
  if (asked.aborted) stopLater();
  else asked.addEventListener("abort", stopLater, { once: true });
  const { runDemo } = await import("../demo/demo.ts");
  const say = (line: string): void => {
    void (context.json ? context.printJson({ event: "demo", line }) : context.out.line(line));
  };
  try {
    await runDemo({ endpoint, clock, random: Math.random, say, signal: asked });
  } catch (error) {
    if (!asked.aborted) await context.err.line(`forelock: the demo ended: ${String(error)}`);
  }
  if (asked.aborted) stop.abort();
}

async function readConfig({ io }: Context, path: string): Promise<string> {
  try {
    return await io.readFile(path);
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? String(cause); // Cast: readFile fails with errno errors.
    throw new UsageError(`--config is "${path}": the file cannot be read (${code}).`, { cause });
  }
}

interface Impatience {
  /** Resolves with the exit code at the second signal: whoever sends two does not want to wait. */
  readonly code: Promise<number>;
  release(): void;
}

function listenForStop({ io }: Context, stop: AbortController): Impatience {
  let release = (): void => {};
  const code = new Promise<number>((resolve) => {
    release = io.onStop((signal) => {
      if (stop.signal.aborted) resolve(EXIT_SIGNAL_BASE + STOP_SIGNAL_NUMBERS[signal]);
      else stop.abort();
    });
  });
  return { code, release: () => release() };
}
