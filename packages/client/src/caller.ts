// caller.ts: asking and waiting for one answer, as every part of the client does it.

import type { Acquisition } from "./lock/acquisition.ts";
import { Call, type ReplyCase, type ReplyValue, type RequestBody } from "./session/request.ts";
import type { Sessions } from "./sessions.ts";
import { abandonOn, withSignal } from "./signal.ts";

/** Where a request is carried out. */
export type Place = "session" | "read" | "aside";

export class Caller {
  readonly #sessions: Sessions;

  constructor(sessions: Sessions) {
    this.#sessions = sessions;
  }

  /** An aborted signal ends the waiting; what was sent goes on. */
  ask<Case extends ReplyCase>(
    place: Place,
    body: RequestBody,
    expected: Case,
    signal: AbortSignal | undefined,
  ): Promise<ReplyValue<Case>> {
    if (signal?.aborted) return Promise.reject(signal.reason);
    const call = new Call(body, expected);
    if (place === "session") this.#sessions.submit(call);
    else if (place === "read") this.#sessions.read(call);
    else this.#sessions.readAside(call);
    return withSignal(call.promise, signal);
  }

  /** An aborted signal leaves the queue, and gives back a grant that comes all the same. */
  acquire<Result>(acquisition: Acquisition<Result>, signal: AbortSignal | undefined): Promise<Result> {
    if (signal?.aborted) return Promise.reject(signal.reason);
    this.#sessions.submit(acquisition);
    abandonOn(acquisition, signal);
    return acquisition.result;
  }
}
