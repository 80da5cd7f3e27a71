// shell.ts: `forelock shell`: an interactive prompt around one session. Works with lines from a pipe, so scripts can drive it.
//   H1. Locks still held when it ends are named, and given back.
//   H2. A step that fails says why and how; the shell goes on. Its exit code is that of the first step that failed.
import { unreachable } from "@forelock/protocol";
import { type ForelockCommand, type Invocation, makeCommand, onRun, option } from "../command.ts";
import { parseDurationMs } from "../duration.ts";
import { reportFailure } from "../failure.ts";
import { isForelockFailure } from "../forelock-error.ts";
import { ReaderGone } from "../output.ts";
import { plural, printable } from "../quantity.ts";
import type { Remote } from "../remote.ts";
import { untilStopped } from "../stop.ts";
import { UsageError } from "../usage-error.ts";
import { Desk } from "./desk.ts";
import { type Lines, openLines } from "./lines.ts";
import { type Completes, findStep, STEPS } from "./steps.ts";
import { readLine, wantedAt } from "./words.ts";

interface ShellOptions {
  readonly ttl?: string;
}

export function shellCommand(invocation: Invocation): ForelockCommand {
  const command = makeCommand({
    usage: "shell",
    summary: "Acquire, append and release step by step, at a prompt",
    examples: ["forelock shell", "printf 'acquire file_0\\nappend file_0 hello\\nrelease file_0\\n' | forelock shell"],
    notes: [
      "Type help at the prompt. From a pipe each line is a step; the exit code is that of the first step that failed.",
    ],
  }).addOption(
    option("--ttl <duration>", "Session time: without a sign of life locks are freed", {
      default: "the server's, 30s",
    }),
  );
  return onRun<ShellOptions>(command, invocation, async (context, options) => {
    const ttlMs = options.ttl === undefined ? undefined : parseDurationMs("--ttl", options.ttl);
    return untilStopped(context.io, async (stop) => {
      await using remote = await context.connect({ session: "open", ttlMs });
      const lines = openLines(context.io, (line) => complete(remote, line, () => desk));
      const desk: Desk = new Desk(context, { remote, lines, stopped: stop.signal });
      try {
        return await converse(desk);
      } finally {
        await giveBack(desk); // H1
        lines.close();
      }
    });
  });
}

async function converse(desk: Desk): Promise<number> {
  const { context, lines, stopped } = desk;
  const closeAtStop = (): void => lines.close();
  stopped.addEventListener("abort", closeAtStop);
  const { endpoint } = await context.target();
  await desk.advise(
    `Connected to ${endpoint}. Type \`acquire file_0\` to begin, help for all commands, quit to leave.`,
  );
  let code = 0;
  for (;;) {
    const raw = await lines.next(promptOf(desk));
    if (raw === undefined || stopped.aborted) return code;
    try {
      if ((await runStep(desk, raw)) === "leave" && (await mayLeave(desk, lines))) return code;
    } catch (error) {
      if (error instanceof ReaderGone || stopped.aborted) throw error;
      const failed = await reportFailure(error, { err: context.err, json: context.json });
      code = code === 0 ? failed : code; // H2
    }
  }
}

function promptOf(desk: Desk): string {
  const held = desk.held.length === 0 ? "" : ` (${plural(desk.held.length, "lock")} held)`;
  return `forelock${held}> `;
}

async function runStep(desk: Desk, raw: string): Promise<"stay" | "leave"> {
  const line = readLine(raw);
  if (line.command === "" || line.command.startsWith("#")) return "stay";
  const step = findStep(line.command);
  if (step === undefined) {
    throw new UsageError(`"${line.command}" is no command here: ${Object.keys(STEPS).join(", ")}. Type help for more.`);
  }
  return step.run(desk, line);
}

/** Only a person can be asked; a script that says quit means it. */
async function mayLeave(desk: Desk, lines: Lines): Promise<boolean> {
  if (desk.held.length === 0 || !lines.isTerminal) return true;
  const answer = await lines.next(`You still hold ${heldNames(desk)}. Release and leave? [Y/n] `);
  return answer === undefined || !/^\s*n/i.test(answer);
}

const heldNames = (desk: Desk): string =>
  desk.held.map((lock) => `${printable(lock.name)} (token ${lock.token})`).join(", ");

async function giveBack(desk: Desk): Promise<void> {
  if (desk.held.length === 0) return;
  const { err, json } = desk.context;
  if (!json) await err.line(err.palette.warning(`forelock: still held: ${heldNames(desk)}; releasing.`));
  for (const lock of desk.held) {
    try {
      await lock.release({ undo: false });
      desk.forget(lock);
    } catch (error) {
      const why = isForelockFailure(error) ? error.code : String(error);
      await err.line(`forelock: ${printable(lock.name)} could not be released (${why}); it ends with its session.`);
    }
  }
}

const CANDIDATES_MAX = 100;

async function complete(
  remote: Remote,
  line: string,
  desk: () => Desk,
): Promise<{ readonly candidates: readonly string[]; readonly word: string }> {
  const wanted = wantedAt(line);
  if (wanted === undefined) return { candidates: [], word: "" };
  const names = wanted.kind === "command" ? Object.keys(STEPS) : await namesFor(remote, wanted, desk());
  return {
    candidates: names.filter((name) => name.startsWith(wanted.prefix)).map((name) => `${name} `),
    word: wanted.prefix,
  };
}

async function namesFor(
  remote: Remote,
  { command, prefix }: { readonly command: string; readonly prefix: string },
  desk: Desk,
): Promise<readonly string[]> {
  const completes: Completes = findStep(command)?.completes ?? "nothing";
  const held = desk.held.map((lock) => lock.name);
  const list = { prefix, after: "", limit: CANDIDATES_MAX };
  switch (completes) {
    case "nothing":
      return [];
    case "held":
      return held;
    case "files":
      return unique([...held, ...(await remote.listFiles(list)).items.map((file) => file.name)]);
    case "locks": {
      const locks = (await remote.listLocks({ ...list, stuck: false, byPain: false })).items.map((lock) => lock.name);
      return unique([...locks, ...(await remote.listFiles(list)).items.map((file) => file.name)]);
    }
    default:
      return unreachable(completes);
  }
}

const unique = (names: readonly string[]): readonly string[] => [...new Set(names)];
