// operation.ts: `forelock operation REF`: where an asynchronous request stands, awaiting it, withdrawing it.
import type { OperationStatus } from "@forelock/client";
import { ForelockError } from "@forelock/protocol";
import { type ForelockCommand, type Invocation, makeCommand, onRun, option } from "./command.ts";
import { parseDurationMs } from "./duration.ts";
import { exitCodeOfError } from "./exit-codes.ts";
import { holderText } from "./locks.ts";
import { formatCount, printable } from "./quantity.ts";
import type { Remote } from "./remote.ts";
import { UsageError } from "./usage-error.ts";

interface OperationOptions {
  readonly wait?: true;
  readonly cancel?: true;
  readonly timeout?: string;
}

export function operationCommand(invocation: Invocation): ForelockCommand {
  const command = makeCommand({
    usage: "operation REF",
    summary: "Show, await or cancel a request by its reference",
    examples: ["forelock operation $REF --wait --timeout 30s", "forelock operation $REF --cancel"],
    notes: [
      "Exit code: 0 when it is queued, granted or done, or was cancelled; otherwise that of the error it ended with, as for `lock`; with --timeout 112 when it was still queued.",
    ],
  })
    .argument("<reference>")
    .addOption(option("--wait", "Wait until it has ended"))
    .addOption(option("--timeout <duration>", "Wait at most this long; with --wait", { default: "no limit" }))
    .addOption(option("--cancel", "Withdraw it if it still waits; a grant is not touched"));
  return onRun<OperationOptions>(command, invocation, async (context, options, [reference = ""]) => {
    if (options.wait === true && options.cancel === true)
      throw new UsageError("--wait and --cancel exclude each other.");
    if (options.timeout !== undefined && options.wait !== true) throw new UsageError("--timeout goes with --wait.");
    const waitMs = options.timeout === undefined ? undefined : parseDurationMs("--timeout", options.timeout);
    // A cancel is a request of its own, which only a session can repeat safely.
    const session =
      options.cancel === true ? ({ session: "open", ttlMs: undefined } as const) : ({ session: "none" } as const);
    await using remote = await context.connect(session);
    if (options.cancel === true) {
      const cancelled = await remote.cancelOperation(reference);
      if (context.json) await context.printJson({ reference, cancelled });
      else await context.out.line(cancelled ? "cancelled" : "it had ended before; nothing was changed");
      return 0;
    }
    const deadlineMs = waitMs === undefined ? Number.POSITIVE_INFINITY : context.io.clock.monotonicMs() + waitMs;
    const leftMs = (): number => (options.wait === true ? Math.max(0, deadlineMs - context.io.clock.monotonicMs()) : 0);
    const reply = await awaitOperation(remote, reference, leftMs);
    if (context.json) await context.printJson(reply);
    else await context.out.lines(operationLines(reply));
    if (options.wait === true && reply.state === "queued") {
      throw new ForelockError("timeout", `The operation is still queued, at place ${reply.position}.`);
    }
    return reply.error === undefined ? 0 : exitCodeOfError(reply.error);
  });
}

/** A server answers a long wait in slices: a connection that died in silence is noticed at the next one. */
const SLICE_MS = 10_000;

async function awaitOperation(remote: Remote, reference: string, leftMs: () => number): Promise<OperationStatus> {
  for (;;) {
    const left = leftMs();
    const reply = await remote.operation(reference, Math.min(SLICE_MS, left));
    if (reply.state !== "queued" || leftMs() <= 0) return reply;
  }
}

function operationLines(reply: OperationStatus): readonly string[] {
  const { state, position, grants, blockers, error } = reply;
  return [
    `${state}${state === "queued" ? `, place ${formatCount(position)}` : ""}`,
    ...grants.map((grant) => `  ${printable(grant.name)}  token ${grant.token}`),
    ...blockers.map((holder) => `  behind ${printable(holderText(holder))}  token ${holder.token}`),
    ...(error === undefined ? [] : [`  ${printable(error.message)}`]),
  ];
}
