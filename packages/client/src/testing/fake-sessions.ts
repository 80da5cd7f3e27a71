// testing/fake-sessions.ts: sessions of the fake server: each request once, whatever is repeated; life by heartbeats; resuming.
// Not here: what requests do (fake-elements.ts), the wire (fake-server.ts).
//   F1. A sequence is carried out once; repeated, it gets its first answer; below `lowest` it is refused `request_forgotten`.
//   F2. Notices go to the newest connection of the session; the ends of waits are kept until settled.
import { randomBytes } from "node:crypto";
import {
  type AcknowledgeReply,
  type AcknowledgeRequest,
  AcquireReply,
  type ErrorCode,
  ForelockError,
  type Hello,
  Limits,
  Notice,
  type Operation,
  OperationState,
  type ReleaseRequest,
  Reply,
  Welcome,
} from "@forelock/protocol";
import { FakeElements, partitionOf } from "./fake-elements.ts";

type ReplyBody = NonNullable<Reply["body"]>;

export interface FakeSession {
  readonly id: string;
  readonly secret: Buffer;
  readonly ttlMs: number;
  lowest: number;
  readonly replyBySequence: Map<number, Reply>;
  /** Ends of queued acquires, until they are settled. */
  readonly endBySequence: Map<number, AcquireReply>;
  readonly partitions: Set<number>;
  readonly expired: Set<number>;
  gone: ErrorCode | undefined;
  notify: (notice: Notice) => void;
  heartbeats: number;
  lagMs: number;
  health: number;
  readonly application: string;
}

export class FakeSessions {
  readonly elements = new FakeElements();
  readonly sessionById = new Map<string, FakeSession>();
  /** `<kind> <sequence>` of everything that was carried out, in order. */
  readonly executed: string[] = [];
  limits = { frameBytes: 1_048_576, frameOperations: 1_000, nameBytes: 512, appendBytes: 196_608 };
  requestsInFlight = 4_096;
  unanswered = 50_000;
  /** Codes with which the next operations are refused, before anything is carried out. */
  readonly refusals: ErrorCode[] = [];
  readonly released: ReleaseRequest[] = [];
  /** Those that came, in order. */
  readonly acknowledged: AcknowledgeRequest[] = [];
  /** What they are answered; nothing is forced here but by the test. */
  onAcknowledge: (request: AcknowledgeRequest) => AcknowledgeReply = ({ extensionMs }) => ({
    state: extensionMs === undefined ? "acknowledged" : "extended",
    countdownMs: -1,
    reason: "",
  });

  open(hello: Hello): FakeSession {
    if (hello.sessionId.byteLength > 0) return this.#resume(hello);
    const session: FakeSession = {
      id: randomBytes(16).toString("base64url"),
      secret: randomBytes(32),
      ttlMs: hello.ttlMs || 30_000,
      lowest: 1,
      replyBySequence: new Map(),
      endBySequence: new Map(),
      partitions: new Set(),
      expired: new Set(),
      gone: undefined,
      notify: () => {},
      heartbeats: 0,
      lagMs: 0,
      health: 0,
      application: hello.application,
    };
    this.sessionById.set(session.id, session);
    return session;
  }

  welcome(session: FakeSession, hello: Hello): Welcome {
    const resumed = hello.sessionId.byteLength > 0;
    const open = new Set(hello.open.map(Number));
    return Welcome.create({
      sessionId: Buffer.from(session.id, "base64url"),
      sessionSecret: resumed ? Buffer.alloc(0) : session.secret,
      ttlMs: session.ttlMs,
      partitions: 4,
      limits: Limits.create({ ...this.limits, requestsInFlight: this.requestsInFlight, unanswered: this.unanswered }),
      serverVersion: "fake",
      durable: true,
      grants: this.elements.holdersOf(session.id).map((holder) => ({ ...holder, requestId: "" })),
      waits: this.elements
        .waitersOf(session.id)
        .map(({ reference, sequence }) => ({ reference, sequence, position: 1 })),
      missed: [...session.endBySequence].flatMap(([sequence, value]) =>
        open.has(sequence) ? [{ body: { $case: "operation" as const, value } }] : [],
      ),
    });
  }

