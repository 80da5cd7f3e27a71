// codec.ts: events as bytes, for log records. Format version 1; `docs/formats.md` describes it.
//   C1. decode(encode(events)) equals events; a record that does not parse whole is refused, never half applied.
//   C2. Numbers of kinds are never given to another kind: old logs must read the same for ever.
import { assert, ERROR_CODES, type ErrorCode } from "@forelock/protocol";
import type { Mode } from "../lock/mode.ts";
import { ByteReader, type ByteWriter } from "./bytes.ts";
import { decodePreempt, encodePreempt } from "./codec-preempt.ts";
import type { EventPart, EventRequest, PartitionEvent, SessionEnd } from "./events.ts";
import { isPlainGrant, type PlainEvents } from "./plain.ts";

/** C2. Gaps are left for what is to come (pre-emption, keymap, objects). */
export const KIND = {
  started: 1,
  session_opened: 2,
  session_silent: 3,
  session_heard: 4,
  session_ended: 5,
  acknowledged: 6,
  tombstones_dropped: 7,
  queued: 16,
  granted: 17,
  wait_granted: 18,
  wait_ended: 19,
  reentered: 20,
  released: 21,
  downgraded: 22,
  forced: 23,
  cancelled: 24,
  /** A grant of one exclusive element to a plain request: by far the most frequent event, so it has a short form. */
  granted_plain: 25,
  file_created: 32,
  appended: 33,
  noted: 40,
  kept_forgotten: 41,
  batch_opened: 48,
  batch_confirming: 49,
  batch_granted: 50,
  batch_ended: 51,
  part_confirmed: 52,
  part_abandoned: 53,
  batch_cancelled: 54,
  /** Written in clusters only. */
  parts_fenced: 55,
  terms: 64,
  warned: 65,
  warning_acknowledged: 66,
  warning_over: 67,
  preempted: 68,
  compensated: 69,
  policy_set: 70,
} as const satisfies Record<PartitionEvent["kind"] | "granted_plain", number>;

const ENDS: readonly SessionEnd[] = ["expired", "closed", "forced"];

export function encodeEvent(out: ByteWriter, event: PartitionEvent): void {
  if (event.kind === "granted" && isPlainGrant(event)) {
    out.byte(KIND.granted_plain);
    writeRequest(out, event.request);
    out.text(event.parts[0]?.name ?? "");
    return;
  }
  if (event.kind === "released") {
    out.byte(KIND.released);
    writeRequest(out, event.request);
    out.text(event.name);
    out.token(event.token);
    out.byte(event.undo ? 1 : 0);
    return;
  }
  out.byte(KIND[event.kind]);
  switch (event.kind) {
    case "started":
      out.number(event.epoch);
      return;
    case "session_opened":
      out.text(event.id);
      out.text(event.secretHash);
      out.text(event.principal);
      out.text(event.client);
      out.number(event.ttlMs);
      return;
    case "session_silent":
      out.number(event.session);
      out.number(event.sinceMs);
      return;
    case "session_heard":
      out.number(event.session);
      return;
    case "session_ended":
      out.number(event.session);
      out.byte(ENDS.indexOf(event.why));
      out.text(event.reason);
      return;
    case "acknowledged":
      out.number(event.session);
      out.number(event.below);
      writeList(out, event.settled, (sequence) => out.number(sequence));
      return;
    case "tombstones_dropped":
      writeList(out, event.ids, (id) => out.text(id));
      return;
    case "queued":
      writeRequest(out, event.request);
      writeParts(out, event.parts);
      out.float(event.arrivalMs);
      out.float(event.waitMs);
      out.number(event.priority);
      writeFlags(out, event.rollback, event.reserve);
      out.text(event.actor);
      out.token(event.upgradeOf);
      return;
    case "granted":
      writeRequest(out, event.request);
      writeParts(out, event.parts);
      writeFlags(out, event.rollback, event.reserve);
      out.text(event.actor);
      out.token(event.upgradeOf);
      return;
    case "wait_granted":
      out.number(event.wait);
      return;
    case "wait_ended":
      out.number(event.wait);
      writeCode(out, event.code);
      out.text(event.message);
      return;
    case "reentered":
    case "downgraded":
      writeRequest(out, event.request);
      out.text(event.name);
      out.token(event.token);
      return;
    case "forced":
      out.text(event.name);
      out.token(event.token);
      out.text(event.by);
      out.text(event.reason);
      return;
    case "cancelled":
      writeRequest(out, event.request);
      out.number(event.wait);
      return;
    case "file_created":
      out.text(event.name);
      return;
    case "appended":
      writeRequest(out, event.request);
      out.text(event.file);
      out.text(event.element === event.file ? "" : event.element);
      out.token(event.token);
      out.number(event.checksum);
      out.bytes(event.bytes);
      return;
    case "noted":
      writeRequest(out, event.request);
      writeCode(out, event.code);
      out.text(event.message);
      return;
    case "kept_forgotten":
      writeList(out, event.keys, (key) => out.text(key));
      return;
    case "batch_opened":
      writeRequest(out, event.request);
      writeParts(out, event.parts);
      out.float(event.waitMs);
      out.byte(event.rollback ? 1 : 0);
      out.text(event.actor);
      return;
    case "batch_confirming":
      out.number(event.batch);
      return;
    case "batch_cancelled":
      writeRequest(out, event.request);
      out.number(event.batch);
      return;
    case "batch_granted":
      out.number(event.batch);
      writeList(out, event.grants, (grant) => {
        out.text(grant.name);
        out.token(grant.token);
      });
      return;
    case "batch_ended":
      out.number(event.batch);
      writeCode(out, event.code);
      out.text(event.message);
      return;
    case "part_confirmed":
    case "part_abandoned":
      out.text(event.part);
      return;
    case "parts_fenced":
      out.number(event.home);
      out.number(event.number);
      return;
    default:
      encodePreempt(out, event); // A new event of another kind fails to compile here.
  }
}

