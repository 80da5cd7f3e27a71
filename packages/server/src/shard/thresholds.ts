// thresholds.ts: the controller that moves the thresholds of policies, where the policies are led, by what all nodes have seen. Not here: when
// a threshold moves (preempt/controller.ts), what a move is in the log (foresight.ts).
//   T1. Each node gathers what it leads; every CONTROL_MS whoever leads the policies takes it from all. What a node follows is not
//       counted: another has it too.
//   T2. A node that does not answer in time is left out of this round, and every move that follows from it says so.
//   T3. Waits that nobody took for a while are forgotten: when the policies find a leader again, they would tell of another time.
import type { Clock } from "../clock.ts";
import type { Move } from "../preempt/controller.ts";
import { Evidence, type Gathered } from "../preempt/evidence.ts";
import type { Policies } from "./policies.ts";

export interface ThresholdsParts {
  readonly policies: Policies;
  readonly clock: Clock;
  /** Whether this node leads the policies. */
  readonly isLeading: () => boolean;
  /** Undefined: this node is alone. */
  readonly others: () => EvidenceOfOthers | undefined;
  readonly move: (prefix: string, move: Move) => void;
}

export interface EvidenceOfOthers {
  ids(): readonly string[];
  /** Rejects when the node does not answer. */
  takeEvidence(id: string): Promise<readonly Gathered<string>[]>;
}

const ANSWER_MS_MAX = 2_000;
const UNTAKEN_ROUNDS_MAX = 3;

export class Thresholds {
  readonly #parts: ThresholdsParts;
  /** By prefix of the policy. */
  readonly #evidence = new Evidence<string>();
  readonly #asked = new Set<string>();
  #untakenRounds = 0;
  #isGathering = false;
  /** Nodes whose figures were missing in the last round. */
  missing: readonly string[] = [];

  constructor(parts: ThresholdsParts) {
    this.#parts = parts;
  }

  waited(name: string, waitMs: number): void {
    this.#evidence.waited(this.#parts.policies.of(name).prefix, waitMs);
  }

  judged(name: string, isWrong: boolean): void {
    this.#evidence.judged(this.#parts.policies.of(name).prefix, isWrong);
  }

  /** For the node that leads the policies. It is forgotten here. */
  take(): readonly Gathered<string>[] {
    this.#untakenRounds = 0;
    return this.#evidence.take();
  }

  /** Every CONTROL_MS. Does not throw. */
  control(): void {
    const { isLeading, others, policies } = this.#parts;
    this.#evidence.keepOnly(new Set(policies.prefixes()));
    if (!isLeading()) {
      this.missing = [];
      this.#untakenRounds += 1;
      if (this.#untakenRounds > UNTAKEN_ROUNDS_MAX) this.#evidence.forgetWaits(); // T3
      return;
    }
    const nodes = others();
    if (nodes === undefined || nodes.ids().length === 0) {
      this.missing = [];
      return this.#move();
    }
    if (this.#isGathering) return;
    this.#isGathering = true;
    void this.#gather(nodes).finally(() => {
      this.#isGathering = false;
      if (isLeading()) this.#move();
    });
  }

  /** T1 */
  async #gather(nodes: EvidenceOfOthers): Promise<void> {
    const missing: string[] = [];
    await Promise.all(
      nodes.ids().map(async (id) => {
        const rows = await this.#ask(nodes, id);
        if (rows === undefined) missing.push(id);
        for (const row of rows ?? []) this.#evidence.join(row);
      }),
    );
    this.missing = missing.sort();
  }

  /** T2. What comes after all counts in the next round. */
  #ask(nodes: EvidenceOfOthers, id: string): Promise<readonly Gathered<string>[] | undefined> {
    if (this.#asked.has(id)) return Promise.resolve(undefined); // It still owes an answer.
    this.#asked.add(id);
    return new Promise((resolve) => {
      let isLate = false;
      const late = this.#parts.clock.after(ANSWER_MS_MAX, () => {
        isLate = true;
        resolve(undefined);
      });
      const told = (rows: readonly Gathered<string>[] | undefined): void => {
        late.dispose();
        this.#asked.delete(id);
        if (isLate) for (const row of rows ?? []) this.#evidence.join(row);
        resolve(rows);
      };
      nodes.takeEvidence(id).then(told, () => told(undefined));
    });
  }

  #move(): void {
    const { policies, move } = this.#parts;
    for (const prefix of policies.prefixes()) {
      const { policy, threshold } = policies.of(prefix);
      const wanted = policy.policy === "off" ? undefined : this.#evidence.move(prefix, threshold, policy);
      if (wanted === undefined) continue;
      const without = this.missing.length === 0 ? "" : ` Without the figures of ${this.missing.join(", ")}.`;
      move(prefix, { ...wanted, reason: wanted.reason + without });
    }
  }
}