  settle(session: FakeSession, lowest: number, settled: readonly bigint[]): void {
    session.lowest = Math.max(session.lowest, lowest);
    for (const sequence of session.replyBySequence.keys()) {
      if (sequence < session.lowest) session.replyBySequence.delete(sequence);
    }
    for (const sequence of settled) session.endBySequence.delete(Number(sequence));
  }

  perform(session: FakeSession, operation: Operation): Reply {
    const { sequence } = operation;
    const first = session.replyBySequence.get(sequence);
    if (first !== undefined) return first; // F1
    if (session.gone !== undefined) return refusal(sequence, session.gone);
    if (sequence < session.lowest) return refusal(sequence, "request_forgotten"); // F1
    const refused = this.refusals.shift();
    if (refused !== undefined) return refusal(sequence, refused);
    let body: ReplyBody;
    try {
      body = this.#carryOut(session, operation);
    } catch (error) {
      if (!(error instanceof ForelockError)) throw error;
      return refusal(sequence, error.code);
    }
    this.executed.push(`${operation.body?.$case} ${sequence}`);
    const reply = Reply.create({ sequence, body });
    session.replyBySequence.set(sequence, reply);
    return reply;
  }

  /** Its heartbeats did not come in time. */
  expire(session: FakeSession): void {
    session.gone = "session_expired";
    this.elements.endSession(session.id);
  }

  expirePartition(session: FakeSession, partition: number): void {
    session.partitions.delete(partition);
    session.expired.add(partition);
    this.elements.endSession(session.id, partition);
  }

