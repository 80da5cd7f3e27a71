// recorded-session.ts: a session of a run with its heartbeats, whose every operation becomes a line of the history.
// Not here: what is asked and when (client.ts).
//   C1. An operation is one line from its first byte to its answer, however often it was asked; a second answer to the same
//       request is a line of its own.
//   C2. After an operation without an answer the client goes on under a new process name: the old one is still in that call.
import { type AcquireRequest, Mode, OnLoss } from "@forelock/protocol";
import type { Fields } from "../history/record.ts";
import type { HistoryWriter, PendingCall } from "../history/write.ts";
import type { Clock } from "../proxy/clock.ts";
import type { Random } from "../proxy/random.ts";
import { Heart } from "./heart.ts";
import { verdictOf } from "./outcome.ts";
import { type Body, errorOf, isGranted, RawSession, type Told } from "./raw-session.ts";
import { SessionRecord } from "./session-record.ts";
import type { Way } from "./wire.ts";

export interface RecordedSessionOptions {
  /** Of this life of the client. */
  readonly process: string;
  readonly ttlMs: number;
  readonly way: Way;
  readonly history: HistoryWriter;
  readonly clock: Clock;
  readonly random: Random;
  readonly partitionOf: (element: string) => number;
}

export interface Held {
  readonly element: string;
  readonly token: bigint;
  readonly owner: string;
}

export interface Wish {
  readonly element: string;
  /** 0: try. */
  readonly waitMs: number;
  readonly mode: Mode;
  readonly permits?: number;
  readonly take?: number;
  readonly rollback?: boolean;
  readonly tree?: boolean;
}

/** Of an append, to ask the same request again. */
export interface Appended {
  readonly value: string;
  readonly sequence: number;
}

interface Line {
  readonly op: string;
  readonly element: string;
  readonly args: Fields;
}

interface Asked {
  readonly told: Told;
  readonly calls: readonly PendingCall[];
  readonly sequence: number;
}

const OPEN_PATIENCE_MS = 20_000;
const ASK_PATIENCE_MS = 12_000;
/** With what a client has waited before, less than ten: see R3 of session-record.ts. */
const ASK_TTLS = 4;
const BEATS_PER_TTL = 5;

export class RecordedSession {
  readonly #options: RecordedSessionOptions;
  readonly #session: RawSession;
  readonly #record: SessionRecord;
  readonly #heart: Heart;
  #process: string;
  #unanswered = 0;
  #isEnded = false;

  private constructor(options: RecordedSessionOptions, session: RawSession) {
    const { process, history, ttlMs, way, clock } = options;
    this.#options = options;
    this.#process = process;
    this.#session = session;
    this.#record = new SessionRecord({ history, process, session: session.name, ttlMs });
    this.#heart = new Heart({ session, record: this.#record, history, way, everyMs: ttlMs / BEATS_PER_TTL, clock });
    void this.#heart.run();
  }

  /** Undefined when nobody answers. */
  static async open(options: RecordedSessionOptions): Promise<RecordedSession | undefined> {
    const { process: client } = options;
    const session = await RawSession.open({ ...options, client }, OPEN_PATIENCE_MS);
    return session === undefined ? undefined : new RecordedSession(options, session);
  }

  get isAlive(): boolean {
    const isTold = this.#session.gone !== undefined || this.#heart.expired.size > 0;
    return !this.#isEnded && !isTold && !this.#record.isForsaken;
  }

