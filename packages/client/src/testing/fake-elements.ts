// testing/fake-elements.ts: elements, queues and files of the fake server: small, and true to the protocol where clients can tell.
// Not here: sessions and repeated requests (fake-sessions.ts), the wire (fake-server.ts). Trees and deadlocks are the real server's.
//   F1. Tokens only rise. F2. First come, first served. F3. An append needs the current token of an exclusive grant.
import {
  AcquireReply,
  type AcquireRequest,
  type AppendRequest,
  type ErrorCode,
  ForelockError,
  Mode,
  OperationState,
  type ReleaseRequest,
} from "@forelock/protocol";

export interface FakeHolder {
  readonly session: string;
  readonly sequence: number;
  readonly reference: string;
  readonly name: string;
  mode: Mode;
  token: bigint;
  take: number;
  entries: number;
}

export interface FakeWaiter {
  readonly session: string;
  readonly sequence: number;
  readonly reference: string;
  readonly request: AcquireRequest;
  /** The end of the wait. */
  readonly ended: (reply: AcquireReply) => void;
  readonly timer: NodeJS.Timeout | undefined;
}

interface Element {
  holders: FakeHolder[];
  queue: FakeWaiter[];
}

const PARTITIONS = 4;

export class FakeElements {
  readonly elementByName = new Map<string, Element>();
  readonly recordsByFile = new Map<string, Buffer[]>();
  #lastToken = 1n << 40n;

  acquire(
    session: string,
    sequence: number,
    request: AcquireRequest,
    ended: (reply: AcquireReply) => void,
  ): AcquireReply {
    const element = this.#element(request.name);
    const reference = `p0.s.${session.slice(0, 6)}.${sequence}`;
    if (request.reenter !== 0n) return this.#reenter(element, request, reference, sequence);
    const waiter = { session, sequence, reference, request, ended, timer: undefined };
    if (element.queue.length === 0 && this.#fits(element, request)) return this.#grant(element, waiter);
    if (request.waitMs === 0) return endedReply(sequence, reference, "busy", `${request.name} is held.`);
    const timer =
      request.waitMs === undefined
        ? undefined
        : setTimeout(() => this.leave(session, sequence, "timeout"), request.waitMs);
    element.queue.push({ ...waiter, timer });
    return AcquireReply.create({
      sequence,
      reference,
      state: OperationState.QUEUED,
      position: element.queue.length,
      blockers: element.holders.map(({ token, mode }) => ({ token, mode, session })),
      partition: partitionOf(request.name),
    });
  }

  /** Ends a wait. @returns false when it does not wait */
  leave(session: string, sequence: number, code: ErrorCode): boolean {
    for (const [name, element] of this.elementByName) {
      const index = element.queue.findIndex((waiter) => waiter.session === session && waiter.sequence === sequence);
      const [waiter] = index === -1 ? [] : element.queue.splice(index, 1);
      if (waiter === undefined) continue;
      clearTimeout(waiter.timer);
      waiter.ended(endedReply(sequence, waiter.reference, code, `The wait for ${name} ended.`));
      this.#serve(element);
      return true;
    }
    return false;
  }

  release({ name, token }: ReleaseRequest): { stillHeld: boolean; undone: number } {
    const { element, holder } = this.#held(name, token);
    if (--holder.entries > 0) return { stillHeld: true, undone: 0 };
    element.holders.splice(element.holders.indexOf(holder), 1);
    this.#serve(element);
    return { stillHeld: false, undone: 0 };
  }

  /** Of the only shared holder: at once. Others are the real server's. */
  upgrade(sequence: number, name: string, token: bigint): AcquireReply {
    const { element, holder } = this.#held(name, token);
    if (element.holders.length > 1) return endedReply(sequence, holder.reference, "busy", `${name} is shared.`);
    holder.mode = Mode.EXCLUSIVE;
    holder.token = ++this.#lastToken; // F1
    return this.#granted(sequence, holder);
  }

  downgrade(name: string, token: bigint): { token: bigint } {
    const { element, holder } = this.#held(name, token);
    holder.mode = Mode.SHARED;
    holder.token = ++this.#lastToken;
    this.#serve(element);
    return { token: holder.token };
  }

  append({ file, bytes, token, element }: AppendRequest): {
    length: number;
    version: number;
    index: number;
    offset: number;
  } {
    const { holder } = this.#held(element === "" ? file : element, token);
    if (holder.mode !== Mode.EXCLUSIVE) throw new ForelockError("guard_required", "Only an exclusive grant guards."); // F3
    const records = this.recordsByFile.get(file) ?? [];
    this.recordsByFile.set(file, records);
    const offset = Buffer.concat(records).byteLength;
    records.push(bytes);
    return { length: offset + bytes.byteLength, version: records.length, index: records.length - 1, offset };
  }

  /** Everything of a session goes. @param partition only there; undefined: everywhere */
  endSession(session: string, partition?: number): readonly FakeHolder[] {
    const lost: FakeHolder[] = [];
    for (const [name, element] of this.elementByName) {
      if (partition !== undefined && partitionOf(name) !== partition) continue;
      lost.push(...element.holders.filter((holder) => holder.session === session));
      element.holders = element.holders.filter((holder) => holder.session !== session);
      element.queue = element.queue.filter((waiter) => waiter.session !== session);
      this.#serve(element);
    }
    return lost;
  }

  force(name: string, token: bigint): readonly FakeHolder[] {
    const element = this.#element(name);
    const forced = element.holders.filter((holder) => token === 0n || holder.token === token);
    if (forced.length === 0) throw new ForelockError("not_held", `Nobody holds ${name}.`);
    element.holders = element.holders.filter((holder) => !forced.includes(holder));
    this.#serve(element);
    return forced;
  }

  holdersOf(session: string): readonly FakeHolder[] {
    return [...this.elementByName.values()].flatMap(({ holders }) => holders.filter((one) => one.session === session));
  }

  waitersOf(session: string): readonly FakeWaiter[] {
    return [...this.elementByName.values()].flatMap(({ queue }) => queue.filter((one) => one.session === session));
  }

  #reenter(element: Element, request: AcquireRequest, reference: string, sequence: number): AcquireReply {
    const holder = element.holders.find(({ token }) => token === request.reenter);
    if (holder === undefined) return endedReply(sequence, reference, "stale_token", "The grant has ended.");
    holder.entries++;
    return this.#granted(sequence, holder);
  }

