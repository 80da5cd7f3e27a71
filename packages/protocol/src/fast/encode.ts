// fast/encode.ts: frames to bytes. What most frames hold (acquires, releases, their plain answers, grants) is written here; all else
// by the generated code, message by message.
// Not here: the other way (decode.ts), the length before a frame (the carrier's).
//   E1. The bytes are those of the generated code, and what that refuses to write throws the same.
//   E2. A message that sets a field unknown to this file goes through the generated code as a whole.
import {
  AcquireReply,
  AcquireRequest,
  ClientFrame,
  Grant,
  Notice,
  Operation,
  ReleaseReply,
  ReleaseRequest,
  Reply,
  ServerFrame,
} from "../generated/forelock.ts";
import { extraFieldsOf, setsExtra } from "./extra.ts";
import { type FastWriter, isFixed64, isUint32, textBytesMax, VARINT_BYTES_MAX } from "./writer.ts";

/** Tags and numbers of an operation or a reply, and of a grant: never more than this. */
const FIXED_BYTES_MAX = 160;

const IN_CLIENT_FRAME = extraFieldsOf(ClientFrame.create(), [
  ...(["hello", "lowestUnanswered", "operations", "settled", "heartbeat"] as const),
]);
const IN_SERVER_FRAME = extraFieldsOf(ServerFrame.create(), [
  ...(["welcome", "replies", "notices", "heartbeat", "closing"] as const),
]);
const IN_OPERATION = extraFieldsOf(Operation.create(), ["sequence", "keep", "body"]);
const IN_ACQUIRE = extraFieldsOf(AcquireRequest.create(), [
  ...(["name", "mode", "permits", "take", "waitMs", "priority", "onLoss", "actor", "reenter"] as const),
  ...(["preemptible", "compensation"] as const),
]);
const IN_RELEASE = extraFieldsOf(ReleaseRequest.create(), ["name", "token", "undo"]);
const IN_REPLY = extraFieldsOf(Reply.create(), ["sequence", "body"]);
const IN_NOTICE = extraFieldsOf(Notice.create(), ["body"]);
const IN_ACQUIRED = extraFieldsOf(AcquireReply.create(), [
  ...(["sequence", "reference", "state", "position", "grants", "partition"] as const),
  ...(["blockers", "error", "eta"] as const),
]);
const IN_GRANT = extraFieldsOf(Grant.create(), ["name", "token", "partition"]);
const IN_RELEASED = extraFieldsOf(ReleaseReply.create(), ["stillHeld", "undone"]);

/** Appends to what `writer` has begun. @throws what `ClientFrame.encode` throws */
export function encodeClientFrame(frame: ClientFrame, writer: FastWriter): void {
  if (frame.hello !== undefined || frame.heartbeat !== undefined || !Number.isSafeInteger(frame.lowestUnanswered)) {
    append(ClientFrame.encode(frame).finish(), writer);
    return;
  }
  if (frame.lowestUnanswered < 0 || frame.settled.length > 0 || setsExtra(frame, IN_CLIENT_FRAME)) {
    append(ClientFrame.encode(frame).finish(), writer);
    return;
  }
  if (frame.lowestUnanswered !== 0) {
    writer.room(1 + VARINT_BYTES_MAX);
    writer.byte(0x10);
    writer.varint(frame.lowestUnanswered);
  }
  for (const operation of frame.operations) encodeOperation(operation, writer);
}

/** As one field of a ClientFrame. @throws what `Operation.encode` throws */
export function encodeOperation(operation: Operation, writer: FastWriter): void {
  const { sequence, keep, body } = operation;
  const isPlain = keep === undefined && isSequence(sequence) && !setsExtra(operation, IN_OPERATION);
  if (isPlain && body?.$case === "acquire" && isPlainAcquire(body.value)) acquire(sequence, body.value, writer);
  else if (isPlain && body?.$case === "release" && isPlainRelease(body.value)) release(sequence, body.value, writer);
  else field(0x1a, Operation.encode(operation).finish(), writer);
}

/** Appends to what `writer` has begun. @throws what `ServerFrame.encode` throws */
export function encodeServerFrame(frame: ServerFrame, writer: FastWriter): void {
  if (frame.welcome !== undefined || frame.heartbeat !== undefined || frame.closing !== undefined) {
    append(ServerFrame.encode(frame).finish(), writer);
  } else if (setsExtra(frame, IN_SERVER_FRAME)) {
    append(ServerFrame.encode(frame).finish(), writer);
  } else {
    for (const reply of frame.replies) encodeReply(reply, writer);
    for (const notice of frame.notices) encodeNotice(notice, writer);
  }
}

/** As one field of a ServerFrame. @throws what `Reply.encode` throws */
export function encodeReply(reply: Reply, writer: FastWriter): void {
  const { sequence, body } = reply;
  const isPlain = isSequence(sequence) && !setsExtra(reply, IN_REPLY);
  if (isPlain && body?.$case === "acquire" && isPlainAcquired(body.value)) {
    writer.room(FIXED_BYTES_MAX + acquiredBytesMax(body.value));
    writer.byte(0x12);
    const opened = writer.open();
    number(0x08, sequence, writer);
    acquired(0x52, body.value, writer);
    writer.close(opened);
  } else if (isPlain && body?.$case === "release" && isPlainReleased(body.value)) {
    writer.room(FIXED_BYTES_MAX);
    writer.byte(0x12);
    const opened = writer.open();
    number(0x08, sequence, writer);
    writer.byte(0x5a);
    const openedBody = writer.open();
    if (body.value.stillHeld) number(0x08, 1, writer);
    number(0x10, body.value.undone, writer);
    writer.close(openedBody);
    writer.close(opened);
  } else {
    field(0x12, Reply.encode(reply).finish(), writer);
  }
}

