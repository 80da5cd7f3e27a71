// cluster-wait.ts: looks at a cluster until what an operator wanted has come true, with progress on standard error.
//   W1. It ends: when it is true, when the time is over, or when nobody wants it any more.
import type { ClusterChange, ClusterReport } from "@forelock/client";
import { ForelockError } from "@forelock/protocol";
import type { Context } from "./context.ts";
import { plural, printable } from "./quantity.ts";
import type { Remote } from "./remote.ts";

export interface Wait {
  readonly change: ClusterChange;
  /** Undefined: no limit. */
  readonly timeoutMs: number | undefined;
}

const LOOK_MS = 250;

interface Progress {
  readonly isDone: boolean;
  /** The node that was asked knows of the wish. It may hear of it a moment after it was written. */
  readonly isWished: boolean;
  readonly text: string;
}

/** @throws ForelockError `timeout`; `cancelled` when the wish was taken back */
export async function untilDone(context: Context, remote: Remote, { change, timeoutMs }: Wait): Promise<void> {
  const { clock } = context.io;
  const untilMs = clock.monotonicMs() + (timeoutMs ?? Number.POSITIVE_INFINITY);
  let wasWished = false;
  let told = "";
  try {
    for (;;) {
      const { isDone, isWished, text } = progressOf(change, await remote.cluster(1));
      if (isDone && isWished) return;
      if (wasWished && !isWished) throw new ForelockError("cancelled", `It was taken back meanwhile: ${text}.`);
      wasWished = isWished;
      if (text !== told) context.err.live(text);
      told = text;
      if (clock.monotonicMs() >= untilMs)
        throw new ForelockError("timeout", `It has not come true yet: ${text}. The wish stands.`);
      await new Promise<void>((resolve) => {
        clock.after(Math.min(LOOK_MS, Math.max(1, untilMs - clock.monotonicMs())), resolve);
      });
    }
  } finally {
    context.err.settle();
  }
}

function progressOf(change: ClusterChange, { nodes, partitions }: ClusterReport): Progress {
  switch (change.action) {
    case "drain": {
      const node = nodes.find(({ id }) => id === change.node);
      const left = partitions.filter(({ owner }) => owner === change.node).length;
      const nobodys = partitions.filter(({ owner }) => owner === "").length;
      const text = `${printable(change.node)}: ${plural(left, "partition")} left${nobodys === 0 ? "" : `, ${nobodys} without an owner`}`;
      // A node that is gone for good leaves no record, and owns nothing.
      return { isDone: left === 0 && nobodys === 0, isWished: node?.draining ?? true, text };
    }
    case "move": {
      const row = partitions.find(({ partition }) => partition === change.partition);
      const at = row === undefined || row.owner === "" ? "nobody" : printable(row.owner);
      const text = `partition ${change.partition}: at ${at}, wished for ${printable(change.node)}`;
      return { isDone: row?.owner === change.node, isWished: row?.pinned === change.node, text };
    }
    case "undrain":
    case "rebalance":
      return { isDone: true, isWished: true, text: "" };
  }
}
