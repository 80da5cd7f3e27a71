// fast/decode.ts: frames from bytes. What most frames hold (acquires, releases, their plain answers, grants) is read here; all else by
// the generated code: a message with anything in it that this file does not know as a whole, and a frame likewise.
// Not here: the other way (encode.ts), cutting a stream into frames (the carrier's).
//   D1. The result is that of the generated code, for every sequence of bytes; and what it refuses throws the same.
//   D2. Everything in the result is a copy: the bytes may be used again.
import { BinaryReader } from "@bufbuild/protobuf/wire";
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
import { Cursor } from "./cursor.ts";
import { nameAt, textAt } from "./names.ts";

/** Messages with nothing set, copied for each that comes: so fields that the protocol gets later are there, unset. */
const CLIENT_FRAME = ClientFrame.create();
const SERVER_FRAME = ServerFrame.create();
const OPERATION = Operation.create();
const ACQUIRE = AcquireRequest.create();
const RELEASE = ReleaseRequest.create();
const REPLY = Reply.create();
const ACQUIRED = AcquireReply.create();
const GRANT = Grant.create();
const RELEASED = ReleaseReply.create();
const NOTICE = Notice.create();

/** Lists and maps of these that are not made anew here would be shared by all copies: then the generated code must make them. */
const sharesNothing =
  sharesOnly(CLIENT_FRAME, ["operations", "settled"]) &&
  sharesOnly(SERVER_FRAME, ["replies", "notices"]) &&
  sharesOnly(ACQUIRED, ["grants", "blockers"]) &&
  [OPERATION, ACQUIRE, RELEASE, REPLY, GRANT, RELEASED, NOTICE].every((message) => sharesOnly(message, []));

/** One for all: decoding never waits, and never decodes within decoding. */
const cursor = new Cursor();

/** @throws what `ServerFrame.decode` throws */
export function decodeServerFrame(bytes: Uint8Array): ServerFrame {
  if (!sharesNothing) return ServerFrame.decode(bytes);
  const frame: ServerFrame = { ...SERVER_FRAME, replies: [], notices: [] };
  begin(bytes);
  while (cursor.at < cursor.end) {
    const tag = cursor.tag();
    if (tag === 0x12) frame.replies.push(reply());
    else if (tag === 0x1a) frame.notices.push(notice());
    else cursor.irregular = true;
    if (cursor.irregular) return ServerFrame.decode(bytes);
  }
  return frame;
}

/** @throws what `ClientFrame.decode` throws */
export function decodeClientFrame(bytes: Uint8Array): ClientFrame {
  return fastClientFrame(bytes, Number.POSITIVE_INFINITY) ?? ClientFrame.decode(bytes);
}

/**
 * What `decodeClientFrame` would return, when the frame is nothing but whole operations, at most `operationsMax`, and the lowest
 * unanswered sequence. Else `undefined`: for a caller that is stricter than the generated code.
 * @param from where the frame begins in `bytes`, whose end is its own
 */
export function fastClientFrame(bytes: Uint8Array, operationsMax: number, from = 0): ClientFrame | undefined {
  if (!sharesNothing) return undefined;
  const frame: ClientFrame = { ...CLIENT_FRAME, operations: [], settled: [] };
  begin(bytes, from);
  while (cursor.at < cursor.end) {
    const tag = cursor.tag();
    if (tag === 0x10) frame.lowestUnanswered = cursor.varint();
    else if (tag === 0x1a) frame.operations.push(operation());
    else cursor.irregular = true;
    if (cursor.irregular || frame.operations.length > operationsMax) return undefined;
  }
  return frame;
}

function begin(bytes: Uint8Array, from = 0): void {
  cursor.bytes = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  cursor.at = from;
  cursor.end = bytes.byteLength;
  cursor.irregular = false;
}

function operation(): Operation {
  const operation: Operation = { ...OPERATION };
  const outerEnd = cursor.enter();
  if (cursor.irregular) return operation; // Longer than the frame.
  const from = cursor.at;
  while (cursor.at < cursor.end && !cursor.irregular) {
    const tag = cursor.tag();
    if (tag === 0x08) operation.sequence = cursor.varint();
    else if (tag === 0x52) operation.body = { $case: "acquire", value: acquire() };
    else if (tag === 0x5a) operation.body = { $case: "release", value: release() };
    else cursor.irregular = true;
  }
  return done(operation, Operation, from, outerEnd);
}

function reply(): Reply {
  const reply: Reply = { ...REPLY };
  const outerEnd = cursor.enter();
  if (cursor.irregular) return reply; // Longer than the frame.
  const from = cursor.at;
  while (cursor.at < cursor.end && !cursor.irregular) {
    const tag = cursor.tag();
    if (tag === 0x08) reply.sequence = cursor.varint();
    else if (tag === 0x52) reply.body = { $case: "acquire", value: acquired() };
    else if (tag === 0x5a) reply.body = { $case: "release", value: released() };
    else cursor.irregular = true;
  }
  return done(reply, Reply, from, outerEnd);
}

