// memory.ts: MemoryEtcd, one client of a MemoryEtcdStore, with the network in between: requests and watches pass the faults it is
// given, on the store's clock. Many clients may share a store. Not here: what requests do (store.ts), which faults (faults.ts).
import { setMaxListeners } from "node:events";
import type { Timer } from "../clock.ts";
import {
  type CallOptions,
  type Etcd,
  EtcdError,
  type LeaseAnswer,
  type LeaseId,
  type LeaseRequest,
  type MemberAlarm,
  type MemberStatus,
  type RangeAnswer,
  type RangeRequest,
  type TxnAnswer,
  type TxnRequest,
  type WatchBatch,
  type WatchRequest,
} from "./etcd.ts";
import type { EtcdFaults, RequestFault, RequestKind } from "./faults.ts";
import { isInRange } from "./key-index.ts";
import { type Change, MemoryEtcdStore } from "./store.ts";

export { MemoryEtcdStore };

export interface MemoryEtcdOptions {
  readonly store: MemoryEtcdStore;
  /** Default: none. */
  readonly faults?: EtcdFaults;
  /** Default: 5,000. */
  readonly deadlineMs?: number;
}

interface Call<Answer> {
  readonly kind: RequestKind;
  /** A lost answer of a read leaves nothing open. */
  readonly isRead: boolean;
  readonly run: () => Answer;
  readonly options: CallOptions | undefined;
}

const DEADLINE_MS = 5_000;
/** Nobody reads why; without a reason each abort would make an exception with its stack. */
const OVER = "over";

export class MemoryEtcd implements Etcd {
  readonly #store: MemoryEtcdStore;
  readonly #faults: EtcdFaults;
  readonly #deadlineMs: number;
  readonly #closing = manyListeners(new AbortController());
  /** Aborted and replaced when the way to the members is cut or mended: whoever waits looks again. */
  #weather = manyListeners(new AbortController());
  #isCut = false;

  constructor({ store, faults = {}, deadlineMs = DEADLINE_MS }: MemoryEtcdOptions) {
    this.#store = store;
    this.#faults = faults;
    this.#deadlineMs = deadlineMs;
  }

  /** From now on nothing goes out and nothing comes in, and nobody is told: requests end at their deadline, watches stand still. */
  cut(): void {
    this.#isCut = true;
    this.#changeWeather();
  }

  mend(): void {
    this.#isCut = false;
    this.#changeWeather();
  }

  range(request: RangeRequest, options?: CallOptions): Promise<RangeAnswer> {
    return this.#call({ kind: "range", isRead: true, run: () => this.#range(request), options });
  }

  txn(request: TxnRequest, options?: CallOptions): Promise<TxnAnswer> {
    const isRead = [...request.success, ...(request.failure ?? [])].every(({ kind }) => kind === "range");
    return this.#call({ kind: "txn", isRead, run: () => this.#store.txn(request), options });
  }

  leaseGrant({ ttlSeconds }: LeaseRequest, options?: CallOptions): Promise<LeaseAnswer> {
    return this.#call({ kind: "lease_grant", isRead: false, run: () => this.#store.leaseGrant(ttlSeconds), options });
  }

  leaseKeepAlive(id: LeaseId, options?: CallOptions): Promise<LeaseAnswer> {
    return this.#call({ kind: "lease_keep_alive", isRead: true, run: () => this.#store.leaseKeepAlive(id), options });
  }

  leaseRevoke(id: LeaseId, options?: CallOptions): Promise<void> {
    return this.#call({ kind: "lease_revoke", isRead: false, run: () => this.#store.leaseRevoke(id), options });
  }

  compact(revision: number, options?: CallOptions): Promise<void> {
    return this.#call({ kind: "compact", isRead: false, run: () => this.#store.compact(revision), options });
  }

  status(options?: CallOptions): Promise<readonly MemberStatus[]> {
    return this.#call({ kind: "status", isRead: true, run: () => [this.#status()], options });
  }

  alarms(options?: CallOptions): Promise<readonly MemberAlarm[]> {
    return this.#call({ kind: "alarms", isRead: true, run: () => this.#store.alarms, options });
  }

  async close(): Promise<void> {
    this.#closing.abort();
  }

