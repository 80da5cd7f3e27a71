// peers.ts: what this node asks the others for itself: steps of batches that are driven here, who waits for whom there,
// what they have seen for the thresholds of policies, and whether they are there at all. Not here: what is asked (shard/parts.ts, shard/deadlock-search.ts, heartbeats.ts), connections (asks.ts, links.ts).
//   E1. A step is asked once. Who asks does so again, under a higher number, when it was not answered: the answer may have been lost.
import { ForelockError, type PartReply, type PartStep, type PeerReply, type PeerRequest } from "@forelock/protocol";
import type { Gathered } from "../preempt/evidence.ts";
import type { OtherNodes } from "../shard/deadlock-search.ts";
import type { Peers } from "../shard/parts.ts";
import type { Caller } from "../shard/service.ts";
import type { WaitsAnswer, WaitsAsk } from "../shard/wait-answers.ts";
import type { Asks } from "./asks.ts";
import { errorOf } from "./link.ts";
import { idOf, type Owners, type PeerAddress } from "./owners.ts";

type RequestBody = NonNullable<PeerRequest["body"]>;
type ReplyBody = NonNullable<PeerReply["body"]>;

/** Nobody's client: see `Forwarded.principal` in forelock.proto. */
export const THIS_NODE: Caller = { principal: "", may: () => false, remoteAddress: "" };

export class ClusterPeers implements Peers {
  readonly holdMs: number;
  readonly #asks: Asks;
  readonly #owners: Owners;
  readonly heard: (id: string) => void;

  /** @param heard a heartbeat of the node came */
  constructor(asks: Asks, owners: Owners, holdMs: number, heard: (id: string) => void) {
    this.#asks = asks;
    this.#owners = owners;
    this.holdMs = holdMs;
    this.heard = heard;
  }

  isHere(partition: number): boolean {
    return this.#owners.of(partition).kind === "here";
  }

  /** E1 */
  async step(partition: number, step: PartStep): Promise<PartReply> {
    const owner = this.#owners.of(partition);
    if (owner.kind !== "peer")
      throw new ForelockError("unavailable", `No other node decides for partition ${partition}.`);
    const reply = await this.ask(owner.peer, { $case: "part", value: step });
    if (reply.$case !== "part") throw strange(owner.peer, reply);
    return reply.value;
  }

  pause(): Promise<void> {
    return this.#asks.pause();
  }

  /** As those that share the partitions. */
  get others(): OtherNodes {
    const owners = this.#owners;
    return {
      nodeId: owners.nodeId,
      ids: () => this.ids(),
      ownerOf: (partition) => idOf(owners.of(partition), owners.nodeId),
      ask: (id, ask) => this.#waits(id, ask),
    };
  }

  ids(): readonly string[] {
    return this.#owners.peers().map(({ id }) => id);
  }

  async takeEvidence(id: string): Promise<readonly Gathered<string>[]> {
    const peer = this.#peer(id);
    const reply = await this.ask(peer, { $case: "evidence", value: {} });
    if (reply.$case !== "evidence") throw strange(peer, reply);
    return reply.value.rows.map(({ prefix, waitsMs, judged, wrong }) => ({ key: prefix, waitsMs, judged, wrong }));
  }

  #peer(id: string): PeerAddress {
    const peer = this.#owners.peers().find((each) => each.id === id);
    if (peer === undefined) throw new ForelockError("unavailable", `There is no node ${id} now.`);
    return peer;
  }

  async #waits(id: string, ask: WaitsAsk): Promise<WaitsAnswer> {
    const peer = this.#peer(id);
    const reply = await this.ask(peer, { $case: "waits", value: { ask } });
    if (reply.$case !== "waits" || reply.value.answer === undefined) throw strange(peer, reply);
    return reply.value.answer;
  }

  /** Lets the peer hear of this node. @throws ForelockError when it does not answer */
  async beat(peer: PeerAddress): Promise<void> {
    const reply = await this.ask(peer, { $case: "beat", value: {} });
    if (reply.$case !== "beat") throw strange(peer, reply);
  }

  /** @throws ForelockError what the peer answered, or that it did not */
  async ask(peer: PeerAddress, body: RequestBody): Promise<ReplyBody> {
    const { body: answer } = await this.#asks.at(peer, THIS_NODE, { $case: "peer", value: { body } });
    if (answer?.$case === "error") throw errorOf(answer.value);
    if (answer?.$case !== "peer" || answer.value.body === undefined) throw strange(peer, answer);
    return answer.value.body;
  }
}

function strange({ id }: PeerAddress, answer: { readonly $case: string } | undefined): ForelockError {
  return new ForelockError("internal", `Node ${id} answered ${answer?.$case ?? "nothing"}.`);
}
