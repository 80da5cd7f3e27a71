// state.ts: the tables of one partition. `apply` is their one owner; everything else only reads them.
// Not here: what may happen (decide.ts), how it changes the tables (apply.ts), bytes (codec.ts, snapshot.ts).
import type { ErrorCode } from "@forelock/protocol";
import type { TreePlace } from "../lock/below.ts";
import { Elements } from "../lock/elements.ts";
import type { Lane } from "../lock/lane.ts";
import type { Mode } from "../lock/mode.ts";
import { DeadlineHeap } from "./deadlines.ts";
import type { DoneOperations } from "./done.ts";
import { LastFound } from "./last-found.ts";
import { joinToken } from "./token.ts";

/** Rises with every grant of the partition, over restarts too: epoch x 2^40 + counter, below 2^63. */
export type FencingToken = bigint;

export interface PartitionState {
  readonly partition: number;
  epoch: number;
  /** Grants ever made, under every epoch: the low part of tokens. Never resets. */
  grantCounter: number;
  /** Sum of `elapsedMs` over the records, plus what has passed since the last one: the only time that `decide` sees. */
  clockMs: number;
  nextSession: number;
  nextWait: number;
  nextFile: number;
  readonly sessions: Map<string, Session>;
  readonly sessionByNumber: Map<number, Session>;
  /** Expired sessions, by id, with the clock at which they may be forgotten. Keeps a late retry from starting anew. */
  readonly tombstones: Map<string, number>;
  readonly elements: Elements;
  readonly waits: Map<number, Wait>;
  /** Kept operations by `keptKey(principal, requestId)`. */
  readonly kept: Map<string, Operation>;
  readonly keptByPrincipal: Map<string, number>;
  readonly files: Map<string, FileRow>;
  readonly batches: Map<number, Batch>;
  /** By home partition of batches: steps of a lower number are refused. */
  readonly fences: Map<number, number>;
  /** Parts of batches, by the key that the batch gave them: waiting, or reserved, or confirmed until released. */
  readonly parts: Map<string, Wait | Grant>;
  /** By id: of grants and waits that were warned, until those end. */
  readonly warnings: Map<number, Warning>;
  /** Derived. */
  readonly warningByTarget: Map<Grant | Wait, Warning>;
  nextWarning: number;
  /** What few requests ask for beside the lock itself. */
  readonly termsByTarget: Map<Grant | Wait, Terms>;
  /** Calls that are owed for lost grants, by id. */
  readonly compensations: Map<number, CompensationRow>;
  nextCompensation: number;
  /** What warnings have come to, oldest first, where that binds what may be done next. */
  readonly judgements: Judgement[];
  /** What each prefix sets of its policy, by prefix. In partition 0 only. */
  readonly policies: Map<string, PolicyRow>;
  /** Elements with waiters. Derived. */
  readonly contended: Set<Element>;
  /** Ends of waits, of countdowns and of kept operations. Derived from the tables above. */
  readonly deadlines: DeadlineHeap;
  grants: number;
  /** Remembered operations, waiting ones included. */
  operations: number;
  /** Sum of the hashes of all rows, in two halves of 32 bits: see hash.ts. */
  hashLow: number;
  hashHigh: number;
}

export interface Session {
  /** Within the partition: what events and rows refer to. 1 or more, rising, never reused. */
  readonly number: number;
  /** base64url of 16 bytes. */
  readonly id: string;
  /** Of id, secret, principal and client: see `sessionHash`. */
  readonly hash: number;
  /** base64url of SHA-256. */
  readonly secretHash: string;
  readonly principal: string;
  readonly client: string;
  readonly ttlMs: number;
  /** Not heard from since the owner started: keeps what it has, gets nothing new. */
  unheard: boolean;
  /** Partition clock of the last sign of life, once the log has noted silence; Infinity while there is none. */
  silentSinceMs: number;
  /** Sequences below are forgotten, and refused. */
  lowest: number;
  /** Done operations, by sequence. */
  readonly done: DoneOperations;
  /** Acquires that were queued: waiting, or ended and not yet settled by the client. By sequence. */
  readonly queued: Map<number, Operation>;
  /** Kept operations that it started. They outlive it. */
  readonly kept: Set<Operation>;
  /** All grants of the session, linked through Grant.next and Grant.previous. */
  firstGrant: Grant | undefined;
  grants: number;
  readonly waits: Set<Wait>;
}