/** All events of a record, in order. @throws when the bytes are no whole record: a bug or damage, never a torn write. */
export function decodeEvents(bytes: Uint8Array, each: (event: PartitionEvent) => void): void {
  const reader = new ByteReader(bytes);
  while (!reader.isDone) each(decodeEvent(reader, reader.byte()));
}

/** As `decodeEvents`, but for plain events, whose fields go to `plain`. @returns how many there were of all kinds */
export function decodeFields(bytes: Uint8Array, plain: PlainEvents, each: (event: PartitionEvent) => void): number {
  const reader = new ByteReader(bytes);
  let events = 0;
  while (!reader.isDone) {
    const kind = reader.byte();
    if (kind === KIND.granted_plain || kind === KIND.released) decodePlain(reader, kind, plain, each);
    else each(decodeEvent(reader, kind));
    events += 1;
  }
  return events;
}

/** The event may turn out not to be plain. */
function decodePlain(
  reader: ByteReader,
  kind: typeof KIND.granted_plain | typeof KIND.released,
  plain: PlainEvents,
  each: (event: PartitionEvent) => void,
): void {
  const start = reader.at;
  const session = reader.number();
  const coded = reader.number();
  if (coded % 2 === 1) {
    reader.at = start; // It is kept.
    return each(decodeEvent(reader, kind));
  }
  const sequence = Math.floor(coded / 2);
  const digest = reader.number() | 0;
  const name = reader.text();
  if (kind === KIND.granted_plain) return plain.granted(session, sequence, digest, name);
  const low = reader.int32();
  const high = reader.int32();
  if (!reader.flag()) return plain.released(session, sequence, digest, name, low, high);
  reader.at = start; // With an undo.
  each(decodeEvent(reader, kind));
}

function decodeEvent(reader: ByteReader, kind: number): PartitionEvent {
  switch (kind) {
    case KIND.granted_plain:
      return {
        kind: "granted",
        request: readRequest(reader),
        parts: [{ name: reader.text(), mode: 0, take: 1, limit: 0 }],
        rollback: false,
        actor: "",
        reserve: false,
        upgradeOf: 0n,
      };
    case KIND.started:
      return { kind: "started", epoch: reader.number() };
    case KIND.session_opened:
      return {
        kind: "session_opened",
        id: reader.text(),
        secretHash: reader.text(),
        principal: reader.text(),
        client: reader.text(),
        ttlMs: reader.number(),
      };
    case KIND.session_silent:
      return { kind: "session_silent", session: reader.number(), sinceMs: reader.number() };
    case KIND.session_heard:
      return { kind: "session_heard", session: reader.number() };
    case KIND.session_ended:
      return { kind: "session_ended", session: reader.number(), why: readEnd(reader), reason: reader.text() };
    case KIND.acknowledged:
      return {
        kind: "acknowledged",
        session: reader.number(),
        below: reader.number(),
        settled: readList(reader, () => reader.number()),
      };
    case KIND.tombstones_dropped:
      return { kind: "tombstones_dropped", ids: readList(reader, () => reader.text()) };
    case KIND.queued:
      return {
        kind: "queued",
        request: readRequest(reader),
        parts: readParts(reader),
        arrivalMs: reader.float(),
        waitMs: reader.float(),
        priority: reader.number(),
        ...readFlags(reader),
        actor: reader.text(),
        upgradeOf: reader.token(),
      };
    case KIND.granted:
      return {
        kind: "granted",
        request: readRequest(reader),
        parts: readParts(reader),
        ...readFlags(reader),
        actor: reader.text(),
        upgradeOf: reader.token(),
      };
    case KIND.wait_granted:
      return { kind: "wait_granted", wait: reader.number() };
    case KIND.wait_ended:
      return { kind: "wait_ended", wait: reader.number(), code: readCode(reader), message: reader.text() };
    case KIND.reentered:
      return { kind: "reentered", request: readRequest(reader), name: reader.text(), token: reader.token() };
    case KIND.downgraded:
      return { kind: "downgraded", request: readRequest(reader), name: reader.text(), token: reader.token() };
    case KIND.released:
      return {
        kind: "released",
        request: readRequest(reader),
        name: reader.text(),
        token: reader.token(),
        undo: reader.flag(),
      };
    case KIND.forced:
      return { kind: "forced", name: reader.text(), token: reader.token(), by: reader.text(), reason: reader.text() };
    case KIND.cancelled:
      return { kind: "cancelled", request: readRequest(reader), wait: reader.number() };
    case KIND.file_created:
      return { kind: "file_created", name: reader.text() };
    case KIND.appended: {
      const request = readRequest(reader);
      const file = reader.text();
      const element = reader.text();
      const token = reader.token();
      const checksum = reader.number();
      return {
        kind: "appended",
        request,
        file,
        element: element === "" ? file : element,
        token,
        checksum,
        bytes: reader.bytes(),
      };
    }
    case KIND.noted:
      return { kind: "noted", request: readRequest(reader), code: readCode(reader), message: reader.text() };
    case KIND.kept_forgotten:
      return { kind: "kept_forgotten", keys: readList(reader, () => reader.text()) };
    case KIND.batch_opened:
      return {
        kind: "batch_opened",
        request: readRequest(reader),
        parts: readParts(reader),
        waitMs: reader.float(),
        rollback: reader.flag(),
        actor: reader.text(),
      };
    case KIND.batch_confirming:
      return { kind: "batch_confirming", batch: reader.number() };
    case KIND.batch_cancelled:
      return { kind: "batch_cancelled", request: readRequest(reader), batch: reader.number() };
    case KIND.batch_granted:
      return {
        kind: "batch_granted",
        batch: reader.number(),
        grants: readList(reader, () => ({ name: reader.text(), token: reader.token() })),
      };
    case KIND.batch_ended:
      return { kind: "batch_ended", batch: reader.number(), code: readCode(reader), message: reader.text() };
    case KIND.part_confirmed:
      return { kind: "part_confirmed", part: reader.text() };
    case KIND.part_abandoned:
      return { kind: "part_abandoned", part: reader.text() };
    case KIND.parts_fenced:
      return { kind: "parts_fenced", home: reader.number(), number: reader.number() };
    case KIND.terms:
    case KIND.warned:
    case KIND.warning_acknowledged:
    case KIND.warning_over:
    case KIND.preempted:
    case KIND.compensated:
    case KIND.policy_set:
      return decodePreempt(reader, kind);
    default:
      throw new Error(`a record holds an event of kind ${kind}, which this version does not know`);
  }
}

