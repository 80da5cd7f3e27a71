// mixture.ts: one distribution from the levels of the hierarchy and from work that still runs. Not here: the rows (rows.ts), how
// the distribution is read (survival.ts).
//   M1. The mixture sums to 1, up to rounding.
//   M2. Each level takes mass / (mass + k) of what the more specific ones leave; the prior takes the rest. So a level that knows
//       little says little, and nothing has to be chosen.
// Constants: half-lives and k, tried around the findings of the design on two recorded sets of very different kind; the optimum is
// flat, so they are round numbers between the two.
import { BUCKETS } from "./buckets.ts";
import type { DurationLevel } from "./forecast.ts";
import type { NameTable } from "./names.ts";
import type { PairTable } from "./pairs.ts";
import { CELL, type HistogramRows, MASS, SCALE } from "./rows.ts";

/** Durations after which a duration counts half: the pair's habit of this minute and its habit, then the less specific levels. */
export const HALF_LIVES = { pair: [1.5, 100], client: 30, element: 200, all: 2_000 } as const;
const PAIR_RECENT_K = 2;
const PAIR_K = 5;
const CLIENT_K = 8;
const ELEMENT_K = 20;
const ALL_K = 1;

/** What a mixture is made of. */
export interface Sources {
  readonly pairs: PairTable;
  readonly clients: NameTable;
  readonly elements: NameTable;
  readonly all: HistogramRows;
  readonly prior: Float64Array;
}

/** Rows of one client and element, as `find` gave them; -1 where nothing is known. */
export interface Rows {
  readonly client: number;
  readonly element: number;
  readonly pair: number;
}

/** Ages of running work, counted by bucket; work younger than the first bucket counts in `young`. */
export class Ages {
  readonly counts = new Float64Array(BUCKETS);
  young = 0;
  total = 0;

  clear(): void {
    if (this.total === 0) return;
    this.counts.fill(0);
    this.young = 0;
    this.total = 0;
  }

  add(position: number, count: number): void {
    this.total += count;
    if (position <= 0) this.young += count;
    else this.counts[Math.min(BUCKETS - 1, Math.floor(position))]! += count; // In range.
  }
}

export class Mixture {
  readonly weights = new Float64Array(BUCKETS);
  /** Who has the largest share, and how many durations that level has learned. */
  level: DurationLevel = "prior";
  observations = 0;
  readonly #sources: Sources;
  // Where each level's histogram begins, and what its weights are multiplied by; see #weigh.
  #prior = 1;
  #all = 0;
  #element = 0;
  #elementAt = 0;
  #client = 0;
  #clientAt = 0;
  #pair = 0;
  #recent = 0;
  #pairAt = 0;

  constructor(sources: Sources) {
    this.#sources = sources;
  }

  /** The mixture from completed work. Rows as `find` gave them. */
  fill(client: number, element: number, pair: number): void {
    this.#weigh(client, element, pair);
    this.#sum(this.#pair, this.#recent, BUCKETS);
  }

  /**
   * The mixture with running work as well: each running hold is one more duration, known to exceed its age, at the levels of its
   * client and of its pair.
   */
  fillWithRunning(rows: Rows, ages: { readonly client: Ages; readonly pair: Ages }): void {
    this.#weigh(rows.client, rows.element, rows.pair);
    const { pairs, clients } = this.#sources;
    const recentTakes = shareOf(pairs.rows, rows.pair * 2, PAIR_RECENT_K);
    const pairTakes = shareOf(pairs.rows, rows.pair * 2 + 1, PAIR_K);
    const rest = (1 - recentTakes) * (1 - pairTakes);
    this.#prior /= rest;
    this.#all /= rest;
    this.#element /= rest;
    this.#client /= rest;
    this.#sum(0, 0, BUCKETS);
    this.#redistribute(ages.client, massOf(clients.rows, rows.client) + CLIENT_K);
    this.#blend(rows.pair * 2 + 1, pairTakes);
    this.#redistribute(ages.pair, massOf(pairs.rows, rows.pair * 2 + 1) + PAIR_K);
    this.#blend(rows.pair * 2, recentTakes);
    this.#redistribute(ages.pair, massOf(pairs.rows, rows.pair * 2) + PAIR_RECENT_K);
  }

  /** Adds a distribution with a share of the whole, in [0, 1]. */
  admit(weights: Float64Array, share: number): void {
    for (let bucket = 0; bucket < BUCKETS; bucket += 1)
      this.weights[bucket] = (1 - share) * this.weights[bucket]! + share * weights[bucket]!; // In range.
    if (share > 0.5) this.level = "series";
  }

  /** The mass of the mixture from completed work below a position. Fills no more of it than that needs. */
  massBelow(client: number, element: number, pair: number, position: number): number {
    this.#weigh(client, element, pair);
    const whole = Math.min(BUCKETS - 1, Math.floor(position));
    this.#sum(this.#pair, this.#recent, whole + 1);
    const { weights } = this;
    let below = 0;
    for (let bucket = 0; bucket < whole; bucket += 1) below += weights[bucket]!; // In range.
    return below + weights[whole]! * (position - whole); // In range.
  }

