// wait-answers.ts: what this node tells the one that looks for cycles over several nodes, and the refusal of a wait of this node.
// Not here: when it is looked, and what a cycle is (deadlock-search.ts).
//   A1. Edges are told when what they were read from is durable and this node was the owner: nothing is told that never happens.
//   A2. A wait is refused only when each edge of its cycle was found again, at its owner, after this node had been asked to refuse it; so
//       the cycle was whole at that moment, however late the word came and however old the other node's look is.
//   A3. An answer has a limit; where there is more, another part is told each time.
import type {
  Blockers,
  BreakCycle,
  ForelockError,
  Holding,
  WaitEdgeRow,
  WaitsHere,
  WaitsReply,
  WaitsRequest,
} from "@forelock/protocol";
import type { Clock } from "../clock.ts";
import { type Deadlock, describeDeadlock, type WaitEdge, waitKey } from "../lock/deadlock.ts";
import type { Command } from "../partition/commands.ts";
import { ageOf, type PartitionState } from "../partition/state.ts";
import type { Entry, Shard } from "./shard.ts";
import { ActorSet, type Actors, actorOf, addActorsInTheWay, standing, waitEdges } from "./wait-edges.ts";

export type WaitsAsk = NonNullable<WaitsRequest["ask"]>;
export type WaitsAnswer = NonNullable<WaitsReply["answer"]>;

/** Whether all of `edges` stand at the owner of their partition, this node or another. False when it does not say. */
export type AskStanding = (partition: number, edges: readonly WaitEdgeRow[]) => Promise<boolean>;

export interface WaitAnswersParts {
  readonly shards: readonly Shard[];
  readonly clock: Clock;
  /** Predicted wait of who asks for an element anew, in milliseconds. */
  readonly waitAt: (element: string) => number;
  readonly standingAt: AskStanding;
}

/** Of one answer; about 100 bytes each, and the frame has a limit. */
export const ACTORS_TOLD_MAX = 1_000;
export const EDGE_BYTES_MAX = 256 * 1_024;
const EDGE_BYTES = 64;
const LINK_BYTES = 32;
/** Other parts are told only after this many answers, so that what is seen is seen twice. */
const SAME_PART_ANSWERS = 8;
/** From the first question about its edges to the refusal. */
export const RECHECK_MS_MAX = 1_000;

export class WaitAnswers {
  readonly #parts: WaitAnswersParts;
  #answered = 0;

  constructor(parts: WaitAnswersParts) {
    this.#parts = parts;
  }

  get waits(): number {
    return this.#waiting().reduce((sum, { state }) => sum + state.waits.size, 0);
  }

  /** Who is in the way of somebody. */
  blockers(): Blockers {
    const actors = new Set<string>();
    let work = 0;
    for (const { state } of this.#waiting()) work += addActorsInTheWay(state, actors);
    const told = this.#part([...actors], actors.size > ACTORS_TOLD_MAX).slice(0, ACTORS_TOLD_MAX);
    return { actors: told, waits: this.waits, work };
  }

  /** Who of these waits. */
  waiting(actors: readonly string[]): readonly string[] {
    const among = new ActorSet(actors);
    const waiting = new Set<string>();
    for (const { state } of this.#waiting()) for (const wait of among.waits(state)) waiting.add(actorOf(wait));
    return [...waiting];
  }

  /** A1. What waits among `actors`, who all wait and are in the way of somebody. */
  async edges(actors: readonly string[]): Promise<WaitsHere> {
    const among = new ActorSet(actors);
    const known = this.#known(among.actors);
    const here = await Promise.all(
      this.#waiting().map((shard) => {
        const edgesOf = (state: PartitionState): readonly WaitEdgeRow[] =>
          // Cast: nobody changes a message.
          waitEdges(state, known, among.waits(state)) as readonly WaitEdgeRow[];
        return durably(shard, edgesOf, []);
      }),
    );
    const edges = here.flat();
    return { edges: this.#fitting(edges), holdings: this.#holdings(among), work: edges.length };
  }

  /** A1 */
  async standing(edges: readonly WaitEdgeRow[]): Promise<boolean> {
    const partitions = [...new Set(edges.map(({ partition }) => partition))];
    const all = await Promise.all(
      partitions.map((partition) => {
        const shard = this.#parts.shards[partition];
        if (shard === undefined || shard.stopped !== undefined) return false;
        const own = edges.filter((edge) => edge.partition === partition);
        return durably(shard, (state) => own.every((edge) => standing(state, edge)), false);
      }),
    );
    return all.every((isStanding) => isStanding);
  }

  /** A2. @returns whether the wait was refused */
  async breakCycle({ victim, edges, message }: Readonly<BreakCycle>): Promise<boolean> {
    const { clock, shards, standingAt } = this.#parts;
    const shard = victim === undefined ? undefined : shards[victim.partition];
    if (victim === undefined || shard === undefined || shard.stopped !== undefined) return false;
    const untilMs = clock.monotonicMs() + RECHECK_MS_MAX;
    const [own, others] = [edgesOf(edges, victim, true), edgesOf(edges, victim, false)];
    const partitions = [...new Set(others.map(({ partition }) => partition))];
    const stand = await Promise.all(
      partitions.map((partition) => {
        const theirs = others.filter((edge) => edge.partition === partition);
        return standingAt(partition, theirs);
      }),
    );
    if (own.length === 0 || stand.includes(false)) return false;
    const isStanding = (state: PartitionState): boolean =>
      clock.monotonicMs() <= untilMs && own.every((edge) => standing(state, edge));
    return new Promise((resolve) => {
      shard.enter(
        new Refusal(shard.state, { kind: "break_deadlock", wait: victim.wait, message }, isStanding, resolve),
      );
    });
  }

  /** Shards in which somebody waits. */
  #waiting(): readonly Shard[] {
    return this.#parts.shards.filter(({ stopped, state }) => stopped === undefined && state.waits.size > 0);
  }

