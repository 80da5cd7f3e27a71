// lock/operation.ts: asynchronous locking as users see it: a place in a queue that has a name.
// Not here: how it is kept (queued-operation.ts, remote-operation.ts).
import type { ForelockError } from "../errors.ts";
import type { Eta, HoldForecast, Risk } from "../inspect/prediction.ts";
import type { Lock, LockOptions, RequestOptions } from "./lock.ts";

export interface EnqueueOptions extends LockOptions {
  /** How long the outcome is remembered after the end, in milliseconds. Default: the server's. */
  readonly keepMs?: number;
  /** Told whenever the place or the forecast of the wait changed much. */
  readonly onMoved?: (position: number, eta: Eta | undefined) => void;
}

export type OperationState = "queued" | "granted" | "ended";

/** Where an operation stands. */
export interface Progress {
  readonly state: OperationState;
  /** 1 is next; 0 once it is not queued any more. */
  readonly position: number;
  /** The rest of the wait; undefined without a forecast. */
  readonly eta: Eta | undefined;
  /** The grant is predicted to come within the next moments. */
  readonly soon: boolean;
}

/** Who stands in the way. */
export interface Holder {
  readonly session: string;
  /** Empty without the right to read it. */
  readonly principal: string;
  readonly token: bigint;
  readonly mode: Lock["mode"];
  readonly heldMs: number;
  readonly take: number;
  /** Not heard from for a third of its ttl. */
  readonly silent: boolean;
  /** The program's own name for itself. */
  readonly client: string;
  /** How long the hold will last in all; absent without history. */
  readonly forecast: HoldForecast | undefined;
  /** Only of contended grants, and of those that were warned. */
  readonly risk: Risk | undefined;
}

/** Of this client's session. */
export interface Operation extends Progress {
  /** Names it for `client.operation`, from any connection of the same principal. */
  readonly reference: string;
  /** Who held it when it was asked for; at most 8. */
  readonly blockers: readonly Holder[];
  /** The lock, once granted. Each call gives the same lock. An aborted signal ends this waiting only: see `cancel`. */
  granted(options?: RequestOptions): Promise<Lock>;
  /**
   * Where it stands, now and after each change, until it is granted or has ended: that is the last. Does not throw for an operation
   * that ended without a grant; `granted` does. A slow loop sees the newest state, and not every one.
   */
  progress(options?: RequestOptions): AsyncIterable<Progress>;
  /** Leaves the queue. False when it had ended before; a lock it got stays with `granted`. */
  cancel(options?: RequestOptions): Promise<boolean>;
}

export interface OperationStatus {
  readonly reference: string;
  readonly state: OperationState;
  readonly position: number;
  /** While queued: the rest of the wait, where there is a forecast. */
  readonly eta: Eta | undefined;
  readonly blockers: readonly Holder[];
  /** What was granted: names and tokens. The grant lives with the session that asked for it. */
  readonly grants: readonly { readonly name: string; readonly token: bigint }[];
  /** Why it ended without a grant. */
  readonly error: ForelockError | undefined;
}

/** By reference, whoever started it. */
export interface RemoteOperation {
  readonly reference: string;
  /** Where it stands now. @throws ForelockError `operation_unknown` */
  status(options?: RequestOptions): Promise<OperationStatus>;
  /** Where it stands when it has ended, or after `waitMs` (absent: without limit). */
  wait(options?: RequestOptions & { readonly waitMs?: number }): Promise<OperationStatus>;
  cancel(options?: RequestOptions): Promise<boolean>;
}
