// lock/terms.ts: what was agreed for a grant when it was asked for, beyond what the server keeps.
import type { OnWarning } from "../warning/warning.ts";
import type { LockOptions } from "./lock.ts";

export interface Terms {
  readonly onWarning: OnWarning | undefined;
  /** What was done under it is undone when it is lost. */
  readonly isUndone: boolean;
  /** Its release is that of a callback (`withLock`): a warning ends the work by the signal, and the end of the work releases. */
  readonly isOfCallback: boolean;
}

/** Undefined, without a trace on the hot path, for most locks. */
export function termsOf(
  options: Pick<LockOptions, "onWarning" | "onLoss"> | undefined,
  isOfCallback = false,
): Terms | undefined {
  if (options === undefined) return undefined;
  const isUndone = options.onLoss === "rollback";
  if (options.onWarning === undefined && !isUndone) return undefined;
  return { onWarning: options.onWarning, isUndone, isOfCallback };
}
