// deadlock-search.ts: cycles of waits that lie over several nodes. One of the nodes, that of the lowest id, asks the others who waits for
// whom; every node has this code, and only tells that one while somebody waits. Not here: cycles within one node (detector.ts), what a node
// answers (wait-answers.ts), how nodes reach each other (OtherNodes).
//   F1. A look has three questions, each only when the one before found something: who is in the way of somebody, who of those waits, and
//       what edges there are among them. So nothing is sent while nobody waits, and next to nothing while nobody waits who also holds.
//   F2. Edges of one look are of different moments: who waited for ana at node 1 may have been granted before ana began to wait at node 2.
//       That is no cycle, though one look may show it. Links never come back (E3 of wait-edges.ts), so a cycle that two looks show with
//       the same links, of which the second begins when the first is over, was whole at the moment between them, whatever async
//       clients, timeouts and cancels did: each of its edges stood from before that moment until after it.
//   F3. What has been whole may be over by now: a client gave up, or released while it waited. So the node that has the victim asks the
//       owners of all edges once more before it refuses, within a time by its own clock (A2 of wait-answers.ts).
//   F4. Two nodes may both take themselves for the one that looks, for as long as they do not agree on who lives. Each finds true cycles
//       only; where they choose different victims of one cycle, the second finds an edge gone when it is checked (F3).
//   F5. A cycle within one node is left to its own detector, unless it stands on: that one does not know who is in the way elsewhere.
//   F6. A node that does not answer has no edges in this look: what is found without them is found nevertheless.
import type { Blockers, Holding, WaitEdgeRow, WaitsHere } from "@forelock/protocol";
import type { Clock } from "../clock.ts";
import { type Deadlock, findDeadlocks, proofKey, type WaitEdge } from "../lock/deadlock.ts";
import { breakOf, type WaitAnswers, type WaitsAnswer, type WaitsAsk } from "./wait-answers.ts";

/** The other nodes that share the partitions: of a cluster, or threads beside this one. */
export interface OtherNodes {
  /** Of this node. Ids have one order, the same to all. */
  readonly nodeId: string;
  /** Those that live. */
  ids(): readonly string[];
  /** Who decides for the partition; undefined: nobody does now. */
  ownerOf(partition: number): string | undefined;
  /** One answer for one question; rejects when there is none. */
  ask(id: string, ask: WaitsAsk): Promise<WaitsAnswer>;
}

/** A node is asked only so long after it last said that somebody waits there. */
const NOTED_MS = 3_000;
/** How often it says so. */
const NOTE_MS = 1_000;
/** A node that has not answered by then does not take part in the look. */
const ANSWER_MS_MAX = 1_000;
/** Checks from one look to the next while no cycle is suspected. */
const CHECKS_PER_LOOK = 5;
/** Rows worth the time of one check, as in detector.ts: after a look that had more, as many checks are left out. */
const WORK_PER_CHECK = 20_000;
/** Of all nodes in one look. */
const ACTORS_MAX = 8_000;
/** Looks that must show a cycle before it is broken: over several nodes (F2), and within one (F5). */
const SIGHTS = { over: 2, within: 6 } as const;
/** Edges that one cycle may rest on. One with more is left until other waits of it have ended. */
const PROOF_EDGES_MAX = 1_000;

interface FoundEdge extends WaitEdge {
  readonly node: string;
}

export class DeadlockSearch {
  readonly #own: WaitAnswers;
  readonly #others: OtherNodes;
  readonly #clock: Clock;
  /** Until when a node is asked. */
  readonly #notedUntilMs = new Map<string, number>();
  /** Nodes that owe an answer. */
  readonly #asked = new Set<string>();
  #toldAtMs = Number.NEGATIVE_INFINITY;
  /** Cycles of the last look, with the number of looks that have shown them without a break. */
  #suspects = new Map<string, number>();
  #isLooking = false;
  #rests = 0;
  /** Cycles that were broken. */
  found = 0;
  looks = 0;

  constructor(own: WaitAnswers, others: OtherNodes, clock: Clock) {
    this.#own = own;
    this.#others = others;
    this.#clock = clock;
  }

  /** A node has said that somebody waits there. */
  noted(id: string): void {
    this.#notedUntilMs.set(id, this.#clock.monotonicMs() + NOTED_MS);
  }

  /** Call it every so often. Does not throw. */
  check(): void {
    const { nodeId } = this.#others;
    const ids = this.#others.ids();
    if (ids.length === 0) return;
    const [first = nodeId] = [nodeId, ...ids].sort();
    if (first !== nodeId) return this.#note(first);
    if (this.#isLooking) return;
    if (this.#rests > 0) {
      this.#rests -= 1;
      return;
    }
    const nowMs = this.#clock.monotonicMs();
    for (const [id, untilMs] of this.#notedUntilMs)
      if (untilMs < nowMs || !ids.includes(id)) this.#notedUntilMs.delete(id);
    if (this.#own.waits > 0) this.noted(nodeId);
    // An edge is where somebody waits, and a cycle over several nodes has edges at two at least.
    if (this.#notedUntilMs.size < 2) {
      this.#suspects.clear();
      return;
    }
    this.#isLooking = true;
    void this.#look([...this.#notedUntilMs.keys()], ids).finally(() => {
      this.#isLooking = false;
    });
  }

  /** F1 */
  #note(first: string): void {
    this.#suspects.clear();
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#toldAtMs < NOTE_MS || this.#own.waits === 0) return;
    this.#toldAtMs = nowMs;
    this.#others.ask(first, { $case: "noted", value: {} }).catch(() => {}); // Said again soon.
  }

