// ownership-options.ts: what Ownership needs of the node it runs in.
import type { Clock } from "../clock.ts";
import type { Contents } from "./contents.ts";
import type { Membership } from "./membership.ts";
import type { SharedLog } from "./shared-log.ts";

export interface OwnershipOptions {
  readonly log: SharedLog;
  readonly contents: Contents;
  readonly clock: Clock;
  readonly partitions: number;
  readonly nodeId: string;
  /** This process, as it stands in epoch records. */
  readonly self: string;
  readonly leaseMs: number;
  readonly members: () => Membership;
  readonly growthRefused: () => string | undefined;
  /** This node has begun to lead the partition. */
  readonly led: (partition: number) => void;
  readonly note: (line: string, fields: Readonly<Record<string, unknown>>) => void;
}
