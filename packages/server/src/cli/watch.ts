// watch.ts: `forelock watch PATTERN`: what happens to locks and files, as it becomes durable.
import type { WatchEvent } from "@forelock/client";
import { type ForelockCommand, type Invocation, makeCommand, onRun, option } from "./command.ts";
import type { Context } from "./context.ts";
import type { Palette } from "./palette.ts";
import { parseCount, printable, toJson } from "./quantity.ts";
import { untilStopped } from "./stop.ts";

interface WatchOptions {
  readonly count?: string;
}

export function watchCommand(invocation: Invocation): ForelockCommand {
  const command = makeCommand({
    usage: "watch PATTERN",
    summary:
      "Print events as they happen: queued, granted, released, warned, preempted, expired, forced, appended and more",
    examples: ["forelock watch 'orders/*'", "forelock watch '*' --json --count 100"],
    notes: ["PATTERN is a name, or a prefix when it ends in *; quote it, or the shell expands it. Ends with Ctrl-C."],
  })
    .argument("<pattern>")
    .addOption(option("--count <events>", "End after this many events", { default: "no limit" }));
  return onRun<WatchOptions>(command, invocation, async (context, options, [pattern = ""]) => {
    const countMax =
      options.count === undefined
        ? Number.POSITIVE_INFINITY
        : parseCount("--count", options.count, { min: 1, max: Number.MAX_SAFE_INTEGER });
    return untilStopped(context.io, async ({ signal }) => {
      await using remote = await context.connect({ session: "none" });
      let count = 0;
      let stands = false;
      for await (const event of remote.watch(pattern, signal)) {
        if (!stands && event.kind === "gap") {
          stands = true; // The first gap says that the watch stands: from here on nothing is missed unsaid.
          await sayWatching(context, pattern);
          continue;
        }
        if (context.json) await context.printJson(event);
        else await context.out.line(eventLine(event, context.io.clock.wallMs(), context.out.palette));
        count += 1;
        if (count >= countMax) break;
      }
      return 0;
    });
  });
}

/** Scripts wait for it before they make something happen. */
async function sayWatching({ err, json }: Context, pattern: string): Promise<void> {
  await err.line(json ? toJson({ event: "watching", pattern }) : err.palette.dim(`Watching ${printable(pattern)}.`));
}

const KIND_WIDTH = "preempted".length;

export function eventLine(event: WatchEvent, wallMs: number, palette: Palette): string {
  const time = palette.dim(new Date(wallMs).toISOString().slice(11, 23));
  if (event.kind === "gap") {
    return `${time}  ${palette.warning("gap       events may be missing here: read the state again, as with `forelock locks`")}`;
  }
  const token = event.token === 0n ? "" : `  token ${event.token}`;
  const session = event.session === "" ? "" : palette.dim(`  session ${printable(event.session)}`);
  const reason = event.reason === "" ? "" : `  (${printable(event.reason)})`;
  return `${time}  ${kindText(event.kind, palette)}  ${printable(event.name)}${token}${session}${reason}`;
}

const GRAVE: ReadonlySet<string> = new Set(["warned", "preempted", "expired", "forced", "undone"]);

function kindText(kind: string, palette: Palette): string {
  const text = printable(kind).padEnd(KIND_WIDTH);
  if (kind === "granted") return palette.good(text);
  return GRAVE.has(kind) ? palette.warning(text) : text;
}
