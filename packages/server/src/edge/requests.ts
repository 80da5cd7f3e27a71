// requests.ts: the operations of one connection: checked, counted, handed to the service, answered. The hot path. Not
// here: frames and their batching (connection.ts), what an operation does (shard/).
//   Q1. Every operation of a frame is validated and authorised on its own before the service sees it.
//   Q2. Every operation is answered exactly once, or its connection ends.
//   Q3. What frees something (release, cancel, close) has room of its own when everything else is refused.
//   Q4. Answers that are large by nature are asked for only as fast as the client reads them.
import type { Operation, PeerRequest, Reply, Error as WireError } from "@forelock/protocol";
import type { NodeSession, Service } from "../shard/service.ts";
import { authorize, type EdgeCaller, type OperationBody, type OperationCase, ruleOf } from "./authorize.ts";
import type { Switchboard } from "./switchboard.ts";
import { range, validate } from "./validate.ts";
import type { Watches } from "./watches.ts";
import { type Refusal, wireError } from "./wire-error.ts";

/** Of `requestsPerConnectionMax` and `requestsMax`, again, for what frees something. */
const FREEING_SHARE = 2;
const RETRY_AFTER_MS = 100;
/** The log keeps twice the sequence, and one bit more, in a number that is exact up to 2^53. */
const SEQUENCE_MAX = 2 ** 52 - 1;
const LIST_BYTES = 262_144;

type Room = "plain" | "freeing" | "bulky" | "waiting" | "here";

/** Which room an operation takes: a table, so that a new one must choose. */
const ROOMS: { readonly [Case in OperationCase]: Room } = {
  acquire: "plain",
  acquireAll: "plain",
  upgrade: "plain",
  downgrade: "plain",
  append: "plain",
  forceRelease: "plain",
  endSession: "plain",
  getStatus: "plain",
  release: "freeing",
  cancel: "freeing",
  closeSession: "freeing",
  readFile: "bulky",
  readRecords: "bulky",
  listFiles: "bulky",
  listLocks: "bulky",
  listSessions: "bulky",
  why: "bulky",
  getOperation: "waiting",
  watch: "here",
  unwatch: "here",
  acknowledge: "freeing",
  warn: "plain",
  setPolicy: "plain",
  listPolicies: "bulky",
  getProfile: "bulky",
  getPrediction: "bulky",
  getHistory: "bulky",
  getCluster: "bulky",
  changeCluster: "plain",
  readBulk: "bulky",
  peer: "freeing",
};

/** What the requests of a connection need of it. */
export interface RequestsHost {
  reply(reply: Reply): void;
  readonly unsentBytes: number;
}

export interface RequestsParts {
  readonly service: Service;
  readonly caller: EdgeCaller;
  readonly session: NodeSession | undefined;
  readonly switchboard: Switchboard;
  readonly watches: Watches;
  readonly host: RequestsHost;
}

interface BulkyRequest {
  readonly operation: Operation;
  readonly bytes: number;
}

export class Requests {
  readonly #service: Service;
  readonly #caller: EdgeCaller;
  readonly #session: NodeSession | undefined;
  readonly #switchboard: Switchboard;
  readonly #watches: Watches;
  readonly #host: RequestsHost;
  readonly #plainMax: number;
  readonly #allMax: number;
  #plain = 0;
  #freeing = 0;
  #bulkyBytes = 0;
  readonly #bulky: BulkyRequest[] = [];
  readonly #withdrawals = new Set<() => void>();
  #isOver = false;

  constructor({ service, caller, session, switchboard, watches, host }: RequestsParts) {
    this.#service = service;
    this.#caller = caller;
    this.#session = session;
    this.#switchboard = switchboard;
    this.#watches = watches;
    this.#host = host;
    this.#plainMax = switchboard.limits.requestsPerConnectionMax;
    this.#allMax = switchboard.limits.requestsMax;
  }

  /** Operations that will still be answered; awaits and watches do not count. */
  get inFlight(): number {
    return this.#plain + this.#freeing;
  }

