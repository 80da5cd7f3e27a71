// asks.ts: reads and operator commands for the owner of a partition, for one node or for all of them, over connections of no session.
// Not here: how answers of several nodes become one (merge.ts, gather.ts).
//   S1. A read is asked again until it is answered or too old. What changes something is asked once: it has no number to find it by.
//   S2. One link for each peer, principal and address of its client, so that the peer's audit line says who and from where.
import { type Event, ForelockError, type Operation, type Reply } from "@forelock/protocol";
import type { Clock, Timer } from "../clock.ts";
import { asForelockError, errorMessage, errorReply } from "../shard/answers.ts";
import type { Node } from "../shard/node.ts";
import type { Caller } from "../shard/service.ts";
import type { Link, Pending } from "./link.ts";
import { isPassing, isPassingEnd, type Links } from "./links.ts";
import type { Owner, Owners, PeerAddress } from "./owners.ts";

export interface AsksParts {
  readonly node: Node;
  readonly owners: Owners;
  readonly links: Links;
  readonly clock: Clock;
  readonly holdMs: number;
}

type Body = NonNullable<Operation["body"]>;

/** Asks that wait for an owner. */
export const READS_WAITING_MAX = 1_000;
const RETRY_MS = 50;
const IDLE_MS = 60_000;

interface Shared {
  readonly link: Link;
  sequence: number;
  /** By the number of the watch on this link. */
  readonly watchers: Map<number, LinkWatcher>;
}

/** Whoever has events come over a shared link. */
export interface LinkWatcher {
  event(event: Event): void;
  /** No more events come of it. */
  ended(): void;
}

export class Asks {
  readonly #parts: AsksParts;
  readonly #shared = new Map<string, Shared>();
  readonly #waiting = new Set<() => void>();

  constructor(parts: AsksParts) {
    this.#parts = parts;
  }