  async acquire(wish: Wish): Promise<Held | undefined> {
    const { element, rollback = false, tree = false } = wish;
    const args = {
      ...modeArgs(wish),
      ...(wish.waitMs === 0 ? { wait: false } : {}),
      ...(rollback ? { on_loss: "rollback" } : {}),
      ...(tree ? { tree: true } : {}),
    };
    const asked = await this.#ask(
      { $case: "acquire", value: requestOf(wish) },
      [{ op: "acquire", element, args }],
      wish.waitMs,
    );
    return this.#grants(asked, [element])[0];
  }

  /** All of them, or none. */
  async acquireAll(elements: readonly string[], waitMs: number): Promise<readonly Held[]> {
    const wishes = elements.map((name) => ({ name, mode: Mode.EXCLUSIVE, permits: 0, take: 0 }));
    const body: Body = { $case: "acquireAll", value: { elements: wishes, waitMs, onLoss: OnLoss.KEEP, actor: "" } };
    const batch = `${this.#session.name}#${this.#session.sequence + 1}`;
    const lines = elements.map((element) => ({ op: "acquire", element, args: { batch } }));
    return this.#grants(await this.#ask(body, lines, waitMs), elements);
  }

  async release({ element, token, owner }: Held, undo: boolean): Promise<void> {
    const args = { owner, token, ...(undo ? { undo: true } : {}) };
    const body: Body = { $case: "release", value: { name: element, token, undo } };
    const { told, calls } = await this.#ask(body, [{ op: "release", element, args }], 0);
    for (const call of calls) this.#finish(call, told, { released: true }, "released");
  }

  /** @param again asks the same request once more @returns undefined when it was not accepted, as far as is known */
  async append({ element, token }: Held, value: string, again?: number): Promise<Appended | undefined> {
    const body: Body = { $case: "append", value: { file: element, bytes: Buffer.from(value), token, element: "" } };
    const line = { op: "append", element, args: { value, token, lock: element } };
    const { told, calls, sequence } = await this.#ask(body, [line], 0, again);
    const reply = told.kind === "answered" && told.body.$case === "append" ? told.body.value : undefined;
    // `undone` is left out: in a later answer to the same request it tells what happened since.
    const success = reply === undefined ? undefined : { index: reply.index, offset: reply.offset, applied: true };
    for (const call of calls) this.#finish(call, told, success, "applied");
    return reply === undefined ? undefined : { value, sequence };
  }

  /** @returns how many records the file has; undefined without an answer */
  async read(file: string, from: number, limit: number): Promise<number | undefined> {
    const body: Body = { $case: "readRecords", value: { file, index: from, recordsMax: limit, version: 0 } };
    const { told, calls } = await this.#ask(body, [{ op: "read", element: file, args: { from, limit } }], 0);
    const reply = told.kind === "answered" && told.body.$case === "readRecords" ? told.body.value : undefined;
    const entries = reply?.records.map((bytes) => bytes.toString()) ?? [];
    for (const call of calls) {
      if (reply === undefined)
        call.fail(); // A read has no effect.
      else call.ok({ entries, eof: from + entries.length >= reply.count });
    }
    return reply?.count;
  }

  /** Drops the connection, and resumes with the next operation. */
  reconnect(): void {
    this.#session.reconnect();
  }

  /** Goes on without heartbeats until the session is found dead. */
  stopBeating(): void {
    this.#heart.stop();
  }

  /** As a process that is killed: nothing is said to anyone. */
  die(): void {
    this.#isEnded = true;
    this.#heart.stop();
    this.#session.kill();
    this.#record.finish();
  }

  /** Says goodbye if it still can. */
  async end(): Promise<void> {
    if (this.#isEnded) return;
    const { history } = this.#options;
    if (this.#session.gone?.isWhole === true) this.#record.declaredDead(history.nowNs());
    if (this.isAlive) {
      this.#heart.stop(); // Else a heartbeat would find the session closed, and report it as robbed.
      const callNs = history.nowNs();
      const told = await this.#session.ask(
        { body: { $case: "closeSession", value: {} }, patienceMs: ASK_PATIENCE_MS },
        () => {},
      );
      const isClosed = told.kind === "answered" && told.body.$case === "closeSession";
      if (isClosed || told.kind !== "refused") this.#record.closed(callNs, isClosed ? "ok" : "unknown");
    }
    this.die();
  }

  /** Opens the lines when the first byte is about to leave; none are opened when nothing was ever sent. */
  async #ask(body: Body, lines: readonly Line[], waitMs: number, again?: number): Promise<Asked> {
    const { history, partitionOf } = this.#options;
    const calls: PendingCall[] = [];
    const patienceMs = Math.min(ASK_PATIENCE_MS, ASK_TTLS * this.#options.ttlMs) + waitMs;
    const patience = { patienceMs, ...(again === undefined ? {} : { again }) };
    const told = await this.#session.ask({ body, ...patience }, () => {
      if (calls.length > 0) return;
      const callNs = history.nowNs();
      const req = `${this.#session.name}#${again ?? this.#session.sequence}`;
      lines.forEach(({ op, element, args }, index) => {
        const partition = partitionOf(element);
        if (op !== "read") this.#record.touch(partition, callNs);
        const grant = op === "acquire" ? { owner: req, session: this.#record.keyOf(partition) } : {};
        const process = index === 0 ? this.#process : `${this.#process}+${index}`;
        calls.push(history.call({ process, op, key: element, args: { ...grant, ...args }, req }, callNs));
      });
    });
    const [first] = lines;
    // The answer tells that the session ended in this partition; about the others it tells nothing.
    const isGoneHere = this.#session.gone?.isWhole === false && lines.length === 1;
    if (isGoneHere && first !== undefined && first.op !== "read") {
      this.#record.heard([], [partitionOf(first.element)], history.nowNs());
    }
    return { told, calls, sequence: again ?? this.#session.sequence };
  }

  #grants({ told, calls, sequence }: Asked, elements: readonly string[]): readonly Held[] {
    const grants = told.kind === "answered" && isGranted(told.body) ? told.body.value.grants : [];
    return elements.flatMap((element, index) => {
      const grant = grants.find(({ name }) => name === element);
      const success = grant === undefined ? undefined : { granted: true, token: grant.token };
      const call = calls[index];
      if (call !== undefined) this.#finish(call, told, success, "granted");
      if (grant === undefined) return [];
      this.#record.confirm(this.#options.partitionOf(element));
      return [{ element, token: grant.token, owner: `${this.#session.name}#${sequence}` }];
    });
  }

  /**
   * @param success the result when the answer is no error; undefined: such an answer says nothing
   * @param denied the field of the result that says no
   */
  #finish(
    call: PendingCall,
    told: Told,
    success: Fields | undefined,
    denied: "granted" | "released" | "applied",
  ): void {
    switch (told.kind) {
      case "refused":
        call.fail();
        break;
      case "silent":
        if (told.wasSent) this.#leaveOpen(call);
        else call.fail();
        break;
      case "answered": {
        const reason = errorOf(told.body);
        if (reason !== undefined && verdictOf(reason) === "decided") call.ok({ [denied]: false, reason });
        else if (reason === undefined && success !== undefined) call.ok(success);
        else this.#leaveOpen(call);
        break;
      }
      default:
        throw new Error(`nothing like it can be told: ${JSON.stringify(told satisfies never)}`);
    }
  }

  /** C2 */
  #leaveOpen(call: PendingCall): void {
    call.unknown();
    this.#unanswered += 1;
    this.#process = `${this.#options.process}/${this.#unanswered}`;
  }
}

function requestOf({ element, waitMs, mode, permits = 0, take = 0, rollback = false }: Wish): AcquireRequest {
  const onLoss = rollback ? OnLoss.ROLLBACK : OnLoss.KEEP;
  return {
    name: element,
    mode,
    permits,
    take,
    waitMs,
    priority: 0,
    onLoss,
    actor: "",
    reenter: 0n,
    preemptible: 0,
    compensation: undefined,
  };
}

function modeArgs({ mode, take = 1, permits = 1 }: Wish): Fields {
  switch (mode) {
    case Mode.SHARED:
      return { mode: "shared" };
    case Mode.PERMIT:
      return { mode: "permit", permits: take, limit: permits };
    default:
      return { mode: "exclusive" };
  }
}