  operate(operation: Operation): void {
    if (this.#isOver) return; // An earlier one in its frame ended the connection.
    const { sequence, body } = operation;
    const counters = this.#switchboard.counters;
    counters.operations_total++;
    if (sequence === 0 || sequence > SEQUENCE_MAX) {
      if (sequence > SEQUENCE_MAX && this.#caller.forwardedBy !== undefined) return this.#operateUnnumbered(operation);
      this.#refuse(sequence, range("sequence", sequence, 1, SEQUENCE_MAX));
      return;
    }
    const refusal = this.#refusalOf(operation, body);
    if (refusal !== undefined) {
      this.#refuse(sequence, refusal);
      return;
    }
    const room = roomOf(body!);
    switch (room) {
      case "plain":
        if (!this.#admitPlain(sequence)) return;
        this.#service.submit(this.#caller, this.#session, operation, this.#answerPlain);
        return;
      case "freeing":
        if (!this.#admitFreeing(sequence)) return;
        this.#service.submit(this.#caller, this.#session, operation, this.#answerFreeing);
        return;
      case "bulky":
        this.#queueBulky(operation, body!);
        return;
      case "waiting":
        this.#wait(operation);
        return;
      case "here":
        this.#host.reply(this.#watches.operate(sequence, body!));
        return;
    }
  }

  /** Room to write has come: asks for more of what is large. */
  pump(): void {
    const budget = this.#switchboard.limits.writeBufferBytesMax;
    let next = this.#bulky[0];
    while (next !== undefined && this.#hasBudget(next.bytes, budget)) {
      this.#bulky.shift();
      this.#start(next);
      next = this.#bulky[0];
    }
  }

  /** Ends awaits and watches: only what is under way is still answered. */
  withdraw(): void {
    for (const withdraw of this.#withdrawals) withdraw();
    this.#switchboard.counters.watchers -= this.#withdrawals.size;
    this.#withdrawals.clear();
    this.#watches.end();
  }

  /** The connection is gone: what is under way goes on, but is not answered here. */
  end(): void {
    this.#isOver = true;
    this.withdraw();
    this.#plain -= this.#bulky.length;
    this.#switchboard.counters.requests_in_flight -= this.#bulky.length;
    this.#bulky.length = 0;
  }

  // One function for all operations of a room, not a closure for each: the reply itself says which it answers.
  // Both count down after the end too: the operation was under way until now, and the cap over all must see it.
  readonly #answerPlain = (reply: Reply): void => {
    this.#plain--;
    this.#switchboard.counters.requests_in_flight--;
    if (!this.#isOver) this.#host.reply(reply);
  };

  readonly #answerFreeing = (reply: Reply): void => {
    this.#freeing--;
    this.#switchboard.counters.requests_in_flight--;
    if (!this.#isOver) this.#host.reply(reply);
  };

  /** Q1 */
  #refusalOf(operation: Operation, body: Operation["body"]): Refusal | undefined {
    return validate(operation, this.#switchboard.limits) ?? this.#denied(body!); // `validate` refused an absent body.
  }

  #denied(body: OperationBody): Refusal | undefined {
    if (this.#session === undefined && ruleOf(body).session) {
      return { code: "session_unknown", message: `${body.$case}: needs a session, and this connection has none.` };
    }
    return authorize(this.#caller, body);
  }

  #admitPlain(sequence: number): boolean {
    const { counters } = this.#switchboard;
    if (this.#plain >= this.#plainMax || counters.requests_in_flight >= this.#allMax) {
      this.#overloaded(sequence);
      return false;
    }
    this.#plain++;
    counters.requests_in_flight++;
    return true;
  }

  /** Q3 */
  #admitFreeing(sequence: number): boolean {
    const { counters } = this.#switchboard;
    const isFull = this.#freeing >= this.#plainMax * FREEING_SHARE;
    if (isFull || counters.requests_in_flight >= this.#allMax * FREEING_SHARE) {
      this.#overloaded(sequence);
      return false;
    }
    this.#freeing++;
    counters.requests_in_flight++;
    return true;
  }

  /** Of a unary call, which has no number of its own: another node gave it one above all others, to tell the replies apart. */
  #operateUnnumbered(operation: Operation): void {
    const { sequence, body } = operation;
    const refusal = this.#refusalOf(operation, body);
    if (refusal !== undefined) return this.#refuse(sequence, refusal);
    const isFreeing = ROOMS[body!.$case] === "freeing";
    if (!(isFreeing ? this.#admitFreeing(sequence) : this.#admitPlain(sequence))) return;
    const answer = isFreeing ? this.#answerFreeing : this.#answerPlain;
    const unnumbered = { ...operation, sequence: 0 };
    this.#service.submit(this.#caller, this.#session, unnumbered, (reply) => answer({ ...reply, sequence }));
  }

  #queueBulky(operation: Operation, body: OperationBody): void {
    if (!this.#admitPlain(operation.sequence)) return;
    this.#bulky.push({ operation, bytes: bulkyBytes(body, this.#switchboard.limits.frameBytesMax) });
    this.pump(); // Q4
  }

  #hasBudget(bytes: number, budget: number): boolean {
    const used = this.#bulkyBytes + this.#host.unsentBytes;
    return used === 0 || used + bytes <= budget;
  }

  #start({ operation, bytes }: BulkyRequest): void {
    this.#bulkyBytes += bytes;
    this.#service.submit(this.#caller, this.#session, operation, (reply) => {
      this.#bulkyBytes -= bytes;
      this.#answerPlain(reply);
      if (!this.#isOver && this.#bulky.length > 0) queueMicrotask(() => this.pump());
    });
  }

  #wait(operation: Operation): void {
    const { counters, limits } = this.#switchboard;
    if (counters.watchers >= limits.watchersMax || this.#withdrawals.size >= limits.watchersPerConnectionMax) {
      this.#refuse(operation.sequence, {
        code: "watchers_full",
        message: `${this.#withdrawals.size} awaits on this connection, ${counters.watchers} watches and awaits in all.`,
        retryAfterMs: RETRY_AFTER_MS,
      });
      return;
    }
    counters.watchers++;
    const withdraw = this.#service.submit(this.#caller, this.#session, operation, (reply) => {
      if (!this.#withdrawals.delete(withdraw)) return;
      counters.watchers--;
      this.#host.reply(reply);
    });
    this.#withdrawals.add(withdraw);
  }

  #overloaded(sequence: number): void {
    this.#switchboard.counters.operations_overloaded_total++;
    this.#refuse(sequence, {
      code: "overloaded",
      message: `${this.inFlight} operations in flight on this connection, ${this.#switchboard.counters.requests_in_flight} in all.`,
      retryAfterMs: RETRY_AFTER_MS,
    });
  }

  #refuse(sequence: number, refusal: Refusal): void {
    this.#switchboard.counters.operations_refused_total++;
    this.#host.reply(errorReply(sequence, wireError(refusal)));
  }
}

function roomOf(body: OperationBody): Room {
  const kind = body.$case;
  if (kind === "acquire") return ROOMS.acquire; // By name: the hot path.
  if (kind === "peer" && isAwait(body.value)) return "waiting";
  return kind === "release" ? ROOMS.release : ROOMS[kind];
}

function isAwait({ body }: PeerRequest): boolean {
  return body?.$case === "part" && body.value.step?.$case === "await";
}

export function errorReply(sequence: number, error: WireError): Reply {
  return { sequence, body: { $case: "error", value: error } };
}

function bulkyBytes(body: OperationBody, frameBytesMax: number): number {
  switch (body.$case) {
    case "readFile":
      return body.value.bytesMax === 0 ? frameBytesMax : body.value.bytesMax;
    case "readRecords":
      return frameBytesMax;
    default:
      return LIST_BYTES;
  }
}
