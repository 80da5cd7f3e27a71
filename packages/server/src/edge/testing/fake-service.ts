// fake-service.ts: a small lock service in memory, true to what shard/service.ts promises, for tests of the carriers.
// Not here: anything about disks, trees, shared grants, permits.
//   Y1. `respond` is called once, and never before `submit` has returned.
import {
  type AcquireReply,
  ForelockError,
  type HeartbeatReply,
  type Notice,
  type Operation,
  OperationState,
  type Reply,
  type Welcome,
} from "@forelock/protocol";
import type { RandomBytes } from "../../clock.ts";
import { slicedDefer } from "../../defer.ts";
import type {
  Caller,
  NodeSession,
  NoticeSink,
  OpenedSession,
  OpenSession,
  ResumeSession,
  Service,
  Vitals,
} from "../../shard/service.ts";
import { wireError } from "../wire-error.ts";

interface FakeSession {
  readonly session: NodeSession;
  readonly secret: Uint8Array;
  sink: NoticeSink | undefined;
  isClosed: boolean;
}

interface FakeOperation {
  readonly reference: string;
  readonly name: string;
  readonly owner: FakeSession;
  readonly sequence: number;
  state: AcquireReply;
  readonly awaits: Set<() => void>;
}

interface FakeElement {
  holder: { readonly owner: FakeSession; readonly token: bigint } | undefined;
  readonly queue: FakeOperation[];
}

interface FakeWatch {
  readonly caller: Caller;
  readonly pattern: string;
  readonly number: number;
  readonly sink: NoticeSink;
}

export interface FakeService extends Service {
  readonly submitted: readonly Operation[];
  unavailable: string | undefined;
  /** While true nothing is answered. */
  isStalled: boolean;
  /** Sends an event to every watch that may see it. */
  happen(name: string, kind: string): void;
  acknowledged: { lowestUnanswered: number; settled: readonly number[] } | undefined;
}

