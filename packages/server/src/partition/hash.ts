// hash.ts: the hash of a partition's state, as the sum of the hashes of its rows, so that a change costs one row and not the state.
//   H1. `add` before a row is changed or removed with sign -1, after it is added or changed with sign 1: the sum then depends on
//       the rows alone, not on the way that led to them.
//   Source of the mixing steps: MurmurHash3 (Appleby), finaliser constants.
import { GrantedOne } from "./operation-row.ts";
import type {
  Batch,
  CompensationRow,
  Element,
  FileRow,
  Grant,
  Judgement,
  Operation,
  Outcome,
  PartitionState,
  PolicyRow,
  Session,
  Terms,
  Wait,
  Warning,
} from "./state.ts";
import { tokenHigh, tokenLow } from "./token.ts";

export type Sign = 1 | -1;

const mix = (hash: number, value: number): number => {
  const mixed = Math.imul(hash ^ value, 0x85ebca6b);
  return mixed ^ (mixed >>> 15);
};

/** 32-bit hash of a text. Not keyed: for state hashes and argument digests, never for placement. */
export function hashText(text: string): number {
  let hash = 0x9747b28c ^ text.length;
  for (let index = 0; index < text.length; index += 1)
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x5bd1e995) ^ (hash >>> 13);
  return hash | 0;
}

/** Low and high half of a number up to 2^53, or of milliseconds that may be Infinity (-1 stands for it). */
const high = (value: number): number => (Number.isFinite(value) ? Math.floor(value / 4_294_967_296) : -1);
const low = (value: number): number => (Number.isFinite(value) ? value | 0 : -1);

function add(
  state: PartitionState,
  sign: Sign,
  kind: number,
  a: number,
  b: number,
  c: number,
  d: number,
  e: number,
): void {
  let first = mix(mix(mix(mix(mix(mix(kind, a), b), c), d), e), 0x27d4eb2f);
  first = Math.imul(first ^ (first >>> 16), 0xc2b2ae35);
  let second = mix(mix(mix(mix(mix(mix(~kind, e), d), c), b), a), 0x165667b1);
  second = Math.imul(second ^ (second >>> 16), 0x9e3779b1);
  state.hashLow = (state.hashLow + Math.imul(sign, first)) | 0;
  state.hashHigh = (state.hashHigh + Math.imul(sign, second)) | 0;
}

/** 32 bits of a token: its counter, and its epoch above. */
function tokenHash(token: bigint): number {
  return halvesHash(tokenLow(token), tokenHigh(token));
}

function halvesHash(low32: number, high32: number): number {
  return mix(low32, high32 & 0x7fffffff);
}

/** What a session is, and remains. */
export function sessionHash(session: Pick<Session, "id" | "secretHash" | "principal" | "client">): number {
  const secret = mix(hashText(session.id), hashText(session.secretHash));
  return mix(secret, hashText(`${session.principal}\n${session.client}`));
}

export function addSession(state: PartitionState, sign: Sign, session: Session): void {
  const flags = session.unheard ? 1 : 0;
  add(
    state,
    sign,
    1,
    session.number,
    session.hash,
    mix(session.ttlMs, low(session.lowest)),
    low(session.silentSinceMs),
    flags,
  );
}

export function addTombstone(state: PartitionState, sign: Sign, id: string, forgetAtMs: number): void {
  add(state, sign, 2, hashText(id), low(forgetAtMs), high(forgetAtMs), 0, 0);
}

export function addGrant(state: PartitionState, sign: Sign, grant: Grant): void {
  const owner = mix(
    mix(grant.session.number, low(grant.sequence)),
    grant.requestId === "" ? 0 : hashText(grant.requestId),
  );
  const token = halvesHash(grant.tokenLow, grant.tokenHigh);
  const shape = (grant.mode << 2) | (grant.rollback ? 2 : 0) | (grant.reserved ? 1 : 0);
  const rest = mix(
    mix(mix(grant.take, grant.entries), low(grant.grantedAtMs)),
    grant.actor === "" ? 0 : hashText(grant.actor),
  );
  add(state, sign, 3, grant.element.hash, token, owner, shape, mix(rest, grant.effects?.length ?? 0));
}