  async #look(noted: readonly string[], ids: readonly string[]): Promise<void> {
    this.looks += 1;
    const before = this.#suspects;
    this.#suspects = new Map();
    const blockers = await this.#blockers(noted);
    const work = blockers.reduce((sum, each) => sum + each.work, 0);
    this.#rests = CHECKS_PER_LOOK - 1 + Math.floor(work / WORK_PER_CHECK);
    const inTheWay = [...new Set(blockers.flatMap(({ actors }) => actors))].slice(0, ACTORS_MAX);
    if (inTheWay.length === 0) return;
    const waiting = await this.#askAll(noted, { $case: "waiting", value: { actors: inTheWay } }, actorsOf);
    const stuck = [...new Set(waiting.flatMap(({ answer }) => answer))];
    if (stuck.length < 2) return;
    // Of all nodes: the victim is who loses least, and holds elsewhere too.
    const all = [this.#others.nodeId, ...ids];
    const found = await this.#askAll(all, { $case: "edges", value: { actors: stuck } }, edgesOf);
    const deadlocks = findDeadlocks(withHoldings(found));
    const suspected = deadlocks.filter(({ proof }) => proof.length <= PROOF_EDGES_MAX);
    if (suspected.length > 0) this.#rests = 0;
    for (const deadlock of suspected) {
      const key = proofKey(deadlock);
      const sights = (before.get(key) ?? 0) + 1;
      this.#suspects.set(key, sights);
      if (sights < (isOverNodes(deadlock.proof) ? SIGHTS.over : SIGHTS.within)) continue;
      if (await this.#refuse(deadlock)) this.found += 1;
    }
  }

  async #blockers(noted: readonly string[]): Promise<readonly Blockers[]> {
    const told = await this.#askAll(noted, { $case: "blockers", value: {} }, blockersOf);
    for (const { id, answer } of told) {
      if (answer.waits > 0) this.noted(id);
      else this.#notedUntilMs.delete(id);
    }
    return told.map(({ answer }) => answer);
  }

  /** F3 */
  async #refuse(deadlock: Deadlock): Promise<boolean> {
    const { node } = deadlock.victim as FoundEdge; // Cast: it is one of those that were searched.
    const [answer] = await this.#askAll([node], { $case: "breakCycle", value: breakOf(deadlock) }, doneOf);
    return answer?.answer === true;
  }

  /** What those say who answer, in time and in kind (F6). */
  async #askAll<Value>(
    ids: readonly string[],
    ask: WaitsAsk,
    read: (answer: WaitsAnswer) => Value | undefined,
  ): Promise<readonly { readonly id: string; readonly answer: Value }[]> {
    const answers = await Promise.all(
      ids.map(async (id) => {
        const told = await this.#ask(id, ask);
        const answer = told === undefined ? undefined : read(told);
        return answer === undefined ? [] : [{ id, answer }];
      }),
    );
    return answers.flat();
  }

  #ask(id: string, ask: WaitsAsk): Promise<WaitsAnswer | undefined> {
    if (this.#asked.has(id)) return Promise.resolve(undefined); // It still owes one: questions must not heap up.
    this.#asked.add(id);
    return new Promise((resolve) => {
      const late = this.#clock.after(ANSWER_MS_MAX, () => resolve(undefined));
      const told = (answer: WaitsAnswer | undefined): void => {
        late.dispose();
        this.#asked.delete(id);
        resolve(answer);
      };
      this.#others.ask(id, ask).then(told, () => told(undefined));
    });
  }
}

const blockersOf = (answer: WaitsAnswer): Blockers | undefined =>
  answer.$case === "blockers" ? answer.value : undefined;
const actorsOf = (answer: WaitsAnswer): readonly string[] | undefined =>
  answer.$case === "waiting" ? answer.value.actors : undefined;
const edgesOf = (answer: WaitsAnswer): WaitsHere | undefined => (answer.$case === "edges" ? answer.value : undefined);
const doneOf = (answer: WaitsAnswer): boolean | undefined => (answer.$case === "done" ? answer.value : undefined);

/** All edges, each with what its waiter holds at all nodes. */
function withHoldings(found: readonly { readonly id: string; readonly answer: WaitsHere }[]): readonly FoundEdge[] {
  const held = new Map<string, Holding>();
  for (const { answer } of found) {
    for (const { actor, grants, workMs } of answer.holdings) {
      const known = held.get(actor);
      held.set(actor, { actor, grants: grants + (known?.grants ?? 0), workMs: workMs + (known?.workMs ?? 0) });
    }
  }
  const edgeOf = (edge: WaitEdgeRow, node: string): FoundEdge => {
    const { grants = 0, workMs = 0 } = held.get(edge.waiter) ?? {};
    return { ...edge, heldGrants: grants, lossMs: edge.lossMs + workMs, node };
  };
  return found.flatMap(({ id, answer }) => answer.edges.map((edge) => edgeOf(edge, id)));
}

function isOverNodes(proof: readonly WaitEdge[]): boolean {
  const nodes = (proof as readonly FoundEdge[]).map(({ node }) => node); // Cast: as above.
  return nodes.some((node) => node !== nodes[0]);
}
