// changes.ts: what operators want of the cluster: checked, written as wishes, and noted. Not here: what follows from a wish (plan.ts,
// planner.ts, ownership.ts), whether the fields are there at all (edge/validate.ts).
//   W1. Refused is what could never come true: a node that nobody knows, that is silent, or that gives everything away; a drain of the last.
import { type ChangeClusterReply, type ChangeClusterRequest, type ErrorCode, ForelockError } from "@forelock/protocol";
import { type EtcdErrorKind, isEtcdError } from "../etcd/etcd.ts";
import type { Caller } from "../shard/service.ts";
import type { Membership } from "./membership.ts";
import type { Ownership } from "./ownership.ts";
import type { Planner } from "./planner.ts";
import { nodeOfOwner } from "./records.ts";

export interface ChangesParts {
  readonly partitions: number;
  readonly members: Pick<Membership, "all">;
  readonly planner: Pick<Planner, "drain" | "pin" | "unpin" | "pins" | "isDraining">;
  readonly ownership: Pick<Ownership, "epoch">;
  /** Every command leaves a line: who, what, why, from where. */
  readonly note: (line: string, fields: Readonly<Record<string, unknown>>) => void;
}

type Member = ReturnType<Membership["all"]>[number];

export class Changes {
  readonly #parts: ChangesParts;

  constructor(parts: ChangesParts) {
    this.#parts = parts;
  }

  /** @throws ForelockError `bad_argument`, and what became of the write: `unavailable`, `outcome_unknown` */
  async change(caller: Caller, request: ChangeClusterRequest): Promise<ChangeClusterReply> {
    const { action, node, partition, reason } = request;
    const partitions = await this.#carryOut(request).catch((error: unknown) => {
      throw isEtcdError(error) ? new ForelockError(CODES[error.kind], error.message, { cause: error }) : error;
    });
    this.#parts.note("cluster changed", {
      ...{ action, node, reason, principal: caller.principal, from: caller.remoteAddress },
      ...(partition === undefined ? {} : { partition }),
    });
    return { partitions };
  }

  async #carryOut({ action, node, partition = 0 }: ChangeClusterRequest): Promise<number> {
    const { planner } = this.#parts;
    switch (action) {
      case "drain":
        this.#refuseLast(this.#known(node));
        await planner.drain(node, true);
        return this.#ownedBy(node);
      case "undrain":
        if (!planner.isDraining(node)) this.#known(node); // One that is gone for good can be forgotten all the same.
        await planner.drain(node, false);
        return 0;
      case "rebalance": {
        const { size } = planner.pins();
        await planner.unpin();
        return size;
      }
      case "move": {
        this.#refusePartition(partition);
        this.#refuseTarget(this.#known(node));
        await planner.pin(partition, node);
        return this.#ownerOf(partition) === node ? 0 : 1;
      }
      default:
        throw new ForelockError("bad_argument", `action: ${action}; allowed drain, undrain, rebalance, move.`);
    }
  }

  #known(id: string): Member {
    const members = this.#parts.members.all();
    const found = members.find(({ record }) => record.id === id);
    if (found !== undefined) return found;
    throw new ForelockError(
      "bad_argument",
      `node: ${id} is not in this cluster; allowed ${listed(members.map(({ record }) => record.id))}.`,
    );
  }

  #refusePartition(partition: number): void {
    const { partitions } = this.#parts;
    if (partition < partitions) return;
    throw new ForelockError("bad_argument", `partition: ${partition}; allowed 0 to ${partitions - 1}.`);
  }

  #refuseTarget(member: Member): void {
    const why = this.#whyUnable(member);
    if (why === undefined) return;
    throw new ForelockError("bad_argument", `node: ${member.record.id} ${why}; allowed ${listed(this.#able())}.`);
  }

  #refuseLast({ record: { id } }: Member): void {
    if (this.#able().some((other) => other !== id)) return;
    throw new ForelockError(
      "bad_argument",
      `node: ${id}; no other node is live and not draining, so nobody could take its partitions.`,
    );
  }

  /** Nodes that can be given partitions. */
  #able(): readonly string[] {
    const able = this.#parts.members.all().filter((member) => this.#whyUnable(member) === undefined);
    return able.map(({ record }) => record.id);
  }

  #whyUnable({ record: { id, isLeaving }, isLive, silentMs }: Member): string | undefined {
    if (!isLive) return `has been silent for ${Math.round(silentMs)} ms`;
    if (isLeaving) return "is stopping";
    return this.#parts.planner.isDraining(id) ? "is draining" : undefined;
  }

  #ownerOf(partition: number): string | undefined {
    const record = this.#parts.ownership.epoch(partition);
    return record === undefined ? undefined : nodeOfOwner(record.owner);
  }

  #ownedBy(id: string): number {
    let owned = 0;
    for (let partition = 0; partition < this.#parts.partitions; partition += 1)
      if (this.#ownerOf(partition) === id) owned += 1;
    return owned;
  }
}

const CODES: Readonly<Record<EtcdErrorKind, ErrorCode>> = {
  unavailable: "unavailable",
  outcome_unknown: "outcome_unknown",
  no_space: "unavailable",
  compacted: "internal",
  refused: "unavailable",
  closed: "unavailable",
};

const listed = (ids: readonly string[]): string => (ids.length === 0 ? "none" : ids.join(", "));
