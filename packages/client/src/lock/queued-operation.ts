// lock/queued-operation.ts: an operation of this client's session. Not here: those of others (remote-operation.ts).
//   Q1. The lock belongs to the operation until someone asks for it; `granted` gives the same one each time.
import { withSignal } from "../signal.ts";
import type { Acquisition } from "./acquisition.ts";
import type { Lock, RequestOptions } from "./lock.ts";
import { holderFromWire } from "./modes.ts";
import type { Holder, Operation, OperationState } from "./operation.ts";

export class QueuedOperation implements Operation {
  /** Resolves with the first answer, whatever it says. */
  readonly answered: Promise<void>;
  readonly #acquisition: Acquisition<Lock>;

  /** @param onMoved of the user: what it throws is reported as an uncaught exception, and disturbs nothing here. */
  constructor(acquisition: Acquisition<Lock>, onMoved?: (position: number) => void) {
    this.#acquisition = acquisition;
    acquisition.result.catch(() => {}); // Told by `granted`, which may be called later or never.
    this.answered = new Promise((resolve) => {
      let told = 0;
      acquisition.onChange = () => {
        resolve();
        const position = this.position;
        if (position !== told && told !== 0 && position !== 0 && onMoved !== undefined)
          queueMicrotask(() => onMoved(position));
        told = position;
      };
      if (acquisition.state !== "asked") acquisition.onChange();
    });
  }

  get reference(): string {
    return this.#acquisition.reference;
  }

  get state(): OperationState {
    const { state } = this.#acquisition;
    if (state === "granted") return "granted";
    return state === "ended" || state === "abandoned" ? "ended" : "queued";
  }

  get position(): number {
    return this.state === "queued" ? this.#acquisition.position : 0;
  }

  get blockers(): readonly Holder[] {
    return this.#acquisition.blockers.map(holderFromWire);
  }

  granted(options: RequestOptions = {}): Promise<Lock> {
    return withSignal(this.#acquisition.result, options.signal); // Q1
  }

  async cancel(options: RequestOptions = {}): Promise<boolean> {
    return withSignal(this.#acquisition.leave(), options.signal);
  }
}
