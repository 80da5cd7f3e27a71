// log.ts: `forelock log verify DIR` and `log dump DIR`: the log of a data folder, read without a server and never changed.
// Only these commands load the log's code. What is checked: log/segment/inspect.ts.
import { readdir, stat } from "node:fs/promises";
import { ForelockError, unreachable } from "@forelock/protocol";
import type { Finding, PlacedRecord } from "../log/segment/inspect.ts";
import { type ForelockCommand, type Invocation, makeLocalCommand, onRun, option } from "./command.ts";
import type { Context } from "./context.ts";
import { EXIT_CODES } from "./exit-codes.ts";
import type { Palette } from "./palette.ts";
import { formatBytes, formatCount, parseCount, plural, printable } from "./quantity.ts";
import { UsageError } from "./usage-error.ts";

export function logCommand(invocation: Invocation): ForelockCommand {
  const command = makeLocalCommand({
    usage: "log",
    summary: "Check or print the log of a data folder",
    examples: ["forelock log verify ./data", "forelock log dump ./data --partition 7"],
  });
  command.addCommand(verifyCommand(invocation));
  command.addCommand(dumpCommand(invocation));
  return command;
}

function verifyCommand(invocation: Invocation): ForelockCommand {
  const command = makeLocalCommand({
    usage: "verify DIR",
    summary: "Read the whole log and its snapshots, and report damage with file, offset and what to do",
    examples: ["forelock log verify ./data", "forelock log verify ./data --json"],
    notes: [
      "Changes nothing, and may run beside the server. Of a server with workers it reads every stream. Exit code: 0 sound, 1 damaged.",
    ],
  }).argument("<dir>");
  return onRun(command, invocation, async (context, _options, [folder = ""]) => {
    const { verifyLog, nodeFiles } = await loadLog();
    let damages = 0;
    let records = 0;
    for (const stream of await streamFoldersOf(folder)) {
      for await (const finding of verifyLog(nodeFiles, stream)) {
        if (finding.kind === "damage") damages += 1;
        if (finding.kind === "segment") records += finding.records;
        if (context.json) await context.printJson(finding);
        else await context.out.line(findingLine(finding, context.out.palette));
      }
    }
    await sayVerdict(context, { damages, records });
    return damages === 0 ? EXIT_CODES.ok.code : EXIT_CODES.damaged.code;
  });
}

export function findingLine(finding: Finding, palette: Palette): string {
  switch (finding.kind) {
    case "snapshots":
      return `${palette.good("sound")}    ${finding.file}: snapshots of ${plural(finding.partitions, "partition")}, ${formatBytes(finding.bytes)}`;
    case "segment":
      return `${palette.good("sound")}    ${finding.file}: ${plural(finding.records, "record")} in ${plural(finding.commits, "commit")}, up to byte ${formatCount(finding.endOffset)}`;
    case "torn_tail":
      return `${palette.warning("torn")}     ${finding.file}: an unfinished write from byte ${finding.offset} on; nothing acknowledged is in it, and the next start removes it`;
    case "damage":
      return `${palette.bad("damaged")}  ${finding.file}: byte ${finding.offset}: ${printable(finding.message)}`;
    default:
      return unreachable(finding);
  }
}

async function sayVerdict(
  context: Context,
  { damages, records }: { readonly damages: number; readonly records: number },
): Promise<void> {
  const { palette } = context.err;
  const verdict =
    damages === 0
      ? palette.good(`Sound: ${plural(records, "record")}.`)
      : palette.bad(
          "Damaged: do not start a server on this folder. Copy it first; then restore the file named above from a backup, or see docs/operations.md.",
        );
  await context.err.line(verdict);
}

interface DumpOptions {
  readonly partition?: string;
  readonly limit?: string;
}

