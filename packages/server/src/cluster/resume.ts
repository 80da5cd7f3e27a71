// resume.ts: what a client is told when it resumes its session at this node: what it holds and waits for at all of them.
//   R1. The Welcome speaks for every partition, or there is none: a client gives up what is missing in it.
//   R2. While a node is missed and its partitions get their next owners, the client waits here: told to come again it would come
//       when its own pauses say so, later than it could be served. It is tried again more often when an owner has just been named: that
//       one answers within a moment.
//   R3. No part is told as a grant of a batch that is told as waiting: its client would give it back as one that nobody asked for.
import { ForelockError, type HeldGrant, type Welcome } from "@forelock/protocol";
import { type Clock, pauseFor, type Timer } from "../clock.ts";
import type { Node } from "../shard/node.ts";
import { batchKeyOf, isPartKey } from "../shard/parts.ts";
import type { Caller, OpenedSession } from "../shard/service.ts";
import { isPassingEnd } from "./links.ts";
import type { Owners } from "./owners.ts";
import type { RoutedSession } from "./routed-session.ts";
import type { SessionLinks } from "./session-links.ts";

/** R2. Of `resumeMs`. */
const AGAIN_RATIO = 1 / 4;
const AGAIN_MS = 100;
const AGAIN_MS_NAMED = 25;
/** Longer than an owner that takes over is silent, and begins. */
const NAMED_MS = 500;

export interface ResumeParts {
  readonly node: Node;
  readonly owners: Owners;
  readonly sessions: SessionLinks;
  readonly clock: Clock;
  /** How long a client that resumes may wait for all nodes. */
  readonly resumeMs: number;
}

export class Resume {
  readonly #parts: ResumeParts;
  /** The newest resume of each session: an older one, whose client has come anew, tries no more. */
  readonly #newest = new WeakMap<RoutedSession, OpenedSession>();
  #namedAtMs = Number.NEGATIVE_INFINITY;

  constructor(parts: ResumeParts) {
    this.#parts = parts;
    parts.owners.onChange(() => {
      this.#namedAtMs = parts.clock.monotonicMs();
    });
  }

  /** To another node: of this one alone, and for which partitions it speaks. */
  async own(caller: Caller, opened: OpenedSession): Promise<Welcome> {
    // Led before and after: what was told in between is of these.
    const before = new Set(this.#led());
    const welcome = await this.#parts.node.welcome(caller, opened);
    return { ...welcome, ledPartitions: this.#led().filter((partition) => before.has(partition)) };
  }

  /** @throws ForelockError `unavailable` when a node does not answer in time; what a node refuses the session with */
  async everywhere(caller: Caller, opened: OpenedSession, session: RoutedSession): Promise<Welcome> {
    const { clock, resumeMs } = this.#parts;
    const { open } = session;
    const untilMs = clock.monotonicMs() + resumeMs * AGAIN_RATIO;
    this.#newest.set(session, opened);
    for (;;) {
      session.open = open;
      try {
        return await this.#once(caller, opened, session);
      } catch (error) {
        const mayPass = error instanceof ForelockError && isPassingEnd(error) && !session.isGone;
        if (!mayPass || this.#newest.get(session) !== opened || clock.monotonicMs() >= untilMs) throw error;
      }
      const isNamed = clock.monotonicMs() - this.#namedAtMs < NAMED_MS;
      await pauseFor(clock, isNamed ? AGAIN_MS_NAMED : AGAIN_MS); // R2
      if (this.#newest.get(session) !== opened) throw incomplete("it was resumed again");
    }
  }

  async #once(caller: Caller, opened: OpenedSession, session: RoutedSession): Promise<Welcome> {
    const { owners, sessions, clock, resumeMs } = this.#parts;
    let timer: Timer | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = clock.after(resumeMs, () => reject(incomplete("a node did not answer in time")));
    });
    const asked = owners.peers().map((peer) => sessions.resumeAt(session, peer));
    for (const each of asked) each.catch(() => {}); // The first of them is told; the others must not go unheard.
    session.open = undefined;
    const answered = Promise.all([this.own(caller, opened), ...asked]);
    const [own, ...others] = await Promise.race([answered, late]).finally(() => timer?.dispose());
    const spoken = new Set([own, ...others].flatMap((welcome) => welcome.ledPartitions));
    if (spoken.size < this.#parts.node.shards.length) throw incomplete("partitions are changing their owner"); // R1
    const all = [own, ...others];
    sessions.noteBatches(session, own);
    const open = new Set(all.flatMap(({ openBatches }) => openBatches.map(({ key }) => key)));
    return {
      ...own,
      grants: all.flatMap(({ grants }) => grants.filter((grant) => !isOfBatch(grant, open))), // R2
      waits: all.flatMap(({ waits }) => waits),
      missed: all.flatMap(({ missed }) => missed),
      expiredPartitions: [...new Set(all.flatMap(({ expiredPartitions }) => expiredPartitions))],
      durable: all.every(({ durable }) => durable),
      ledPartitions: [],
      openBatches: [],
    };
  }

  #led(): readonly number[] {
    const { owners, node } = this.#parts;
    return node.shards.map(({ partition }) => partition).filter((partition) => owners.of(partition).kind === "here");
  }
}

function isOfBatch({ requestId }: HeldGrant, keys: ReadonlySet<string>): boolean {
  return isPartKey(requestId) && keys.has(batchKeyOf(requestId));
}

function incomplete(why: string): ForelockError {
  return new ForelockError("unavailable", `What the session holds cannot be told: ${why}.`, { retryAfterMs: 100 });
}
