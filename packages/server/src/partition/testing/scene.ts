// scene.ts: a partition for tests: named sessions, one command a line, and the story of what happened as text.
// Every step checks what must always hold: the sum of row hashes is that of the tables, the log and a snapshot give the same state,
// and what comes of a snapshot decides alike.
import { assert } from "@forelock/protocol";
import { Freed } from "../../lock/freed.ts";
import { EXCLUSIVE, type Mode } from "../../lock/mode.ts";
import { passOver } from "../../lock/table.ts";
import { apply } from "../apply.ts";
import { ByteWriter } from "../bytes.ts";
import { encodeEvent } from "../codec.ts";
import type { Command, CommandPart, Decision, PartitionLimits, RequestId, SessionIdentity } from "../commands.ts";
import { decide } from "../decide.ts";
import type { PartitionEvent } from "../events.ts";
import { stateHash } from "../hash.ts";
import { type Observer, SILENT } from "../observer.ts";
import { findOperation } from "../operations.ts";
import { Replay } from "../replay.ts";
import { decodeSnapshot, encodeSnapshot } from "../snapshot.ts";
import {
  createState,
  type Element,
  holdersOf,
  isLive,
  type Outcome,
  type PartitionState,
  type Terms,
} from "../state.ts";

export const LIMITS: PartitionLimits = {
  waitersMax: 100,
  locksMax: 100,
  sessionsMax: 20,
  tombstonesMax: 20,
  unansweredMax: 50,
  keptMax: 10,
  priorityStepMs: 1_000,
  fileBytesMax: 1_000,
  filesMax: 5,
  fileCreate: "append",
  effectsMax: 10,
  dueMax: 100,
};

export interface AcquireOptions {
  readonly mode?: Mode;
  readonly take?: number;
  readonly limit?: number;
  readonly waitMs?: number;
  readonly priority?: number;
  readonly rollback?: boolean;
  readonly reenter?: bigint;
  readonly terms?: Terms;
  readonly requestId?: string;
  readonly sequence?: number;
  readonly also?: readonly string[];
}

