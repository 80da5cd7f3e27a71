// commands.ts: what can be asked of a partition. All that is not in its state (who is alive, how long ago, what was drawn) is here.
import type { ErrorCode } from "@forelock/protocol";
import type { Mode } from "../lock/mode.ts";
import type { PartitionEvent, SessionEnd } from "./events.ts";
import type { FencingToken, PolicyRow, Terms, WarningCause } from "./state.ts";

/** Who a session is, so that its first command in a partition can register it there. */
export interface SessionIdentity {
  /** base64url of 16 bytes. */
  readonly id: string;
  readonly secretHash: string;
  readonly principal: string;
  readonly client: string;
  readonly ttlMs: number;
}

/** How the same request is found again. */
export interface RequestId {
  /** 1 or more; 0 when only `requestId` counts. */
  readonly sequence: number;
  /** "" unless the operation is to be kept. */
  readonly requestId: string;
  readonly keepMs: number;
  /** Hash of kind and arguments. */
  readonly digest: number;
}

export interface CommandPart {
  readonly name: string;
  readonly mode: Mode;
  readonly take: number;
  readonly limit: number;
}

/** Commands of a session, each an operation that is remembered. */
export type SessionCommand =
  | {
      readonly kind: "acquire";
      readonly session: SessionIdentity;
      readonly request: RequestId;
      readonly parts: readonly CommandPart[];
      /** -1: without a limit. 0: try. */
      readonly waitMs: number;
      readonly priority: number;
      readonly rollback: boolean;
      readonly actor: string;
      /** 0n, or the token of the grant to enter again. */
      readonly reenter: FencingToken;
      /** Undefined for most. */
      readonly terms: Terms | undefined;
      /** Why those are not allowed. Judged before, told only of a request that is not known: an answer does not change. */
      readonly termsRefusal?: Refusal | undefined;
    }
  | {
      readonly kind: "upgrade";
      readonly session: SessionIdentity;
      readonly request: RequestId;
      readonly name: string;
      readonly token: FencingToken;
      readonly waitMs: number;
    }
  | {
      readonly kind: "downgrade";
      readonly session: SessionIdentity;
      readonly request: RequestId;
      readonly name: string;
      readonly token: FencingToken;
    }
  | {
      readonly kind: "release";
      readonly session: SessionIdentity;
      readonly request: RequestId;
      readonly name: string;
      readonly token: FencingToken;
      readonly undo: boolean;
    }
  | {
      readonly kind: "cancel";
      readonly session: SessionIdentity;
      readonly request: RequestId;
      readonly target: OperationTarget;
    }
  | {
      readonly kind: "append";
      readonly session: SessionIdentity;
      readonly request: RequestId;
      readonly file: string;
      readonly element: string;
      readonly token: FencingToken;
      readonly bytes: Uint8Array;
      readonly checksum: number;
    }
  | {
      readonly kind: "open_batch";
      readonly session: SessionIdentity;
      readonly request: RequestId;
      readonly parts: readonly CommandPart[];
      readonly waitMs: number;
      readonly rollback: boolean;
      readonly actor: string;
    }
  | AcknowledgeWarning;

/** An acknowledgement of a warning; whether an extension is allowed was judged before. */
export interface AcknowledgeWarning {
  readonly kind: "acknowledge_warning";
  readonly session: SessionIdentity;
  readonly request: RequestId;
  readonly warning: number;
  /** 0: none is asked for. */
  readonly extensionMs: number;
  /** "" when the extension is allowed. */
  readonly refusal: string;
  /** What the policy allowed when that was judged: others may have been granted since. */
  readonly extensionsMax?: number;
}

/** An operation as its reference names it. */
export type OperationTarget =
  | { readonly kind: "kept"; readonly principal: string; readonly requestId: string }
  | { readonly kind: "session"; readonly principal: string; readonly sessionId: string; readonly sequence: number };

/** Who drives a batch, of all that ever drove one of its home partition: rises with each driver, and when an answer of it was lost. */
export interface Fence {
  readonly home: number;
  readonly number: number;
}

/** A part of a batch, by the key that its home partition gave it. Without a fence there is one driver only, whose steps come in order. */
export type PartCommand =
  | {
      readonly kind: "reserve_part";
      readonly fence?: Fence | undefined;
      readonly session: SessionIdentity;
      readonly part: string;
      readonly element: CommandPart;
      readonly rollback: boolean;
      readonly actor: string;
    }
  | { readonly kind: "confirm_part"; readonly fence?: Fence | undefined; readonly part: string }
  | { readonly kind: "abandon_part"; readonly fence?: Fence | undefined; readonly part: string };

export type BatchCommand =
  | PartCommand
  | { readonly kind: "confirm_batch"; readonly batch: number }
  | {
      readonly kind: "grant_batch";
      readonly batch: number;
      readonly grants: readonly { readonly name: string; readonly token: FencingToken }[];
    }
  | { readonly kind: "end_batch"; readonly batch: number; readonly code: ErrorCode; readonly message: string };

export type OwnerCommand =
  | { readonly kind: "start"; readonly epoch: number }
  /** Waits that time out and kept operations that are forgotten, by the partition clock. */
  | { readonly kind: "tick" }
  | { readonly kind: "session_heard"; readonly sessionId: string }
  /** Not heard for `silentMs` of the owner's clock. */
  | { readonly kind: "session_silent"; readonly sessionId: string; readonly silentMs: number }
  | { readonly kind: "end_session"; readonly sessionId: string; readonly why: SessionEnd; readonly reason: string }
  | {
      readonly kind: "acknowledge";
      readonly sessionId: string;
      readonly below: number;
      readonly settled: readonly number[];
    }
  | { readonly kind: "create_file"; readonly name: string }
  | {
      readonly kind: "force_release";
      readonly name: string;
      readonly token: FencingToken;
      readonly by: string;
      readonly reason: string;
    }
  /** Holders of an element, or one wait, are at risk: they are warned, unless they were. */
  | {
      readonly kind: "warn";
      readonly name: string;
      /** 0n: all holders. */
      readonly token: FencingToken;
      /** 0: holders are meant. */
      readonly wait: number;
      readonly cause: WarningCause;
    }
  | { readonly kind: "set_policy"; readonly prefix: string; readonly row: PolicyRow }
  | { readonly kind: "compensated"; readonly compensation: number; readonly isDelivered: boolean }
  /** A cycle of waiters was seen twice, and this one is the cheapest to refuse: if it still waits. */
  | { readonly kind: "break_deadlock"; readonly wait: number; readonly message: string };

export type Command = SessionCommand | BatchCommand | OwnerCommand;

/** What is decided: events to apply and log, or a refusal. Neither: the request was known, and its operation has the answer. */
export interface Decision {
  readonly events: readonly PartitionEvent[];
  readonly refusal: Refusal | undefined;
}

export interface Refusal {
  readonly code: ErrorCode;
  /** Names the field, the value and the allowed range where there is one. */
  readonly message: string;
  readonly details?: Readonly<Record<string, unknown>>;
  readonly retryAfterMs?: number;
}

/** The settings that `decide` looks at; replay does not need them. */
export interface PartitionLimits {
  readonly waitersMax: number;
  readonly locksMax: number;
  readonly sessionsMax: number;
  readonly tombstonesMax: number;
  readonly unansweredMax: number;
  readonly keptMax: number;
  readonly priorityStepMs: number;
  readonly fileBytesMax: number;
  readonly filesMax: number;
  readonly fileCreate: "append" | "listed";
  readonly effectsMax: number;
  /** Deadlines handled in one turn. */
  readonly dueMax: number;
}