/** What is locked. Exists while it is held, waited for, or an ancestor of something held. */
export interface Element {
  readonly name: string;
  readonly hash: number;
  /** Ancestors within the tag, nearest first; the shared empty array for most. */
  ancestors: readonly Element[];
  /** Its place among the elements of its tree; undefined outside trees. Derived. */
  tree: TreePlace | undefined;
  /** A note of the table of elements: whether it is listed. */
  listing: number;
  /** One grant inline, several in a map by token (reserved ones by their part's key): most elements have one. */
  holders: Grant | Map<FencingToken | string, Grant> | undefined;
  exclusive: number;
  shared: number;
  /** Permits taken, and the limit that the first grant fixed; 0 when idle. */
  taken: number;
  limit: number;
  intentExclusive: number;
  intentShared: number;
  /** Places in the queue by mode; created when first needed. */
  lanes: (Lane | undefined)[] | undefined;
  /** Places in all lanes. */
  waiting: number;
  /** Shared waiters with a lower id go before exclusive ones: their phase has come. 0: nobody's. */
  readersBefore: number;
  /** How many those are. Derived. */
  phaseReaders: number;
}

export interface Grant {
  /** 0n while reserved. Made anew at each look: to compare, ask `hasToken`. */
  token: FencingToken;
  /** Its halves, as signed 32 bits: a bigint would be an object of its own. */
  readonly tokenLow: number;
  readonly tokenHigh: number;
  hasToken(token: FencingToken): boolean;
  hasHalves(low: number, high: number): boolean;
  readonly element: Element;
  readonly session: Session;
  /** With the session, the owner. 0 when the request id is `requestId`. */
  readonly sequence: number;
  readonly requestId: string;
  readonly actor: string;
  mode: Mode;
  readonly take: number;
  /** Times it was entered; released when as many releases came. */
  entries: number;
  readonly rollback: boolean;
  /** Of a part of a batch, once that is whole: when its token was given. */
  grantedAtMs: number;
  /** A part of a batch that is not yet whole: blocks others, has no token, allows no effects. */
  reserved: boolean;
  effects: Effect[] | undefined;
  next: Grant | undefined;
  previous: Grant | undefined;
}

/** One append that can still be undone. */
export interface Effect {
  readonly file: FileRow;
  /** The file before this append. */
  readonly length: number;
  readonly count: number;
  readonly checksum: number;
  /** Whose answer gets `undone: true`. */
  readonly operation: Operation;
}

/** A request in a queue. */
export interface Wait {
  /** Rising within the partition: order of arrival. */
  readonly id: number;
  readonly operation: Operation;
  readonly session: Session;
  readonly parts: readonly WaitPart[];
  /** Order of arrival as a time: clock at arrival less priority x lock.priorityStepMs. */
  readonly arrivalMs: number;
  readonly sinceMs: number;
  /** Partition clock at which it times out; Infinity for never. */
  readonly deadlineMs: number;
  readonly priority: number;
  readonly rollback: boolean;
  readonly actor: string;
  /** The shared grant that is to become exclusive. */
  readonly upgradeOf: Grant | undefined;
  /** The grant is to be a reserved part of a batch. */
  readonly reserve: boolean;
  gone: boolean;
  /** A note of the shell, not part of the state: the position that the waiter was last told. */
  toldPosition: number;
}

export interface WaitPart {
  readonly element: Element;
  readonly mode: Mode;
  readonly take: number;
  readonly limit: number;
}

/** What a grant was asked for under, beyond mode and undo. */
export interface Terms {
  /** It is not pre-empted. */
  readonly never: boolean;
  readonly compensation: CompensationTerms | undefined;
}

export interface CompensationTerms {
  readonly url: string;
  readonly argument: string;
  /** The element is not granted again before the call is answered or given up. */
  readonly blocks: boolean;
}