export function addWait(state: PartitionState, sign: Sign, wait: Wait): void {
  let parts = wait.parts.length;
  for (const part of wait.parts)
    parts = mix(mix(mix(parts, part.element.hash), part.mode), part.take + part.limit * 31);
  const times = mix(mix(low(wait.arrivalMs), low(wait.sinceMs)), mix(low(wait.deadlineMs), high(wait.deadlineMs)));
  const shape = (wait.priority << 2) | (wait.rollback ? 2 : 0) | (wait.reserve ? 1 : 0);
  const upgrade = wait.upgradeOf === undefined ? 0 : halvesHash(wait.upgradeOf.tokenLow, wait.upgradeOf.tokenHigh);
  add(state, sign, 4, wait.id, mix(parts, wait.session.number), times, mix(shape, hashText(wait.actor)), upgrade);
}

/** What an element keeps beyond its grants and waits. */
export function addElement(state: PartitionState, sign: Sign, element: Element): void {
  if (element.limit !== 0 || element.readersBefore !== 0) {
    add(state, sign, 5, element.hash, element.limit, low(element.readersBefore), 0, 0);
  }
}

/** The most frequent of all: what was added is kept in the row, and not computed again to take it away. */
export function addOperation(state: PartitionState, sign: Sign, operation: Operation): void {
  if (sign === 1) {
    const identity = mix(operation.session?.number ?? 0, low(operation.sequence));
    const kept = operation.requestId === "" ? 0 : mix(hashText(operation.requestId), hashText(operation.principal));
    const waiting = operation.wait?.id ?? 0;
    const times = kept === 0 ? 0 : mix(operation.keepMs, mix(low(operation.forgetAtMs), high(operation.forgetAtMs)));
    const { hashLow, hashHigh } = state;
    add(state, 1, 6, identity, mix(operation.digest, kept), waiting, times, outcomeHash(operation.outcome));
    operation.hashLow = (state.hashLow - hashLow) | 0;
    operation.hashHigh = (state.hashHigh - hashHigh) | 0;
  } else {
    state.hashLow = (state.hashLow - operation.hashLow) | 0;
    state.hashHigh = (state.hashHigh - operation.hashHigh) | 0;
  }
}

function outcomeHash(outcome: Outcome | undefined): number {
  if (outcome === undefined) return 0;
  switch (outcome.kind) {
    case "granted": {
      let hash = 11;
      if (outcome instanceof GrantedOne) return mix(hash, halvesHash(outcome.tokenLow, outcome.tokenHigh));
      for (const grant of outcome.grants) hash = mix(hash, tokenHash(grant.token));
      return hash;
    }
    case "released":
      return mix(12, outcome.undone * 2 + (outcome.stillHeld ? 1 : 0));
    case "downgraded":
      return mix(13, tokenHash(outcome.token));
    case "appended":
      return mix(
        mix(mix(14, low(outcome.length)), low(outcome.version)),
        low(outcome.index) * 2 + (outcome.undone ? 1 : 0),
      );
    case "cancelled":
      return outcome.cancelled ? 15 : 16;
    case "acknowledged":
      return mix(mix(17, outcome.warning), hashText(`${outcome.state}\n${outcome.reason}`));
    case "refused":
      return mix(18, hashText(outcome.code) ^ hashText(outcome.message));
  }
}

export function addFile(state: PartitionState, sign: Sign, file: FileRow): void {
  const size = mix(mix(low(file.length), high(file.length)), low(file.count));
  const versions = mix(mix(low(file.version), low(file.undos)), low(file.provisionalFrom));
  add(state, sign, 7, file.hash, mix(file.number, hashText(file.guard)), size, versions, file.checksum | 0);
}