  /** What this node holds counts when the cycle is judged, with what all others hold: not here. */
  #known(among: ReadonlySet<string>): Actors {
    const isAmong = (actor: string): boolean => among.has(actor);
    const { waitAt } = this.#parts;
    return { grantsOf: () => 0, workOf: () => 0, waitAt, waits: isAmong, isInTheWay: isAmong };
  }

  #holdings(among: ActorSet): Holding[] {
    const holdings = new Map<string, Holding>();
    for (const { state, stopped } of this.#parts.shards) {
      if (stopped !== undefined) continue;
      for (const grant of among.grants(state)) {
        const actor = actorOf(grant);
        const { grants, workMs } = holdings.get(actor) ?? { grants: 0, workMs: 0 };
        holdings.set(actor, { actor, grants: grants + 1, workMs: workMs + (grant.rollback ? ageOf(state, grant) : 0) });
      }
    }
    return [...holdings.values()];
  }

  /** A3 */
  #part<Row>(rows: Row[], isTooMuch: boolean): Row[] {
    this.#answered += 1;
    if (!isTooMuch) return rows;
    const turn = Math.floor(this.#answered / SAME_PART_ANSWERS);
    const from = (turn * ACTORS_TOLD_MAX) % rows.length;
    return [...rows.slice(from), ...rows.slice(0, from)];
  }

  /** A3 */
  #fitting(edges: WaitEdgeRow[]): WaitEdgeRow[] {
    const bytesOf = ({ waiter, blocker, element, links }: WaitEdgeRow): number =>
      EDGE_BYTES + waiter.length + blocker.length + element.length + (LINK_BYTES + element.length) * links.length;
    const bytes = edges.reduce((sum, edge) => sum + bytesOf(edge), 0);
    let left = EDGE_BYTES_MAX;
    return this.#part(edges, bytes > EDGE_BYTES_MAX).filter((edge) => {
      left -= bytesOf(edge);
      return left >= 0;
    });
  }
}

/** The order to break a cycle, for the node of its victim. */
export function breakOf(deadlock: Deadlock): BreakCycle {
  const rowOf = (edge: WaitEdge): WaitEdgeRow => ({ ...edge, links: [...edge.links] });
  return { victim: rowOf(deadlock.victim), edges: deadlock.proof.map(rowOf), message: describeDeadlock(deadlock) };
}

function edgesOf(edges: readonly WaitEdgeRow[], victim: WaitEdgeRow, isVictims: boolean): readonly WaitEdgeRow[] {
  return edges.filter((edge) => (waitKey(edge) === waitKey(victim)) === isVictims);
}

/** What `look` found, once it is durable and was the owner's to tell; `otherwise` when the shard stops before. */
function durably<Value>(shard: Shard, look: (state: PartitionState) => Value, otherwise: Value): Promise<Value> {
  return new Promise((resolve) => {
    shard.read(
      (state) => {
        const found = look(state);
        return () => resolve(found);
      },
      () => resolve(otherwise),
    );
  });
}

/** A command that is none unless, in its own turn, it finds that the wait is still to be refused. */
class Refusal implements Entry {
  readonly #state: PartitionState;
  readonly #refuse: Command;
  readonly #isStanding: (state: PartitionState) => boolean;
  readonly #told: (isRefused: boolean) => void;
  #isDue: boolean | undefined;

  constructor(
    state: PartitionState,
    refuse: Command,
    isStanding: (state: PartitionState) => boolean,
    told: (isRefused: boolean) => void,
  ) {
    this.#state = state;
    this.#refuse = refuse;
    this.#isStanding = isStanding;
    this.#told = told;
  }

  get command(): Command | undefined {
    this.#isDue ??= this.#isStanding(this.#state);
    return this.#isDue ? this.#refuse : undefined;
  }

  decided(): boolean {
    return true;
  }

  send(): void {
    this.#told(this.#isDue === true);
  }

  failed(_error: ForelockError): void {
    this.#told(false);
  }
}