  #resume(hello: Hello): FakeSession {
    const session = this.sessionById.get(hello.sessionId.toString("base64url"));
    if (session === undefined || !session.secret.equals(hello.sessionSecret)) {
      throw new ForelockError("session_unknown", "No such session.");
    }
    if (session.gone !== undefined) throw new ForelockError(session.gone, "It is over.");
    return session;
  }

  #carryOut(session: FakeSession, { sequence, body }: Operation): ReplyBody {
    const { elements } = this;
    switch (body?.$case) {
      case "acquire": {
        const partition = partitionOf(body.value.name);
        if (session.expired.has(partition)) throw new ForelockError("session_expired", "Expired in this partition.");
        session.partitions.add(partition);
        const ended = (end: AcquireReply) => this.#ended(session, sequence, end);
        return { $case: "acquire", value: elements.acquire(session.id, sequence, body.value, ended) };
      }
      case "acquireAll": {
        const parts = body.value.elements.map((element) =>
          elements.acquire(session.id, sequence, { ...ACQUIRE, ...element, waitMs: 0 }, () => {}),
        );
        for (const { grants } of parts) for (const { partition } of grants) session.partitions.add(partition);
        const grants = parts.flatMap((part) => part.grants);
        const state = OperationState.GRANTED;
        return {
          $case: "acquire",
          value: AcquireReply.create({ sequence, reference: `all.${sequence}`, state, grants }),
        };
      }
      case "release":
        this.released.push(body.value);
        return { $case: "release", value: elements.release(body.value) };
      case "upgrade":
        return { $case: "acquire", value: elements.upgrade(sequence, body.value.name, body.value.token) };
      case "downgrade":
        return { $case: "downgrade", value: elements.downgrade(body.value.name, body.value.token) };
      case "cancel": {
        const cancelled = elements.leave(session.id, body.value.sequence, "cancelled");
        return { $case: "cancel", value: { cancelled } };
      }
      case "append":
        return { $case: "append", value: { ...elements.append(body.value), undone: false } };
      case "forceRelease": {
        const forced = elements.force(body.value.name, body.value.token);
        for (const { session: id, name, token } of forced) {
          const value = { name, token, why: "forced", reason: body.value.reason, undone: 0 };
          this.sessionById.get(id)?.notify(Notice.create({ body: { $case: "lost", value } }));
        }
        return { $case: "forceRelease", value: { released: forced.map(({ token }) => token), undone: 0 } };
      }
      case "acknowledge":
        this.acknowledged.push(body.value);
        return { $case: "acknowledge", value: this.onAcknowledge(body.value) };
      case "closeSession":
        session.gone = "session_closed";
        elements.endSession(session.id);
        return { $case: "closeSession", value: {} };
      default:
        return this.#read(session, body);
    }
  }

  #read(session: FakeSession, body: Operation["body"]): ReplyBody {
    const { elementByName, recordsByFile } = this.elements;
    switch (body?.$case) {
      case "readFile": {
        const bytes = Buffer.concat(recordsByFile.get(body.value.file) ?? []);
        const part = bytes.subarray(body.value.offset, body.value.offset + (body.value.bytesMax || 4));
        const value = { bytes: part, length: bytes.byteLength, version: 1, provisionalFrom: bytes.byteLength };
        return { $case: "readFile", value };
      }
      case "readRecords": {
        const all = recordsByFile.get(body.value.file) ?? [];
        const records = all.slice(body.value.index, body.value.index + 2);
        return { $case: "readRecords", value: { records, count: all.length, version: 1 } };
      }
      case "listFiles": {
        const { prefix, after } = body.value;
        const names = [...recordsByFile.keys()].filter((name) => name.startsWith(prefix) && name > after).sort();
        const files = names.slice(0, 1).map((name) => ({
          name,
          length: Buffer.concat(recordsByFile.get(name) ?? []).byteLength,
          version: 1,
          records: recordsByFile.get(name)?.length ?? 0,
        }));
        return { $case: "listFiles", value: { files, more: names.length > 1, ledPartitions: [] } };
      }
      case "listLocks": {
        const held = [...elementByName].filter(([, { holders }]) => holders.length > 0);
        const locks = held.map(([name, { holders, queue }]) => ({
          ...{ name, waiting: queue.length, limit: 0, waitedMs: 0, painMs: 0 },
          holders: holders.map((holder) => ({ ...HOLDER, ...holder })),
        }));
        return { $case: "listLocks", value: { locks, more: false, ledPartitions: [] } };
      }
      case "why": {
        const element = elementByName.get(body.value.name);
        const waiters = (element?.queue ?? []).map((waiter, index) => ({
          ...{ reference: waiter.reference, session: waiter.session, principal: "", mode: waiter.request.mode },
          ...{
            waitedMs: 0,
            position: index + 1,
            priority: 0,
            silent: false,
            client: "",
            eta: undefined,
            risk: undefined,
          },
        }));
        const holders = (element?.holders ?? []).map((holder) => ({ ...HOLDER, ...holder }));
        const { name } = body.value;
        const value = { name, holders, waiters, waiting: waiters.length, partition: partitionOf(name), limit: 0 };
        return { $case: "why", value: { ...value, sentence: "", related: [], next: [] } };
      }
      case "getOperation": {
        const all = [...this.sessionById.values()];
        const ends = all.flatMap((one) => [...one.endBySequence.values()]);
        const end = ends.find(({ reference }) => reference === body.value.reference);
        const waiter = all
          .flatMap(({ id }) => this.elements.waitersOf(id))
          .find(({ reference }) => reference === body.value.reference);
        if (end === undefined && waiter === undefined) throw new ForelockError("operation_unknown", "Unknown.");
        const queued = AcquireReply.create({
          reference: body.value.reference,
          state: OperationState.QUEUED,
          position: 1,
        });
        return { $case: "acquire", value: end ?? queued };
      }
      case "watch":
        return { $case: "watch", value: {} };
      case "unwatch":
        return { $case: "unwatch", value: {} };
      default:
        throw new ForelockError("not_supported", `The fake has no ${body?.$case}, ${session.id}.`);
    }
  }

  #ended(session: FakeSession, sequence: number, end: AcquireReply): void {
    session.endBySequence.set(sequence, end);
    session.notify(Notice.create({ body: { $case: "operation", value: end } })); // F2
  }
}

const ACQUIRE = { priority: 0, onLoss: 0, actor: "", reenter: 0n, preemptible: 0, compensation: undefined } as const;
const HOLDER = { principal: "", heldMs: 0, silent: false, client: "", forecast: undefined, risk: undefined };

function refusal(sequence: number, code: ErrorCode): Reply {
  return Reply.create({ sequence, body: { $case: "error", value: { code, message: "Refused by the fake." } } });
}
