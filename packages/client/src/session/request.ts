// session/request.ts: one request of a session, from its issue to its last answer.
// Not here: numbering (window.ts), sending (link.ts), what an acquire does with a grant (lock/acquisition.ts).
import {
  ForelockError,
  type Keep,
  type Moved,
  type Operation,
  type PreemptionWarning,
  type Reply,
  type Error as WireError,
} from "@forelock/protocol";
import type { Session } from "./session.ts";

export type RequestBody = NonNullable<Operation["body"]>;
export type ReplyBody = Exclude<NonNullable<Reply["body"]>, { $case: "error" }>;
export type ReplyCase = ReplyBody["$case"];
type ReplyValues = { [Body in ReplyBody as Body["$case"]]: Body["value"] };
export type ReplyValue<Case extends ReplyCase> = ReplyValues[Case];

/** Has the shape of the wire's Operation, so that it is sent as it is. The link owns its mutable fields. */
export interface Request {
  /** 0 until it was first written. */
  sequence: number;
  readonly keep: Keep | undefined;
  readonly body: RequestBody;
  /** May be asked again by another session when this one is gone: it leaves nothing behind in a session that ended. */
  readonly repeatable: boolean;
  /** Monotonic; set when it was given to a link. */
  issuedAtMs: number;
  /** Refused to be tried later, this often. */
  refusals: number;
  lastRefusal: ForelockError | undefined;
  /** Of an acquire that was answered; else "". */
  readonly reference: string;
  /** A session has it now; another may have had it before. */
  taken(session: Session): void;
  /** While it waits: its new place in the queue, 1 being next, and what is forecast of the rest of its wait. */
  moved(moved: Moved): void;
  /** It waits and is in the way of others, or it was granted meanwhile and its grant is. */
  warned(notice: PreemptionWarning): void;
  /** Its answer; of an acquire also its later ones. */
  answer(body: ReplyBody): void;
  /** No answer will be waited for. One that still comes is passed to `answer`. Called any number of times. */
  fail(error: ForelockError): void;
}

/** A request with one answer of a known kind. */
export class Call<Case extends ReplyCase> implements Request {
  sequence = 0;
  issuedAtMs = 0;
  refusals = 0;
  lastRefusal: ForelockError | undefined;
  readonly keep = undefined;
  readonly reference = "";
  readonly body: RequestBody;
  repeatable: boolean;
  readonly promise: Promise<ReplyValue<Case>>;
  readonly #case: Case;
  #resolve!: (value: ReplyValue<Case> | PromiseLike<ReplyValue<Case>>) => void; // Set by the promise's constructor, which runs at once.
  #reject!: (error: unknown) => void;

  constructor(body: RequestBody, expected: Case) {
    this.body = body;
    this.#case = expected;
    this.repeatable = isRead(body.$case);
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  taken(): void {} // Its answer says all.

  moved(): void {} // It never waits.

  warned(): void {} // It gets no grant.

  answer(body: ReplyBody): void {
    this.repeatable = false; // It had its answer.
    // The union pairs each case with its value, which the compiler cannot follow through a type parameter.
    if (body.$case === this.#case) this.#resolve(body.value as ReplyValue<Case>);
    else this.#reject(new ForelockError("internal", `The server answered ${this.body.$case} with ${body.$case}.`));
  }

  fail(error: ForelockError): void {
    this.repeatable = false;
    this.#reject(error);
  }
}

export function isRead(kind: RequestBody["$case"]): boolean {
  return READS.has(kind);
}

/** Whether it is about what one session holds or waits for: in another it would only be refused. */
export function isOfSession(body: RequestBody): boolean {
  switch (body.$case) {
    case "release":
    case "upgrade":
    case "downgrade":
    case "acknowledge":
    case "closeSession":
      return true;
    case "acquire":
      return body.value.reenter !== 0n;
    case "cancel":
      return body.value.reference === "";
    default:
      return false;
  }
}

/** What an answer says went wrong, or undefined. */
export function refusalOf(reply: Reply): WireError | undefined {
  if (reply.body === undefined) return { code: "internal", message: "Empty answer.", detailsJson: "", retryAfterMs: 0 };
  return reply.body.$case === "error" ? reply.body.value : undefined;
}

/** How a request ends whose answer will not come. */
export function unanswered(request: Request, cause: ForelockError): ForelockError {
  const nothingHappened = request.repeatable || request.sequence === 0;
  if (nothingHappened) return cause;
  return new ForelockError("outcome_unknown", `${request.body.$case} was sent, but not answered.`, { cause });
}

const READS: ReadonlySet<RequestBody["$case"]> = new Set([
  "getOperation",
  "readFile",
  "readRecords",
  "listFiles",
  "why",
  "listLocks",
  "listSessions",
  "getStatus",
  "listPolicies",
  "getProfile",
  "getPrediction",
  "getHistory",
  "getCluster",
]);
