// lock/release.ts: one release of a grant, from asking to its answer. Not here: when a handle releases (held-lock.ts).
import { ForelockError } from "@forelock/protocol";
import type { ReplyBody, Request, RequestBody } from "../session/request.ts";
import type { Grant } from "./grant.ts";
import type { Released } from "./lock.ts";

const NOTHING_UNDONE: Released = Object.freeze({ undone: 0 });

/** Like a Call, but its own promise is what the user gets: releases are half of all requests. */
export class Release implements Request {
  sequence = 0;
  issuedAtMs = 0;
  refusals = 0;
  lastRefusal: ForelockError | undefined;
  readonly keep = undefined;
  readonly reference = "";
  /** The grant is of one session. */
  readonly repeatable = false;
  readonly body: RequestBody;
  readonly promise: Promise<Released>;
  readonly #grant: Grant;
  #resolve!: (released: Released) => void; // Set by the promise's constructor, which runs at once.
  #reject!: (error: unknown) => void;

  constructor(grant: Grant, undo: boolean) {
    this.#grant = grant;
    this.body = { $case: "release", value: { name: grant.name, token: grant.token, undo } };
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  taken(): void {} // Its answer says all.

  moved(): void {} // It never waits.

  warned(): void {} // It gets no grant.

  answer(body: ReplyBody): void {
    if (body.$case !== "release") {
      this.#reject(new ForelockError("internal", `The server answered release with ${body.$case}.`));
      return;
    }
    const { undone } = body.value;
    this.#resolve(undone === 0 ? NOTHING_UNDONE : { undone });
  }

  fail(error: ForelockError): void {
    this.#reject(lossOf(this.#grant, error));
  }
}

/** Refusals that mean that the grant had ended are one code for its holder. */
export function lossOf(grant: Grant, error: unknown): unknown {
  if (!(error instanceof ForelockError)) return error;
  switch (error.code) {
    case "stale_token":
    case "not_held":
    case "session_expired":
    case "session_unknown":
      return new ForelockError("lock_lost", `The lock ${grant.name} had ended before its release.`, { cause: error });
    default:
      return error;
  }
}
