// cluster.ts: `forelock cluster ...`: how a cluster is, and what an operator wants of it. Not here: tables (cluster-tables.ts), waiting
// until a wish has come true (cluster-wait.ts).
import type { ClusterChange } from "@forelock/client";
import { clusterLines } from "./cluster-tables.ts";
import { untilDone } from "./cluster-wait.ts";
import { type ForelockCommand, type Invocation, makeCommand, onRun, option } from "./command.ts";
import type { Context } from "./context.ts";
import { parseDurationMs } from "./duration.ts";
import { formatCount, parseCount, plural, printable } from "./quantity.ts";
import { parseReason, reasonOption } from "./reason.ts";
import type { Remote } from "./remote.ts";
import { UsageError } from "./usage-error.ts";

const MOVES_DEFAULT = 5;
const MOVES_MAX = 1_000;
const PARTITION_MAX = 4_294_967_295;

export function clusterCommand(invocation: Invocation): ForelockCommand {
  const command = makeCommand({
    usage: "cluster",
    summary: "Show and steer a cluster: nodes, partitions, etcd, moves",
    examples: ["forelock cluster status", "forelock cluster drain b --wait --reason 'a new disk'"],
  });
  for (const make of [statusCommand, drainCommand, undrainCommand, rebalanceCommand, moveCommand])
    command.addCommand(make(invocation));
  return command;
}

interface StatusOptions {
  readonly partitions?: true;
  readonly moves?: string;
}

function statusCommand(invocation: Invocation): ForelockCommand {
  const command = makeCommand({
    usage: "status",
    summary: "Show nodes, etcd, partitions that are not as they should be, and what moved of late",
    examples: [
      "forelock cluster status",
      "forelock cluster status --partitions --moves 50",
      "forelock cluster status --json",
    ],
    notes: [
      "Any node may be asked: it asks the others. A server that runs alone is its one node. Exit code: 0 whatever the state is; with --json everything is there, all partitions too.",
    ],
  })
    .addOption(option("--partitions", "Every partition, not only those that are not as they should be"))
    .addOption(option("--moves <count>", "Moves at most, the newest first", { default: formatCount(MOVES_DEFAULT) }));
  return onRun<StatusOptions>(command, invocation, async (context, options) => {
    const movesMax = parseCount("--moves", options.moves ?? String(MOVES_DEFAULT), { min: 1, max: MOVES_MAX });
    await using remote = await context.connect({ session: "none" });
    const report = await remote.cluster(movesMax);
    if (context.json) await context.printJson(report);
    else await context.out.lines(clusterLines(report, context.out, { isWhole: options.partitions === true }));
    return 0;
  });
}

interface ChangeOptions {
  readonly reason?: string;
  readonly wait?: true;
  readonly timeout?: string;
}

const WAIT_NOTE =
  "Exit code: 0 when the wish is written, with --wait when it has come true; 110 when it is refused, as for a node that the cluster does not know; 112 when --timeout ends first; 116 when it is taken back meanwhile, or the server runs alone. The wish stands when the command is stopped.";

function drainCommand(invocation: Invocation): ForelockCommand {
  const command = makeCommand({
    usage: "drain NODE",
    summary: "Have a node give away everything it owns, and get nothing new",
    examples: [
      "forelock cluster drain b --reason 'a new disk'",
      "forelock cluster drain b --wait --timeout 2m --reason 'upgrade' && systemctl restart forelock",
    ],
    notes: ["Clients go on without a failed request. It holds over restarts of the node, until `undrain`.", WAIT_NOTE],
  }).argument("<node>");
  return onChange(waiting(command), invocation, ([node = ""]) => ({ action: "drain", node }));
}

function undrainCommand(invocation: Invocation): ForelockCommand {
  const command = makeCommand({
    usage: "undrain NODE",
    summary: "Have a drained node take its share again",
    examples: ["forelock cluster undrain b --reason 'the disk is in'"],
  }).argument("<node>");
  return onChange(command, invocation, ([node = ""]) => ({ action: "undrain", node }));
}

function rebalanceCommand(invocation: Invocation): ForelockCommand {
  const command = makeCommand({
    usage: "rebalance",
    summary: "Forget what was moved by hand: partitions go where they are even, with the fewest moves",
    examples: ["forelock cluster rebalance --reason 'the hot partition is cool again'"],
  });
  return onChange(command, invocation, () => ({ action: "rebalance" }));
}

function moveCommand(invocation: Invocation): ForelockCommand {
  const command = makeCommand({
    usage: "move PARTITION NODE",
    summary: "Move a partition to a node, where it stays while the node lives and is not draining",
    examples: ["forelock cluster move 7 b --wait --reason 'the hot one gets a node of its own'"],
    notes: ["`forelock why NAME` tells the partition of a name. `rebalance` forgets all moves.", WAIT_NOTE],
  })
    .argument("<partition>")
    .argument("<node>");
  return onChange(waiting(command), invocation, ([partition = "", node = ""]) => ({
    action: "move",
    partition: parseCount("PARTITION", partition, { min: 0, max: PARTITION_MAX }),
    node,
  }));
}

function waiting(command: ForelockCommand): ForelockCommand {
  return command
    .addOption(option("--wait", "Wait until it has come true; progress on standard error"))
    .addOption(option("--timeout <duration>", "Wait at most this long; with --wait", { default: "no limit" }));
}

function onChange(
  command: ForelockCommand,
  invocation: Invocation,
  parse: (operands: readonly string[]) => ClusterChange,
): ForelockCommand {
  return onRun<ChangeOptions>(command.addOption(reasonOption()), invocation, async (context, options, operands) => {
    const change = parse(operands);
    const reason = parseReason(options.reason);
    if (options.timeout !== undefined && options.wait !== true) throw new UsageError("--timeout goes with --wait.");
    const timeoutMs = options.timeout === undefined ? undefined : parseDurationMs("--timeout", options.timeout);
    await using remote = await context.connect({ session: "none" });
    const partitions = await remote.changeCluster(change, reason);
    if (options.wait === true) await untilDone(context, remote, { change, timeoutMs });
    await sayDone(context, { change, partitions, isDone: options.wait === true });
    return 0;
  });
}

interface Done {
  readonly change: ClusterChange;
  readonly partitions: Awaited<ReturnType<Remote["changeCluster"]>>;
  /** It has come true, not only been written. */
  readonly isDone: boolean;
}

async function sayDone(context: Context, { change, partitions, isDone }: Done): Promise<void> {
  if (context.json) return context.printJson({ ...change, partitions, done: isDone });
  await context.out.line(sentence(change, partitions, isDone));
}

function sentence(change: ClusterChange, partitions: number, isDone: boolean): string {
  switch (change.action) {
    case "drain":
      return `${printable(change.node)}: ${isDone ? "drained" : "is to be drained"}, ${plural(partitions, "partition")} ${isDone ? "given away" : "to give away"}`;
    case "undrain":
      return `${printable(change.node)}: takes its share again`;
    case "rebalance":
      return `forgot ${plural(partitions, "move")} by hand`;
    case "move":
      if (partitions === 0) return `partition ${change.partition}: is at ${printable(change.node)} already`;
      return `partition ${change.partition}: ${isDone ? "is at" : "is to move to"} ${printable(change.node)}`;
  }
}
