// steps.ts: the shell's commands, one table: help, completion and dispatch come from it.
import { ForelockError } from "@forelock/protocol";
import { formatDuration, parseDurationMs } from "../duration.ts";
import { preemptedBy } from "../guard.ts";
import { LOCK_COLUMNS, lockRow } from "../locks.ts";
import { formatBytes, formatCount, parseCount, plural, printable } from "../quantity.ts";
import type { Warned } from "../remote.ts";
import { statusLines } from "../status.ts";
import { renderTable } from "../table.ts";
import { UsageError } from "../usage-error.ts";
import { lookOf, whyLines } from "../why.ts";
import type { Desk } from "./desk.ts";
import type { Line } from "./words.ts";

/** What Tab offers for the first operand. */
export type Completes = "locks" | "held" | "files" | "nothing";

export interface Step {
  readonly usage: string;
  readonly help: string;
  readonly completes: Completes;
  /** "leave" ends the shell. */
  run(desk: Desk, line: Line): Promise<"stay" | "leave">;
}

const FIRST_NAME = "file_0"; // A fresh `npm start` has file_0 to file_99.

export const STEPS = {
  acquire: {
    usage: "acquire NAME [--shared] [--wait 5s | --no-wait] [--rollback]",
    help: "take a lock; while you wait your place is shown, and Ctrl-C gives up",
    completes: "locks",
    run: acquire,
  },
  append: {
    usage: "append FILE TEXT",
    help: "add a line to a file whose lock you hold",
    completes: "files",
    run: append,
  },
  release: {
    usage: "release [NAME] [--undo]",
    help: "give a lock back; --undo takes back what you appended under it",
    completes: "held",
    run: release,
  },
  held: { usage: "held", help: "what you hold, with tokens", completes: "nothing", run: showHeld },
  cat: { usage: "cat FILE", help: "print a file", completes: "files", run: cat },
  files: { usage: "files [PREFIX]", help: "list files", completes: "files", run: showFiles },
  locks: { usage: "locks [PREFIX]", help: "list locks, holders and queues", completes: "locks", run: showLocks },
  why: { usage: "why NAME", help: "who holds a lock, and who waits", completes: "locks", run: showWhy },
  status: { usage: "status", help: "how the server is", completes: "nothing", run: showStatus },
  help: { usage: "help", help: "this list", completes: "nothing", run: showHelp },
  quit: {
    usage: "quit",
    help: "leave; locks still held are released",
    completes: "nothing",
    run: () => Promise.resolve("leave"),
  },
} as const satisfies Record<string, Step>;

/** Other words for the same. */
const ALIASES: Readonly<Record<string, keyof typeof STEPS>> = {
  exit: "quit",
  lock: "acquire",
  unlock: "release",
  "?": "help",
};

export function findStep(command: string): Step | undefined {
  const name = ALIASES[command] ?? command;
  return Object.hasOwn(STEPS, name) ? STEPS[name as keyof typeof STEPS] : undefined; // Cast: just checked.
}

/** Whoever sits here has the countdown to release; at its end the lock is lost, which the desk announces. */
function tell(desk: Desk, warning: Warned): void {
  const { id, name, reason, score, enforced, isPending, countdownMs } = warning;
  const facts = { warning: id, reason, score, enforced, pending: isPending, countdownMs: Math.round(countdownMs) };
  const advice = enforced && !isPending ? ` Release it within ${formatDuration(countdownMs)}.` : "";
  desk.announce(
    { event: "warned", lock: name, ...facts },
    `WARNED ${printable(preemptedBy(warning).plainMessage)}${advice}`,
  );
}

async function acquire(desk: Desk, { operands, options }: Line): Promise<"stay"> {
  const { context, remote, lines } = desk;
  const name = operands[0] ?? (await desk.ask("Which lock", FIRST_NAME));
  if (desk.heldUnder(name) !== undefined) throw new UsageError(`You hold ${name} already: release it first.`);
  const permits = options.has("permits")
    ? parseCount("--permits", options.get("permits") ?? "", { min: 1, max: 1_000_000 })
    : 0;
  const cancel = new AbortController();
  const stopListening = lines.onInterrupt(() => cancel.abort(new ForelockError("cancelled", "You gave up waiting.")));
  try {
    const lock = await remote.acquire({
      name,
      mode: permits > 0 ? "permit" : options.has("shared") ? "shared" : "exclusive",
      permits,
      take: permits > 0 ? parseCount("--take", options.get("take") ?? "1", { min: 1, max: permits }) : 0,
      waitMs: waitOf(options),
      rollback: options.has("rollback"),
      signal: AbortSignal.any([cancel.signal, desk.stopped]),
      onQueued: ({ position, reference }) => {
        if (context.json) desk.announce({ event: "queued", lock: name, position, reference }, "");
        else
          context.out.live(
            `waiting for ${printable(name)}: place ${formatCount(position)} in the queue (Ctrl-C gives up)`,
          );
      },
      onWarning: (warning) => tell(desk, warning),
    });
    context.out.settle();
    desk.keep(lock);
    await desk.say(
      { event: "granted", lock: name, token: lock.token, reference: lock.reference },
      `${context.out.palette.good("granted")} ${printable(name)}, token ${lock.token}`,
    );
    await desk.advise(`Next: append ${name} TEXT, then release ${name}.`);
    return "stay";
  } finally {
    context.out.settle();
    stopListening();
  }
}

