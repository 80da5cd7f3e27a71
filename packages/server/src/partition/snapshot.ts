// snapshot.ts: the whole state of a partition as bytes, and back. Format version 3 or 4; docs/formats.md describes it.
//   N1. decode(encode(state)) has the same state hash, and every command is decided alike on both.
import { assert, type ErrorCode, isErrorCode } from "@forelock/protocol";
import type { Mode } from "../lock/mode.ts";
import { elementFor, insertGrant, insertWait, restoreReadPhase } from "../lock/table.ts";
import { ByteReader, ByteWriter } from "./bytes.ts";
import { DoneOperations } from "./done.ts";
import {
  addBatch,
  addFence,
  addFile,
  addGrant,
  addOperation,
  addSession,
  addTombstone,
  hashText,
  sessionHash,
  stateHash,
} from "./hash.ts";
import { OperationRow } from "./operation-row.ts";
import { findOperation, partOperation } from "./operations.ts";
import { readPreempt, writePreempt } from "./snapshot-preempt.ts";
import {
  ACKNOWLEDGED_STATES,
  type AcknowledgedState,
  type Batch,
  createState,
  type Effect,
  type FileRow,
  type Grant,
  holdersOf,
  keptKey,
  type Operation,
  type Outcome,
  type PartitionState,
  type Session,
  type Wait,
} from "./state.ts";

/** With fences of batches, which a node outside a cluster never has: its snapshots are read by the version before too. */
const FENCED_VERSION = 4;
const VERSION = 3;
/** Before pre-emption. Its hash was made up otherwise: the checksums of its file must do. */
const FIRST_VERSION = 1;
/** Before judgements. */
const SECOND_VERSION = 2;
const WRITER_BYTES = 65_536;

export function encodeSnapshot(state: PartitionState): Uint8Array {
  const out = new ByteWriter(WRITER_BYTES);
  out.byte(state.fences.size > 0 ? FENCED_VERSION : VERSION);
  out.number(state.epoch);
  out.number(state.grantCounter);
  out.number(state.clockMs);
  out.number(state.nextSession);
  out.number(state.nextWait);
  out.number(state.nextFile);
  writeAll(out, state.tombstones.size, state.tombstones, ([id, forgetAtMs]) => {
    out.text(id);
    out.float(forgetAtMs);
  });
  writeAll(out, state.files.size, state.files.values(), (file) => writeFile(out, file));
  writeAll(out, state.sessions.size, state.sessions.values(), (session) => writeSession(out, session));
  writeAll(out, state.kept.size, state.kept.values(), (operation) => {
    out.text(operation.principal);
    out.number(operation.session?.number ?? 0);
    writeOperation(out, operation);
  });
  const marked = [...state.elements.values()].filter((element) => element.readersBefore > 0);
  for (const session of state.sessions.values()) {
    const grants = grantsOf(session);
    writeAll(out, grants.length, grants, (grant) => writeGrant(out, state, grant));
  }
  const waits = [...state.waits.values()].sort((a, b) => a.id - b.id);
  writeAll(out, waits.length, waits, (wait) => writeWait(out, wait));
  writeAll(out, marked.length, marked, (element) => {
    out.text(element.name);
    out.number(element.readersBefore);
  });
  writeAll(out, state.batches.size, state.batches.values(), (batch) => writeBatch(out, batch));
  writePreempt(out, state);
  if (state.fences.size > 0) {
    writeAll(out, state.fences.size, state.fences, ([home, number]) => {
      out.number(home);
      out.number(number);
    });
  }
  out.text(stateHash(state));
  return out.take();
}

