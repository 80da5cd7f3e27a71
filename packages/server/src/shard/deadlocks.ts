// deadlocks.ts: all that this node does about cycles of waits: finds and breaks those within it, and takes its part in the search over
// several nodes. Not here: the rules of either (detector.ts, deadlock-search.ts).
import type { WaitEdgeRow } from "@forelock/protocol";
import type { Clock } from "../clock.ts";
import type { Deadlock } from "../lock/deadlock.ts";
import { DeadlockSearch, type OtherNodes } from "./deadlock-search.ts";
import { DeadlockDetector } from "./detector.ts";
import type { Shard } from "./shard.ts";
import { breakOf, WaitAnswers, type WaitsAnswer, type WaitsAsk } from "./wait-answers.ts";

export class Deadlocks {
  readonly #detector: DeadlockDetector;
  readonly #answers: WaitAnswers;
  readonly #clock: Clock;
  #search: DeadlockSearch | undefined;
  #others: OtherNodes | undefined;
  /** Cycles that lay within this node. */
  #within = 0;

  /** @param waitAt predicted wait of who asks for an element anew, in milliseconds */
  constructor(shards: readonly Shard[], clock: Clock, waitAt: (element: string) => number) {
    this.#clock = clock;
    this.#detector = new DeadlockDetector(shards, waitAt, (deadlock) => void this.#refuse(deadlock));
    const standingAt = (partition: number, edges: readonly WaitEdgeRow[]): Promise<boolean> =>
      this.#standing(partition, edges);
    this.#answers = new WaitAnswers({ shards, clock, waitAt, standingAt });
  }

  /** Cycles may lie over these nodes too, from now on. */
  join(others: OtherNodes): void {
    this.#others = others;
    // This node answers itself as it answers the others.
    const ask = (id: string, ask: WaitsAsk): Promise<WaitsAnswer> =>
      id === others.nodeId ? this.answer(ask, id) : others.ask(id, ask);
    this.#search = new DeadlockSearch(
      this.#answers,
      {
        nodeId: others.nodeId,
        ids: () => others.ids(),
        ownerOf: (partition) => others.ownerOf(partition),
        ask,
      },
      this.#clock,
    );
  }

  /** Call it every `deadlock.checkMs`. */
  check(): void {
    this.#detector.check();
    this.#search?.check();
  }

  counters(): Readonly<Record<string, number>> {
    const over = this.#search?.found ?? 0;
    return {
      deadlocks_total: this.#within + over,
      deadlocks_over_nodes_total: over,
      deadlock_looks_total: this.#search?.looks ?? 0,
    };
  }

  /** What another node asks of this one. @param from its id */
  async answer(ask: WaitsAsk, from: string): Promise<WaitsAnswer> {
    switch (ask.$case) {
      case "noted":
        this.#search?.noted(from);
        return { $case: "noted", value: {} };
      case "blockers":
        return { $case: "blockers", value: this.#answers.blockers() };
      case "waiting":
        return { $case: "waiting", value: { actors: [...this.#answers.waiting(ask.value.actors)] } };
      case "edges":
        return { $case: "edges", value: await this.#answers.edges(ask.value.actors) };
      case "standing":
        return { $case: "done", value: await this.#answers.standing(ask.value.edges) };
      case "breakCycle":
        return { $case: "done", value: await this.#answers.breakCycle(ask.value) };
    }
  }

  async #refuse(deadlock: Deadlock): Promise<void> {
    if (await this.#answers.breakCycle(breakOf(deadlock))) this.#within += 1;
  }

  async #standing(partition: number, edges: readonly WaitEdgeRow[]): Promise<boolean> {
    const others = this.#others;
    const owner = others?.ownerOf(partition);
    if (others === undefined || owner === others.nodeId) return this.#answers.standing(edges);
    if (owner === undefined) return false;
    const ask: WaitsAsk = { $case: "standing", value: { edges: [...edges] } };
    const answer = await others.ask(owner, ask).catch(() => undefined); // It does not stand, as far as anybody knows.
    return answer?.$case === "done" && answer.value;
  }
}
