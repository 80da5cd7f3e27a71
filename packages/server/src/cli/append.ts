// append.ts: `forelock append FILE`: bytes from stdin to the end of a file, under its guarding lock.
//   A1. Under a lock that we took, all bytes are appended or none: a failure undoes what was appended before it.
//   A2. The lock is taken only when the first bytes are there, so that a slow producer's start does not hold it.
//   A3. A warning is acknowledged: a producer that is not done by the end of its countdown is given up, and nothing is appended.
import type { Appended } from "@forelock/client";
import { type ForelockCommand, type Invocation, makeCommand, onRun, option } from "./command.ts";
import type { Context } from "./context.ts";
import { formatDuration, parseDurationMs } from "./duration.ts";
import { preemptedBy } from "./guard.ts";
import { formatBytes, formatCount, parseToken, printable } from "./quantity.ts";
import { APPEND_BYTES_MAX, type Remote, type Warned } from "./remote.ts";
import { untilStopped } from "./stop.ts";
import { UsageError } from "./usage-error.ts";

interface AppendOptions {
  readonly token?: string;
  readonly guard?: string;
  readonly wait?: string | false;
}

export function appendCommand(invocation: Invocation): ForelockCommand {
  const command = makeCommand({
    usage: "append FILE",
    summary: "Append the bytes of stdin to a file, under its lock",
    examples: [
      "echo hello | forelock append file_0",
      "forelock append '{acct-9}/log' --guard '{acct-9}/ledger' --token 1099511627790 < entry.json",
    ],
    notes: [
      "Without --token the guarding lock is taken for the append and released after it; then all bytes are appended or none. Inside `forelock lock NAME -- CMD` the token of NAME is used by itself. Input above 192 KiB becomes several records.",
    ],
  })
    .argument("<file>")
    .addOption(
      option("--token <token>", "Append under this grant, which stays held", {
        env: "FORELOCK_TOKEN, when FORELOCK_LOCK is the guarding lock",
      }),
    )
    .addOption(
      option("--guard <name>", "The guarding lock; shares the file's name or tag", { default: "the file's name" }),
    )
    .addOption(option("--wait <duration>", "Wait at most this long for the lock", { default: "no limit" }))
    .addOption(option("--no-wait", "Do not wait: exit with 111 when the lock is held"));
  return onRun<AppendOptions>(command, invocation, async (context, options, [file = ""]) => {
    const element = options.guard ?? file;
    const token = tokenOf(options, element, context.io.env);
    const waitMs =
      options.wait === false
        ? 0
        : typeof options.wait === "string"
          ? parseDurationMs("--wait", options.wait)
          : undefined;
    if (context.io.stdin.isTTY === true) await context.err.line("Reading from the terminal; end with Ctrl-D.");
    const pieces = splitPieces(context.io.stdin, APPEND_BYTES_MAX)[Symbol.asyncIterator]();
    const first = await pieces.next(); // A2
    if (first.done === true) {
      await context.err.line("forelock: stdin was empty; nothing was appended.");
      return 0;
    }
    const wish: AppendRun = { file, element, first: first.value, rest: pieces };
    return token === undefined ? appendLocked(context, { ...wish, waitMs }) : appendUnder(context, { ...wish, token });
  });
}

function tokenOf(
  options: AppendOptions,
  element: string,
  env: Readonly<Record<string, string | undefined>>,
): bigint | undefined {
  if (options.token !== undefined) {
    if (options.wait !== undefined)
      throw new UsageError("--token and --wait exclude each other: with a token nothing is waited for.");
    return parseToken("--token", options.token);
  }
  const inherited = env["FORELOCK_LOCK"] === element ? env["FORELOCK_TOKEN"] : undefined;
  return inherited === undefined ? undefined : parseToken("FORELOCK_TOKEN", inherited);
}

interface AppendRun {
  readonly file: string;
  readonly element: string;
  readonly first: Uint8Array;
  readonly rest: AsyncIterator<Uint8Array>;
}