/** @throws when the bytes are of another version, or the state does not hash to what was written. */
export function decodeSnapshot(partition: number, bytes: Uint8Array): PartitionState {
  const reader = new ByteReader(bytes);
  const version = reader.byte();
  if (version < FIRST_VERSION || version > FENCED_VERSION)
    throw new Error(`the snapshot has format version ${version}; this server reads up to ${FENCED_VERSION}`);
  const state = createState(partition);
  state.epoch = reader.number();
  state.grantCounter = reader.number();
  state.clockMs = reader.number();
  state.nextSession = reader.number();
  state.nextWait = reader.number();
  state.nextFile = reader.number();
  readAll(reader, () => {
    const id = reader.text();
    const forgetAtMs = reader.float();
    state.tombstones.set(id, forgetAtMs);
    addTombstone(state, 1, id, forgetAtMs);
  });
  const fileByNumber = new Map<number, FileRow>();
  readAll(reader, () => {
    const file = readFile(reader);
    state.files.set(file.name, file);
    fileByNumber.set(file.number, file);
    addFile(state, 1, file);
  });
  readAll(reader, () => readSession(reader, state));
  readAll(reader, () => readKept(reader, state));
  for (const session of state.sessions.values()) readAll(reader, () => readGrant(reader, state, session, fileByNumber));
  readAll(reader, () => readWait(reader, state));
  readAll(reader, () => {
    const element = elementFor(state, reader.text());
    restoreReadPhase(state, element, reader.number());
  });
  readAll(reader, () => readBatch(reader, state));
  if (version !== FIRST_VERSION) readPreempt(reader, state, version > SECOND_VERSION);
  if (version === FENCED_VERSION) readAll(reader, () => readFence(reader, state));
  const hash = reader.text();
  assert(reader.isDone, `the snapshot of partition ${partition} goes on after its end`);
  assert(
    version === FIRST_VERSION || stateHash(state) === hash,
    `the snapshot of partition ${partition} hashes to ${stateHash(state)}, not to ${hash}`,
  );
  return state;
}

export function writeAll<Row>(out: ByteWriter, count: number, rows: Iterable<Row>, write: (row: Row) => void): void {
  out.number(count);
  for (const row of rows) write(row);
}

export function readAll(reader: ByteReader, read: () => void): void {
  const count = reader.number();
  for (let index = 0; index < count; index += 1) read();
}

function writeFile(out: ByteWriter, file: FileRow): void {
  out.number(file.number);
  out.text(file.name);
  out.text(file.guard);
  out.number(file.length);
  out.number(file.count);
  out.number(file.version);
  out.number(file.undos);
  out.number(file.checksum);
  out.float(file.provisionalFrom);
}

function readFile(reader: ByteReader): FileRow {
  const number = reader.number();
  const name = reader.text();
  return {
    number,
    name,
    hash: hashText(name),
    guard: reader.text(),
    length: reader.number(),
    count: reader.number(),
    version: reader.number(),
    undos: reader.number(),
    checksum: reader.number(),
    provisionalFrom: reader.float(),
  };
}

function writeSession(out: ByteWriter, session: Session): void {
  out.number(session.number);
  out.text(session.id);
  out.text(session.secretHash);
  out.text(session.principal);
  out.text(session.client);
  out.number(session.ttlMs);
  out.byte(session.unheard ? 1 : 0);
  out.float(session.silentSinceMs);
  out.number(session.lowest);
  writeAll(out, session.done.size, session.done, (operation) => writeOperation(out, operation));
  writeAll(out, session.queued.size, session.queued.values(), (operation) => writeOperation(out, operation));
}

function readSession(reader: ByteReader, state: PartitionState): void {
  const number = reader.number();
  const identity = { id: reader.text(), secretHash: reader.text(), principal: reader.text(), client: reader.text() };
  const session: Session = {
    number,
    id: identity.id,
    hash: sessionHash(identity),
    secretHash: identity.secretHash,
    principal: identity.principal,
    client: identity.client,
    ttlMs: reader.number(),
    unheard: reader.flag(),
    silentSinceMs: reader.float(),
    lowest: reader.number(),
    done: new DoneOperations(),
    queued: new Map(),
    kept: new Set(),
    firstGrant: undefined,
    grants: 0,
    waits: new Set(),
  };
  state.sessions.set(session.id, session);
  state.sessionByNumber.set(number, session);
  addSession(state, 1, session);
  const readInto = (add: (operation: Operation) => void): void =>
    readAll(reader, () => {
      const operation = readOperation(reader, session, session.principal);
      add(operation);
      state.operations += 1;
      // A waiting one is hashed with its wait: see readWait and readBatch.
      if (operation.outcome !== undefined) addOperation(state, 1, operation);
    });
  readInto((operation) => session.done.add(operation));
  readInto((operation) => session.queued.set(operation.sequence, operation));
}

