// in-flight.ts: how many requests are under way at once. The rest wait in order, and past a limit are turned away.
import { EtcdError } from "./etcd.ts";

export interface InFlightLimits {
  readonly requestsMax: number;
  readonly waitingMax: number;
}

export class InFlight {
  readonly #limits: InFlightLimits;
  readonly #waiting: (() => void)[] = [];
  #requests = 0;

  constructor(limits: InFlightLimits) {
    this.#limits = limits;
  }

  /** Rejects with `unavailable` when too many wait. */
  async run<Answer>(request: () => Promise<Answer>): Promise<Answer> {
    if (this.#requests >= this.#limits.requestsMax) await this.#turn();
    else this.#requests += 1;
    try {
      return await request();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#requests -= 1;
      else next(); // Takes this place.
    }
  }

  #turn(): Promise<void> {
    const { waitingMax } = this.#limits;
    if (this.#waiting.length >= waitingMax)
      return Promise.reject(new EtcdError("unavailable", `${waitingMax} requests wait already`));
    return new Promise((resolve) => this.#waiting.push(resolve));
  }
}