interface Sum {
  readonly bytes: number;
  readonly records: number;
  readonly last: Appended;
}

async function appendUnder(context: Context, run: AppendRun & { readonly token: bigint }): Promise<number> {
  await using remote = await context.connect({ session: "open", ttlMs: undefined });
  await print(context, run.file, await appendAll(remote, run, new AbortController().signal));
  return 0;
}

async function appendLocked(
  context: Context,
  run: AppendRun & { readonly waitMs: number | undefined },
): Promise<number> {
  return untilStopped(context.io, async ({ signal }) => {
    await using remote = await context.connect({ session: "open", ttlMs: undefined });
    const held = await remote.acquire({
      name: run.element,
      mode: "exclusive",
      permits: 0,
      take: 0,
      waitMs: run.waitMs,
      rollback: true,
      signal,
      onQueued: ({ position }) =>
        context.err.live(`forelock: waiting for ${printable(run.element)}, place ${formatCount(position)}`),
      onWarning: (warning) => sayWarned(context, warning), // A3: the signal of the grant ends it in time.
    });
    context.err.settle();
    let sum: Sum;
    try {
      sum = await appendAll(remote, { ...run, token: held.token }, AbortSignal.any([signal, held.signal]));
    } catch (error) {
      await held.release({ undo: true }).catch(() => {}); // A1. If it fails, the grant expires: it was taken with rollback.
      throw error;
    }
    await held.release({ undo: false });
    await print(context, run.file, sum);
    return 0;
  });
}

function sayWarned(context: Context, warning: Warned): void {
  const { enforced, isPending, countdownMs } = warning;
  if (context.json || isPending) return;
  const end = enforced ? ` End the input within ${formatDuration(countdownMs)}, or nothing is appended.` : "";
  context.err.note(`forelock: ${printable(preemptedBy(warning).plainMessage)}${end}`);
}

async function appendAll(
  remote: Remote,
  run: AppendRun & { readonly token: bigint },
  signal: AbortSignal,
): Promise<Sum> {
  const { file, element, token, rest } = run;
  let bytes = 0;
  let records = 0;
  let piece: Uint8Array = run.first;
  for (;;) {
    signal.throwIfAborted();
    const last = await remote.append({ file, element, token, bytes: piece });
    bytes += piece.length;
    records += 1;
    const next = await orAbort(rest.next(), signal);
    if (next.done === true) return { bytes, records, last };
    piece = next.value;
  }
}

/** Standard input may stay silent for ever: an abort must not wait for it. */
function orAbort<Value>(promise: Promise<Value>, signal: AbortSignal): Promise<Value> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}

async function print(context: Context, file: string, { bytes, records, last }: Sum): Promise<void> {
  if (context.json) {
    const { length, version, index, offset } = last;
    await context.printJson({ file, appendedBytes: bytes, records, length, version, index, offset });
  } else {
    const pieces = records === 1 ? "" : ` in ${formatCount(records)} records`;
    await context.out.line(
      `${printable(file)}: appended ${formatBytes(bytes)}${pieces}; length ${formatCount(last.length)} bytes, version ${formatCount(last.version)}`,
    );
  }
}

/**
 * The bytes of a stream in pieces of exactly `bytesMax`, the last one smaller; nothing for an empty stream. A piece is handed
 * out only when it is full or the stream has ended, so the same input always makes the same records.
 */
export async function* splitPieces(
  stream: AsyncIterable<Uint8Array | string>,
  bytesMax: number,
): AsyncGenerator<Uint8Array> {
  let parts: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of stream) {
    let rest: Uint8Array = typeof chunk === "string" ? Buffer.from(chunk) : chunk;
    while (size + rest.length >= bytesMax) {
      const cut = bytesMax - size;
      yield Buffer.concat([...parts, rest.subarray(0, cut)]);
      rest = rest.subarray(cut);
      parts = [];
      size = 0;
    }
    if (rest.length > 0) {
      parts.push(rest);
      size += rest.length;
    }
  }
  if (size > 0) yield Buffer.concat(parts);
}
