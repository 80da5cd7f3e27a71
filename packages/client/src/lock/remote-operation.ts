// lock/remote-operation.ts: an operation by its reference, asked about at the server. Not here: waiting for one's own (queued-operation.ts).
import { type AcquireReply, CancelRequest, GetOperationRequest, OperationState as WireState } from "@forelock/protocol";
import type { Caller } from "../caller.ts";
import { endOf } from "./acquisition.ts";
import type { RequestOptions } from "./lock.ts";
import { holderFromWire } from "./modes.ts";
import type { OperationStatus, RemoteOperation } from "./operation.ts";

/** One question waits this long at the server: well below the time after which a request counts as unanswered. */
const QUESTION_MS = 5_000;

export class ReferencedOperation implements RemoteOperation {
  readonly reference: string;
  readonly #caller: Caller;
  readonly #nowMs: () => number;

  constructor(caller: Caller, nowMs: () => number, reference: string) {
    this.#caller = caller;
    this.#nowMs = nowMs;
    this.reference = reference;
  }

  async status(options: RequestOptions = {}): Promise<OperationStatus> {
    return this.#ask(0, options.signal);
  }

  async wait(options: RequestOptions & { readonly waitMs?: number } = {}): Promise<OperationStatus> {
    const { waitMs = Number.POSITIVE_INFINITY, signal } = options;
    const untilMs = this.#nowMs() + waitMs;
    for (;;) {
      const leftMs = Math.max(0, Math.ceil(untilMs - this.#nowMs()));
      const status = await this.#ask(Math.min(leftMs, QUESTION_MS), signal);
      if (status.state !== "queued" || leftMs === 0) return status;
    }
  }

  async cancel(options: RequestOptions = {}): Promise<boolean> {
    const value = CancelRequest.create({ reference: this.reference });
    const { cancelled } = await this.#caller.ask("session", { $case: "cancel", value }, "cancel", options.signal);
    return cancelled;
  }

  async #ask(waitMs: number, signal: AbortSignal | undefined): Promise<OperationStatus> {
    const value = GetOperationRequest.create({ reference: this.reference, waitMs });
    const place = waitMs > 0 ? "aside" : "read";
    return statusOf(await this.#caller.ask(place, { $case: "getOperation", value }, "acquire", signal));
  }
}

function statusOf(reply: AcquireReply): OperationStatus {
  const { reference, position, eta, blockers, grants, error } = reply;
  return {
    reference,
    state: stateOf(reply),
    position,
    eta,
    blockers: blockers.map(holderFromWire),
    grants: grants.map(({ name, token }) => ({ name, token })),
    error: error === undefined ? undefined : endOf(reply),
  };
}

function stateOf({ state }: AcquireReply): OperationStatus["state"] {
  if (state === WireState.QUEUED) return "queued";
  return state === WireState.GRANTED ? "granted" : "ended";
}