/** A call that is owed for a lost grant. */
export interface CompensationRow extends CompensationTerms {
  /** With the partition, its idempotency key. */
  readonly id: number;
  readonly element: string;
  readonly token: FencingToken;
  readonly session: string;
  readonly principal: string;
  readonly why: "expired" | "forced" | "preempted";
}

export interface WarningPart {
  readonly name: string;
  /** 0 to 1. */
  readonly value: number;
  readonly weight: number;
}

/** Why a warning was given. All but `countdownMs` and `enforce` is for people and for later judgement. */
export interface WarningCause {
  readonly countdownMs: number;
  /** Whether the release is forced when the countdown ends. */
  readonly enforce: boolean;
  /** 0 to 1. */
  readonly score: number;
  readonly threshold: number;
  readonly parts: readonly WarningPart[];
  readonly reason: string;
  /** "" for the forecast, else the operator. */
  readonly by: string;
}

/** held -> warned -> acknowledged | extended | ignored; of a wait also passed_over. The row goes with its grant or wait. */
export type WarningPhase = "warned" | "acknowledged" | "extended" | "ignored" | "passed_over";

export interface Warning extends WarningCause {
  /** Rising within the partition. */
  readonly id: number;
  /** A wait that is granted hands its warning on to the grant. */
  target: Grant | Wait;
  phase: WarningPhase;
  extensions: number;
  extendedMs: number;
  /** Partition clock at which the countdown ends; Infinity while none runs. */
  endsAtMs: number;
  /** Starts of a server that began the countdown anew. */
  restarts: number;
}

/** `forced`: a countdown ended a grant; budgets are counted from these. `wrong`: it was released in time unasked; a cool-down follows. */
export type JudgementKind = "forced" | "wrong";

export interface Judgement {
  readonly kind: JudgementKind;
  /** Its number. */
  readonly warning: number;
  /** Of the session that held. */
  readonly principal: string;
  readonly client: string;
  readonly element: string;
  /** Of the partition clock. */
  readonly atMs: number;
}

export interface PolicyRow {
  /** Texts by field, as they were set. */
  readonly set: ReadonlyMap<string, string>;
  /** 0 to 1: where the controller has moved the threshold to; -1: it stands where it was set. */
  readonly threshold: number;
  readonly by: string;
  readonly reason: string;
  /** Wall clock of the change, for people. */
  readonly wallMs: number;
}

/** What is remembered of a request. */
export interface Operation {
  /** Undefined when the starting session is gone (kept operations only). */
  session: Session | undefined;
  readonly sessionId: string;
  readonly sequence: number;
  /** Set for kept operations. */
  readonly requestId: string;
  readonly principal: string;
  /** Hash of kind and arguments: the same id with others is refused. */
  readonly digest: number;
  readonly keepMs: number;
  wait: Wait | undefined;
  outcome: Outcome | undefined;
  /** Partition clock at which a kept one is forgotten; Infinity until it ends. */
  forgetAtMs: number;
  /** What it adds to the hash of the state, in halves; 0 until it is added. Derived. */
  hashLow: number;
  hashHigh: number;
}

/** What became of an acknowledgement. `over`: the grant had ended before. */
export const ACKNOWLEDGED_STATES = ["acknowledged", "extended", "refused", "over"] as const;
export type AcknowledgedState = (typeof ACKNOWLEDGED_STATES)[number];

/** Everything that was asked for is held. */
export interface GrantedOutcome {
  readonly kind: "granted";
  readonly grants: readonly GrantedElement[];
}

/** How a request ended. */
export type Outcome =
  | GrantedOutcome
  | { readonly kind: "released"; readonly stillHeld: boolean; readonly undone: number }
  | { readonly kind: "downgraded"; readonly token: FencingToken }
  | {
      readonly kind: "appended";
      readonly length: number;
      readonly version: number;
      readonly index: number;
      readonly offset: number;
      readonly undone: boolean;
    }
  | { readonly kind: "cancelled"; readonly cancelled: boolean }
  | {
      readonly kind: "acknowledged";
      readonly state: AcknowledgedState;
      readonly warning: number;
      /** Why an extension was refused. */
      readonly reason: string;
    }
  | { readonly kind: "refused"; readonly code: ErrorCode; readonly message: string };

