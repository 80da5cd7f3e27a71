// rows.ts: the two rows that a partition has most of, an element and a grant. What few of them use is kept apart and made when it
// is first set, so that a plain held element costs as little as it can. Not here: how they are linked (table.ts).
//   R1. A row reads as if every field were its own: what was never set reads as in the shared row of defaults, which never changes.
//   R2. No private methods: each row of a class that has one carries a mark of it.
import type { Effect, Element, FencingToken, Grant, Session } from "../partition/state.ts";
import { joinToken, tokenHigh, tokenLow } from "../partition/token.ts";
import type { TreePlace } from "./below.ts";
import type { Lane } from "./lane.ts";
import type { Mode } from "./mode.ts";

const NO_ELEMENTS: readonly Element[] = [];

/** Of elements that are waited for, hold permits, or lie above or below others. */
class ElementExtra {
  ancestors: readonly Element[] = NO_ELEMENTS;
  tree: TreePlace | undefined = undefined;
  taken = 0;
  limit = 0;
  intentExclusive = 0;
  intentShared = 0;
  lanes: (Lane | undefined)[] | undefined = undefined;
  waiting = 0;
  readersBefore = 0;
  phaseReaders = 0;
}

const NO_ELEMENT_EXTRA = new ElementExtra(); // R1

export class ElementRow implements Element {
  readonly name: string;
  readonly hash: number;
  holders: Grant | Map<FencingToken | string, Grant> | undefined = undefined;
  exclusive = 0;
  shared = 0;
  listing = 0;
  #extra: ElementExtra = NO_ELEMENT_EXTRA;

  constructor(name: string, hash: number) {
    this.name = name;
    this.hash = hash;
  }

  get ancestors(): readonly Element[] {
    return this.#extra.ancestors;
  }

  set ancestors(value: readonly Element[]) {
    if (value !== this.#extra.ancestors) ElementRow.#own(this).ancestors = value;
  }

  get tree(): TreePlace | undefined {
    return this.#extra.tree;
  }

  set tree(value: TreePlace | undefined) {
    if (value !== this.#extra.tree) ElementRow.#own(this).tree = value;
  }

  get taken(): number {
    return this.#extra.taken;
  }

  set taken(value: number) {
    if (value !== this.#extra.taken) ElementRow.#own(this).taken = value;
  }

  get limit(): number {
    return this.#extra.limit;
  }

  set limit(value: number) {
    if (value !== this.#extra.limit) ElementRow.#own(this).limit = value;
  }

  get intentExclusive(): number {
    return this.#extra.intentExclusive;
  }

  set intentExclusive(value: number) {
    if (value !== this.#extra.intentExclusive) ElementRow.#own(this).intentExclusive = value;
  }

  get intentShared(): number {
    return this.#extra.intentShared;
  }

  set intentShared(value: number) {
    if (value !== this.#extra.intentShared) ElementRow.#own(this).intentShared = value;
  }

  get lanes(): (Lane | undefined)[] | undefined {
    return this.#extra.lanes;
  }

  set lanes(value: (Lane | undefined)[] | undefined) {
    if (value !== this.#extra.lanes) ElementRow.#own(this).lanes = value;
  }

  get waiting(): number {
    return this.#extra.waiting;
  }

  set waiting(value: number) {
    if (value !== this.#extra.waiting) ElementRow.#own(this).waiting = value;
  }

  get readersBefore(): number {
    return this.#extra.readersBefore;
  }

  set readersBefore(value: number) {
    if (value !== this.#extra.readersBefore) ElementRow.#own(this).readersBefore = value;
  }

  get phaseReaders(): number {
    return this.#extra.phaseReaders;
  }

  set phaseReaders(value: number) {
    if (value !== this.#extra.phaseReaders) ElementRow.#own(this).phaseReaders = value;
  }

  static #own(row: ElementRow): ElementExtra {
    if (row.#extra === NO_ELEMENT_EXTRA) row.#extra = new ElementExtra();
    return row.#extra;
  }
}

/** Of grants to kept requests, in somebody's name, of permits, entered again, in a batch, or with effects to undo. */
class GrantExtra {
  requestId = "";
  actor = "";
  take = 1;
  entries = 1;
  rollback = false;
  reserved = false;
  effects: Effect[] | undefined = undefined;
}

const NO_GRANT_EXTRA = new GrantExtra(); // R1

export interface NewGrant {
  readonly token: FencingToken;
  readonly element: Element;
  readonly session: Session;
  readonly sequence: number;
  readonly requestId: string;
  readonly actor: string;
  readonly mode: Mode;
  readonly take: number;
  readonly limit: number;
  readonly rollback: boolean;
  readonly reserved: boolean;
}

export class GrantRow implements Grant {
  readonly element: Element;
  readonly session: Session;
  readonly sequence: number;
  grantedAtMs: number;
  mode: Mode;
  next: Grant | undefined = undefined;
  previous: Grant | undefined = undefined;
  tokenLow: number;
  tokenHigh: number;
  #extra: GrantExtra = NO_GRANT_EXTRA;

  constructor(
    element: Element,
    session: Session,
    sequence: number,
    mode: Mode,
    low: number,
    high: number,
    grantedAtMs: number,
  ) {
    this.element = element;
    this.session = session;
    this.sequence = sequence;
    this.grantedAtMs = grantedAtMs;
    this.mode = mode;
    this.tokenLow = low;
    this.tokenHigh = high;
  }

  /** @param grantedAtMs of the partition clock */
  static of(wanted: NewGrant, grantedAtMs: number): GrantRow {
    const { element, session, sequence, mode, token } = wanted;
    const row = new GrantRow(element, session, sequence, mode, tokenLow(token) | 0, tokenHigh(token) | 0, grantedAtMs);
    const { requestId, actor, take, rollback, reserved } = wanted;
    if (requestId === "" && actor === "" && take === 1 && !rollback && !reserved) return row;
    const extra = GrantRow.#own(row);
    extra.requestId = requestId;
    extra.actor = actor;
    extra.take = take;
    extra.rollback = rollback;
    extra.reserved = reserved;
    return row;
  }

  get token(): FencingToken {
    return joinToken(this.tokenLow, this.tokenHigh);
  }

  set token(value: FencingToken) {
    this.tokenLow = tokenLow(value) | 0;
    this.tokenHigh = tokenHigh(value) | 0;
  }

  hasToken(token: FencingToken): boolean {
    return this.hasHalves(tokenLow(token) | 0, tokenHigh(token) | 0);
  }

  hasHalves(low: number, high: number): boolean {
    return low === this.tokenLow && high === this.tokenHigh;
  }

  get requestId(): string {
    return this.#extra.requestId;
  }

  get actor(): string {
    return this.#extra.actor;
  }

  get take(): number {
    return this.#extra.take;
  }

  get rollback(): boolean {
    return this.#extra.rollback;
  }

  get entries(): number {
    return this.#extra.entries;
  }

  set entries(value: number) {
    if (value !== this.#extra.entries) GrantRow.#own(this).entries = value;
  }

  get reserved(): boolean {
    return this.#extra.reserved;
  }

  set reserved(value: boolean) {
    if (value !== this.#extra.reserved) GrantRow.#own(this).reserved = value;
  }

  get effects(): Effect[] | undefined {
    return this.#extra.effects;
  }

  set effects(value: Effect[] | undefined) {
    if (value !== this.#extra.effects) GrantRow.#own(this).effects = value;
  }

  static #own(row: GrantRow): GrantExtra {
    if (row.#extra === NO_GRANT_EXTRA) row.#extra = new GrantExtra();
    return row.#extra;
  }
}
