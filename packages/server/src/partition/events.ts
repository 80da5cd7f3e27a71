// events.ts: what happened, as the log keeps it. `apply` turns each into the next state without looking at limits or time.
// Numbers of sessions and waits are the partition's own. Refusals are outcomes for the caller and are never logged, but for those
// that end an operation that was accepted before (`wait_ended`, `noted`).
import type { ErrorCode } from "@forelock/protocol";
import type { Mode } from "../lock/mode.ts";
import type { FencingToken, PolicyRow, Terms, WarningCause } from "./state.ts";

/** Which operation an event belongs to. */
export interface EventRequest {
  readonly session: number;
  /** 0 for operations known by their request id alone. */
  readonly sequence: number;
  /** "" unless the operation is kept. */
  readonly requestId: string;
  readonly keepMs: number;
  readonly digest: number;
}

export interface EventPart {
  readonly name: string;
  readonly mode: Mode;
  /** 1 but for permits. */
  readonly take: number;
  /** 0 but for permits. */
  readonly limit: number;
}

export type SessionEvent =
  | {
      readonly kind: "session_opened";
      readonly id: string;
      readonly secretHash: string;
      readonly principal: string;
      readonly client: string;
      readonly ttlMs: number;
    }
  /** Not heard since `sinceMs` of the partition clock. */
  | { readonly kind: "session_silent"; readonly session: number; readonly sinceMs: number }
  | { readonly kind: "session_heard"; readonly session: number }
  | { readonly kind: "session_ended"; readonly session: number; readonly why: SessionEnd; readonly reason: string }
  /** Results below `below`, and of the `settled` queued ones, are forgotten. */
  | {
      readonly kind: "acknowledged";
      readonly session: number;
      readonly below: number;
      readonly settled: readonly number[];
    }
  | { readonly kind: "tombstones_dropped"; readonly ids: readonly string[] };

export type SessionEnd = "expired" | "closed" | "forced";

export type LockEvent =
  | {
      readonly kind: "queued";
      readonly request: EventRequest;
      readonly parts: readonly EventPart[];
      readonly arrivalMs: number;
      /** -1: no limit. */
      readonly waitMs: number;
      readonly priority: number;
      readonly rollback: boolean;
      readonly actor: string;
      readonly reserve: boolean;
      /** 0n, or the token of the shared grant that is to become exclusive. */
      readonly upgradeOf: FencingToken;
    }
  /** Granted in the turn of the request, without a wait. */
  | {
      readonly kind: "granted";
      readonly request: EventRequest;
      readonly parts: readonly EventPart[];
      readonly rollback: boolean;
      readonly actor: string;
      readonly reserve: boolean;
      readonly upgradeOf: FencingToken;
    }
  | { readonly kind: "wait_granted"; readonly wait: number }
  | { readonly kind: "wait_ended"; readonly wait: number; readonly code: ErrorCode; readonly message: string }
  | { readonly kind: "reentered"; readonly request: EventRequest; readonly name: string; readonly token: FencingToken }
  | {
      readonly kind: "released";
      readonly request: EventRequest;
      readonly name: string;
      readonly token: FencingToken;
      readonly undo: boolean;
    }
  | { readonly kind: "downgraded"; readonly request: EventRequest; readonly name: string; readonly token: FencingToken }
  | {
      readonly kind: "forced";
      readonly name: string;
      readonly token: FencingToken;
      readonly by: string;
      readonly reason: string;
    }
  | { readonly kind: "cancelled"; readonly request: EventRequest; readonly wait: number };

export type FileEvent =
  | { readonly kind: "file_created"; readonly name: string }
  | {
      readonly kind: "appended";
      readonly request: EventRequest;
      readonly file: string;
      readonly element: string;
      readonly token: FencingToken;
      readonly bytes: Uint8Array;
      /** CRC-32 of `bytes`, unsigned. */
      readonly checksum: number;
    };

export type OperationEvent =
  /** An outcome that changed nothing else, remembered because its operation is kept. */
  | { readonly kind: "noted"; readonly request: EventRequest; readonly code: ErrorCode; readonly message: string }
  | { readonly kind: "kept_forgotten"; readonly keys: readonly string[] };

export type BatchEvent =
  | {
      readonly kind: "batch_opened";
      readonly request: EventRequest;
      readonly parts: readonly EventPart[];
      readonly waitMs: number;
      readonly rollback: boolean;
      readonly actor: string;
    }
  | { readonly kind: "batch_confirming"; readonly batch: number }
  | {
      readonly kind: "batch_granted";
      readonly batch: number;
      readonly grants: readonly { readonly name: string; readonly token: FencingToken }[];
    }
  | { readonly kind: "batch_ended"; readonly batch: number; readonly code: ErrorCode; readonly message: string }
  /** Its asker gave it up: it has its outcome, and stays until its parts are given up. */
  | { readonly kind: "batch_cancelled"; readonly request: EventRequest; readonly batch: number }
  /** A reserved grant of this partition gets its token. */
  | { readonly kind: "part_confirmed"; readonly part: string }
  | { readonly kind: "part_abandoned"; readonly part: string }
  /** Steps for batches of the home partition with a lower number are refused from now on. */
  | { readonly kind: "parts_fenced"; readonly home: number; readonly number: number };

/** Grants by name and token; a wait by its number, with an empty name. */
export interface EventTarget {
  /** 0: a grant. */
  readonly wait: number;
  readonly name: string;
  readonly token: FencingToken;
}

export type PreemptEvent =
  /** Follows the `granted` or `queued` that it belongs to. */
  | { readonly kind: "terms"; readonly target: EventTarget; readonly terms: Terms }
  | { readonly kind: "warned"; readonly target: EventTarget; readonly cause: WarningCause }
  /** `extensionMs` is 0 unless one was asked for and allowed; `refusal` says why it was not. */
  | {
      readonly kind: "warning_acknowledged";
      readonly request: EventRequest;
      readonly warning: number;
      readonly extensionMs: number;
      readonly refusal: string;
    }
  /** The countdown ended and nothing is forced: it is a warning only; a wait is passed over; or nobody waits any more. */
  | { readonly kind: "warning_over"; readonly warning: number; readonly why: "ignored" | "passed_over" | "withdrawn" }
  /** The countdown ended: the grant is fenced, released, and what was done under it undone. */
  | { readonly kind: "preempted"; readonly warning: number }
  | { readonly kind: "compensated"; readonly compensation: number; readonly isDelivered: boolean }
  | { readonly kind: "policy_set"; readonly prefix: string; readonly row: PolicyRow };

export type PartitionEvent =
  /** A new owner, or the same one after a restart: every session waits until it is heard from. */
  | { readonly kind: "started"; readonly epoch: number }
  | SessionEvent
  | LockEvent
  | FileEvent
  | OperationEvent
  | BatchEvent
  | PreemptEvent;
