// watch/watches.ts: the watches of a client, over reconnects. Not here: what an event says (watch.ts).
//   W1. Wherever events may be missing there is a `gap`: at the start, after a reconnect, and where the reader was too slow.
//   W2. At most BUFFERED_MAX events wait for their reader; then the oldest go, and a gap takes their place.
import type { Event, ForelockError } from "@forelock/protocol";
import { Call, type ReplyBody } from "../session/request.ts";
import type { Sessions } from "../sessions.ts";
import { onAbort } from "../signal.ts";
import type { WatchEvent } from "./watch.ts";

const BUFFERED_MAX = 10_000;

export class Watches {
  readonly #sessions: Sessions;
  readonly #open = new Set<Watcher>();
  #watcherByNumber = new Map<number, Watcher>();

  constructor(sessions: Sessions) {
    this.#sessions = sessions;
  }

  async *watch(pattern: string, signal: AbortSignal | undefined): AsyncGenerator<WatchEvent> {
    signal?.throwIfAborted();
    const watcher = new Watcher(pattern);
    this.#open.add(watcher);
    this.#ask(watcher);
    const stop = signal === undefined ? undefined : onAbort(signal, (reason) => watcher.fail(reason));
    try {
      for (;;) yield await watcher.next();
    } finally {
      stop?.();
      this.#end(watcher);
    }
  }

  /** What was watched on the connection before has to be asked for again. */
  reconnected(): void {
    this.#watcherByNumber = new Map();
    for (const watcher of this.#open) this.#ask(watcher);
  }

  event(event: Event): void {
    const watcher = this.#watcherByNumber.get(event.watch);
    if (watcher === undefined) return;
    if (event.missed > 0) watcher.push(GAP); // W1
    if (event.kind !== "missed") watcher.push(shown(event));
  }

  #ask(watcher: Watcher): void {
    const call = new WatchCall(watcher.pattern, (number) => {
      if (!this.#open.has(watcher)) return;
      this.#watcherByNumber.set(number, watcher);
      watcher.push(GAP); // W1
    });
    call.promise.catch((error: ForelockError) => watcher.fail(error));
    this.#sessions.read(call);
  }

  #end(watcher: Watcher): void {
    this.#open.delete(watcher);
    for (const [number, other] of this.#watcherByNumber) {
      if (other !== watcher) continue;
      this.#watcherByNumber.delete(number);
      const call = new Call({ $case: "unwatch", value: { watch: number } }, "unwatch");
      call.promise.catch(() => {}); // Its events are ignored from here on.
      this.#sessions.read(call);
    }
  }
}

/** Registers within the answer: the first event may come in the same frame. */
class WatchCall extends Call<"watch"> {
  readonly #registered: (number: number) => void;

  constructor(pattern: string, registered: (number: number) => void) {
    super({ $case: "watch", value: { pattern } }, "watch");
    this.#registered = registered;
  }

  override answer(body: ReplyBody): void {
    super.answer(body);
    if (body.$case === "watch") this.#registered(this.sequence);
  }
}

class Watcher {
  readonly pattern: string;
  #events: WatchEvent[] = [];
  #failure: { readonly reason: unknown } | undefined;
  #wake: () => void = () => {};

  constructor(pattern: string) {
    this.pattern = pattern;
  }

  push(event: WatchEvent): void {
    if (event === GAP && this.#events.at(-1) === GAP) return;
    this.#events.push(event);
    if (this.#events.length > BUFFERED_MAX) {
      this.#events = [GAP, ...this.#events.slice(BUFFERED_MAX / 2)]; // W2: half, so that it is rare.
    }
    this.#wake();
  }

  fail(reason: unknown): void {
    this.#failure ??= { reason };
    this.#wake();
  }

  async next(): Promise<WatchEvent> {
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure.reason;
      const event = this.#events.shift();
      if (event !== undefined) return event;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

const GAP: WatchEvent = { kind: "gap", name: "", session: "", token: 0n, partition: 0, reason: "", revision: 0 };

function shown({ kind, name, session, token, partition, reason, revision }: Event): WatchEvent {
  return { kind, name, session, token, partition, reason, revision };
}
