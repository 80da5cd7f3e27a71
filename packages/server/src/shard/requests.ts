// requests.ts: commands of a partition from operations of the protocol. Operations arrive validated (edge/validate.ts).
// The digest covers the kind and every argument: the same request id with anything else is refused as reused.
import { crc32 } from "node:zlib";
import {
  type AcquireAllRequest,
  type AcquireRequest,
  assert,
  Mode,
  OnLoss,
  type Operation,
  Preemptible,
} from "@forelock/protocol";
import { EXCLUSIVE, type Mode as LockMode, PERMIT, SHARED } from "../lock/mode.ts";
import type {
  CommandPart,
  OperationTarget,
  Refusal,
  RequestId,
  SessionCommand,
  SessionIdentity,
} from "../partition/commands.ts";
import { hashText } from "../partition/hash.ts";
import type { Terms } from "../partition/state.ts";
import { tokenHigh, tokenLow } from "../partition/token.ts";
import { parseWarning } from "./reference.ts";

const NO_WAIT_LIMIT = -1;

export interface Asker {
  readonly session: SessionIdentity;
  readonly keepMsDefault: number;
  readonly keepMsMax: number;
}

const combine = (hash: number, value: number): number => Math.imul(hash ^ value, 0x85ebca6b) ^ (hash >>> 13);
const tokenBits = (token: bigint): number => tokenLow(token) ^ tokenHigh(token);

function requestId(operation: Operation, asker: Asker, digest: number): RequestId {
  const { keep } = operation;
  if (keep === undefined) return { sequence: operation.sequence, requestId: "", keepMs: 0, digest: digest | 0 };
  const keepMs = keep.keepMs === 0 ? asker.keepMsDefault : Math.min(keep.keepMs, asker.keepMsMax);
  return { sequence: operation.sequence, requestId: keep.requestId, keepMs, digest: digest | 0 };
}

const LOCK_MODES: Readonly<Record<Mode, LockMode>> = {
  [Mode.EXCLUSIVE]: EXCLUSIVE,
  [Mode.SHARED]: SHARED,
  [Mode.PERMIT]: PERMIT,
  [Mode.UNRECOGNIZED]: EXCLUSIVE,
};

function partOf(wanted: {
  readonly name: string;
  readonly mode: Mode;
  readonly permits: number;
  readonly take: number;
}): CommandPart {
  const mode = LOCK_MODES[wanted.mode];
  return mode === PERMIT
    ? { name: wanted.name, mode, take: Math.max(1, wanted.take), limit: wanted.permits }
    : { name: wanted.name, mode, take: 1, limit: 0 };
}

const partDigest = (hash: number, part: CommandPart): number =>
  combine(combine(hash, hashText(part.name)), part.mode | ((part.take << 2) ^ (part.limit << 12)));

function termsOf({ preemptible, compensation }: AcquireRequest): Terms | undefined {
  if (preemptible === Preemptible.BY_POLICY && compensation === undefined) return undefined;
  return { never: preemptible === Preemptible.NEVER, compensation };
}

/** @param termsRefusal why the terms that it asks for are not allowed, if they are not */
export function acquireCommand(
  operation: Operation,
  wanted: AcquireRequest,
  asker: Asker,
  termsRefusal: Refusal | undefined,
): SessionCommand {
  const part = partOf(wanted);
  const rollback = wanted.onLoss === OnLoss.ROLLBACK;
  let digest = partDigest(1, part);
  if (
    rollback ||
    wanted.priority !== 0 ||
    wanted.waitMs !== undefined ||
    wanted.reenter !== 0n ||
    wanted.actor !== ""
  ) {
    digest = combine(combine(digest, wanted.priority * 4 + (rollback ? 2 : 0)), wanted.waitMs ?? NO_WAIT_LIMIT);
    digest = combine(combine(digest, tokenBits(wanted.reenter)), hashText(wanted.actor));
  }
  const terms = termsOf(wanted);
  if (terms !== undefined) {
    const { compensation } = terms;
    const text =
      compensation === undefined ? "" : `${compensation.url}\n${compensation.argument}\n${compensation.blocks}`;
    digest = combine(combine(digest, terms.never ? 1 : 0), hashText(text));
  }
  return {
    kind: "acquire",
    session: asker.session,
    request: requestId(operation, asker, digest),
    parts: [part],
    waitMs: wanted.waitMs ?? NO_WAIT_LIMIT,
    priority: wanted.priority,
    rollback,
    actor: wanted.actor,
    reenter: wanted.reenter,
    terms,
    termsRefusal,
  };
}

