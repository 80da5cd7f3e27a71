// files.ts: `forelock cat FILE` and `forelock files [PREFIX]`: what is in files, and which there are. Appending: append.ts.
import type { FileInfo } from "@forelock/client";
import { type ForelockCommand, type Invocation, makeCommand, onRun, option } from "./command.ts";
import type { Context } from "./context.ts";
import { printRows } from "./listing.ts";
import { collect, LIST_LIMIT_DEFAULT, LIST_LIMIT_MAX } from "./paging.ts";
import { formatBytes, formatCount, parseCount, printable } from "./quantity.ts";
import type { Remote } from "./remote.ts";
import type { Column } from "./table.ts";
import { UsageError } from "./usage-error.ts";

interface CatOptions {
  readonly offset?: string;
  readonly records?: true;
}

export function catCommand(invocation: Invocation): ForelockCommand {
  const command = makeCommand({
    usage: "cat FILE",
    summary: "Print a file's bytes",
    examples: ["forelock cat file_0", "forelock cat file_0 --records --json"],
    notes: [
      "With --json each line is one piece (offset, bytes as base64), or with --records one record. Bytes that a holder may still undo are printed too, and named on stderr.",
    ],
  })
    .argument("<file>")
    .addOption(option("--offset <bytes>", "Start here; with --records, the index of a record", { default: "0" }))
    .addOption(option("--records", "Print record by record, each with its index"));
  return onRun<CatOptions>(command, invocation, async (context, options, [file = ""]) => {
    const offset = parseCount("--offset", options.offset ?? "0", { min: 0, max: Number.MAX_SAFE_INTEGER });
    await using remote = await context.connect({ session: "none" });
    if (options.records === true) await printRecords(context, remote, { file, from: offset });
    else await printBytes(context, remote, { file, from: offset });
    return 0;
  });
}

interface CatWish {
  readonly file: string;
  readonly from: number;
}

async function printBytes(context: Context, remote: Remote, { file, from }: CatWish): Promise<void> {
  let offset = from;
  let version = 0;
  for (;;) {
    const reply = await remote.readFile({ file, offset, version });
    if (offset === from && from > reply.length) {
      throw new UsageError(`--offset is "${from}": the file has ${formatCount(reply.length)} bytes.`);
    }
    if (context.json) await context.printJson({ file, offset, ...reply });
    else await context.out.write(reply.bytes);
    offset += reply.bytes.length;
    version = reply.version;
    if (offset < reply.length && reply.bytes.length > 0) continue;
    if (!context.json && reply.provisionalFrom < reply.length) {
      const from = formatCount(reply.provisionalFrom);
      await context.err.line(
        `forelock: bytes from ${from} on were written under a grant that still runs, and may be undone.`,
      );
    }
    return;
  }
}

async function printRecords(context: Context, remote: Remote, { file, from }: CatWish): Promise<void> {
  let index = from;
  for await (const record of remote.records(file, from)) {
    if (context.json) await context.printJson({ file, index, bytes: record });
    else await context.out.line(`${context.out.palette.dim(String(index))}\t${recordText(record)}`);
    index += 1;
  }
}

/** One line a record: its text without a final newline, control characters escaped. */
const recordText = (record: Uint8Array): string => printable(Buffer.from(record).toString("utf8").replace(/\n$/, ""));

interface FilesOptions {
  readonly limit?: string;
}

const FILE_COLUMNS: readonly Column[] = [
  { title: "FILE", align: "left", shrinks: true },
  { title: "LENGTH", align: "right" },
  { title: "RECORDS", align: "right" },
  { title: "VERSION", align: "right" },
];

export function filesCommand(invocation: Invocation): ForelockCommand {
  const command = makeCommand({
    usage: "files [PREFIX]",
    summary: "List files with length, records and version",
    examples: ["forelock files", "forelock files file_1 --json"],
  })
    .argument("[prefix]")
    .addOption(option("--limit <count>", "Rows at most", { default: formatCount(LIST_LIMIT_DEFAULT) }));
  return onRun<FilesOptions>(command, invocation, async (context, options, [prefix = ""]) => {
    const limit = parseCount("--limit", options.limit ?? String(LIST_LIMIT_DEFAULT), { min: 1, max: LIST_LIMIT_MAX });
    await using remote = await context.connect({ session: "none" });
    const { items, more } = await collect(
      limit,
      (page) => remote.listFiles({ prefix, ...page }),
      (file) => file.name,
    );
    if (context.json) await context.printJson({ files: items, more });
    else await printRows(context, { columns: FILE_COLUMNS, rows: items.map(fileRow), more, noun: "file" });
    return 0;
  });
}

const fileRow = (file: FileInfo): readonly string[] => [
  file.name,
  formatBytes(file.length),
  formatCount(file.records),
  formatCount(file.version),
];