function dumpCommand(invocation: Invocation): ForelockCommand {
  const command = makeLocalCommand({
    usage: "dump DIR",
    summary: "Print the records of the log, oldest first, with their events; of a server with workers stream by stream",
    examples: ["forelock log dump ./data --partition 7", "forelock log dump ./data --json --limit 100"],
  })
    .argument("<dir>")
    .addOption(option("--partition <index>", "Only this partition", { default: "all" }))
    .addOption(option("--limit <records>", "Records at most", { default: "no limit" }));
  return onRun<DumpOptions>(command, invocation, async (context, options, [folder = ""]) => {
    const partition =
      options.partition === undefined
        ? undefined
        : parseCount("--partition", options.partition, { min: 0, max: 65_535 });
    const limit =
      options.limit === undefined
        ? Number.POSITIVE_INFINITY
        : parseCount("--limit", options.limit, { min: 1, max: Number.MAX_SAFE_INTEGER });
    const { dumpLog, decodeEvents, nodeFiles } = await loadLog();
    let count = 0;
    for (const stream of await streamFoldersOf(folder)) {
      for await (const batch of dumpLog(nodeFiles, stream)) {
        for (const placed of batch) {
          if (partition !== undefined && placed.record.partition !== partition) continue;
          const events: unknown[] = [];
          decodeEvents(placed.record.events, (event) => events.push(event));
          await printRecord(context, placed, events);
          count += 1;
          if (count >= limit) return 0;
        }
      }
    }
    return 0;
  });
}

async function printRecord(
  context: Context,
  { file, offset, record }: PlacedRecord,
  events: readonly unknown[],
): Promise<void> {
  const { partition, epoch, sequence, elapsedMs } = record;
  if (context.json) {
    await context.printJson({ file, offset, partition, epoch, sequence, elapsedMs, events });
    return;
  }
  const { palette } = context.out;
  await context.out.lines([
    `partition ${partition}  epoch ${epoch}  record ${sequence}  ${palette.dim(`+${elapsedMs} ms  ${file}:${offset}`)}`,
    ...events.map((event) => `  ${eventText(event)}`),
  ]);
}

/** `granted name=orders/42 token=7`: the kind, then fields as name=value. */
function eventText(event: unknown): string {
  const { kind, ...fields } = event as Readonly<Record<string, unknown>>; // Cast: every event is an object with a kind.
  return [String(kind), ...Object.entries(fields).map(([name, value]) => `${name}=${fieldText(value)}`)].join(" ");
}

function fieldText(value: unknown): string {
  if (typeof value === "string") return printable(value);
  if (value instanceof Uint8Array) return `<${value.length} bytes>`;
  return JSON.stringify(value, (_key, each: unknown) => (typeof each === "bigint" ? each.toString() : each)) ?? "-";
}

async function loadLog() {
  const [inspect, files, codec] = await Promise.all([
    import("../log/segment/inspect.ts"),
    import("../log/segment/files.ts"),
    import("../partition/codec.ts"),
  ]);
  return { ...inspect, nodeFiles: files.nodeFiles, decodeEvents: codec.decodeEvents };
}

/**
 * The log in a data folder; the folder itself when it is the log.
 * @throws UsageError when there is neither
 */
export async function logFolderOf(folder: string, field = "DIR"): Promise<string> {
  const inside = `${folder.replace(/\/+$/, "")}/log`;
  if (await isFolder(inside, field)) return inside;
  if (await isFolder(folder, field)) return folder;
  throw new UsageError(
    `${field} is "${folder}": there is no such folder; give the server's data folder, as in ./data.`,
  );
}

/**
 * The streams of the log in a data folder: one, but for a server with workers.
 * @throws UsageError as logFolderOf
 */
export async function streamFoldersOf(folder: string, field = "DIR"): Promise<readonly string[]> {
  const first = await logFolderOf(folder, field);
  const folders = [first];
  if (first === folder) return folders; // Of a stream that is named itself.
  for (let stream = 1; await isFolder(`${first}-${stream}`, field); stream += 1) {
    const names = await readdir(`${first}-${stream}`);
    if (names.length > 0) folders.push(`${first}-${stream}`); // One that is no more is empty.
  }
  return folders;
}

async function isFolder(path: string, field: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException; // Cast: stat fails with errno errors.
    if (code === "ENOENT" || code === "ENOTDIR") return false;
    throw new ForelockError("bad_argument", `${field} is "${path}": it cannot be read (${code}).`, { cause: error });
  }
}
