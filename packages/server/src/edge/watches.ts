// watches.ts: the watches of one connection. Not here: which events match and may be seen (the service).
//   T1. A watcher that does not keep up loses events, is told how many, and holds up nobody.
import type { Event, Notice, Reply } from "@forelock/protocol";
import type { Service } from "../shard/service.ts";
import type { EdgeCaller, OperationBody } from "./authorize.ts";
import type { Switchboard } from "./switchboard.ts";
import { wireError, wireErrorOf } from "./wire-error.ts";

const RETRY_AFTER_MS = 1_000;

export interface WatchesHost {
  notify(notice: Notice): void;
  /** Whether events may be added: the client reads, and not too many are waiting. */
  readonly hasRoom: boolean;
}

interface Watch {
  readonly end: () => void;
  missed: number;
}

export class Watches {
  readonly #service: Service;
  readonly #caller: EdgeCaller;
  readonly #switchboard: Switchboard;
  readonly #host: WatchesHost;
  readonly #byNumber = new Map<number, Watch>();

  constructor(service: Service, caller: EdgeCaller, switchboard: Switchboard, host: WatchesHost) {
    this.#service = service;
    this.#caller = caller;
    this.#switchboard = switchboard;
    this.#host = host;
  }

  /** Carries out `watch` and `unwatch`, which are checked already. A repeated one answers what the first did. */
  operate(sequence: number, body: OperationBody): Reply {
    switch (body.$case) {
      case "watch":
        return this.#watch(sequence, body.value.pattern);
      case "unwatch":
        this.#end(body.value.watch);
        return { sequence, body: { $case: "unwatch", value: {} } };
      default:
        return { sequence, body: { $case: "error", value: wireErrorOf(new Error(`no watch: ${body.$case}`)) } };
    }
  }

  /** Tells watchers what they missed, once there is room. */
  catchUp(): void {
    for (const [number, watch] of this.#byNumber) {
      if (watch.missed === 0) continue;
      this.#host.notify(notice(missedEvent(number, watch.missed)));
      watch.missed = 0;
    }
  }

  end(): void {
    for (const number of [...this.#byNumber.keys()]) this.#end(number);
  }

  #watch(sequence: number, pattern: string): Reply {
    const { counters, limits } = this.#switchboard;
    if (!this.#byNumber.has(sequence)) {
      if (counters.watchers >= limits.watchersMax || this.#byNumber.size >= limits.watchersPerConnectionMax) {
        const message = `${this.#byNumber.size} watches on this connection, ${counters.watchers} watches and awaits in all.`;
        const value = wireError({ code: "watchers_full", message, retryAfterMs: RETRY_AFTER_MS });
        return { sequence, body: { $case: "error", value } };
      }
      counters.watchers++;
      const sink = { notify: (event: Notice) => this.#pass(sequence, event) };
      this.#byNumber.set(sequence, { end: this.#service.watch(this.#caller, pattern, sequence, sink), missed: 0 });
    }
    return { sequence, body: { $case: "watch", value: {} } };
  }

  #pass(number: number, event: Notice): void {
    const watch = this.#byNumber.get(number);
    if (watch === undefined) return;
    if (!this.#host.hasRoom) {
      watch.missed++; // T1
      this.#switchboard.counters.events_missed_total++;
      return;
    }
    const { missed } = watch;
    watch.missed = 0;
    const body = event.body;
    if (missed === 0 || body?.$case !== "event") {
      this.#host.notify(event);
      return;
    }
    // A copy: the same notice may be on its way to other watchers.
    this.#host.notify(notice({ ...body.value, missed: body.value.missed + missed }));
  }

  #end(number: number): void {
    const watch = this.#byNumber.get(number);
    if (watch === undefined) return;
    this.#byNumber.delete(number);
    this.#switchboard.counters.watchers--;
    watch.end();
  }
}

function notice(value: Event): Notice {
  return { body: { $case: "event", value } };
}

function missedEvent(watch: number, missed: number): Event {
  return { watch, kind: "missed", name: "", session: "", token: 0n, partition: 0, reason: "", revision: 0, missed };
}
