// operation-row.ts: what is remembered of a request, as a row, and the outcome that most of them have. Not here: when one is
// remembered and when it is forgotten (operations.ts).
//   R1. As in lock/rows.ts: what few rows use is an object of its own, made when it is first set; until then it reads as the defaults.
//   R2. No private methods: each row of a class that has one carries a mark of it.
import type { GrantedElement, GrantedOutcome, Operation, Outcome, Session, Wait } from "./state.ts";
import { joinToken } from "./token.ts";

/** Of operations that are kept, or wait. */
class OperationExtra {
  requestId = "";
  keepMs = 0;
  forgetAtMs = Number.POSITIVE_INFINITY;
  wait: Wait | undefined = undefined;
}

const NO_EXTRA = new OperationExtra(); // R1

export class OperationRow implements Operation {
  session: Session | undefined;
  readonly sessionId: string;
  readonly principal: string;
  readonly sequence: number;
  readonly digest: number;
  outcome: Outcome | undefined;
  hashLow = 0;
  hashHigh = 0;
  #extra: OperationExtra = NO_EXTRA;

  constructor(
    session: Session | undefined,
    sessionId: string,
    principal: string,
    sequence: number,
    digest: number,
    outcome: Outcome | undefined,
  ) {
    this.session = session;
    this.sessionId = sessionId;
    this.principal = principal;
    this.sequence = sequence;
    this.digest = digest;
    this.outcome = outcome;
  }

  /** Right after it was made, if at all. */
  keep(requestId: string, keepMs: number): this {
    if (requestId === "" && keepMs === 0) return this;
    const extra = OperationRow.#own(this);
    extra.requestId = requestId;
    extra.keepMs = keepMs;
    return this;
  }

  get requestId(): string {
    return this.#extra.requestId;
  }

  get keepMs(): number {
    return this.#extra.keepMs;
  }

  get forgetAtMs(): number {
    return this.#extra.forgetAtMs;
  }

  set forgetAtMs(value: number) {
    if (value !== this.#extra.forgetAtMs) OperationRow.#own(this).forgetAtMs = value;
  }

  get wait(): Wait | undefined {
    return this.#extra.wait;
  }

  set wait(value: Wait | undefined) {
    if (value !== this.#extra.wait) OperationRow.#own(this).wait = value;
  }

  static #own(row: OperationRow): OperationExtra {
    if (row.#extra === NO_EXTRA) row.#extra = new OperationExtra();
    return row.#extra;
  }
}

/** One element was granted. Its token is in halves, and the list is made at each look: a replay makes thousands that nobody looks at. */
export class GrantedOne implements GrantedOutcome {
  readonly kind = "granted";
  readonly name: string;
  readonly tokenLow: number;
  readonly tokenHigh: number;

  constructor(name: string, low: number, high: number) {
    this.name = name;
    this.tokenLow = low;
    this.tokenHigh = high;
  }

  get grants(): readonly GrantedElement[] {
    return [{ name: this.name, token: joinToken(this.tokenLow, this.tokenHigh) }];
  }

  /** As a text it is what any other grant is. */
  toJSON(): GrantedOutcome {
    return { kind: this.kind, grants: this.grants };
  }
}

/** The outcome of nearly every release. */
export const RELEASED: Outcome = Object.freeze({ kind: "released", stillHeld: false, undone: 0 });

export const STILL_HELD: Outcome = Object.freeze({ kind: "released", stillHeld: true, undone: 0 });
