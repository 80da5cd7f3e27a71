// peer-requests.ts: what other nodes of the cluster ask this one for themselves: steps of their batches, and who waits for whom. Not
// here: who may ask (edge/), what a step does (batch/), what a cycle is (deadlock-search.ts).
import {
  type EvidenceRow,
  ForelockError,
  type PartStep,
  type PeerReply,
  type PeerRequest,
  type Reply,
} from "@forelock/protocol";
import type { SessionIdentity } from "../partition/commands.ts";
import type { Gathered } from "../preempt/evidence.ts";
import { asForelockError, errorMessage, errorReply } from "./answers.ts";
import type { Node } from "./node.ts";
import { lookDurably, type PartAnswer, partReply, stepCommand, submitStep, waitOf } from "./parts.ts";
import type { Caller } from "./service.ts";

type PeerBody = NonNullable<PeerRequest["body"]>;

export class PeerRequests {
  readonly #node: Node;

  constructor(node: Node) {
    this.#node = node;
  }

  /** @throws ForelockError `permission_denied` when a client asks */
  carryOut(caller: Caller, { body }: PeerRequest, sequence: number, respond: (reply: Reply) => void): void {
    if (caller.isPeer !== true) throw new ForelockError("permission_denied", "Only nodes of the cluster ask for this.");
    if (body === undefined) throw new ForelockError("bad_argument", "peer: of a kind that this node does not know.");
    this.#answer(body, caller.forwardedBy ?? "").then(
      (reply) => respond({ sequence, body: { $case: "peer", value: { body: reply } } }),
      (cause: unknown) => respond(errorReply(sequence, errorMessage(asForelockError(cause)))),
    );
  }

  async #answer(body: PeerBody, from: string): Promise<NonNullable<PeerReply["body"]>> {
    switch (body.$case) {
      case "part":
        return this.#step(body.value);
      case "beat":
        this.#node.peers?.heard(from);
        return { $case: "beat", value: {} };
      case "evidence":
        return { $case: "evidence", value: { rows: evidenceRows(this.#node.foresight.take()) } };
      case "waits": {
        const { ask } = body.value;
        if (ask === undefined)
          throw new ForelockError("bad_argument", "waits.ask: missing, or not known to this node.");
        return { $case: "waits", value: { answer: await this.#node.deadlocks.answer(ask, from) } };
      }
    }
  }

  async #step(value: PartStep): Promise<NonNullable<PeerReply["body"]>> {
    const command = stepCommand(value);
    const shard = this.#node.shardOf(value.name);
    if (command.kind === "await_part") {
      const answer = await this.#settled(shard.partition, command.part, command.waitMs);
      return { $case: "part", value: partReply(answer) };
    }
    if (command.kind === "reserve_part") this.#know(command.session);
    return { $case: "part", value: partReply(await submitStep(shard, command)) };
  }

  /** Its client may be connected to any node, which tells this one of it in its own time. */
  #know(session: SessionIdentity): void {
    const { directory, options } = this.#node;
    if (directory.get(session.id) === undefined) directory.add(session, options.clock.monotonicMs());
  }

  /** Where the part stands when it waits no more, or after `waitMs`. */
  async #settled(partition: number, key: string, waitMs: number): Promise<PartAnswer> {
    const shard = this.#node.shardAt(partition);
    const wait = waitMs === 0 || shard.stopped !== undefined ? undefined : waitOf(shard.state, key);
    if (wait !== undefined) {
      const full = await new Promise<ForelockError | undefined>((resolve) => {
        const refused = this.#node.awaits.add(partition, wait.operation, waitMs, () => resolve(undefined));
        if (refused !== undefined) resolve(refused);
      });
      if (full !== undefined) throw full;
    }
    return lookDurably(this.#node.shardAt(partition), key);
  }
}

function evidenceRows(gathered: readonly Gathered<string>[]): EvidenceRow[] {
  return gathered.map(({ key, waitsMs, judged, wrong }) => ({ prefix: key, waitsMs: [...waitsMs], judged, wrong }));
}
