// slot.ts: what this node is to one partition. Not here: how it becomes something else (ownership.ts).
import { ForelockError } from "@forelock/protocol";
import type { Replica } from "./replica.ts";

export type Slot =
  | { readonly kind: "away" }
  /** Reads the snapshot. */
  | { readonly kind: "loading" }
  | { readonly kind: "following"; readonly replica: Replica; readonly end: () => void }
  /** Its state differed from the owner's: this process takes nothing over with it. */
  | { readonly kind: "broken" }
  | { readonly kind: "taking"; readonly replica: Replica }
  | { readonly kind: "leading" }
  | { readonly kind: "giving"; readonly to: string };

/** Another node has the partition: the log refused what only its owner may write. */
export const isFenced = (error: unknown): boolean => error instanceof ForelockError && error.code === "fenced";

/** It is led by another node: whoever asked has to ask there. */
export const isNotOwner = (error: unknown): boolean => error instanceof ForelockError && error.code === "not_owner";
