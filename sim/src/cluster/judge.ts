// judge.ts: what must hold of all nodes together, looked at from outside after every event and every step.
//   J1. At most one node can answer for a partition at any moment: who leads it, is not giving it away, runs, and may answer.
//   J2. Once a node could answer under an epoch, none can under a lower one.
//   J3. What a node follows is, at each position, what replaying the log to that position gives.
import { audit } from "../simulator/audit.ts";
import { dump } from "../simulator/dump.ts";
import { differences } from "../simulator/server.ts";
import { expectRule, Violation } from "../simulator/violation.ts";
import type { ClusterLedger } from "./ledger.ts";
import type { Member } from "./member.ts";

export class Judge {
  readonly #members: readonly Member[];
  readonly #ledger: ClusterLedger;
  /** By partition, the highest under which somebody could answer. */
  readonly #answered: number[];

  constructor(members: readonly Member[], ledger: ClusterLedger) {
    this.#members = members;
    this.#ledger = ledger;
    this.#answered = ledger.shadows.map(() => 0);
  }

  /** After every event. */
  event(): void {
    const answering: (string | undefined)[] = [];
    for (const member of this.#members) {
      const { core, cluster, isRunning } = member;
      if (core === undefined || cluster === undefined || !isRunning || !cluster.ownership.mayAnswer()) continue;
      for (const partition of core.led) {
        const role = cluster.ownership.role(partition);
        if (role === "giving") continue;
        const shard = core.shardAt(partition);
        const { epoch } = shard.state;
        const isBegun = role === "leading" || epoch === cluster.ownership.epoch(partition)?.epoch;
        if (shard.stopped !== undefined || !isBegun) continue; // Its start is decided before all else.
        const other = answering[partition];
        answering[partition] = member.id;
        expectRule(other === undefined, "two-owners", () => `${other} and ${member.id} may answer for p${partition}`); // J1
        const before = this.#answered[partition] ?? 0;
        expectRule(
          epoch >= before,
          "deposed-owner",
          () => `${member.id} may answer for p${partition} under epoch ${epoch}; ${before} was answered under`,
        ); // J2
        this.#answered[partition] = epoch;
      }
    }
  }

  /** After every step. */
  step(): void {
    for (const shadow of this.#ledger.shadows) audit(shadow);
    for (const { id, core, cluster } of this.#members) {
      if (core === undefined || cluster === undefined) continue;
      if (core.stopCause !== undefined) throw new Violation("stopped", `${id}: ${String(core.stopCause)}`);
      for (const { partition } of this.#ledger.shadows) {
        const replica = cluster.ownership.replica(partition);
        if (replica !== undefined) this.#ledger.judgeState(replica.state, replica.sequence, `what ${id} follows`); // J3
        expectRule(cluster.ownership.role(partition) !== "broken", "standby-differs", () => `${id} of p${partition}`);
      }
    }
  }

  /** Whether the log has all that was decided: between two records a leader is ahead of it. */
  get isWritten(): boolean {
    return this.#ledger.shadows.every(({ partition }) =>
      this.#members.every(
        ({ core }) =>
          core?.leads(partition) !== true || core.shardAt(partition).sequence === this.#ledger.sequence(partition),
      ),
    );
  }

  /** In the end, healed and at rest: one leader each, whose state is that of the log, and so is that of those who stand by. */
  end(): void {
    const owners = this.#ledger.shadows.map(({ partition }) =>
      this.#members.filter(
        ({ core, cluster }) => core?.leads(partition) === true && cluster?.ownership.mayAnswer() === true,
      ),
    );
    for (const [partition, leaders] of owners.entries())
      expectRule(
        leaders.length === 1,
        "not-led",
        () =>
          `partition ${partition} is led by ${leaders.map(({ id }) => id).join(" and ") || "nobody"}; ${this.#told()}`,
      );
    for (const [partition, [leader]] of owners.entries()) {
      const shadow = this.#ledger.shadows[partition];
      const state = leader?.core?.shardAt(partition).state;
      if (shadow === undefined || state === undefined) continue;
      const [expected, found] = [dump(shadow), dump(state)];
      expectRule(
        found === expected,
        "leader-differs",
        () => `${leader?.id}, p${partition}${differences(expected, found)}`,
      );
    }
    for (const replayed of this.#ledger.replayAll()) {
      const shadow = this.#ledger.shadows[replayed.partition];
      const isSame = shadow !== undefined && dump(shadow) === dump(replayed);
      expectRule(isSame, "replay-differs", () => `partition ${replayed.partition} from an empty state`);
    }
  }

  #told(): string {
    return this.#members
      .map(({ id, cluster }) => {
        const roles = this.#ledger.shadows.map(({ partition }) => cluster?.ownership.role(partition) ?? "-");
        return `${id}: ${roles.join()} wish ${JSON.stringify(cluster?.planner.map?.partitions)}`;
      })
      .join("; ");
  }
}