/** As one field of a ServerFrame. @throws what `Notice.encode` throws */
export function encodeNotice(notice: Notice, writer: FastWriter): void {
  const { body } = notice;
  if (body?.$case !== "operation" || !isPlainAcquired(body.value) || setsExtra(notice, IN_NOTICE)) {
    field(0x1a, Notice.encode(notice).finish(), writer);
    return;
  }
  writer.room(FIXED_BYTES_MAX + acquiredBytesMax(body.value));
  writer.byte(0x1a);
  const opened = writer.open();
  acquired(0x0a, body.value, writer);
  writer.close(opened);
}

function acquire(sequence: number, request: AcquireRequest, writer: FastWriter): void {
  const { name, mode, permits, take, waitMs, priority, onLoss, actor, reenter, preemptible } = request;
  writer.room(FIXED_BYTES_MAX + textBytesMax(name) + textBytesMax(actor));
  writer.byte(0x1a);
  const opened = writer.open();
  number(0x08, sequence, writer);
  writer.byte(0x52);
  const openedBody = writer.open();
  text(0x0a, name, writer);
  number(0x10, mode, writer);
  number(0x18, permits, writer);
  number(0x20, take, writer);
  if (waitMs !== undefined) {
    writer.byte(0x28);
    writer.varint(waitMs);
  }
  number(0x30, priority, writer);
  number(0x38, onLoss, writer);
  text(0x42, actor, writer);
  token(0x49, reenter, writer);
  number(0x50, preemptible, writer);
  writer.close(openedBody);
  writer.close(opened);
}

function release(sequence: number, request: ReleaseRequest, writer: FastWriter): void {
  writer.room(FIXED_BYTES_MAX + textBytesMax(request.name));
  writer.byte(0x1a);
  const opened = writer.open();
  number(0x08, sequence, writer);
  writer.byte(0x5a);
  const openedBody = writer.open();
  text(0x0a, request.name, writer);
  token(0x11, request.token, writer);
  if (request.undo) number(0x18, 1, writer);
  writer.close(openedBody);
  writer.close(opened);
}

function acquired(tag: number, reply: AcquireReply, writer: FastWriter): void {
  writer.byte(tag);
  const opened = writer.open();
  number(0x08, reply.sequence, writer);
  text(0x12, reply.reference, writer);
  number(0x18, reply.state, writer);
  number(0x20, reply.position, writer);
  for (const grant of reply.grants) {
    writer.byte(0x2a);
    const openedGrant = writer.open();
    text(0x0a, grant.name, writer);
    token(0x11, grant.token, writer);
    number(0x18, grant.partition, writer);
    writer.close(openedGrant);
  }
  number(0x40, reply.partition, writer);
  writer.close(opened);
}

function acquiredBytesMax({ reference, grants }: AcquireReply): number {
  let bytes = textBytesMax(reference);
  for (const { name } of grants) bytes += FIXED_BYTES_MAX + textBytesMax(name);
  return bytes;
}

function isPlainAcquire(request: AcquireRequest): boolean {
  const { name, mode, permits, take, waitMs, priority, onLoss, actor, reenter, preemptible, compensation } = request;
  return (
    typeof name === "string" &&
    typeof actor === "string" &&
    isKind(mode) &&
    isUint32(permits) &&
    isUint32(take) &&
    (waitMs === undefined || isUint32(waitMs)) &&
    isUint32(priority) &&
    isKind(onLoss) &&
    isFixed64(reenter) &&
    isKind(preemptible) &&
    compensation === undefined &&
    !setsExtra(request, IN_ACQUIRE)
  );
}

function isPlainRelease(request: ReleaseRequest): boolean {
  const { name, token } = request;
  return typeof name === "string" && isFixed64(token) && !setsExtra(request, IN_RELEASE);
}

/** Blockers, forecasts and errors come with what waited or was refused, not with what was granted: the generated code writes them. */
function isPlainAcquired(reply: AcquireReply): boolean {
  const { sequence, reference, state, position, grants, blockers, error, partition, eta } = reply;
  if (blockers.length > 0 || error !== undefined || eta !== undefined) return false;
  if (!isSequence(sequence) || typeof reference !== "string" || !isKind(state) || !isUint32(position)) return false;
  for (const grant of grants) {
    if (typeof grant.name !== "string" || !isFixed64(grant.token) || !isUint32(grant.partition)) return false;
    if (setsExtra(grant, IN_GRANT)) return false;
  }
  return isUint32(partition) && !setsExtra(reply, IN_ACQUIRED);
}

function isPlainReleased(reply: ReleaseReply): boolean {
  return isUint32(reply.undone) && !setsExtra(reply, IN_RELEASED);
}

function isSequence(value: number): boolean {
  return value >= 0 && Number.isSafeInteger(value);
}

/** Kinds are signed on the wire: a negative one takes ten bytes, and the generated code writes it. */
function isKind(value: number): boolean {
  return value >= 0 && value <= 0x7fffffff && isUint32(value);
}

function number(tag: number, value: number, writer: FastWriter): void {
  if (value === 0) return;
  writer.byte(tag);
  writer.varint(value);
}

function text(tag: number, value: string, writer: FastWriter): void {
  if (value === "") return;
  writer.byte(tag);
  writer.text(value);
}

function token(tag: number, value: bigint, writer: FastWriter): void {
  if (value === 0n) return;
  writer.byte(tag);
  writer.fixed64(value);
}

function field(tag: number, message: Uint8Array, writer: FastWriter): void {
  writer.room(1);
  writer.byte(tag);
  writer.raw(message);
}

function append(bytes: Uint8Array, writer: FastWriter): void {
  writer.room(bytes.length);
  writer.bytes.set(bytes, writer.at);
  writer.at += bytes.length;
}
