// session-record.ts: one session as the history shows it: a session of its own in each partition it touches.
//   R1. A partition's session is opened by the first command there; its open line covers that command and is written once it is
//       known to exist. One that never was known to exist is written as `unknown`.
//   R2. Every heartbeat gives one line for each partition that its answer names.
//   R3. A client gives a session up long before the service forgets that it ended: under a forgotten end it could begin anew.
import type { HistoryWriter } from "../history/write.ts";

export interface SessionRecordOptions {
  readonly history: HistoryWriter;
  /** Name of the client that has the session. */
  readonly process: string;
  readonly session: string;
  readonly ttlMs: number;
}

/** The service remembers an end for ten. */
const FORSAKEN_TTLS = 3;

export class SessionRecord {
  readonly #options: SessionRecordOptions;
  readonly #touchedNs = new Map<number, number>();
  readonly #known = new Set<number>();
  readonly #dead = new Set<number>();
  /** When it was last known to live there. */
  readonly #signNs = new Map<number, number>();

  constructor(options: SessionRecordOptions) {
    this.#options = options;
  }

  keyOf(partition: number): string {
    return `${this.#options.session}@${partition}`;
  }

  /** A command for the partition is about to leave. */
  touch(partition: number, callNs: number): void {
    if (this.#touchedNs.has(partition)) return;
    this.#touchedNs.set(partition, callNs);
    this.#signNs.set(partition, callNs);
  }

  /** R3. */
  get isForsaken(): boolean {
    const { history, ttlMs } = this.#options;
    const oldestNs = Math.min(...this.#signNs.values());
    return history.nowNs() - oldestNs > FORSAKEN_TTLS * ttlMs * 1e6;
  }

  /** An answer shows that the session exists there (R1). */
  confirm(partition: number): void {
    if (this.#known.has(partition)) return;
    const { history, ttlMs } = this.#options;
    const callNs = this.#touchedNs.get(partition);
    if (callNs === undefined) return; // Not touched by this client: nothing rests on it.
    this.#known.add(partition);
    history.write({
      ...this.#line("session_open", partition),
      args: { ttl_ms: ttlMs },
      callNs,
      returnNs: history.nowNs(),
      status: "ok",
    });
  }

  /** R2. @param slot tells heartbeats that overlap apart */
  heard(alive: readonly number[], expired: readonly number[], callNs: number, slot = 0): void {
    for (const partition of alive) {
      this.confirm(partition);
      if (this.#known.has(partition)) this.#beat(partition, true, callNs, slot);
    }
    for (const partition of expired) {
      if (!this.#touchedNs.has(partition) || this.#dead.has(partition)) continue;
      this.confirm(partition); // Whoever has expired has existed.
      this.#beat(partition, false, callNs);
      this.#dead.add(partition);
    }
  }

  /** The whole session was declared dead by an answer to something that was sent at `callNs`. */
  declaredDead(callNs: number): void {
    for (const partition of this.#known) {
      if (this.#dead.has(partition)) continue;
      this.#dead.add(partition);
      this.#beat(partition, false, callNs);
    }
  }

  /** @param status `unknown` when the close had no answer */
  closed(callNs: number, status: "ok" | "unknown"): void {
    const { history } = this.#options;
    for (const partition of this.#known) {
      if (this.#dead.has(partition)) continue;
      const returnNs = status === "ok" ? history.nowNs() : undefined;
      history.write({ ...this.#line("session_close", partition), callNs, returnNs, status });
    }
  }

  /** Writes what never was confirmed (R1). Last call. */
  finish(): void {
    const { history, ttlMs } = this.#options;
    for (const [partition, callNs] of this.#touchedNs) {
      if (this.#known.has(partition)) continue;
      const line = this.#line("session_open", partition);
      history.write({ ...line, args: { ttl_ms: ttlMs }, callNs, returnNs: undefined, status: "unknown" });
    }
  }

  #beat(partition: number, alive: boolean, callNs: number, slot = 0): void {
    if (alive) this.#signNs.set(partition, callNs);
    const { history } = this.#options;
    const line = this.#line(`keepalive/${slot}`, partition);
    history.write({ ...line, op: "keepalive", result: { alive }, callNs, returnNs: history.nowNs(), status: "ok" });
  }

  /** A process of its own for each: lines of several partitions overlap. */
  #line(op: string, partition: number) {
    const { process } = this.#options;
    return {
      process: `${process}/${op}/${partition}`,
      op,
      key: this.keyOf(partition),
      args: {},
      result: {},
      req: undefined,
    };
  }
}
