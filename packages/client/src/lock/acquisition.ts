// lock/acquisition.ts: one request for grants, from asking to its end. Serves acquire, acquire of many, and upgrade.
// Not here: what is made of a grant (granted, below: passed in), sending (session/link.ts).
//   A1. It ends once: granted, refused, or abandoned by its caller.
//   A2. A grant that comes after it was abandoned is given back.
//   A3. A warning of the wait goes on to its grant; one of a grant that is not known here yet is kept for it.
import {
  type AcquireReply,
  type Eta as EtaMessage,
  ForelockError,
  type Holder,
  type Keep,
  type Moved,
  OperationState,
  type PreemptionWarning,
} from "@forelock/protocol";
import type { ReplyBody, Request, RequestBody } from "../session/request.ts";
import type { Session } from "../session/session.ts";
import { ReceivedWarning } from "../warning/received-warning.ts";
import { errorFromWire } from "../wire/wire-error.ts";
import type { Terms } from "./terms.ts";

export interface Outcome<Result> {
  /** The grants are ours: makes of them what the caller gets. Called at most once. */
  granted(reply: AcquireReply, session: Session, terms: Terms | undefined): Result;
  /** The grants came too late: gives them back. */
  unwanted(reply: AcquireReply, session: Session): void;
}

export type AcquisitionState = "asked" | "queued" | "granted" | "ended" | "abandoned";

/** Told of a request: few, for nearly all get none. */
interface Warned {
  /** Of the wait. */
  pending: ReceivedWarning | undefined;
  /** Of grants that are still to be told, by id. */
  readonly early: Map<string, PreemptionWarning>;
}

const NO_BLOCKERS: readonly Holder[] = [];
/** As many as one request can have grants. */
const EARLY_MAX = 256;
const ignore = (): void => {};

export class Acquisition<Result> implements Request {
  sequence = 0;
  issuedAtMs = 0;
  refusals = 0;
  lastRefusal: ForelockError | undefined;
  reference = "";
  state: AcquisitionState = "asked";
  /** While queued: 1 is next. */
  position = 0;
  blockers: readonly Holder[] = NO_BLOCKERS;
  /** While queued: forecast of the rest of the wait, where there is one. */
  eta: EtaMessage | undefined;
  /** While queued: the grant is predicted to come within the next moments. */
  isSoon = false;
  /** Called when `state`, `position`, `eta` or `isSoon` has changed. Must not throw. */
  onChange: () => void = ignore;
  readonly keep: Keep | undefined;
  readonly body: RequestBody;
  readonly result: Promise<Result>;
  readonly #outcome: Outcome<Result>;
  readonly #terms: Terms | undefined;
  #session: Session | undefined;
  #warned: Warned | undefined;
  #resolve!: (result: Result) => void; // Set by the promise's constructor, which runs at once.
  #reject!: (error: unknown) => void;

  constructor(body: RequestBody, keep: Keep | undefined, outcome: Outcome<Result>, terms?: Terms) {
    this.body = body;
    this.keep = keep;
    this.#outcome = outcome;
    this.#terms = terms;
    this.result = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  /** Re-entry and upgrade hang on a grant of their session; what is kept is found again by its own id only. */
  get repeatable(): boolean {
    const reenters = this.body.$case === "acquire" && this.body.value.reenter !== 0n;
    return this.state === "asked" && this.keep === undefined && this.body.$case !== "upgrade" && !reenters;
  }

  taken(session: Session): void {
    this.#session = session;
  }

  moved({ position, eta, soon }: Moved): void {
    this.position = position;
    this.eta = eta;
    this.isSoon = soon;
    this.onChange();
  }

  /** A3 */
  warned(notice: PreemptionWarning): void {
    if (this.#session === undefined || (this.state !== "asked" && this.state !== "queued")) return;
    if (notice.token !== 0n) {
      const { early } = this.#warnings();
      if (early.size < EARLY_MAX) early.set(notice.warning, notice);
    } else if (this.#warned?.pending?.id === notice.warning) {
      this.#warned.pending.repeated(notice);
    } else if (this.#terms?.onWarning !== undefined) {
      const pending = new ReceivedWarning(this.#session, notice, this, this.#terms);
      this.#warned?.pending?.end();
      this.#warnings().pending = pending;
      pending.begin();
    } // Else nobody listens: it is passed over for a while, and its grant is not warned.
  }

  answer(body: ReplyBody): void {
    const session = this.#session;
    if (body.$case !== "acquire" || session === undefined) {
      this.fail(new ForelockError("internal", `The server answered ${this.body.$case} with ${body.$case}.`));
      return;
    }
    const reply = body.value;
    if (reply.reference !== "") this.reference = reply.reference;
    switch (reply.state) {
      case OperationState.QUEUED:
        this.#queued(reply, session);
        return;
      case OperationState.GRANTED:
        this.#granted(reply, session);
        return;
      default:
        this.fail(endOf(reply));
    }
  }

  fail(error: ForelockError): void {
    this.#end(this.state === "abandoned" ? "abandoned" : "ended", error); // What is abandoned stays so: A2.
  }

  /** The caller does not want it any more: rejects with `reason`, and has the server forget it. */
  abandon(reason: unknown): void {
    if (this.state === "granted" || this.state === "ended" || this.state === "abandoned") return; // A1
    const session = this.#session;
    const wasQueued = this.state === "queued";
    const unsent = this.sequence === 0 && (session?.withdraw(this) ?? true);
    this.#end(unsent ? "ended" : "abandoned", reason);
    if (wasQueued && session !== undefined) this.#cancel(session);
  }

  /** Leaves the queue, and keeps a grant that came first. @returns whether it left */
  async leave(): Promise<boolean> {
    return this.state === "queued" && this.#session !== undefined && this.#session.cancel(this);
  }

  #queued(reply: AcquireReply, session: Session): void {
    this.position = reply.position;
    this.blockers = reply.blockers;
    this.eta = reply.eta;
    if (this.state === "asked") this.state = "queued";
    if (this.state !== "queued") this.#cancel(session);
    this.onChange();
  }

  #granted(reply: AcquireReply, session: Session): void {
    if (this.state !== "asked" && this.state !== "queued") {
      this.#outcome.unwanted(reply, session); // A2
      return;
    }
    this.state = "granted";
    try {
      this.#resolve(this.#outcome.granted(reply, session, this.#terms));
    } catch (error) {
      this.#reject(error); // An answer that does not fit the question.
    }
    if (this.#warned !== undefined) this.#handOn(this.#warned, reply, session);
    this.onChange();
  }

  /** A3 */
  #handOn({ pending, early }: Warned, { grants }: AcquireReply, session: Session): void {
    const [first] = grants;
    const grant = first && session.grants.find(first.name, first.token);
    if (grant === undefined) pending?.end();
    else pending?.becomes(grant);
    for (const notice of early.values()) session.warned(notice);
    this.#warned = undefined;
  }

  #warnings(): Warned {
    this.#warned ??= { pending: undefined, early: new Map() };
    return this.#warned;
  }

  #cancel(session: Session): void {
    session.cancel(this).catch(() => {}); // A grant that comes all the same is given back: A2.
  }

  #end(state: "ended" | "abandoned", reason: unknown): void {
    if (this.state === "granted") return; // A1
    this.state = state;
    this.#warned?.pending?.end();
    this.#warned = undefined;
    this.#reject(reason);
    this.onChange();
  }
}

/** Why an operation ended without a grant. */
export function endOf({ error }: AcquireReply): ForelockError {
  return error === undefined
    ? new ForelockError("internal", "An operation ended without a grant or a reason.")
    : errorFromWire(error);
}
