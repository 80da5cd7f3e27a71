// administration.ts: a cluster's operations for operators: tell what it is like, and change it. Not here: what is told (report.ts), what may
// be changed (changes.ts), how peers are reached (asks.ts).
//   A1. What another node forwards is answered from what this node has: nothing is asked of others again, and nothing changed.
import { ForelockError, type GetClusterReply, type Operation, type Reply } from "@forelock/protocol";
import type { Clock } from "../clock.ts";
import type { Caller } from "../shard/service.ts";
import type { Changes } from "./changes.ts";
import type { EtcdHealth } from "./etcd-health.ts";
import type { PeerAddress } from "./owners.ts";
import type { Ownership } from "./ownership.ts";
import { type ClusterView, ownPart, reportOf } from "./report.ts";

export type AdministrationBody = Extract<
  NonNullable<Operation["body"]>,
  { readonly $case: "getCluster" | "changeCluster" }
>;

export interface AdministrationParts {
  readonly view: ClusterView;
  readonly ownership: Ownership;
  readonly changes: Changes;
  readonly etcd: EtcdHealth;
  readonly clock: Clock;
}

/** A peer that has not answered by then counts as one that does not: this is asked above all when some do not. */
const ANSWER_MS = 1_000;
const MOVES_DEFAULT = 100;

export class Administration {
  readonly #parts: AdministrationParts;

  constructor(parts: AdministrationParts) {
    this.#parts = parts;
  }

  /** @throws ForelockError */
  async carryOut(
    caller: Caller,
    body: AdministrationBody,
    ask: (peer: PeerAddress) => Promise<Reply>,
  ): Promise<Reply["body"]> {
    const isForwarded = caller.forwardedBy !== undefined;
    if (body.$case === "changeCluster") {
      if (isForwarded) throw new ForelockError("not_supported", "A change of the cluster is not forwarded."); // A1
      return { $case: "changeCluster", value: await this.#parts.changes.change(caller, body.value) };
    }
    const movesMax = body.value.movesMax === 0 ? MOVES_DEFAULT : body.value.movesMax;
    const { view } = this.#parts;
    const value = isForwarded ? ownPart(view, movesMax) : await this.#report(movesMax, ask);
    return { $case: "getCluster", value };
  }

  counters(): Readonly<Record<string, number>> {
    const { ownership, etcd, view } = this.#parts;
    const { took_over: takeovers, gave: gifts, suspected: suspicions } = ownership.timeline.counts;
    return {
      nodes_live: view.members.living().length,
      partitions_led: ownership.led.length,
      standby_lag_records_max: ownership.standbyLag(),
      epoch_changes_total: ownership.epochChanges,
      takeovers_total: takeovers,
      gifts_total: gifts,
      nodes_suspected: view.suspects().length,
      suspicions_total: suspicions,
      window_open: ownership.mayAnswer() ? 1 : 0,
      etcd_file_bytes: etcd.fileBytes,
    };
  }

  async #report(movesMax: number, ask: (peer: PeerAddress) => Promise<Reply>): Promise<GetClusterReply> {
    const { view, ownership, etcd } = this.#parts;
    const [health, ...parts] = await Promise.all([
      etcd.look(),
      ...ownership.peers().map((peer) => this.#inTime(ask(peer))),
    ]);
    const answered = parts.flatMap((reply) => (reply?.body?.$case === "getCluster" ? [reply.body.value] : []));
    return { ...reportOf(view, [ownPart(view, movesMax), ...answered], movesMax), etcd: health };
  }

  #inTime(reply: Promise<Reply>): Promise<Reply | undefined> {
    return new Promise((resolve) => {
      const timer = this.#parts.clock.after(ANSWER_MS, () => resolve(undefined));
      void reply.then((value) => {
        timer.dispose();
        resolve(value);
      });
    });
  }
}