  #fits({ holders }: Element, { mode, permits, take }: AcquireRequest): boolean {
    if (holders.length === 0) return true;
    if (holders.some((holder) => holder.mode !== mode) || mode === Mode.EXCLUSIVE) return false;
    return mode === Mode.SHARED || holders.reduce((sum, holder) => sum + holder.take, take || 1) <= permits;
  }

  #grant(element: Element, { session, sequence, reference, request, timer }: FakeWaiter): AcquireReply {
    clearTimeout(timer);
    const { name, mode, take } = request;
    const token = ++this.#lastToken; // F1
    const holder = { session, sequence, reference, name, mode, token, take: take || 1, entries: 1 };
    element.holders.push(holder);
    return this.#granted(sequence, holder);
  }

  #granted(sequence: number, { reference, name, token }: FakeHolder): AcquireReply {
    const partition = partitionOf(name);
    const grants = [{ name, token, partition }];
    return AcquireReply.create({ sequence, reference, state: OperationState.GRANTED, grants, partition });
  }

  #serve(element: Element): void {
    for (let first = element.queue[0]; first !== undefined; first = element.queue[0]) {
      if (!this.#fits(element, first.request)) return; // F2
      element.queue.shift();
      first.ended(this.#grant(element, first));
    }
  }

  #held(name: string, token: bigint): { element: Element; holder: FakeHolder } {
    const element = this.#element(name);
    const holder = element.holders.find((one) => one.token === token);
    if (holder === undefined) throw new ForelockError("stale_token", `${token} is not current for ${name}.`);
    return { element, holder };
  }

  #element(name: string): Element {
    const element = this.elementByName.get(name) ?? { holders: [], queue: [] };
    this.elementByName.set(name, element);
    return element;
  }
}

/** Any spreading will do: the client only compares. */
export function partitionOf(name: string): number {
  return [...name].reduce((sum, letter) => sum + letter.charCodeAt(0), 0) % PARTITIONS;
}

function endedReply(sequence: number, reference: string, code: ErrorCode, message: string): AcquireReply {
  return AcquireReply.create({ sequence, reference, state: OperationState.ENDED, error: { code, message } });
}