/**
 * One global order, so that batches cannot wait for each other in a circle: that of the names' bytes, but with `/` before all
 * others, so that an element stands right before all that lie below it, with which it conflicts.
 */
const orderOf = (name: string): Buffer => Buffer.from(name.replaceAll("/", "\0"));

/** All elements in one partition: one request. In several: a batch, at home in the partition of its first name. */
function byOrder(a: { readonly name: string }, b: { readonly name: string }): number {
  return Buffer.compare(orderOf(a.name), orderOf(b.name));
}

/** The name whose partition keeps a batch: the first in the order in which its parts are taken. */
export function homeOf(elements: readonly { readonly name: string }[]): string | undefined {
  const [first, ...others] = elements;
  return first && others.reduce((home, other) => (byOrder(other, home) < 0 ? other : home), first).name;
}

export function acquireAllCommand(
  operation: Operation,
  wanted: AcquireAllRequest,
  asker: Asker,
  isOnePartition: boolean,
): SessionCommand {
  const parts = wanted.elements.map(partOf).sort(byOrder);
  const rollback = wanted.onLoss === OnLoss.ROLLBACK;
  const waitMs = wanted.waitMs ?? NO_WAIT_LIMIT;
  const digest = combine(combine(parts.reduce(partDigest, 2), rollback ? 1 : 0), waitMs ^ hashText(wanted.actor));
  const request = requestId(operation, asker, digest);
  const terms = { session: asker.session, request, parts, waitMs, rollback, actor: wanted.actor };
  return isOnePartition
    ? { kind: "acquire", ...terms, priority: 0, reenter: 0n, terms: undefined }
    : { kind: "open_batch", ...terms };
}

/** The other operations of a session. `target` is parsed from a Cancel's reference by the caller. */
export function otherCommand(operation: Operation, asker: Asker, target: OperationTarget | undefined): SessionCommand {
  const { body } = operation;
  assert(body !== undefined, "an operation has a body");
  const { session } = asker;
  switch (body.$case) {
    case "release": {
      const { name, token, undo } = body.value;
      const digest = combine(combine(3, hashText(name)), tokenBits(token) ^ (undo ? 1 : 0));
      return { kind: "release", session, request: requestId(operation, asker, digest), name, token, undo };
    }
    case "upgrade": {
      const { name, token } = body.value;
      const waitMs = body.value.waitMs ?? NO_WAIT_LIMIT;
      const digest = combine(combine(combine(4, hashText(name)), tokenBits(token)), waitMs);
      return { kind: "upgrade", session, request: requestId(operation, asker, digest), name, token, waitMs };
    }
    case "downgrade": {
      const { name, token } = body.value;
      const digest = combine(combine(5, hashText(name)), tokenBits(token));
      return { kind: "downgrade", session, request: requestId(operation, asker, digest), name, token };
    }
    case "cancel": {
      assert(target !== undefined, "a cancel has a target");
      const text = target.kind === "kept" ? target.requestId : `${target.sessionId}.${target.sequence}`;
      return { kind: "cancel", session, request: requestId(operation, asker, combine(6, hashText(text))), target };
    }
    case "append": {
      const { file, token, bytes } = body.value;
      const element = body.value.element === "" ? file : body.value.element;
      const checksum = crc32(bytes);
      const digest = combine(combine(combine(7, hashText(file)), checksum), tokenBits(token) ^ hashText(element));
      return {
        kind: "append",
        session,
        request: requestId(operation, asker, digest),
        file,
        element,
        token,
        bytes,
        checksum,
      };
    }
    case "acknowledge": {
      const { warning, reason } = body.value;
      const extensionMs = body.value.extensionMs ?? 0;
      const digest = combine(combine(combine(8, hashText(warning)), extensionMs), hashText(reason));
      const id = parseWarning(warning)?.id ?? 0;
      return {
        kind: "acknowledge_warning",
        session,
        request: requestId(operation, asker, digest),
        warning: id,
        extensionMs,
        refusal: "",
      };
    }
    default:
      throw new Error(`${body.$case} is no operation of a session`);
  }
}
