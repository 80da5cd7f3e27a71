// cluster-dialogs.tsx: what an operator can do to a cluster, each with a reason: drain, take back, move, rebalance.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { plural } from "../format/format.ts";
import { ask } from "../wire/ask.ts";
import { ActionDialog } from "./action-dialog.tsx";

export type Change =
  | { readonly action: "drain" | "undrain"; readonly node: string }
  | { readonly action: "rebalance" }
  | { readonly action: "move"; readonly partition: number };

export interface ClusterDialogProps {
  readonly change: Change;
  /** Who can be given partitions. */
  readonly able: readonly string[];
  /** Of the partition to move. */
  readonly owner: string;
  readonly onClose: () => void;
}

export function ClusterDialog({ change, able, owner, onClose }: ClusterDialogProps): JSX.Element {
  switch (change.action) {
    case "drain":
      return (
        <ActionDialog
          title={`Drain ${change.node}`}
          explanation="It gives away every partition it owns, and gets nothing new, also after a restart, until it is taken back. Requests go on."
          verb="Drain"
          isDangerous
          act={async (reason) => {
            const { partitions = 0 } = await ask("change-cluster", { ...change, reason });
            return `${change.node} is to be drained: ${plural(partitions, "partition")} to give away.`;
          }}
          onClose={onClose}
        />
      );
    case "undrain":
      return (
        <ActionDialog
          title={`Take ${change.node} back`}
          explanation="It takes its share of the partitions again."
          verb="Take back"
          act={async (reason) => {
            await ask("change-cluster", { ...change, reason });
            return `${change.node} takes its share again.`;
          }}
          onClose={onClose}
        />
      );
    case "rebalance":
      return (
        <ActionDialog
          title="Rebalance"
          explanation="What was moved by hand is forgotten: partitions go where they are even, with the fewest moves."
          verb="Rebalance"
          act={async (reason) => {
            const { partitions = 0 } = await ask("change-cluster", { ...change, reason });
            return `Forgot ${plural(partitions, "move")} by hand.`;
          }}
          onClose={onClose}
        />
      );
    case "move":
      return <MoveDialog partition={change.partition} able={able} owner={owner} onClose={onClose} />;
  }
}

interface MoveDialogProps extends Omit<ClusterDialogProps, "change"> {
  readonly partition: number;
}

function MoveDialog({ partition, able, owner, onClose }: MoveDialogProps): JSX.Element {
  const others = able.filter((id) => id !== owner);
  const [node, setNode] = useState(others[0] ?? owner);
  const act = async (reason: string): Promise<string> => {
    const { partitions = 0 } = await ask("change-cluster", { action: "move", partition, node, reason });
    return partitions === 0
      ? `Partition ${partition} is at ${node} already.`
      : `Partition ${partition} is to move to ${node}.`;
  };
  return (
    <ActionDialog
      title={`Move partition ${partition}`}
      explanation={`It is at ${owner === "" ? "no node" : owner}. It stays where it is moved to while that node lives and is not draining, until a rebalance.`}
      verb="Move"
      act={act}
      onClose={onClose}
    >
      <label>
        To node
        <select value={node} onChange={(event) => setNode(event.currentTarget.value)}>
          {able.map((id) => (
            <option key={id} value={id}>
              {id}
              {id === owner ? " (its owner: stay there)" : ""}
            </option>
          ))}
        </select>
      </label>
    </ActionDialog>
  );
}