function notice(): Notice {
  const notice: Notice = { ...NOTICE };
  const outerEnd = cursor.enter();
  if (cursor.irregular) return notice; // Longer than the frame.
  const from = cursor.at;
  while (cursor.at < cursor.end && !cursor.irregular) {
    if (cursor.tag() === 0x0a) notice.body = { $case: "operation", value: acquired() };
    else cursor.irregular = true;
  }
  return done(notice, Notice, from, outerEnd);
}

function acquire(): AcquireRequest {
  const request: AcquireRequest = { ...ACQUIRE };
  const outerEnd = cursor.enter();
  while (cursor.at < cursor.end && !cursor.irregular) {
    const tag = cursor.tag();
    switch (tag) {
      case 0x0a:
        request.name = name();
        break;
      case 0x10:
        request.mode = cursor.kind() as AcquireRequest["mode"]; // Kinds not known yet are kept, as the generated code does.
        break;
      case 0x18:
        request.permits = cursor.uint32();
        break;
      case 0x20:
        request.take = cursor.uint32();
        break;
      case 0x28:
        request.waitMs = cursor.uint32();
        break;
      case 0x30:
        request.priority = cursor.uint32();
        break;
      case 0x38:
        request.onLoss = cursor.kind() as AcquireRequest["onLoss"]; // As above.
        break;
      case 0x42:
        request.actor = name();
        break;
      case 0x49:
        request.reenter = cursor.fixed64();
        break;
      case 0x50:
        request.preemptible = cursor.kind() as AcquireRequest["preemptible"]; // As above.
        break;
      default:
        cursor.irregular = true;
    }
  }
  cursor.leave(outerEnd);
  return request;
}

function release(): ReleaseRequest {
  const request: ReleaseRequest = { ...RELEASE };
  const outerEnd = cursor.enter();
  while (cursor.at < cursor.end && !cursor.irregular) {
    const tag = cursor.tag();
    if (tag === 0x0a) request.name = name();
    else if (tag === 0x11) request.token = cursor.fixed64();
    else if (tag === 0x18) request.undo = cursor.flag();
    else cursor.irregular = true;
  }
  cursor.leave(outerEnd);
  return request;
}

function acquired(): AcquireReply {
  const reply: AcquireReply = { ...ACQUIRED, grants: [], blockers: [] };
  const outerEnd = cursor.enter();
  while (cursor.at < cursor.end && !cursor.irregular) {
    const tag = cursor.tag();
    switch (tag) {
      case 0x08:
        reply.sequence = cursor.varint();
        break;
      case 0x12:
        reply.reference = reference();
        break;
      case 0x18:
        reply.state = cursor.kind() as AcquireReply["state"]; // Kinds not known yet are kept, as the generated code does.
        break;
      case 0x20:
        reply.position = cursor.uint32();
        break;
      case 0x2a:
        if (reply.grants.length === 0)
          reply.grants = [grant()]; // As a rule the only one: `push` would make room for 17.
        else reply.grants.push(grant());
        break;
      case 0x40:
        reply.partition = cursor.uint32();
        break;
      default:
        cursor.irregular = true;
    }
  }
  cursor.leave(outerEnd);
  return reply;
}

function grant(): Grant {
  const grant: Grant = { ...GRANT };
  const outerEnd = cursor.enter();
  while (cursor.at < cursor.end && !cursor.irregular) {
    const tag = cursor.tag();
    if (tag === 0x0a) grant.name = name();
    else if (tag === 0x11) grant.token = cursor.fixed64();
    else if (tag === 0x18) grant.partition = cursor.uint32();
    else cursor.irregular = true;
  }
  cursor.leave(outerEnd);
  return grant;
}

function released(): ReleaseReply {
  const reply: ReleaseReply = { ...RELEASED };
  const outerEnd = cursor.enter();
  while (cursor.at < cursor.end && !cursor.irregular) {
    const tag = cursor.tag();
    if (tag === 0x08) reply.stillHeld = cursor.flag();
    else if (tag === 0x10) reply.undone = cursor.uint32();
    else cursor.irregular = true;
  }
  cursor.leave(outerEnd);
  return reply;
}

function name(): string {
  const end = cursor.lengthEnd();
  const text = nameAt(cursor.bytes, cursor.at, end);
  cursor.at = end;
  return text;
}

function reference(): string {
  const end = cursor.lengthEnd();
  const text = textAt(cursor.bytes, cursor.at, end);
  cursor.at = end;
  return text;
}

/**
 * Ends the reading of a message of a frame, which began at `from`. One with something irregular in it is read again by the generated
 * code, in its place; when that does not end where the message's length says, the whole frame is irregular.
 */
function done<Message>(
  message: Message,
  generated: { decode(reader: BinaryReader, length: number): Message },
  from: number,
  outerEnd: number,
): Message {
  let read = message;
  if (cursor.irregular) {
    const reader = new BinaryReader(cursor.bytes);
    reader.pos = from;
    read = generated.decode(reader, cursor.end - from); // The frame's own code would come here in the same state.
    cursor.irregular = reader.pos !== cursor.end;
  }
  cursor.leave(outerEnd);
  return read;
}

function sharesOnly<Message extends object>(message: Message, fields: readonly (keyof Message)[]): boolean {
  const madeAnew = new Set<unknown>(fields);
  return Object.entries(message).every(([field, unset]) => typeof unset !== "object" || madeAnew.has(field));
}
