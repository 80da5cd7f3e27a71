// parts.ts: one part of a batch, as whoever drives the batch reaches it: in this node, or through the cluster at the owner of its partition.
// Not here: the order of the steps (batches.ts), connections between nodes (cluster/peers.ts).
//   P1. A step is answered when it is durable, or rejected: then nobody knows whether it was taken, and it is asked again.
import {
  assert,
  type ErrorCode,
  ForelockError,
  isErrorCode,
  Mode as MessageMode,
  type PartReply,
  PartState,
  type PartStep,
} from "@forelock/protocol";
import { EXCLUSIVE, PERMIT, SHARED } from "../lock/mode.ts";
import type { CommandPart, Fence, PartCommand, Refusal, SessionIdentity } from "../partition/commands.ts";
import type { FencingToken, PartitionState, Wait } from "../partition/state.ts";
import type { Shard } from "./shard.ts";
import type { EvidenceOfOthers } from "./thresholds.ts";

/** Where a part stands; `gone` when there is none. */
export type PartAnswer =
  | { readonly kind: "gone" }
  | { readonly kind: "waiting" }
  | { readonly kind: "reserved" }
  | { readonly kind: "confirmed"; readonly token: FencingToken }
  | { readonly kind: "refused"; readonly code: ErrorCode; readonly message: string };

/** The other nodes of the cluster. Undefined at a node that is alone. */
export interface Peers extends EvidenceOfOthers {
  isHere(partition: number): boolean;
  /** @throws ForelockError when the step was not answered: it may have been taken */
  step(partition: number, step: PartStep): Promise<PartReply>;
  /** Until owners have changed, or a moment. */
  pause(): Promise<void>;
  /** A heartbeat of the node came. */
  heard(id: string): void;
  /** How long a batch that must not wait may look for the owners of its parts. */
  readonly holdMs: number;
}

export type StepCommand =
  | PartCommand
  /** Changes nothing: answered when the part does not wait any more, or after `waitMs`. */
  | { readonly kind: "await_part"; readonly part: string; readonly waitMs: number };

export function lookAt(state: PartitionState, key: string): PartAnswer {
  const part = state.parts.get(key);
  if (part === undefined) return { kind: "gone" };
  if (!("element" in part)) return { kind: "waiting" };
  return part.reserved ? { kind: "reserved" } : { kind: "confirmed", token: part.token };
}

export function waitOf(state: PartitionState, key: string): Wait | undefined {
  const part = state.parts.get(key);
  return part === undefined || "element" in part ? undefined : part;
}

/** P1 */
export function submitStep(shard: Shard, command: PartCommand): Promise<PartAnswer> {
  return new Promise((resolve, reject) => {
    shard.submit(
      command,
      (state, refusal) => {
        const answer = refusal === undefined ? lookAt(state, command.part) : refused(refusal);
        return () => resolve(answer);
      },
      reject,
    );
  });
}

export function lookDurably(shard: Shard, key: string): Promise<PartAnswer> {
  return new Promise((resolve, reject) => {
    shard.read((state) => {
      const answer = lookAt(state, key);
      return () => resolve(answer);
    }, reject);
  });
}

const refused = ({ code, message }: Refusal): PartAnswer => ({ kind: "refused", code, message });

const MODES = [MessageMode.EXCLUSIVE, MessageMode.SHARED, MessageMode.PERMIT] as const;

export function stepMessage(name: string, command: StepCommand): PartStep {
  const common = { part: command.part, name };
  if (command.kind === "await_part")
    return { ...common, fence: 0, step: { $case: "await", value: { waitMs: Math.ceil(command.waitMs) } } };
  const fenced = { ...common, fence: command.fence?.number ?? 0 };
  switch (command.kind) {
    case "reserve_part": {
      const { id: session, secretHash, principal, client, ttlMs } = command.session;
      const { mode, take, limit } = command.element;
      const value = {
        ...{ session, secretHash, principal, client, ttlMs, mode: MODES[mode], take, limit },
        ...{ rollback: command.rollback, actor: command.actor },
      };
      return { ...fenced, step: { $case: "reserve", value } };
    }
    case "confirm_part":
      return { ...fenced, step: { $case: "confirm", value: {} } };
    case "abandon_part":
      return { ...fenced, step: { $case: "abandon", value: {} } };
  }
}

/** @throws ForelockError `bad_argument` for what no node of this version sends */
export function stepCommand({ part, name, fence, step }: PartStep): StepCommand {
  const common = {
    part,
    fence: fence === 0 ? undefined : ({ home: batchOfPart(part).partition, number: fence } as Fence),
  };
  switch (step?.$case) {
    case "reserve": {
      const { session: id, secretHash, principal, client, ttlMs, mode, take, limit, rollback, actor } = step.value;
      const session: SessionIdentity = { id, secretHash, principal, client, ttlMs };
      const element: CommandPart = { name, mode: modeOf(mode), take, limit };
      return { kind: "reserve_part", ...common, session, element, rollback, actor };
    }
    case "await":
      return { kind: "await_part", part, waitMs: step.value.waitMs };
    case "confirm":
      return { kind: "confirm_part", ...common };
    case "abandon":
      return { kind: "abandon_part", ...common };
    default:
      throw new ForelockError("bad_argument", "part.step: missing, or of a kind that this node does not know.");
  }
}

function modeOf(mode: MessageMode): CommandPart["mode"] {
  if (mode === MessageMode.SHARED) return SHARED;
  return mode === MessageMode.PERMIT ? PERMIT : EXCLUSIVE;
}

export function partReply(answer: PartAnswer): PartReply {
  const none = { state: PartState.GONE, token: 0n, refused: undefined };
  switch (answer.kind) {
    case "gone":
      return none;
    case "waiting":
      return { ...none, state: PartState.WAITING };
    case "reserved":
      return { ...none, state: PartState.RESERVED };
    case "confirmed":
      return { ...none, state: PartState.CONFIRMED, token: answer.token };
    case "refused":
      return { ...none, refused: { code: answer.code, message: answer.message, detailsJson: "", retryAfterMs: 0 } };
  }
}

export function partAnswer({ state, token, refused }: PartReply): PartAnswer {
  if (refused !== undefined) {
    const { code, message } = refused;
    return { kind: "refused", code: isErrorCode(code) ? code : "internal", message };
  }
  switch (state) {
    case PartState.WAITING:
      return { kind: "waiting" };
    case PartState.RESERVED:
      return { kind: "reserved" };
    case PartState.CONFIRMED:
      assert(token > 0n, "a confirmed part has its token");
      return { kind: "confirmed", token: token as FencingToken };
    default:
      return { kind: "gone" };
  }
}

/** What a part is known by in its partition: no request id of a client has dots. */
export function partKey(partition: number, batch: number, index: number): string {
  return `${batchKey(partition, batch)}.${index}`;
}

export function batchKey(partition: number, batch: number): string {
  return `batch.${partition}.${batch}`;
}

export function batchKeyOf(key: string): string {
  return key.slice(0, key.lastIndexOf("."));
}

/** Keys have dots, which request ids of callers never have. */
export function isPartKey(requestId: string): boolean {
  return requestId.startsWith("batch.");
}

/** The batch of a part, in its home partition. */
export function batchOfPart(key: string): { readonly partition: number; readonly batch: number } {
  const [, partition, batch] = key.split(".");
  return { partition: Number(partition), batch: Number(batch) };
}