export function addBatch(state: PartitionState, sign: Sign, batch: Batch): void {
  let parts = batch.parts.length;
  for (const part of batch.parts)
    parts = mix(mix(parts, hashText(part.name)), part.mode * 7 + part.take + part.limit * 31);
  const times = mix(low(batch.sinceMs), mix(low(batch.deadlineMs), high(batch.deadlineMs)));
  const shape = (batch.stage === "taking" ? 0 : 2) + (batch.rollback ? 1 : 0);
  add(state, sign, 8, batch.id, mix(parts, batch.session), times, shape, hashText(batch.actor));
}

export function addFence(state: PartitionState, sign: Sign, home: number, number: number): void {
  add(state, sign, 14, home, low(number), high(number), 0, 0);
}

/** A wait by its number, a grant by what an upgrade does not change. */
function targetHash(target: Grant | Wait): number {
  return "parts" in target ? mix(31, target.id) : mix(mix(32, target.element.hash), target.session.number);
}

export function addWarning(state: PartitionState, sign: Sign, warning: Warning): void {
  let parts = hashText(`${warning.by}\n${warning.reason}\n${warning.phase}`);
  for (const part of warning.parts) parts = mix(mix(parts, hashText(part.name)), Math.round(part.value * 1e6));
  const counts = mix(
    mix(warning.extensions, low(warning.extendedMs)),
    warning.restarts * 2 + (warning.enforce ? 1 : 0),
  );
  const times = mix(mix(low(warning.endsAtMs), high(warning.endsAtMs)), warning.countdownMs);
  add(
    state,
    sign,
    9,
    warning.id,
    mix(targetHash(warning.target), parts),
    times,
    counts,
    Math.round(warning.score * 1e6),
  );
}

export function addTerms(state: PartitionState, sign: Sign, target: Grant | Wait, terms: Terms): void {
  const { compensation } = terms;
  const call = compensation === undefined ? 0 : hashText(`${compensation.url}\n${compensation.argument}`);
  const flags = (terms.never ? 1 : 0) + (compensation?.blocks === true ? 2 : 0);
  add(state, sign, 10, targetHash(target), call, flags, 0, 0);
}

export function addCompensation(state: PartitionState, sign: Sign, row: CompensationRow): void {
  const text = hashText(`${row.url}\n${row.argument}\n${row.element}\n${row.session}\n${row.principal}\n${row.why}`);
  add(state, sign, 11, row.id, text, tokenHash(row.token), row.blocks ? 1 : 0, 0);
}

export function addJudgement(state: PartitionState, sign: Sign, row: Judgement): void {
  const { kind, warning, principal, client, element, atMs } = row;
  const text = hashText(`${principal}\n${client}\n${element}`);
  add(state, sign, 13, warning, text, low(atMs), high(atMs), kind === "forced" ? 1 : 2);
}

export function addPolicy(state: PartitionState, sign: Sign, prefix: string, row: PolicyRow): void {
  let fields = row.set.size;
  // A sum: the order in which fields were set tells nothing.
  for (const [name, value] of row.set) fields = (fields + hashText(`${name}\n${value}`)) | 0;
  const who = hashText(`${row.by}\n${row.reason}`);
  add(state, sign, 12, hashText(prefix), fields, Math.round(row.threshold * 1e6), who, low(row.wallMs));
}

/** Hexadecimal, 16 digits: the rows and the counters. The clock is left out: between two records it runs on by itself. */
export function stateHash(state: PartitionState): string {
  let scalars = mix(mix(state.epoch, low(state.grantCounter)), high(state.grantCounter));
  scalars = mix(mix(mix(scalars, state.nextSession), state.nextWait), state.nextFile);
  scalars = mix(mix(scalars, state.nextWarning), state.nextCompensation);
  const text = (value: number): string => (value >>> 0).toString(16).padStart(8, "0");
  return text(state.hashHigh ^ scalars) + text((state.hashLow + scalars) | 0);
}