function writeOperation(out: ByteWriter, operation: Operation): void {
  out.text(operation.sessionId);
  out.number(operation.sequence);
  out.text(operation.requestId);
  out.number(operation.digest >>> 0);
  out.number(operation.keepMs);
  out.float(operation.forgetAtMs);
  writeOutcome(out, operation.outcome);
}

function readOperation(reader: ByteReader, session: Session | undefined, principal: string): Operation {
  const sessionId = reader.text();
  const sequence = reader.number();
  const requestId = reader.text();
  const digest = reader.number() | 0;
  const keepMs = reader.number();
  const forgetAtMs = reader.float();
  const row = new OperationRow(session, sessionId, principal, sequence, digest, readOutcome(reader));
  row.keep(requestId, keepMs).forgetAtMs = forgetAtMs;
  return row;
}

function readKept(reader: ByteReader, state: PartitionState): void {
  const principal = reader.text();
  const session = state.sessionByNumber.get(reader.number());
  const operation = readOperation(reader, session, principal);
  state.kept.set(keptKey(principal, operation.requestId), operation);
  state.keptByPrincipal.set(principal, (state.keptByPrincipal.get(principal) ?? 0) + 1);
  session?.kept.add(operation);
  state.operations += 1;
  if (operation.outcome === undefined) return;
  addOperation(state, 1, operation);
  state.deadlines.add({ kind: "kept", atMs: operation.forgetAtMs, order: state.operations, operation });
}

function writeOutcome(out: ByteWriter, outcome: Outcome | undefined): void {
  if (outcome === undefined) return out.byte(0);
  switch (outcome.kind) {
    case "granted":
      out.byte(1);
      return writeAll(out, outcome.grants.length, outcome.grants, (grant) => {
        out.text(grant.name);
        out.token(grant.token);
      });
    case "released":
      out.byte(2);
      out.byte(outcome.stillHeld ? 1 : 0);
      return out.number(outcome.undone);
    case "downgraded":
      out.byte(3);
      return out.token(outcome.token);
    case "appended":
      out.byte(4);
      out.number(outcome.length);
      out.number(outcome.version);
      out.number(outcome.index);
      out.number(outcome.offset);
      return out.byte(outcome.undone ? 1 : 0);
    case "cancelled":
      out.byte(5);
      return out.byte(outcome.cancelled ? 1 : 0);
    case "acknowledged":
      out.byte(7);
      out.text(outcome.state);
      out.number(outcome.warning);
      return out.text(outcome.reason);
    case "refused":
      out.byte(6);
      out.text(outcome.code);
      return out.text(outcome.message);
  }
}

function readOutcome(reader: ByteReader): Outcome | undefined {
  const kind = reader.byte();
  switch (kind) {
    case 0:
      return undefined;
    case 1: {
      const grants: { name: string; token: bigint }[] = [];
      readAll(reader, () => grants.push({ name: reader.text(), token: reader.token() }));
      return { kind: "granted", grants };
    }
    case 2:
      return { kind: "released", stillHeld: reader.flag(), undone: reader.number() };
    case 3:
      return { kind: "downgraded", token: reader.token() };
    case 4:
      return {
        kind: "appended",
        length: reader.number(),
        version: reader.number(),
        index: reader.number(),
        offset: reader.number(),
        undone: reader.flag(),
      };
    case 5:
      return { kind: "cancelled", cancelled: reader.flag() };
    case 7:
      return {
        kind: "acknowledged",
        state: acknowledgedState(reader.text()),
        warning: reader.number(),
        reason: reader.text(),
      };
    case 6:
      return { kind: "refused", code: knownCode(reader.text()), message: reader.text() };
    default:
      throw new Error(`the snapshot holds an outcome of kind ${kind}, which this version does not know`);
  }
}

function acknowledgedState(text: string): AcknowledgedState {
  const known = ACKNOWLEDGED_STATES.find((state) => state === text);
  assert(known !== undefined, `the snapshot names the state ${text}, which this version does not know`);
  return known;
}

function knownCode(text: string): ErrorCode {
  assert(isErrorCode(text), `the snapshot names the error ${text}, which this version does not know`);
  return text;
}

/** Oldest first: the list of a session starts with the newest. */
function grantsOf(session: Session): readonly Grant[] {
  const grants: Grant[] = [];
  for (let grant = session.firstGrant; grant !== undefined; grant = grant.next) grants.push(grant);
  return grants.reverse();
}

