// heart.ts: the heartbeats of one raw session, on a connection of their own, each written down with its interval.
//   H1. A heartbeat counts from the moment before it was sent, and only once it was answered.

import { Purpose } from "@forelock/protocol";
import type { HistoryWriter } from "../history/write.ts";
import { type Clock, pause } from "../proxy/clock.ts";
import { verdictOf } from "./outcome.ts";
import type { RawSession } from "./raw-session.ts";
import type { SessionRecord } from "./session-record.ts";
import { type Way, WireConnection } from "./wire.ts";

export interface HeartOptions {
  readonly session: RawSession;
  readonly record: SessionRecord;
  readonly history: HistoryWriter;
  readonly way: Way;
  readonly everyMs: number;
  readonly clock: Clock;
}

/** More than this unanswered: the connection is taken for dead. */
const UNANSWERED_MAX = 4;
const RETRY_MS = 100;

export class Heart {
  readonly #options: HeartOptions;
  readonly #stop = new AbortController();
  readonly #sentNs = new Map<number, number>();
  #connection: WireConnection | undefined;
  #number = 0;
  #isOpening = false;
  /** Partitions that the server has declared dead. */
  readonly expired = new Set<number>();

  constructor(options: HeartOptions) {
    this.#options = options;
  }

  /** Beats until stopped or killed. */
  async run(): Promise<void> {
    const { clock, everyMs } = this.#options;
    while (!this.#stop.signal.aborted) {
      await this.#beat();
      await pause(clock, this.#connection === undefined ? RETRY_MS : everyMs, this.#stop.signal);
    }
  }

  /** No further beat; also how a client dies. */
  stop(): void {
    this.#stop.abort();
    this.#connection?.cut();
  }

  async #beat(): Promise<void> {
    const { history } = this.#options;
    if (this.#connection === undefined && !this.#isOpening) await this.#open();
    if (this.#sentNs.size >= UNANSWERED_MAX) this.#connection?.cut();
    if (this.#connection === undefined || this.#stop.signal.aborted) return;
    this.#number += 1;
    this.#sentNs.set(this.#number, history.nowNs()); // H1
    this.#connection.send({ heartbeat: { number: this.#number, lagMs: 0, health: 0 } });
  }

  async #open(): Promise<void> {
    const { session, record, way, history } = this.#options;
    const callNs = history.nowNs();
    this.#isOpening = true;
    this.#sentNs.clear();
    try {
      const connection = await WireConnection.open(way(), {
        onFrame: (frame) => {
          if (frame.closing !== undefined && verdictOf(frame.closing.code) === "session_gone") {
            record.declaredDead(callNs);
            this.#stop.abort();
          }
          const { heartbeat } = frame;
          const sentNs = heartbeat === undefined ? undefined : this.#sentNs.get(heartbeat.number);
          if (heartbeat === undefined || sentNs === undefined) return;
          this.#sentNs.delete(heartbeat.number);
          for (const partition of heartbeat.expiredPartitions) this.expired.add(partition);
          record.heard(
            heartbeat.partitions,
            heartbeat.expiredPartitions,
            sentNs,
            heartbeat.number % (UNANSWERED_MAX + 1),
          );
        },
        onClose: () => {
          if (this.#connection === connection) this.#connection = undefined;
        },
      });
      this.#connection = connection;
      const hello = {
        version: 1,
        purpose: Purpose.HEARTBEAT,
        token: "",
        ...session.identity,
        open: [],
        client: "",
        application: "",
        forwarded: undefined,
        direct: false,
      };
      connection.send({ hello });
    } catch {
      // Nobody listens now: the next beat tries again.
    }
    this.#isOpening = false;
  }
}