  /** Owners have changed: whoever waits for one looks again. */
  changed(): void {
    for (const look of [...this.#waiting]) look();
  }

  /** The answer of the owner of `partition`. Does not reject. @param again whether asking twice does no harm (S1) */
  async owner(caller: Caller, body: Body, partition: number, again: boolean): Promise<Reply> {
    const { clock, owners, holdMs } = this.#parts;
    const untilMs = clock.monotonicMs() + holdMs;
    for (;;) {
      const owner = owners.of(partition);
      const isAsked = owner.kind !== "nobody";
      const reply = isAsked ? await this.#at(owner, caller, body) : undefined;
      if (reply !== undefined && !isToRepeat(reply, again)) return reply;
      if (clock.monotonicMs() >= untilMs || this.#waiting.size >= READS_WAITING_MAX) return none(partition);
      await this.pause();
    }
  }

  /** What one node answers, which must not be asked again. Does not reject. */
  at(peer: PeerAddress, caller: Caller, body: Body): Promise<Reply> {
    return this.#at({ kind: "peer", peer }, caller, body);
  }

  here(caller: Caller, body: Body): Promise<Reply> {
    return this.#at({ kind: "here" }, caller, body);
  }

  /** A link to `peer` for events, which `watcher` is told of. @throws ForelockError `connections_full`, `unavailable` */
  watch(peer: PeerAddress, caller: Caller, pattern: string, watcher: LinkWatcher): SharedWatch {
    const shared = this.#sharedFor(peer, caller);
    shared.sequence += 1;
    const watch = shared.sequence;
    shared.watchers.set(watch, watcher);
    const pending = (failed: () => void): Pending => ({
      ...{ isPatient: false, next: undefined, failed },
      reply: (reply) => {
        if (reply.body?.$case === "error") failed();
      },
    });
    shared.link.ask(
      { sequence: watch, keep: undefined, body: { $case: "watch", value: { pattern } } },
      pending(() => {
        if (shared.watchers.delete(watch)) watcher.ended();
      }),
    );
    return {
      end: () => {
        shared.watchers.delete(watch);
        if (shared.link.isEnded) return;
        shared.sequence += 1;
        shared.link.ask(
          { sequence: shared.sequence, keep: undefined, body: { $case: "unwatch", value: { watch } } },
          pending(() => {}),
        );
      },
    };
  }

  /** Ends links that nobody has used for a while. */
  sweep(): void {
    const idleMs = this.#parts.clock.monotonicMs() - IDLE_MS;
    for (const [key, { link, watchers }] of this.#shared) {
      if (!link.isQuiet || watchers.size > 0 || link.usedAtMs > idleMs) continue;
      this.#shared.delete(key);
      this.#parts.links.end(link);
    }
  }

  #at(owner: Exclude<Owner, { kind: "nobody" }>, caller: Caller, body: Body): Promise<Reply> {
    const { node } = this.#parts;
    return new Promise((resolve) => {
      if (owner.kind === "here") {
        node.submit(caller, undefined, { sequence: 1, keep: undefined, body }, resolve);
        return;
      }
      const failed = (error: ForelockError, isSent: boolean): void =>
        resolve(errorReply(1, errorMessage(lostAs(error, isSent && isChange(body)))));
      try {
        const shared = this.#sharedFor(owner.peer, caller);
        shared.sequence += 1;
        const isPatient = body.$case === "getOperation" || body.$case === "getHistory" || isAwait(body);
        shared.link.ask(
          { sequence: shared.sequence, keep: undefined, body },
          { isPatient, next: undefined, reply: resolve, failed },
        );
      } catch (cause) {
        resolve(errorReply(1, errorMessage(asForelockError(cause))));
      }
    });
  }

  /** S2 */
  #sharedFor(peer: PeerAddress, caller: Caller): Shared {
    const key = `${peer.id}\n${caller.principal}\n${caller.remoteAddress}`;
    const before = this.#shared.get(key);
    if (before !== undefined && !before.link.isEnded) return before;
    const watchers = new Map<number, LinkWatcher>();
    const link = this.#parts.links.open(peer, caller, undefined, {
      welcomed: () => {},
      notified: (notices) => {
        for (const { body } of notices) if (body?.$case === "event") watchers.get(body.value.watch)?.event(body.value);
      },
      ended: () => {
        if (this.#shared.get(key)?.link === link) this.#shared.delete(key);
        const ended = [...watchers.values()];
        watchers.clear();
        for (const watcher of ended) watcher.ended();
      },
    });
    const shared = { link, sequence: 0, watchers };
    this.#shared.set(key, shared);
    return shared;
  }

  /** Until owners change, or a moment. */
  pause(): Promise<void> {
    return new Promise((resolve) => {
      let timer: Timer | undefined;
      const look = (): void => {
        timer?.dispose();
        this.#waiting.delete(look);
        resolve();
      };
      timer = this.#parts.clock.after(RETRY_MS, look);
      this.#waiting.add(look);
    });
  }
}

export interface SharedWatch {
  end(): void;
}

/** `not_owner` and `unavailable` say that nothing was done. */
function isToRepeat({ body }: Reply, again: boolean): boolean {
  if (body?.$case !== "error") return false;
  const { code } = body.value;
  return code === "not_owner" || code === "unavailable" || (again && isPassing({ code }));
}

function isAwait(body: Body): boolean {
  return body.$case === "peer" && body.value.body?.$case === "part" && body.value.body.value.step?.$case === "await";
}

function isChange({ $case }: Body): boolean {
  return $case === "forceRelease" || $case === "endSession" || $case === "warn" || $case === "setPolicy";
}

/** What the loss of the link means for who asked. */
function lostAs(error: ForelockError, mayHaveHappened: boolean): ForelockError {
  if (!isPassingEnd(error)) return error;
  if (mayHaveHappened) return new ForelockError("outcome_unknown", error.plainMessage, { cause: error });
  return new ForelockError("unavailable", error.plainMessage, { retryAfterMs: 500, cause: error });
}

function none(partition: number): Reply {
  const message = `No node answers for partition ${partition}.`;
  return errorReply(1, errorMessage(new ForelockError("unavailable", message, { retryAfterMs: 500 })));
}