function writeGrant(out: ByteWriter, state: PartitionState, grant: Grant): void {
  out.text(grant.element.name);
  out.token(grant.token);
  out.number(grant.sequence);
  out.text(grant.requestId);
  out.text(grant.actor);
  out.byte(
    grant.mode |
      (grant.rollback ? 4 : 0) |
      (grant.reserved ? 8 : 0) |
      (state.parts.get(grant.requestId) === grant ? 16 : 0),
  );
  out.number(grant.take);
  out.number(grant.element.limit);
  out.number(grant.entries);
  out.number(grant.grantedAtMs);
  const effects = grant.effects ?? [];
  writeAll(out, effects.length, effects, (effect) => {
    out.number(effect.file.number);
    out.number(effect.length);
    out.number(effect.count);
    out.number(effect.checksum);
    // One that is forgotten is not named: its request id may since have been given to another.
    const { session, principal } = effect.operation;
    const isKnown = findOperation(state, session, principal, effect.operation) === effect.operation;
    out.number(isKnown ? (session?.number ?? 0) : 0);
    out.number(isKnown ? effect.operation.sequence : 0);
    out.text(isKnown ? effect.operation.requestId : "");
    out.text(principal);
  });
}

function readGrant(
  reader: ByteReader,
  state: PartitionState,
  session: Session,
  files: ReadonlyMap<number, FileRow>,
): void {
  const element = elementFor(state, reader.text());
  const token = reader.token();
  const sequence = reader.number();
  const requestId = reader.text();
  const actor = reader.text();
  const flags = reader.bits(31);
  const mode = (flags & 3) as Mode; // Written from a Mode three lines up in writeGrant; the hash at the end tells otherwise.
  const take = reader.number();
  const limit = reader.number();
  const entries = reader.number();
  const grantedAtMs = reader.number();
  const clockMs = state.clockMs;
  state.clockMs = grantedAtMs; // What insertGrant takes as the moment of the grant.
  const grant = insertGrant(state, {
    token,
    element,
    session,
    sequence,
    requestId,
    actor,
    mode,
    take,
    limit,
    rollback: (flags & 4) !== 0,
    reserved: (flags & 8) !== 0,
  });
  state.clockMs = clockMs;
  addGrant(state, -1, grant);
  grant.entries = entries;
  const effects: Effect[] = [];
  readAll(reader, () => effects.push(readEffect(reader, state, files)));
  if (effects.length > 0) grant.effects = effects;
  addGrant(state, 1, grant);
  if ((flags & 16) !== 0) state.parts.set(requestId, grant);
}

function readEffect(reader: ByteReader, state: PartitionState, files: ReadonlyMap<number, FileRow>): Effect {
  const file = files.get(reader.number());
  assert(file !== undefined, "an effect names a file of the snapshot");
  const before = { length: reader.number(), count: reader.number(), checksum: reader.number() };
  const session = state.sessionByNumber.get(reader.number());
  const sequence = reader.number();
  const requestId = reader.text();
  const principal = reader.text();
  const known = requestId === "" ? session?.done.get(sequence) : state.kept.get(keptKey(principal, requestId));
  return { file, ...before, operation: known ?? forgotten(principal) };
}

/** Stands for an operation whose answer nobody can ask for any more. */
function forgotten(principal: string, outcome?: Outcome): Operation {
  return new OperationRow(undefined, "", principal, 0, 0, outcome);
}

function ended(principal: string): Operation {
  return forgotten(principal, { kind: "cancelled", cancelled: true });
}

function writeWait(out: ByteWriter, wait: Wait): void {
  out.number(wait.id);
  out.number(wait.session.number);
  out.number(wait.operation.sequence);
  out.text(wait.operation.requestId);
  writeAll(out, wait.parts.length, wait.parts, (part) => {
    out.text(part.element.name);
    out.byte(part.mode);
    out.number(part.take);
    out.number(part.limit);
  });
  out.float(wait.arrivalMs);
  out.number(wait.sinceMs);
  out.float(wait.deadlineMs);
  out.number(wait.priority);
  out.byte((wait.rollback ? 1 : 0) | (wait.reserve ? 2 : 0));
  out.text(wait.actor);
  out.token(wait.upgradeOf?.token ?? 0n);
}

