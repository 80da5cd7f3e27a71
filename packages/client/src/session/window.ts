// session/window.ts: the numbers of a session's requests: which are unanswered, which wait, which may be forgotten.
// Not here: sending (link.ts).
//   W1. Sequences rise by one with each request that is sent, and are never used twice.
//   W2. `lowestUnanswered` never falls; everything below it has had its first answer.
//   W3. An acquire that was answered `queued` is in `waiting` until its end has come, and is then settled exactly once.
import { assert } from "@forelock/protocol";
import type { Request } from "./request.ts";

export class Window {
  /** Sent and without a first answer, in order of sequence. */
  readonly unanswered: Unanswered;
  /** Answered `queued`. */
  readonly waiting = new Map<number, Request>();
  #settled: number[] = [];
  /** Of direct connections: what is settled is told on each, for a result rests where its partition has been. */
  readonly #alsoSettled = new Set<number[]>();

  /** @param first 1, or above every number that an earlier process may have used in this session. */
  constructor(first = 1) {
    this.unanswered = new Unanswered(first);
  }

  /** Gives a request its number. */
  open(request: Request): void {
    this.unanswered.add(request);
  }

  /** Its first answer came. */
  answered(request: Request): void {
    this.unanswered.delete(request.sequence);
  }

  queued(request: Request): void {
    this.unanswered.delete(request.sequence);
    this.waiting.set(request.sequence, request); // W3
  }

  /** The end of a queued acquire came; undefined when none waits under that number. */
  settle(sequence: number): Request | undefined {
    const request = this.waiting.get(sequence);
    if (request === undefined) return undefined;
    this.waiting.delete(sequence);
    this.#settled.push(sequence);
    if (this.#alsoSettled.size > 0) for (const settled of this.#alsoSettled) settled.push(sequence);
    return request;
  }

  /** Numbers up to it were used by an earlier process of the same session. Only before any is given here. */
  startAbove(sequence: number): void {
    this.unanswered.startAbove(sequence);
  }

  /** What is settled from now on is put into the list, too, which is its owner's to empty. */
  alsoSettle(list: number[]): void {
    this.#alsoSettled.add(list);
  }

  settleNoMore(list: number[]): void {
    this.#alsoSettled.delete(list);
  }

  get lowestUnanswered(): number {
    return this.unanswered.lowest;
  }

  /** How many answers the server must remember at most. */
  get span(): number {
    return this.unanswered.span;
  }

  get settledCount(): number {
    return this.#settled.length;
  }

  /** Settled numbers not yet told; told once. */
  takeSettled(): bigint[] {
    if (this.#settled.length === 0) return [];
    const settled = this.#settled.map(BigInt);
    this.#settled = [];
    return settled;
  }

  /** Everything that is still open, for resuming; what is settled needs no telling then. */
  resume(): bigint[] {
    this.#settled = [];
    const unanswered = [...this.unanswered.values()].map(({ sequence }) => sequence);
    return [...unanswered, ...this.waiting.keys()].map(BigInt);
  }
}

const SLOTS_MIN = 16;

/** A ring of the numbers from the lowest unanswered to the last given: bounded by the `unanswered` of the server's limits. */
export class Unanswered {
  #slots: (Request | undefined)[] = new Array<undefined>(SLOTS_MIN).fill(undefined);
  #lowest: number;
  #next: number;
  #size = 0;

  constructor(first: number) {
    this.#lowest = first;
    this.#next = first;
  }

  get size(): number {
    return this.#size;
  }

  /** The next number to give, when there are none. */
  get lowest(): number {
    return this.#lowest;
  }

  get span(): number {
    return this.#next - this.#lowest;
  }

  /** Under the next number, which it is given. */
  add(request: Request): void {
    if (this.span === this.#slots.length) this.#grow();
    request.sequence = this.#next++; // W1
    this.#slots[this.#slotOf(request.sequence)] = request;
    this.#size++;
  }

  get(sequence: number): Request | undefined {
    return this.#isIn(sequence) ? this.#slots[this.#slotOf(sequence)] : undefined;
  }

  has(sequence: number): boolean {
    return this.get(sequence) !== undefined;
  }

  delete(sequence: number): void {
    if (!this.has(sequence)) return;
    this.#slots[this.#slotOf(sequence)] = undefined;
    this.#size--;
    while (this.#lowest < this.#next && this.#slots[this.#slotOf(this.#lowest)] === undefined) this.#lowest++; // W2
  }

  *values(): IterableIterator<Request> {
    for (let sequence = this.#lowest; sequence < this.#next; sequence++) {
      const request = this.get(sequence);
      if (request !== undefined) yield request;
    }
  }

  startAbove(sequence: number): void {
    if (sequence < this.#next) return;
    assert(this.#size === 0, "numbers of an earlier process are known before any is given");
    this.#next = sequence + 1;
    this.#lowest = this.#next;
  }

  #isIn(sequence: number): boolean {
    return sequence >= this.#lowest && sequence < this.#next;
  }

  /** The length is a power of two; a number above 2^32 is cut to its low bits, which are all that matters. */
  #slotOf(sequence: number): number {
    return sequence & (this.#slots.length - 1);
  }

  #grow(): void {
    const requests = [...this.values()];
    this.#slots = new Array<undefined>(2 * this.#slots.length).fill(undefined);
    for (const request of requests) this.#slots[this.#slotOf(request.sequence)] = request;
  }
}