export function writeRequest(out: ByteWriter, request: EventRequest): void {
  out.number(request.session);
  // The lowest bit tells whether the operation is kept: almost none is, and those need two fields more.
  const isKept = request.requestId !== "";
  out.number(request.sequence * 2 + (isKept ? 1 : 0));
  out.number(request.digest >>> 0);
  if (!isKept) return;
  out.text(request.requestId);
  out.number(request.keepMs);
}

export function readRequest(reader: ByteReader): EventRequest {
  const session = reader.number();
  const coded = reader.number();
  const digest = reader.number() | 0;
  const isKept = coded % 2 === 1;
  const requestId = isKept ? reader.text() : "";
  return { session, sequence: Math.floor(coded / 2), requestId, keepMs: isKept ? reader.number() : 0, digest };
}

function writeParts(out: ByteWriter, parts: readonly EventPart[]): void {
  writeList(out, parts, (part) => {
    out.text(part.name);
    out.byte(part.mode);
    if (part.mode !== 2) return;
    out.number(part.take);
    out.number(part.limit);
  });
}

function readParts(reader: ByteReader): readonly EventPart[] {
  return readList(reader, () => {
    const name = reader.text();
    const mode = reader.byte();
    assert(mode <= 2, "a mode is 0, 1 or 2");
    if (mode !== 2) return { name, mode: mode as Mode, take: 1, limit: 0 };
    return { name, mode: mode as Mode, take: reader.number(), limit: reader.number() };
  });
}

function writeFlags(out: ByteWriter, rollback: boolean, reserve: boolean): void {
  out.byte((rollback ? 1 : 0) | (reserve ? 2 : 0));
}

function readFlags(reader: ByteReader): { readonly rollback: boolean; readonly reserve: boolean } {
  const flags = reader.bits(3);
  return { rollback: (flags & 1) !== 0, reserve: (flags & 2) !== 0 };
}

/** As text: the order of the table may change, its names may not. */
function writeCode(out: ByteWriter, code: ErrorCode): void {
  out.text(code);
}

function readCode(reader: ByteReader): ErrorCode {
  const code = reader.text();
  const known = ERROR_CODES.find((candidate) => candidate === code);
  assert(known !== undefined, `a record names the error ${code}, which this version does not know`);
  return known;
}

function readEnd(reader: ByteReader): SessionEnd {
  const end = ENDS[reader.byte()];
  assert(end !== undefined, "a session ends in one of the known ways");
  return end;
}

export function writeList<Item>(out: ByteWriter, items: readonly Item[], write: (item: Item) => void): void {
  out.number(items.length);
  for (const item of items) write(item);
}

export function readList<Item>(reader: ByteReader, read: () => Item): readonly Item[] {
  const length = reader.number();
  const items: Item[] = [];
  for (let index = 0; index < length; index += 1) items.push(read());
  return items;
}
