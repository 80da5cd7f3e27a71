// session/window.ts: the numbers of a session's requests: which are unanswered, which wait, which may be forgotten.
// Not here: sending (link.ts).
//   W1. Sequences rise by one with each request that is sent, and are never used twice.
//   W2. `lowestUnanswered` never falls; everything below it has had its first answer.
//   W3. An acquire that was answered `queued` is in `waiting` until its end has come, and is then settled exactly once.
import type { Request } from "./request.ts";

export class Window {
  /** Sent and without a first answer, in order of sequence. */
  readonly unanswered = new Map<number, Request>();
  /** Answered `queued`. */
  readonly waiting = new Map<number, Request>();
  #next: number;
  #lowest: number;
  #settled: number[] = [];

  /** @param first 1, or above every number that an earlier process may have used in this session. */
  constructor(first = 1) {
    this.#next = first;
    this.#lowest = first;
  }

  /** Gives a request its number. */
  open(request: Request): void {
    request.sequence = this.#next++; // W1
    this.unanswered.set(request.sequence, request);
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
    return request;
  }

  /** Numbers below were used by an earlier process of the same session. */
  startAbove(sequence: number): void {
    if (sequence < this.#next) return;
    this.#next = sequence + 1;
    if (this.unanswered.size === 0) this.#lowest = this.#next;
  }

  get lowestUnanswered(): number {
    while (this.#lowest < this.#next && !this.unanswered.has(this.#lowest)) this.#lowest++; // W2
    return this.#lowest;
  }

  /** How many answers the server must remember at most. */
  get span(): number {
    return this.#next - this.lowestUnanswered;
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
    return [...this.unanswered.keys(), ...this.waiting.keys()].map(BigInt);
  }
}
