// mirror.ts: a copy of the keys below one prefix of etcd, kept by a watch. It may be behind, never wrong: who needs the present reads.
//   M1. Changes are told in order of revisions. After a gap (compaction, a lost connection) what is there now is told as changes.
import type { Clock } from "../clock.ts";
import { type Etcd, isEtcdError, type KeyValue, prefixEnd } from "../etcd/etcd.ts";

export interface MirrorOptions {
  readonly etcd: Etcd;
  readonly prefix: string;
  readonly clock: Clock;
  /** A key was put, or deleted (`undefined`). The copy has the change. */
  readonly changed: (key: string, entry: KeyValue | undefined) => void;
  readonly note: (line: string, fields: Readonly<Record<string, unknown>>) => void;
}

/** Before a broken watch is begun again. */
const PAUSE_MS = 100;

export class Mirror {
  readonly entries = new Map<string, KeyValue>();
  readonly #options: MirrorOptions;
  readonly #closing = new AbortController();
  #revision = 0;
  #running: Promise<void> = Promise.resolve();

  constructor(options: MirrorOptions) {
    this.#options = options;
  }

  /** Resolves when the copy is there; it is kept from then on. Rejects when etcd cannot be read. */
  async start(): Promise<void> {
    await this.#read();
    this.#running = this.#follow();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#running;
  }

  async #follow(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      try {
        await this.#watch(signal);
      } catch (error) {
        if (isEtcdError(error, "closed")) return;
        if (isEtcdError(error, "compacted")) this.#revision = 0;
        this.#options.note("watch broke", { prefix: this.#options.prefix, error: String(error) });
        await this.#pause(signal);
      }
    }
  }

  async #watch(signal: AbortSignal): Promise<void> {
    if (this.#revision === 0) await this.#read();
    const { etcd, prefix } = this.#options;
    const request = { key: prefix, end: prefixEnd(prefix), from: this.#revision + 1 };
    for await (const { revision, events } of etcd.watch(request, signal)) {
      for (const event of events) {
        if (event.kind === "put") this.#put(event.entry);
        else this.#delete(event.key);
      }
      this.#revision = Math.max(this.#revision, revision);
    }
  }

  async #read(): Promise<void> {
    const { etcd, prefix } = this.#options;
    const { entries, revision } = await etcd.range({ key: prefix, end: prefixEnd(prefix) });
    const gone = new Set(this.entries.keys());
    for (const entry of entries) {
      gone.delete(entry.key);
      this.#put(entry);
    }
    for (const key of gone) this.#delete(key);
    this.#revision = revision;
  }

  #put(entry: KeyValue): void {
    if (this.entries.get(entry.key)?.modRevision === entry.modRevision) return;
    this.entries.set(entry.key, entry);
    this.#options.changed(entry.key, entry);
  }

  #delete(key: string): void {
    if (this.entries.delete(key)) this.#options.changed(key, undefined);
  }

  #pause(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        timer.dispose();
        signal.removeEventListener("abort", done);
        resolve();
      };
      const timer = this.#options.clock.after(PAUSE_MS, done);
      signal.addEventListener("abort", done, { once: true });
    });
  }
}
