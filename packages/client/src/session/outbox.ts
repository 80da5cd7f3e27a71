// session/outbox.ts: what is to be sent, cut into frames. Not here: when it is sent (link.ts).
//   O1. What is sent again goes before what was never sent; each in its order.
//   O2. A request gets its number when it is put into its first frame, so that one withdrawn before leaves no gap.
//   O3. A frame holds at most `frameOperations` operations, and `frameBytes` by an estimate that is never too low.
import type { Limits } from "@forelock/protocol";
import type { Request, RequestBody } from "./request.ts";
import type { Window } from "./window.ts";

/** Length, lowest unanswered, settled numbers: what a frame holds beside operations. */
const FRAME_OVERHEAD_BYTES = 16_384;
/** Fields of fixed size and tags of one operation. */
const OPERATION_OVERHEAD_BYTES = 160;
const UTF8_BYTES_PER_UNIT = 3;

export class Outbox {
  readonly #window: Window;
  #again: Request[] = [];
  /** Never sent; begins at #first. */
  #unsent: (Request | undefined)[] = [];
  #first = 0;
  #withdrawn = 0;

  constructor(window: Window) {
    this.#window = window;
  }

  get unsentCount(): number {
    return this.#unsent.length - this.#first - this.#withdrawn;
  }

  push(request: Request): void {
    this.#unsent.push(request);
  }

  /** To be sent under the number they have. */
  sendAgain(requests: readonly Request[]): void {
    this.#again.push(...requests);
  }

  /** Linear: for abandoned requests only, which are few. */
  withdraw(request: Request): boolean {
    const index = this.#unsent.indexOf(request, this.#first);
    if (index === -1) return false;
    this.#unsent[index] = undefined;
    this.#withdrawn++;
    return true;
  }

  takeUnsent(): readonly Request[] {
    const unsent = this.#unsent.filter((request) => request !== undefined);
    this.#unsent = [];
    this.#first = 0;
    this.#withdrawn = 0;
    this.#again = [];
    return unsent;
  }

  /** The operations of one frame; none when there is nothing to send or no room at the server. */
  nextFrame(limits: Limits, inFlightMax: number): Request[] {
    const operations: Request[] = [];
    let bytesLeft = limits.frameBytes - FRAME_OVERHEAD_BYTES;
    const operationsMax = limits.frameOperations;
    while (operations.length < operationsMax) {
      const again = this.#nextAgain();
      const request = again ?? this.#nextUnsent(limits, inFlightMax);
      if (request === undefined) break;
      bytesLeft -= bytesOf(request.body);
      if (bytesLeft < 0 && operations.length > 0) break; // O3: alone in a frame it is sent anyway, and refused if too large.
      if (again === undefined) {
        this.#dropFirst();
        this.#window.open(request); // O2
      } else {
        this.#again.shift();
      }
      operations.push(request);
    }
    return operations;
  }

  /** Those not sent yet, in order. */
  *unsent(): IterableIterator<Request> {
    for (let index = this.#first; index < this.#unsent.length; index++) {
      const request = this.#unsent[index];
      if (request !== undefined) yield request;
    }
  }

  /** Takes out those not sent yet that were issued before a moment. */
  takeOverdue(issuedBeforeMs: number): readonly Request[] {
    const overdue: Request[] = [];
    for (
      let request = this.#peek();
      request !== undefined && request.issuedAtMs < issuedBeforeMs;
      request = this.#peek()
    ) {
      this.#dropFirst();
      overdue.push(request);
    }
    return overdue;
  }

  #nextAgain(): Request | undefined {
    while (this.#again.length > 0) {
      const request = this.#again[0]!; // The length was checked.
      if (this.#window.unanswered.get(request.sequence) === request) return request; // O1
      this.#again.shift(); // Answered meanwhile.
    }
    return undefined;
  }

  #nextUnsent(limits: Limits, inFlightMax: number): Request | undefined {
    const { unanswered } = this.#window;
    const room = unanswered.size < inFlightMax && this.#window.span < limits.unanswered;
    return room ? this.#peek() : undefined;
  }

  #peek(): Request | undefined {
    while (this.#first < this.#unsent.length && this.#unsent[this.#first] === undefined) {
      this.#first++;
      this.#withdrawn--;
    }
    return this.#unsent[this.#first];
  }

  #dropFirst(): void {
    this.#unsent[this.#first++] = undefined; // Lets go of it.
    if (this.#first < this.#unsent.length) {
      if (this.#first < 4_096 || this.#first < this.#unsent.length / 2) return;
      this.#unsent = this.#unsent.slice(this.#first); // Rarely, so that each costs little.
    } else {
      this.#unsent = [];
    }
    this.#first = 0;
  }
}

function bytesOf(body: RequestBody): number {
  return OPERATION_OVERHEAD_BYTES + UTF8_BYTES_PER_UNIT * textLength(body);
}

function textLength(body: RequestBody): number {
  switch (body.$case) {
    case "acquire": {
      const { name, actor, compensation } = body.value;
      const more = compensation === undefined ? 0 : compensation.url.length + compensation.argument.length;
      return name.length + actor.length + more;
    }
    case "release":
      return body.value.name.length;
    case "append":
      return (
        body.value.file.length +
        body.value.element.length +
        Math.ceil(body.value.bytes.byteLength / UTF8_BYTES_PER_UNIT)
      );
    case "acquireAll":
      return body.value.elements.reduce((sum, { name }) => sum + name.length + OPERATION_OVERHEAD_BYTES, 0);
    default:
      return 1_024; // Names, patterns and reasons of rare requests: at most 512 bytes each, two in one.
  }
}