export class Scene {
  readonly state: PartitionState;
  readonly limits: PartitionLimits;
  readonly lines: string[] = [];
  readonly cuts: string[] = [];
  #records: { elapsedMs: number; events: Uint8Array }[] = [];
  #sequences = new Map<string, number>();
  readonly #freed = new Freed();
  #elapsedMs = 0;
  /** What the last snapshot gave back. */
  #restored = createState(0);
  readonly #observer: Observer = {
    ...SILENT,
    freed: (element, below) => this.#freed.add(element, below),
    lost: (grant, why, _reason, undone) => {
      this.lines.push(`lost ${grant.session.id} ${grant.element.name} ${why}${undone > 0 ? ` undone=${undone}` : ""}`);
    },
    cut: (file) => this.cuts.push(`${file.name} to ${file.length}`),
  };

  constructor(limits: Partial<PartitionLimits> = {}) {
    this.limits = { ...LIMITS, ...limits };
    this.state = createState(0);
    this.do({ kind: "start", epoch: 1 });
    this.lines.length = 0;
  }

  session(name: string, principal = "local"): SessionIdentity {
    return { id: name, secretHash: `secret of ${name}`, principal, client: name, ttlMs: 30_000 };
  }

  /** The next sequence of a session. */
  request(
    name: string,
    options: { readonly requestId?: string; readonly sequence?: number } = {},
    digest = 7,
  ): RequestId {
    const sequence = options.sequence ?? (this.#sequences.get(name) ?? 0) + 1;
    if (options.sequence === undefined) this.#sequences.set(name, sequence);
    return {
      sequence,
      requestId: options.requestId ?? "",
      keepMs: options.requestId === undefined ? 0 : 1_000,
      digest,
    };
  }

  acquire(name: string, element: string, options: AcquireOptions = {}): Outcome | "queued" {
    const parts: CommandPart[] = [element, ...(options.also ?? [])].map((part) => ({
      name: part,
      mode: options.mode ?? EXCLUSIVE,
      take: options.take ?? 1,
      limit: options.limit ?? 0,
    }));
    return this.operate({
      kind: "acquire",
      session: this.session(name),
      request: this.request(name, options),
      parts,
      waitMs: options.waitMs ?? -1,
      priority: options.priority ?? 0,
      rollback: options.rollback ?? false,
      actor: "",
      reenter: options.reenter ?? 0n,
      terms: options.terms,
    });
  }

  release(name: string, element: string, token?: bigint, undo = false): Outcome | "queued" {
    return this.operate({
      kind: "release",
      session: this.session(name),
      request: this.request(name),
      name: element,
      token: token ?? this.token(element, name),
      undo,
    });
  }

  append(
    name: string,
    file: string,
    text: string,
    options: { token?: bigint; element?: string; sequence?: number } = {},
  ): Outcome | "queued" {
    const element = options.element ?? file;
    return this.operate({
      kind: "append",
      session: this.session(name),
      request: this.request(name, options),
      file,
      element,
      token: options.token ?? this.token(element, name),
      bytes: Buffer.from(text),
      checksum: text.length,
    });
  }

  /** Carries out a session's command and gives what its operation says. */
  operate(command: Command & { readonly session: SessionIdentity; readonly request: RequestId }): Outcome | "queued" {
    const decision = this.do(command);
    if (decision.refusal !== undefined)
      return { kind: "refused", code: decision.refusal.code, message: decision.refusal.message };
    const session = this.state.sessions.get(command.session.id);
    const operation = findOperation(this.state, session, command.session.principal, command.request);
    if (operation === undefined) return { kind: "cancelled", cancelled: false };
    return operation.outcome ?? "queued";
  }

  /** Decides, applies, then grants what became free: a turn of one command. */
  do(command: Command): Decision {
    const before = stateHash(this.state);
    const decision = decide(this.state, command, this.limits);
    assert(stateHash(this.state) === before, "decide changes nothing");
    this.#restored.clockMs = this.state.clockMs;
    const again = decide(this.#restored, command, this.limits);
    assert(textOf(again) === textOf(decision), "what comes of a snapshot decides alike");
    const events: PartitionEvent[] = [];
    for (const event of decision.events) this.#apply(event, events);
    this.#freed.grant({
      state: this.state,
      max: Number.POSITIVE_INFINITY,
      grant: (wait) => this.#apply({ kind: "wait_granted", wait: wait.id }, events),
      settled: () => {},
    });
    const out = new ByteWriter(64);
    for (const event of events) encodeEvent(out, event);
    this.#records.push({ elapsedMs: this.#elapsedMs, events: out.take() });
    this.#elapsedMs = 0;
    this.#check();
    return decision;
  }

  /** Lets time pass, then ends what is due; whoever was silent for too long is passed over. */
  after(ms: number): void {
    const alive = [...this.state.sessions.values()].filter((session) => isLive(session, this.state.clockMs));
    this.state.clockMs += ms;
    this.#elapsedMs += ms;
    for (const session of alive) if (!isLive(session, this.state.clockMs)) passOver(session, this.#observer);
    this.do({ kind: "tick" });
  }

  expire(name: string): void {
    this.do({ kind: "end_session", sessionId: name, why: "expired", reason: "" });
  }

  /** The current token that a session holds an element with. */
  token(element: string, name?: string): bigint {
    const found = this.state.elements.get(element);
    for (const grant of found === undefined ? [] : holdersOf(found)) {
      if (name === undefined || grant.session.id === name) return grant.token;
    }
    return 0n;
  }

  holders(element: string): readonly string[] {
    const found = this.state.elements.get(element);
    return found === undefined ? [] : [...holdersOf(found)].map((grant) => grant.session.id).sort();
  }

  /** What happened since the last call, one line an event. */
  story(): readonly string[] {
    return this.lines.splice(0);
  }

  /** The same state from nothing but the log. */
  replayed(): PartitionState {
    const replay = new Replay(createState(0), SILENT);
    for (const record of this.#records) replay.take(record.elapsedMs, record.events);
    return replay.state;
  }

  #apply(event: PartitionEvent, events: PartitionEvent[]): void {
    const line = this.#tell(event);
    if (line !== undefined) this.lines.push(line);
    apply(this.state, event, this.#observer);
    events.push(event);
  }

  #tell(event: PartitionEvent): string | undefined {
    const who = (number: number): string => this.state.sessionByNumber.get(number)?.id ?? "new";
    switch (event.kind) {
      case "granted":
        return `granted ${event.parts.map((part) => part.name).join("+")}`;
      case "queued":
        return `queued ${event.parts.map((part) => part.name).join("+")}`;
      case "wait_granted": {
        const wait = this.state.waits.get(event.wait);
        return `granted ${wait?.session.id} ${wait?.parts.map((part) => part.element.name).join("+")}`;
      }
      case "wait_ended":
        return `ended ${this.state.waits.get(event.wait)?.session.id} ${event.code}`;
      case "released":
        return `released ${event.name}${event.undo ? " undo" : ""}`;
      case "session_ended":
        return `session ${who(event.session)} ${event.why}`;
      default:
        return undefined;
    }
  }

  #check(): void {
    this.#restored = decodeSnapshot(0, encodeSnapshot(this.state));
    assert(stateHash(this.#restored) === stateHash(this.state), "a snapshot gives the same state");
    assert(stateHash(this.replayed()) === stateHash(this.state), "the log gives the same state");
    for (const element of this.state.elements.values()) checkElement(element);
  }
}

/** A decision, but for details that are for people only. */
function textOf({ events, refusal }: Decision): string {
  const plain = (_key: string, value: unknown): unknown => (typeof value === "bigint" ? String(value) : value);
  return JSON.stringify({ events, code: refusal?.code, message: refusal?.message }, plain);
}

/** L1 at one element, counted from its grants. */
export function checkElement(element: Element): void {
  const grants = [...holdersOf(element)];
  const exclusive = grants.filter((grant) => grant.mode === 0).length;
  const shared = grants.filter((grant) => grant.mode === 1).length;
  const taken = grants.reduce((sum, grant) => sum + (grant.mode === 2 ? grant.take : 0), 0);
  assert(
    exclusive === element.exclusive && shared === element.shared && taken === element.taken,
    "counts are those of the grants",
  );
  assert(exclusive === 0 || grants.length === 1, `${element.name} has one exclusive holder, alone`);
  assert(
    exclusive === 0 || element.intentExclusive + element.intentShared === 0,
    `nothing is held below ${element.name}`,
  );
  assert(
    shared === 0 || (taken === 0 && element.intentExclusive === 0),
    `shared holders of ${element.name} meet no writer`,
  );
  assert(taken <= element.limit || taken === 0, `permits of ${element.name} stay within the limit`);
}

export const granted = (outcome: Outcome | "queued"): bigint => {
  assert(
    outcome !== "queued" && outcome.kind === "granted",
    `expected a grant, not ${outcome === "queued" ? outcome : outcome.kind}`,
  );
  return outcome.grants[0]?.token ?? 0n;
};

export const refusedWith = (outcome: Outcome | "queued"): string => {
  assert(outcome !== "queued" && outcome.kind === "refused", "expected a refusal");
  return outcome.code;
};