export function createFakeService(random: RandomBytes): FakeService {
  const sessions = new Map<string, FakeSession>();
  const elements = new Map<string, FakeElement>();
  const files = new Map<string, Buffer[]>();
  const operations = new Map<string, FakeOperation>();
  const answers = new Map<string, Reply["body"]>();
  const watches = new Set<FakeWatch>();
  const submitted: Operation[] = [];
  const stalled: (() => void)[] = [];
  let lastToken = 2n ** 40n;
  let references = 0;

  // One tick, however slow the machine: its clock stands still.
  const defer = slicedDefer(
    (run) => setImmediate(run),
    () => 0,
  );

  const later = (call: () => void): void => {
    if (fake.isStalled) stalled.push(call);
    else defer(call); // Y1
  };

  const element = (name: string): FakeElement => {
    const found = elements.get(name) ?? { holder: undefined, queue: [] };
    elements.set(name, found);
    return found;
  };

  const happen = (name: string, kind: string, token = 0n): void => {
    for (const { caller, pattern, number, sink } of watches) {
      const matches = pattern.endsWith("*") ? name.startsWith(pattern.slice(0, -1)) : name === pattern;
      if (!matches || !caller.may("read", name)) continue;
      const value = { watch: number, kind, name, session: "", token, partition: 0, reason: "", revision: 1, missed: 0 };
      sink.notify({ body: { $case: "event", value } });
    }
  };

  const settle = (operation: FakeOperation, state: Partial<AcquireReply>): void => {
    operation.state = { ...operation.state, position: 0, blockers: [], ...state };
    for (const answer of operation.awaits) answer();
    operation.awaits.clear();
    const notice: Notice = { body: { $case: "operation", value: operation.state } };
    later(() => operation.owner.sink?.notify(notice));
  };

  const grantNext = (name: string): void => {
    const { queue } = element(name);
    const next = queue.shift();
    if (next === undefined) {
      elements.delete(name);
      return;
    }
    lastToken++;
    element(name).holder = { owner: next.owner, token: lastToken };
    settle(next, { state: OperationState.GRANTED, grants: [{ name, token: lastToken, partition: 0 }] });
    happen(name, "granted", lastToken);
  };

  const acquire = (owner: FakeSession, sequence: number, name: string, waitMs: number | undefined): Reply["body"] => {
    const target = element(name);
    references++;
    const state: AcquireReply = {
      sequence,
      reference: `0-${references}`,
      state: OperationState.QUEUED,
      position: target.queue.length + 1,
      grants: [],
      blockers: [],
      error: undefined,
      partition: 0,
      eta: undefined,
    };
    const operation: FakeOperation = { reference: state.reference, name, owner, sequence, state, awaits: new Set() };
    operations.set(operation.reference, operation);
    if (target.holder === undefined) {
      lastToken++;
      target.holder = { owner, token: lastToken };
      const grants = [{ name, token: lastToken, partition: 0 }];
      operation.state = { ...state, state: OperationState.GRANTED, position: 0, grants };
      happen(name, "granted", lastToken);
    } else if (waitMs === 0) {
      const error = wireError({ code: "busy", message: `${name} is held.` });
      operation.state = { ...state, state: OperationState.ENDED, position: 0, error };
    } else target.queue.push(operation);
    return { $case: "acquire", value: operation.state };
  };

  const carryOut = (caller: Caller, owner: FakeSession | undefined, operation: Operation): Reply["body"] => {
    const body = operation.body!; // The edge lets none through without.
    const refuse = (code: Parameters<typeof wireError>[0]["code"], message: string): Reply["body"] => ({
      $case: "error",
      value: wireError({ code, message }),
    });
    if (owner?.isClosed) return refuse("session_closed", "The session was closed.");
    switch (body.$case) {
      case "acquire":
        return acquire(owner!, operation.sequence, body.value.name, body.value.waitMs); // Needs a session: the edge saw to it.
      case "release": {
        const { name, token } = body.value;
        if (elements.get(name)?.holder?.token !== token) return refuse("stale_token", `${name}: token ${token}.`);
        happen(name, "released", token);
        grantNext(name);
        return { $case: "release", value: { stillHeld: false, undone: 0 } };
      }
      case "append": {
        const { file, token, bytes, element: guard } = body.value;
        if (elements.get(guard === "" ? file : guard)?.holder?.token !== token)
          return refuse("stale_token", `${file}.`);
        const records = files.get(file) ?? [];
        files.set(file, records);
        const offset = records.reduce((sum, record) => sum + record.length, 0);
        records.push(Buffer.from(bytes));
        const version = records.length;
        return {
          $case: "append",
          value: { length: offset + bytes.length, version, index: version - 1, offset, undone: false },
        };
      }
      case "readFile": {
        const bytes = Buffer.concat(files.get(body.value.file) ?? []);
        const end = body.value.bytesMax === 0 ? undefined : body.value.offset + body.value.bytesMax;
        const value = {
          bytes: bytes.subarray(body.value.offset, end),
          length: bytes.length,
          version: 1,
          provisionalFrom: bytes.length,
        };
        return { $case: "readFile", value };
      }
      case "cancel": {
        const found = operations.get(body.value.reference);
        if (found === undefined || found.owner.session.principal !== caller.principal) {
          return refuse("operation_unknown", `reference: ${body.value.reference}.`);
        }
        const { queue } = element(found.name);
        const at = queue.indexOf(found);
        if (at >= 0) queue.splice(at, 1);
        if (at >= 0)
          settle(found, {
            state: OperationState.ENDED,
            error: wireError({ code: "cancelled", message: "Cancelled." }),
          });
        return { $case: "cancel", value: { cancelled: at >= 0 } };
      }
      case "closeSession":
        owner!.isClosed = true; // As for acquire.
        return { $case: "closeSession", value: {} };
      case "listLocks": {
        const names = [...elements.keys()].filter(
          (name) => name.startsWith(body.value.prefix) && caller.may("read", name),
        );
        const locks = names.sort().map((name) => ({
          name,
          holders: [],
          waiting: elements.get(name)!.queue.length,
          limit: 0,
          waitedMs: 0,
          painMs: 0,
        }));
        return { $case: "listLocks", value: { locks, more: false, ledPartitions: [] } };
      }
      case "why":
        return {
          $case: "why",
          value: {
            name: body.value.name,
            holders: [],
            waiters: [],
            waiting: elements.get(body.value.name)?.queue.length ?? 0,
            partition: 0,
            limit: 0,
            sentence: `Nobody waits for ${body.value.name}.`,
            related: [],
            next: [],
          },
        };
      case "forceRelease": {
        const held = elements.get(body.value.name)?.holder;
        if (held === undefined) return refuse("not_held", `${body.value.name}.`);
        const lost = { name: body.value.name, token: held.token, why: "forced", reason: body.value.reason, undone: 0 };
        later(() => held.owner.sink?.notify({ body: { $case: "lost", value: lost } }));
        grantNext(body.value.name);
        return { $case: "forceRelease", value: { released: [held.token], undone: 0 } };
      }
      default:
        return refuse("not_supported", `${body.$case}: not in the fake.`);
    }
  };

  /** Kept operations are found again by their id, the others of a session by their sequence. */
  const answer = (caller: Caller, owner: FakeSession | undefined, operation: Operation): Reply["body"] => {
    const own =
      owner === undefined || operation.sequence === 0 ? undefined : `${owner.session.id}/${operation.sequence}`;
    const key = operation.keep === undefined ? own : `${caller.principal}/${operation.keep.requestId}`;
    const known = key === undefined ? undefined : answers.get(key);
    if (known !== undefined) return known;
    const body = carryOut(caller, owner, operation);
    if (key !== undefined) answers.set(key, body);
    return body;
  };

  const fake: FakeService & { acknowledged: FakeService["acknowledged"] } = {
    submitted,
    unavailable: undefined,
    isStalled: false,
    acknowledged: undefined,
    happen: (name, kind) => happen(name, kind),
    openSession(caller: Caller, open: OpenSession): OpenedSession {
      if (sessions.size >= 10_000) throw new ForelockError("sessions_full", "There are 10,000 sessions.");
      const id = Buffer.from(random(16)).toString("base64url");
      const session = { id, principal: caller.principal, ttlMs: open.ttlMs ?? 30_000 };
      const secret = random(32);
      sessions.set(id, { session, secret, sink: undefined, isClosed: false });
      return { session, secret };
    },
    resumeSession(caller: Caller, resume: ResumeSession): OpenedSession {
      const found = sessions.get(Buffer.from(resume.sessionId).toString("base64url"));
      const isSame = found !== undefined && Buffer.from(found.secret).equals(resume.secret);
      if (!isSame || found.session.principal !== caller.principal)
        throw new ForelockError("session_unknown", "No such session.");
      return { session: found.session, secret: undefined };
    },
    async welcome(caller: Caller, opened: OpenedSession): Promise<Welcome> {
      await Promise.resolve();
      const owner = sessions.get(opened.session.id);
      const grants = [...elements].filter(([, { holder }]) => holder?.owner === owner);
      return {
        sessionId: Buffer.from(opened.session.id, "base64url"),
        sessionSecret: Buffer.from(opened.secret ?? []),
        ttlMs: opened.session.ttlMs,
        partitions: 64,
        placementKey: caller.may("direct", "") ? Buffer.alloc(16, 7) : Buffer.alloc(0),
        limits: undefined,
        serverVersion: "",
        principal: "",
        grants: grants.map(([name, { holder }]) => ({
          name,
          token: holder!.token,
          mode: 0,
          sequence: 0,
          requestId: "",
          reference: "",
        })),
        waits: [],
        expiredPartitions: [],
        durable: true,
        missed: [],
        ledPartitions: [],
        map: undefined,
        openBatches: [],
      };
    },
    listen(session: NodeSession, sink: NoticeSink): () => void {
      const found = sessions.get(session.id)!; // Only sessions made here come in.
      found.sink = sink;
      return () => {
        if (found.sink === sink) found.sink = undefined;
      };
    },
    heartbeat(_session: NodeSession, number: number, _vitals: Vitals, respond: (reply: HeartbeatReply) => void): void {
      later(() => respond({ number, partitions: [0], expiredPartitions: [] }));
    },
    acknowledge(_session: NodeSession, lowestUnanswered: number, settled: readonly number[]): void {
      fake.acknowledged = { lowestUnanswered, settled };
    },
    submit(caller, session, operation, respond) {
      submitted.push(operation);
      const owner = session === undefined ? undefined : sessions.get(session.id);
      const { sequence, body } = operation;
      let isWithdrawn = false;
      const reply = (answered: Reply["body"]): void => {
        if (!isWithdrawn) respond({ sequence, body: answered });
      };
      if (body?.$case === "getOperation") {
        const found = operations.get(body.value.reference);
        const isOwn = found?.owner.session.principal === caller.principal;
        if (found === undefined || !isOwn) {
          later(() =>
            reply({ $case: "error", value: wireError({ code: "operation_unknown", message: "No such operation." }) }),
          );
        } else if (found.state.state === OperationState.QUEUED && body.value.waitMs > 0) {
          found.awaits.add(() => reply({ $case: "acquire", value: found.state }));
        } else later(() => reply({ $case: "acquire", value: found.state }));
      } else {
        const answered = answer(caller, owner, operation);
        later(() => reply(answered));
      }
      return () => {
        isWithdrawn = true;
      };
    },
    watch(caller: Caller, pattern: string, number: number, sink: NoticeSink): () => void {
      const watch = { caller, pattern, number, sink };
      watches.add(watch);
      return () => watches.delete(watch);
    },
    async state(caller: Caller): Promise<Readonly<Record<string, unknown>>> {
      await Promise.resolve();
      return { locks: [...elements.keys()].filter((name) => caller.may("read", name)) };
    },
    counters: () => ({ turns_total: 12, sessions: sessions.size }),
  };
  return fake;
}