function readWait(reader: ByteReader, state: PartitionState): void {
  const id = reader.number();
  const session = state.sessionByNumber.get(reader.number());
  assert(session !== undefined, "a wait names a session of the snapshot");
  const sequence = reader.number();
  const requestId = reader.text();
  const parts: Wait["parts"][number][] = [];
  readAll(reader, () => {
    parts.push({
      element: elementFor(state, reader.text()),
      mode: reader.byte() as Mode, // As in readGrant.
      take: reader.number(),
      limit: reader.number(),
    });
  });
  const arrivalMs = reader.float();
  const sinceMs = reader.number();
  const deadlineMs = reader.float();
  const priority = reader.number();
  const flags = reader.bits(3);
  const actor = reader.text();
  const upgradeToken = reader.token();
  const reserve = (flags & 2) !== 0;
  const operation = reserve
    ? partOperation(session, { session: session.number, sequence: 0, requestId, keepMs: 0, digest: 0 })
    : waitingOperation(state, session, sequence, requestId);
  const element = parts[0]?.element;
  const upgradeOf =
    upgradeToken === 0n || element === undefined
      ? undefined
      : [...holdersOf(element)].find((grant) => grant.token === upgradeToken);
  const wait: Wait = {
    id,
    operation,
    session,
    parts,
    arrivalMs,
    sinceMs,
    deadlineMs,
    priority,
    rollback: (flags & 1) !== 0,
    actor,
    upgradeOf,
    reserve,
    gone: false,
    toldPosition: 0,
  };
  insertWait(state, wait);
  operation.wait = wait;
  if (reserve) state.parts.set(requestId, wait);
  else addOperation(state, 1, operation);
}

function waitingOperation(state: PartitionState, session: Session, sequence: number, requestId: string): Operation {
  const operation =
    requestId === "" ? session.queued.get(sequence) : state.kept.get(keptKey(session.principal, requestId));
  assert(
    operation !== undefined && operation.outcome === undefined,
    "a wait names a waiting operation of the snapshot",
  );
  return operation;
}

function readFence(reader: ByteReader, state: PartitionState): void {
  const home = reader.number();
  const number = reader.number();
  state.fences.set(home, number);
  addFence(state, 1, home, number);
}

function writeBatch(out: ByteWriter, batch: Batch): void {
  out.number(batch.id);
  out.number(batch.session);
  out.text(batch.operation.principal);
  out.byte(batch.operation.outcome === undefined ? 1 : 0);
  out.number(batch.operation.sequence);
  out.text(batch.operation.requestId);
  writeAll(out, batch.parts.length, batch.parts, (part) => {
    out.text(part.name);
    out.byte(part.mode);
    out.number(part.take);
    out.number(part.limit);
  });
  out.float(batch.deadlineMs);
  out.number(batch.sinceMs);
  out.byte((batch.rollback ? 1 : 0) | (batch.stage === "confirming" ? 2 : 0));
  out.text(batch.actor);
}

function readBatch(reader: ByteReader, state: PartitionState): void {
  const id = reader.number();
  const session = reader.number();
  const principal = reader.text();
  const isOpen = reader.flag();
  const sequence = reader.number();
  const requestId = reader.text();
  const parts: Batch["parts"][number][] = [];
  readAll(reader, () => {
    parts.push({ name: reader.text(), mode: reader.byte() as Mode, take: reader.number(), limit: reader.number() });
  });
  const deadlineMs = reader.float();
  const sinceMs = reader.number();
  const flags = reader.bits(3);
  const actor = reader.text();
  const asker = state.sessionByNumber.get(session);
  assert(asker !== undefined || !isOpen, "an open batch names a session of the snapshot");
  // An ended one only waits for its parts to be given up: its answer stands with the operation, if that is still remembered.
  const operation =
    isOpen && asker !== undefined
      ? waitingOperation(state, asker, sequence, requestId)
      : { ...ended(principal), sequence, requestId };
  const batch: Batch = {
    id,
    operation,
    session,
    parts,
    deadlineMs,
    sinceMs,
    rollback: (flags & 1) !== 0,
    actor,
    stage: (flags & 2) !== 0 ? "confirming" : "taking",
  };
  state.batches.set(id, batch);
  addBatch(state, 1, batch);
  if (isOpen) addOperation(state, 1, operation);
}