export interface GrantedElement {
  readonly name: string;
  readonly token: FencingToken;
}

export interface FileRow {
  readonly number: number;
  readonly name: string;
  readonly hash: number;
  /** The element whose token allows appends: fixed by the first append. */
  guard: string;
  length: number;
  count: number;
  /** Rises with each append and each undo. */
  version: number;
  /** Rises with each undo: a read that began before one starts again. */
  undos: number;
  /** Checksum over the checksums of all records, in order. */
  checksum: number;
  /** Bytes from here on may still be undone; -1: none. */
  provisionalFrom: number;
}

/** A lockAll over several partitions, at home in the partition of its first name. */
export interface Batch {
  /** From the same counter as waits. */
  readonly id: number;
  readonly operation: Operation;
  /** Number of the session that asked; it may have ended before the batch is cleared away. */
  readonly session: number;
  readonly parts: readonly BatchPart[];
  readonly deadlineMs: number;
  readonly sinceMs: number;
  readonly rollback: boolean;
  readonly actor: string;
  stage: "taking" | "confirming";
}

export interface BatchPart {
  readonly name: string;
  readonly mode: Mode;
  readonly take: number;
  readonly limit: number;
}

export function createState(partition: number): PartitionState {
  return {
    partition,
    epoch: 0,
    grantCounter: 0,
    clockMs: 0,
    nextSession: 1,
    nextWait: 1,
    nextFile: 1,
    sessions: new LastFound(),
    sessionByNumber: new LastFound(),
    tombstones: new Map(),
    elements: new Elements(),
    waits: new Map(),
    kept: new Map(),
    keptByPrincipal: new Map(),
    files: new Map(),
    batches: new Map(),
    fences: new Map(),
    parts: new Map(),
    warnings: new Map(),
    warningByTarget: new Map(),
    nextWarning: 1,
    termsByTarget: new Map(),
    compensations: new Map(),
    nextCompensation: 1,
    judgements: [],
    policies: new Map(),
    contended: new Set(),
    deadlines: new DeadlineHeap(),
    grants: 0,
    operations: 0,
    hashLow: 0,
    hashHigh: 0,
  };
}

export function keptKey(principal: string, requestId: string): string {
  return `${principal}\n${requestId}`;
}

/** A token is epoch x 2^40 + counter. */
const EPOCH_SCALE = 2 ** (40 - 32);

export function tokenOf(epoch: number, counter: number): FencingToken {
  return joinToken(lowOf(counter), highOf(epoch, counter));
}

/** Lower 32 bits, signed, of the token of the grant that is number `counter` (below 2^40) of its partition. */
export function lowOf(counter: number): number {
  return counter | 0;
}

/** Upper 32 bits, signed. */
export function highOf(epoch: number, counter: number): number {
  return (epoch * EPOCH_SCALE + Math.floor(counter / 2 ** 32)) | 0;
}

export function holdersOf(element: Element): Iterable<Grant> {
  const { holders } = element;
  if (holders === undefined) return [];
  return holders instanceof Map ? holders.values() : [holders];
}

export function holderByToken(element: Element, token: FencingToken): Grant | undefined {
  const { holders } = element;
  if (holders instanceof Map) return holders.get(token);
  return holders?.hasToken(token) === true ? holders : undefined;
}

/** How long a grant has been held: milliseconds of the partition clock. */
export function ageOf({ clockMs }: Pick<PartitionState, "clockMs">, { grantedAtMs }: Grant): number {
  return Math.max(0, clockMs - grantedAtMs);
}

/** @param low and `high`: of the token, as signed 32 bits */
export function holderByHalves(element: Element, low: number, high: number): Grant | undefined {
  const { holders } = element;
  if (holders instanceof Map) return holders.get(joinToken(low, high));
  return holders?.hasHalves(low, high) === true ? holders : undefined;
}

/** Whether the session may be granted anything now. `clockMs` is the partition's. */
export function isLive(session: Session, clockMs: number): boolean {
  if (session.unheard) return false;
  return clockMs - session.silentSinceMs < session.ttlMs / 3;
}