  // M2, from the least specific level up: what a level leaves multiplies everything below it.
  #weigh(client: number, element: number, pair: number): void {
    const { all, elements, clients, pairs } = this.#sources;
    const allTakes = shareOf(all, 0, ALL_K);
    const elementTakes = shareOf(elements.rows, element, ELEMENT_K);
    const clientTakes = shareOf(clients.rows, client, CLIENT_K);
    const pairTakes = shareOf(pairs.rows, pair < 0 ? -1 : pair * 2 + 1, PAIR_K);
    const recentTakes = shareOf(pairs.rows, pair < 0 ? -1 : pair * 2, PAIR_RECENT_K);
    const fromPair = 1 - recentTakes;
    const fromClient = fromPair * (1 - pairTakes);
    const fromElement = fromClient * (1 - clientTakes);
    const fromAll = fromElement * (1 - elementTakes);
    this.#prior = fromAll * (1 - allTakes);
    this.#all = allTakes > 0 ? (fromAll * allTakes) / all.cells[MASS]! : 0; // One row, and in range where a share is taken.
    this.#element = elementTakes > 0 ? (fromElement * elementTakes) / elements.rows.cells[element * CELL + MASS]! : 0;
    this.#client = clientTakes > 0 ? (fromClient * clientTakes) / clients.rows.cells[client * CELL + MASS]! : 0;
    this.#pair = pairTakes > 0 ? (fromPair * pairTakes) / pairs.rows.cells[(pair * 2 + 1) * CELL + MASS]! : 0;
    this.#recent = recentTakes > 0 ? recentTakes / pairs.rows.cells[pair * 2 * CELL + MASS]! : 0;
    this.#elementAt = Math.max(0, element) * CELL;
    this.#clientAt = Math.max(0, client) * CELL;
    this.#pairAt = Math.max(0, pair) * 2 * CELL;
    this.#nameLevel(1 - fromClient, fromClient * clientTakes, fromElement * elementTakes, fromAll * allTakes);
    if (this.level === "pair")
      this.observations = pairs.rows.counts[pair]!; // It has a share, so there is a row; so below.
    else if (this.level === "client") this.observations = clients.rows.counts[client]!;
    else if (this.level === "element") this.observations = elements.rows.counts[element]!;
    else this.observations = all.counts[0]!;
  }

  #nameLevel(pair: number, client: number, element: number, all: number): void {
    const largest = Math.max(pair, client, element, all, this.#prior);
    if (largest === pair) this.level = "pair";
    else if (largest === client) this.level = "client";
    else if (largest === element) this.level = "element";
    else this.level = largest === all ? "all" : "prior";
  }

  #sum(pair: number, recent: number, end: number): void {
    // Locals throughout: read from fields, they would be read again for every bucket.
    const { weights } = this;
    const priorScale = this.#prior;
    const allScale = this.#all;
    const elementScale = this.#element;
    const clientScale = this.#client;
    const elementAt = this.#elementAt;
    const clientAt = this.#clientAt;
    const pairAt = this.#pairAt;
    const { prior } = this.#sources;
    const all = this.#sources.all.cells;
    const elements = this.#sources.elements.rows.cells;
    const clients = this.#sources.clients.rows.cells;
    const pairs = this.#sources.pairs.rows.cells;
    for (let bucket = 0; bucket < end; bucket += 1) {
      // In range: every offset is that of a cell.
      weights[bucket] =
        priorScale * prior[bucket]! +
        allScale * all[bucket]! +
        elementScale * elements[elementAt + bucket]! +
        clientScale * clients[clientAt + bucket]! +
        recent * pairs[pairAt + bucket]! +
        pair * pairs[pairAt + CELL + bucket]!;
    }
  }

  /** Lets one memory of the pair take its share of the mixture. */
  #blend(at: number, share: number): void {
    if (share <= 0) return;
    const { cells } = this.#sources.pairs.rows;
    const scale = share / cells[at * CELL + MASS]!; // In range: it has a share.
    for (let bucket = 0; bucket < BUCKETS; bucket += 1)
      this.weights[bucket] = (1 - share) * this.weights[bucket]! + scale * cells[at * CELL + bucket]!; // In range.
  }

  /**
   * Counts running work into a mixture that stands for `strength` durations: the one unit of each hold is spread over what the
   * mixture holds beyond its age.
   * Source: redistribution to the right, Efron (1967), one step of it.
   */
  #redistribute(ages: Ages, strength: number): void {
    if (ages.total === 0) return;
    const { weights } = this;
    const { counts } = ages;
    const whole = 1 / (strength + ages.total);
    let survived = 1;
    let spread = ages.young; // Holds younger than this bucket, each divided by what survived its age.
    let stranded = 0; // Holds older than nearly everything known: the next bucket is the best guess.
    for (let bucket = 0; bucket < BUCKETS; bucket += 1) {
      const mass = weights[bucket]!; // In range, here and below.
      const count = counts[bucket]!;
      let added = mass * spread + stranded;
      stranded = 0;
      if (count > 0) {
        const beyond = survived - mass / 2; // Ages lie in the middle of their bucket, near enough.
        if (beyond < SURVIVED_MIN) stranded = count;
        else {
          added += ((mass / 2) * count) / beyond;
          spread += count / beyond;
        }
      }
      survived -= mass;
      weights[bucket] = (mass * strength + added) * whole;
    }
    weights[BUCKETS - 1]! += stranded * whole; // In range.
  }
}

/** Below this the tail of a mixture is rounding, and dividing by it would make one hold a million. */
const SURVIVED_MIN = 1e-6;

/** Durations that a memory stands for, forgotten ones by what is left of them. */
function massOf(rows: HistogramRows, at: number): number {
  return at < 0 ? 0 : rows.cells[at * CELL + MASS]! / rows.cells[at * CELL + SCALE]!; // In range: the row was found.
}

function shareOf(rows: HistogramRows, at: number, k: number): number {
  if (at < 0) return 0;
  const mass = massOf(rows, at);
  return mass / (mass + k);
}
