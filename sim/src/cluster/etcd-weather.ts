// etcd-weather.ts: what becomes of one node's requests and watches on their way to etcd and back, from moment to moment.
import type { EtcdFaults, RequestFault, RequestKind, WatchFault } from "forelock/internal";
import { choose, type Random } from "../proxy/random.ts";

/**
 * `requests`: nothing arrives. `answers`: all is done, and no answer comes. `writes`: only what reads arrives. `refused`: told at once.
 * `lossy`: of each kind, now and then.
 */
export const WAYS = ["open", "requests", "answers", "writes", "refused", "lossy"] as const;
export type Way = (typeof WAYS)[number];

const HOP_MS_MAX = 8;
const LOSS_RATIO = 0.3;
const STALL_MS_MAX = 3_000;
const STALE_MAX = 30;

export class EtcdWeather implements EtcdFaults {
  way: Way = "open";
  /** In [0, 1]: of the batches of its watches, that something happens to them. */
  watchRatio = 0;
  readonly #random: Random;
  readonly counts = new Map<string, number>();

  constructor(random: Random) {
    this.#random = random;
  }

  /** The process ended; the network is as it was. */
  ended(): void {
    this.watchRatio = 0;
  }

  heal(): void {
    this.way = "open";
    this.watchRatio = 0;
  }

  request(kind: RequestKind): RequestFault {
    const fault = this.#request(kind);
    if (fault.kind !== "slow") this.#count(`etcd ${fault.kind}`);
    return fault;
  }

  watch(): WatchFault | undefined {
    if (this.#random() >= this.watchRatio) return undefined;
    const kind = choose(this.#random, ["stalled", "repeated", "skipped", "broken"] as const);
    this.#count(`watch ${kind}`);
    return kind === "stalled" ? { kind, delayMs: this.#random() * STALL_MS_MAX } : { kind };
  }

  staleRevisions(): number {
    return Math.floor(this.#random() * STALE_MAX);
  }

  #request(kind: RequestKind): RequestFault {
    const chance = this.#random();
    const slow = { kind: "slow", delayMs: 0.5 + chance * chance * HOP_MS_MAX } as const;
    switch (this.way) {
      case "open":
        return slow;
      case "requests":
        return { kind: "request_lost" };
      case "answers":
        return { kind: "answer_lost" };
      case "writes":
        return kind === "range" || kind === "status" || kind === "alarms" ? slow : { kind: "request_lost" };
      case "refused":
        return { kind: "refused" };
      case "lossy":
        return this.#lossy(slow);
    }
  }

  #lossy(slow: RequestFault): RequestFault {
    const chance = this.#random() / LOSS_RATIO;
    if (chance < 0.3) return { kind: "request_lost" };
    if (chance < 0.6) return { kind: "answer_lost" };
    if (chance < 0.8) return { kind: "late", lateMs: 1 + this.#random() * STALL_MS_MAX };
    return chance < 1 ? { kind: "refused" } : slow;
  }

  #count(name: string): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + 1);
  }
}
