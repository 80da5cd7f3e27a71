// lock/queued-operation.ts: an operation of this client's session. Not here: those of others (remote-operation.ts).
//   Q1. The lock belongs to the operation until someone asks for it; `granted` gives the same one each time.
//   Q2. Whoever follows the progress gets the newest state, however slow: what lies between may be left out, the end never.
import type { Eta } from "../inspect/prediction.ts";
import { withSignal } from "../signal.ts";
import type { Acquisition } from "./acquisition.ts";
import type { Lock, RequestOptions } from "./lock.ts";
import { holderFromWire } from "./modes.ts";
import type { EnqueueOptions, Holder, Operation, OperationState, Progress } from "./operation.ts";

export class QueuedOperation implements Operation {
  /** Resolves with the first answer, whatever it says. */
  readonly answered: Promise<void>;
  readonly #acquisition: Acquisition<Lock>;
  readonly #onMoved: EnqueueOptions["onMoved"];
  /** Called at the next change, once. */
  #followers: (() => void)[] = [];
  /** How often anything changed. */
  #changes = 0;

  /** @param onMoved of the user: what it throws is reported as an uncaught exception, and disturbs nothing here. */
  constructor(acquisition: Acquisition<Lock>, onMoved?: EnqueueOptions["onMoved"]) {
    this.#acquisition = acquisition;
    this.#onMoved = onMoved;
    acquisition.result.catch(() => {}); // Told by `granted`, which may be called later or never.
    this.answered = new Promise((resolve) => {
      acquisition.onChange = () => {
        resolve();
        this.#changed();
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

  get eta(): Eta | undefined {
    return this.state === "queued" ? this.#acquisition.eta : undefined;
  }

  get soon(): boolean {
    return this.state === "queued" && this.#acquisition.isSoon;
  }

  get blockers(): readonly Holder[] {
    return this.#acquisition.blockers.map(holderFromWire);
  }

  granted(options: RequestOptions = {}): Promise<Lock> {
    return withSignal(this.#acquisition.result, options.signal); // Q1
  }

  async *progress(options: RequestOptions = {}): AsyncGenerator<Progress> {
    for (;;) {
      options.signal?.throwIfAborted();
      const seen = this.#changes;
      const { state, position, eta, soon } = this;
      yield { state, position, eta, soon };
      if (state !== "queued") return;
      if (this.#changes === seen) await withSignal(this.#nextChange(), options.signal); // Q2
    }
  }

  async cancel(options: RequestOptions = {}): Promise<boolean> {
    return withSignal(this.#acquisition.leave(), options.signal);
  }

  #changed(): void {
    const isFirst = this.#changes++ === 0;
    const followers = this.#followers;
    this.#followers = [];
    for (const follow of followers) follow();
    const { position, eta } = this;
    const onMoved = this.#onMoved;
    if (!isFirst && position !== 0 && onMoved !== undefined) queueMicrotask(() => onMoved(position, eta));
  }

  #nextChange(): Promise<void> {
    return new Promise((resolve) => this.#followers.push(resolve));
  }
}