  async *watch(request: WatchRequest, signal: AbortSignal): AsyncGenerator<WatchBatch, void> {
    let next = request.from;
    while (!signal.aborted) {
      if (this.#closing.signal.aborted) throw closed();
      if (this.#isCut) {
        await this.#weatherChange(signal);
        continue;
      }
      if (this.#store.revision < next) {
        // A watch of the future, and of what is forgotten meanwhile.
        await this.#nextChange(signal);
        continue;
      }
      const fault = this.#faults.watch?.();
      if (fault?.kind === "broken") throw new EtcdError("unavailable", "the watch's connection broke");
      if (fault?.kind === "stalled") await this.#sleep(fault.delayMs, [signal]);
      if (signal.aborted || this.#isCut) continue;
      const changes = this.#store.changesFrom(next);
      next = this.#store.revision + 1;
      if (fault?.kind === "skipped") continue;
      const batch = batchOf(changes, request);
      if (batch === undefined) continue;
      yield batch;
      if (fault?.kind === "repeated") yield batch;
    }
  }

  async #call<Answer>(call: Call<Answer>): Promise<Answer> {
    if (this.#closing.signal.aborted) throw closed();
    const deadlineMs = call.options?.deadlineMs ?? this.#deadlineMs;
    const startMs = this.#store.clock.monotonicMs();
    const leftMs = (): number => Math.max(0, startMs + deadlineMs - this.#store.clock.monotonicMs());
    const fault = this.#faults.request?.(call.kind);
    if (fault?.kind === "refused") throw new EtcdError("unavailable", "connection refused");
    // Even a healthy answer comes later than the call returns.
    await (fault?.kind === "slow" ? this.#pause(fault.delayMs / 2, leftMs, call) : Promise.resolve());
    if (this.#isCut || fault?.kind === "request_lost") return this.#giveUp(call, leftMs());
    if (fault?.kind === "late") return this.#giveUpThenRun(call, fault, leftMs());
    const answer = this.#run(call);
    await (fault?.kind === "slow" ? this.#pause(fault.delayMs / 2, leftMs, call) : Promise.resolve());
    if (this.#isCut || fault?.kind === "answer_lost") return this.#giveUp(call, leftMs());
    if (this.#closing.signal.aborted) throw this.#lost(call);
    return answer;
  }

  /** What is refused is refused whether or not the answer arrives: nothing was done. */
  #run<Answer>(call: Call<Answer>): Answer {
    if (this.#closing.signal.aborted) throw closed();
    return call.run();
  }

  async #pause(delayMs: number, leftMs: () => number, call: Call<unknown>): Promise<void> {
    if (delayMs >= leftMs()) return this.#giveUp(call, leftMs());
    await this.#sleep(delayMs, this.#signalsOf(call));
    if (call.options?.signal?.aborted) throw this.#lost(call);
  }

  async #giveUp(call: Call<unknown>, leftMs: number): Promise<never> {
    await this.#sleep(leftMs, this.#signalsOf(call));
    throw this.#lost(call);
  }

  async #giveUpThenRun(
    call: Call<unknown>,
    { lateMs }: Extract<RequestFault, { kind: "late" }>,
    leftMs: number,
  ): Promise<never> {
    this.#store.clock.after(leftMs + lateMs, () => {
      try {
        call.run();
      } catch (error) {
        if (!(error instanceof EtcdError)) throw error; // Refused by the store, and nobody is there to hear it.
      }
    });
    return this.#giveUp(call, leftMs);
  }

  #lost({ isRead, kind }: Call<unknown>): EtcdError {
    return new EtcdError(isRead ? "unavailable" : "outcome_unknown", `no answer to ${kind} in time`);
  }

  #range(request: RangeRequest): RangeAnswer {
    const lag = request.stale ? (this.#faults.staleRevisions?.() ?? 0) : 0;
    if (lag === 0 || request.revision !== undefined) return this.#store.range(request);
    const revision = Math.max(1, this.#store.compactRevision, this.#store.revision - lag);
    return { ...this.#store.range({ ...request, revision }), revision };
  }

  #status(): MemberStatus {
    const { version, fileBytes, inUseBytes, quotaBytes, revision, alarms } = this.#store;
    return {
      endpoint: "memory",
      memberId: "1",
      version,
      dbBytes: fileBytes,
      dbInUseBytes: inUseBytes,
      quotaBytes,
      isLeader: true,
      hasLeader: true,
      isLearner: false,
      raftTerm: 1,
      raftIndex: revision,
      errors: alarms.map(({ kind }) => kind),
    };
  }

  #signalsOf(call: Call<unknown>): readonly AbortSignal[] {
    const { signal } = call.options ?? {};
    return signal === undefined ? [this.#closing.signal] : [this.#closing.signal, signal];
  }

  #changeWeather(): void {
    const before = this.#weather;
    this.#weather = manyListeners(new AbortController());
    before.abort(OVER);
  }

  #weatherChange(signal: AbortSignal): Promise<void> {
    return untilAborted([signal, this.#closing.signal, this.#weather.signal]);
  }

  /** Also after the weather changed: then nothing may have happened. */
  async #nextChange(signal: AbortSignal): Promise<void> {
    const changed = new AbortController();
    const listening = this.#store.onChange(() => changed.abort(OVER));
    await untilAborted([changed.signal, signal, this.#closing.signal, this.#weather.signal]);
    listening.dispose();
  }

  async #sleep(delayMs: number, signals: readonly AbortSignal[]): Promise<void> {
    const over = new AbortController();
    const timer = this.#store.clock.after(delayMs, () => over.abort(OVER));
    await untilAborted([over.signal, ...signals]);
    timer.dispose();
  }
}

function closed(): EtcdError {
  return new EtcdError("closed", "the client is closed");
}

function batchOf(changes: readonly Change[], range: WatchRequest): WatchBatch | undefined {
  const events = changes.flatMap((change) =>
    change.events.filter((event) => isInRange(event.kind === "put" ? event.entry.key : event.key, range)),
  );
  const revision = changes.at(-1)?.revision;
  return events.length === 0 || revision === undefined ? undefined : { revision, events };
}

/** Every request that waits listens; Node warns of more than ten. */
function manyListeners(controller: AbortController): AbortController {
  setMaxListeners(0, controller.signal);
  return controller;
}

/** Resolves when one of them is, or was. */
function untilAborted(signals: readonly AbortSignal[]): Promise<void> {
  return new Promise((resolve) => {
    const waiting: Timer[] = [];
    const finish = (): void => {
      for (const each of waiting) each.dispose();
      resolve();
    };
    if (signals.some(({ aborted }) => aborted)) return finish();
    for (const signal of signals) {
      signal.addEventListener("abort", finish, { once: true });
      waiting.push({ dispose: () => signal.removeEventListener("abort", finish) });
    }
  });
}