function waitOf(options: Line["options"]): number | undefined {
  if (options.has("no-wait")) return 0;
  const wait = options.get("wait");
  return wait === undefined ? undefined : parseDurationMs("--wait", wait);
}

async function append(desk: Desk, { operands, text }: Line): Promise<"stay"> {
  const file = operands[0] ?? (await desk.ask("Which file", desk.latest?.name));
  const lock = desk.mustHold(file);
  const line = text === "" ? await desk.ask("Text to append", undefined) : text;
  const reply = await desk.remote.append({ file, element: file, token: lock.token, bytes: Buffer.from(`${line}\n`) });
  await desk.say(
    { event: "appended", file, length: reply.length, version: reply.version, index: reply.index, offset: reply.offset },
    `appended to ${printable(file)}: length ${formatCount(reply.length)} bytes, version ${formatCount(reply.version)}`,
  );
  await desk.advise(`Next: cat ${file}, append more, or release ${file}.`);
  return "stay";
}

async function release(desk: Desk, { operands, options }: Line): Promise<"stay"> {
  const name = operands[0] ?? desk.latest?.name ?? (await desk.ask("Which lock", undefined));
  const lock = desk.mustHold(name);
  const undo = options.has("undo");
  await lock.release({ undo });
  desk.forget(lock);
  const took = undo ? "; what was appended under it is undone" : "";
  await desk.say({ event: "released", lock: name, token: lock.token, undo }, `released ${printable(name)}${took}`);
  return "stay";
}

async function showHeld(desk: Desk): Promise<"stay"> {
  const locks = desk.held.map((lock) => ({ lock: lock.name, token: lock.token }));
  const lines = locks.map(({ lock, token }) => `${printable(lock)}  token ${token}`);
  await desk.say({ held: locks }, lines.length === 0 ? "You hold nothing. Type `acquire NAME`." : lines);
  return "stay";
}

async function cat(desk: Desk, { operands }: Line): Promise<"stay"> {
  const file = operands[0] ?? (await desk.ask("Which file", desk.latest?.name ?? FIRST_NAME));
  let offset = 0;
  let version = 0;
  for (;;) {
    const reply = await desk.remote.readFile({ file, offset, version });
    if (desk.context.json) await desk.context.printJson({ file, offset, ...reply });
    // Lines of others go to a terminal: nothing in them may repaint it.
    else await desk.context.out.write(Buffer.from(reply.bytes).toString("utf8").split("\n").map(printable).join("\n"));
    offset += reply.bytes.length;
    version = reply.version;
    if (offset >= reply.length || reply.bytes.length === 0) return "stay";
  }
}

/** A screenful: the whole list is `forelock files` or `forelock locks`. */
const ROWS_MAX = 50;

async function showFiles(desk: Desk, { operands }: Line): Promise<"stay"> {
  const { items: files, more } = await desk.remote.listFiles({ prefix: operands[0] ?? "", after: "", limit: ROWS_MAX });
  const rows = files.map(
    (file) => `${printable(file.name)}  ${formatBytes(file.length)}, ${plural(file.records, "record")}`,
  );
  await desk.say({ files, more }, rows.length === 0 ? "No files." : [...rows, ...(more ? ["... and more"] : [])]);
  return "stay";
}

async function showLocks(desk: Desk, { operands }: Line): Promise<"stay"> {
  const { items: locks, more } = await desk.remote.listLocks({
    prefix: operands[0] ?? "",
    after: "",
    limit: ROWS_MAX,
    stuck: false,
    byPain: false,
  });
  const table = renderTable(LOCK_COLUMNS, locks.map(lockRow), desk.context.out.width);
  await desk.say(
    { locks, more },
    locks.length === 0 ? "No locks are held." : [...table, ...(more ? ["... and more"] : [])],
  );
  return "stay";
}

async function showWhy(desk: Desk, { operands }: Line): Promise<"stay"> {
  const name = operands[0] ?? (await desk.ask("Which lock", desk.latest?.name ?? FIRST_NAME));
  const why = await desk.remote.why(name);
  await desk.say({ ...why }, whyLines(why, lookOf(desk.context)));
  return "stay";
}

async function showStatus(desk: Desk): Promise<"stay"> {
  const status = await desk.remote.status();
  await desk.say({ ...status }, statusLines(status, desk.context.out.palette));
  return "stay";
}

async function showHelp(desk: Desk): Promise<"stay"> {
  const steps: readonly Step[] = Object.values(STEPS);
  const rows = steps.map(({ usage, help }) => `  ${usage.padEnd(58)}${help}`);
  await desk.say({ steps: steps.map(({ usage, help }) => ({ usage, help })) }, [
    "A walk: acquire file_0, append file_0 hello, release file_0.",
    ...rows,
    "A step without its name asks for it; Tab completes commands and names.",
  ]);
  return "stay";
}
