// shard.ts: the turn loop of one partition: commands in, one record to the log, then replies and notices out.
// Not here: what is decided (partition/decide.ts), who is alive (liveness.ts), what carriers see (node.ts).
//   H1. One record at most is on its way to the log; what is decided meanwhile becomes the next one.
//   H2. Nothing decided or read leaves before everything it could have seen is durable.
//   H3. All events of one record are applied at one moment of the partition clock, the one that replay will see.
//   H4. After a failed append the shard is stopped: callers are told that the outcome is unknown, and nothing is decided any more.
//   H5. What needs no record leaves only while this node is known to be the owner; else it takes a record along, which proves it.
//   H6. A frozen shard decides nothing and has nothing on its way: what is asked meanwhile stays in the inbox.
//   H7. What a hand-over finds decided and without a record goes with it: in the transaction that names the successor, or, when there
//       is none, by the log after all.
import { ForelockError } from "@forelock/protocol";
import type { Clock, Timer } from "../clock.ts";
import { Freed } from "../lock/freed.ts";
import { passOver } from "../lock/table.ts";
import type { EventLog, LogRecord } from "../log/event-log.ts";
import { apply } from "../partition/apply.ts";
import { ByteWriter } from "../partition/bytes.ts";
import { encodeEvent } from "../partition/codec.ts";
import type { Command, PartitionLimits, Refusal } from "../partition/commands.ts";
import { decide } from "../partition/decide.ts";
import type { PartitionEvent, PreemptEvent } from "../partition/events.ts";
import type { LossWhy, Observer } from "../partition/observer.ts";
import type { Element, FileRow, Grant, Operation, PartitionState, Wait } from "../partition/state.ts";
import { Marks } from "./marks.ts";

/** Runs `run` soon, after the input that is already there has been taken in. */
export type Defer = (run: () => void) => void;

/** What a shard tells its node while it decides. Calls come before durability: wrap what leaves in `afterDurable`. */
export interface ShardObserver {
  sessionOpened(partition: number, sessionId: string): void;
  sessionEnded(partition: number, sessionId: string): void;
  /** A queued operation has its outcome. */
  operationEnded(shard: Shard, operation: Operation): void;
  grantLost(shard: Shard, grant: Grant, why: LossWhy, reason: string, undone: number, warning: number): void;
  /** Bulk is written only when its record is durable. */
  appended(partition: number, file: FileRow, index: number, offset: number, bytes: Uint8Array, checksum: number): void;
  cut(partition: number, file: FileRow): void;
  /** A grant ends by its release, or with a session that closes. It is still in its tables. */
  released(shard: Shard, grant: Grant): void;
  /** A wait was granted. */
  waited(shard: Shard, wait: Wait): void;
  /** An event of pre-emption was applied. */
  preempt(shard: Shard, event: PreemptEvent): void;
  /** A waiter moved up much. */
  moved(shard: Shard, wait: Wait, position: number): void;
  /** Every event, when `isWatched`. */
  happened(shard: Shard, event: PartitionEvent): void;
  readonly isWatched: boolean;
  /** The log failed under this shard. */
  stopped(shard: Shard, cause: Error): void;
}

export interface ShardOptions {
  readonly state: PartitionState;
  readonly log: EventLog;
  readonly clock: Clock;
  readonly defer: Defer;
  readonly limits: PartitionLimits;
  readonly grantsPerTurnMax: number;
  /** H5. Undefined: nobody else can own the partition. */
  readonly mayAnswer?: () => boolean;
  /** False: answers leave when their record is handed to the log, not when it is durable (`durability: relaxed`). */
  readonly isDurable: boolean;
  readonly observer: ShardObserver;
}

/** What leaves when the record it was gathered with is durable. */
export interface Release {
  send(): void;
  /** Instead of `send`, when the log failed or the shard stopped. */
  failed(error: ForelockError): void;
}

/** One thing to do in a turn. An object and no closures: most of a node's work is made of these. */
export interface Entry extends Release {
  /** Undefined for a look at the state. */
  readonly command: Command | undefined;
  /** Runs right after the command's events were applied. @returns whether there is anything to send */
  decided(state: PartitionState, refusal: Refusal | undefined): boolean;
}

type Decided = (state: PartitionState, refusal: Refusal | undefined) => (() => void) | undefined;

/** An entry made of functions, for what is not done a hundred thousand times a second. */
class FunctionEntry implements Entry {
  readonly command: Command | undefined;
  readonly failed: (error: ForelockError) => void;
  readonly #decided: Decided;
  #send: (() => void) | undefined;

  constructor(command: Command | undefined, decided: Decided, failed: (error: ForelockError) => void) {
    this.command = command;
    this.#decided = decided;
    this.failed = failed;
  }

  decided(state: PartitionState, refusal: Refusal | undefined): boolean {
    this.#send = this.#decided(state, refusal);
    return this.#send !== undefined;
  }

  send(): void {
    this.#send?.();
  }
}

/** Leaves room in a record for what one command can add: an append of 192 KiB, a batch of 256 names. */
const RECORD_BYTES_SOFT = 640 * 1024;
/** No grant is added beyond it: the largest entry of a turn on top of the soft limit stays below, and below RECORD_BYTES_MAX. */
const RECORD_BYTES_FULL = 960 * 1024;
const WAIT_GRANTED_BYTES_MAX = 9;
/** Entries that were taken and are still in the inbox, because more came all the time: then they are let go. */
const TAKEN_MAX = 1_024;
/** Of each partition. Records are cut from it one after another, until it is full and makes room for the next. */
const WRITER_BYTES = 16_384;

export class Shard {
  readonly partition: number;
  readonly state: PartitionState;
  readonly #options: ShardOptions;
  #inbox: Entry[] = [];
  #taken = 0;
  readonly #writer = new ByteWriter(WRITER_BYTES);
  /** What leaves with the record being gathered, and with the one on its way. */
  #gathered: Release[] = [];
  #inFlight: Release[] | undefined;
  /** Bulk that goes to its store once the log has the record, whatever the durability: the store must never be ahead of the log. */
  #gatheredBulk: (() => void)[] = [];
  #bulkInFlight: (() => void)[] = [];
  readonly #freed = new Freed();
  #isScheduled = false;
  #recordedClockMs: number;
  #recordedAtMs: number;
  /** When the current turn began, by the node's monotonic clock. */
  turnAtMs: number;
  #sequence: number;
  #timer: Timer | undefined;
  #timerAtMs = Number.POSITIVE_INFINITY;
  #stopped: ForelockError | undefined;
  #isFrozen = false;
  /** H7. Nothing more goes to the log: what is decided is kept for the hand-over. */
  #isHandingOver = false;
  /** H7. The record of a hand-over that failed. */
  #kept: LogRecord | undefined;
  /** The first turn waits for it, or for the first who asks. */
  #gathering: Timer | undefined;
  #settled: (() => void)[] = [];
  readonly #applyObserver: Observer;
  /** Sessions whose answered operations are to be forgotten in the next turn. Kept by the node. */
  readonly forgetting = new Set<string>();
  /** Where others stand by. Of states that may not be durable yet: compare only up to `EventLog.lastSequence`. */
  readonly marks: Marks | undefined;
  events = 0;
  records = 0;
  /** Effects that the command decided last took back, with grants that it ended. */
  undone = 0;

  constructor(options: ShardOptions) {
    this.#options = options;
    this.state = options.state;
    this.partition = options.state.partition;
    this.#recordedClockMs = options.state.clockMs;
    this.#recordedAtMs = options.clock.monotonicMs();
    this.turnAtMs = this.#recordedAtMs;
    this.#sequence = options.log.lastSequence(this.partition);
    this.marks = options.mayAnswer === undefined ? undefined : new Marks();
    const { observer } = options;
    this.#applyObserver = {
      freed: (element, below) => this.#freed.add(element, below),
      ended: (operation) => observer.operationEnded(this, operation),
      lost: (grant, why, reason, undone, warning) => {
        this.undone += undone;
        observer.grantLost(this, grant, why, reason, undone, warning);
      },
      released: (grant) => observer.released(this, grant),
      waited: (wait) => observer.waited(this, wait),
      preempt: (event) => observer.preempt(this, event),
      appended: (file, index, offset, bytes, checksum) => {
        this.#gatheredBulk.push(() => observer.appended(this.partition, file, index, offset, bytes, checksum));
      },
      cut: (file) => {
        // What the row says now: by the time the record is durable it may have grown again.
        const { count, length } = file;
        this.#gatheredBulk.push(() => observer.cut(this.partition, { ...file, count, length }));
      },
    };
  }

  get sequence(): number {
    return this.#sequence;
  }

  get stopped(): ForelockError | undefined {
    return this.#stopped;
  }

  /** As `submit` and `read`, for entries that are their own objects. */
  enter(entry: Entry): void {
    if (this.#stopped !== undefined) {
      const error = this.#stopped;
      this.#options.defer(() => entry.failed(error));
      return;
    }
    this.#inbox.push(entry);
    this.#endGathering();
    this.#schedule();
  }

  /** Decides `command` in the next turn. `decided` sees the state right after; what it returns runs once that is durable. */
  submit(command: Command, decided: Decided, failed: (error: ForelockError) => void): void {
    this.enter(new FunctionEntry(command, decided, failed));
  }

  /** Looks at the state in the next turn; what `look` returns runs once everything it saw is durable. */
  read(look: (state: PartitionState) => (() => void) | undefined, failed: (error: ForelockError) => void): void {
    this.enter(new FunctionEntry(undefined, look, failed));
  }

  /** The session has been silent for so long that its waits hold up nobody any more. */
  passOver(sessionId: string): void {
    this.read(
      (state) => {
        const session = state.sessions.get(sessionId);
        if (session !== undefined) passOver(session, this.#applyObserver);
        return undefined;
      },
      () => {},
    );
  }

  /** From inside `decided` and the observer: runs `send` when the record being gathered is durable. */
  afterDurable(send: () => void, failed: (error: ForelockError) => void = () => {}): void {
    this.#gathered.push({ send, failed });
  }

  /** Whether the session has ended here, as the log has it. While a record is on its way nothing is sure: then false. */
  hasEnded(sessionId: string): boolean {
    return this.#stopped === undefined && this.#isSettled && this.state.tombstones.has(sessionId);
  }

  /** A record for the clock alone, when none was written for a while and something here is timed. */
  keepTime(): void {
    const { sessions, tombstones, deadlines } = this.state;
    if (sessions.size === 0 && tombstones.size === 0 && deadlines.first() === undefined) return;
    this.submit(
      { kind: "tick" },
      () => undefined,
      () => {},
    );
  }

  /**
   * Decides no more until `thaw`. Resolves when everything decided so far is durable, or the shard has stopped: the state is then what
   * the log gives, its clock included. H6
   */
  async freeze(): Promise<void> {
    this.#isFrozen = true;
    if (!this.#isSettled) await new Promise<void>((resolve) => this.#settled.push(resolve));
    // Looks at the state moved it on without a record: who goes on from this state by the log would be ahead of all others for good.
    if (this.#isFrozen && this.#isSettled) this.state.clockMs = this.#recordedClockMs;
  }

  /**
   * Decides no more, and has `give` name the next owner and make durable what it is handed: what was decided here last. When `give`
   * rejects, `thaw` or `stop` tells how it goes on. H7
   * @returns undefined where the shard stopped before
   */
  async handOver<Given>(give: (last: LogRecord | undefined) => Promise<Given>): Promise<Given | undefined> {
    this.#isFrozen = true;
    this.#isHandingOver = true;
    if (!this.#isSettled) await new Promise<void>((resolve) => this.#settled.push(resolve));
    if (this.#stopped !== undefined) return undefined;
    if (this.#writer.length === 0) this.state.clockMs = this.#recordedClockMs; // As in a freeze.
    this.#kept = this.#writer.length > 0 ? this.#cut() : undefined;
    if (this.#kept === undefined) this.#inFlight = this.#gathered.splice(0); // Who is still the owner then, was so before. H5
    try {
      const given = await give(this.#kept);
      this.#kept = undefined;
      this.#appended();
      return given;
    } catch (error) {
      if (this.#kept === undefined && this.#inFlight !== undefined) {
        this.#gathered = [...this.#inFlight, ...this.#gathered];
        this.#inFlight = undefined;
      }
      throw error;
    }
  }

  thaw(): void {
    this.#isFrozen = false;
    this.#isHandingOver = false;
    if (this.#stopped !== undefined) return;
    if (this.#kept !== undefined) this.#append(this.#kept);
    this.#kept = undefined;
    this.#schedule();
  }

  /**
   * The first turn waits for the first who asks, for at most `ms`: a partition that changes hands has its clients come behind it in a
   * moment, and their requests go into the record with which it begins, where they would wait for the one behind it.
   */
  gather(ms: number): void {
    this.#gathering = this.#options.clock.after(ms, () => this.#endGathering());
  }

  #endGathering(): void {
    if (this.#gathering === undefined) return;
    this.#gathering.dispose();
    this.#gathering = undefined;
    this.#schedule();
  }

  get #isSettled(): boolean {
    const isNothingLeft = this.#isHandingOver || this.#writer.length === 0;
    return this.#stopped !== undefined || (this.#inFlight === undefined && isNothingLeft);
  }

  #tellSettled(): void {
    if (this.#settled.length === 0 || !this.#isSettled) return;
    for (const settled of this.#settled.splice(0)) settled();
  }

  /** @param undurable what callers are told whose answer was not durable yet */
  stop(error: ForelockError, undurable?: ForelockError): void {
    if (this.#stopped !== undefined) return;
    this.#stopped = error;
    this.#timer?.dispose();
    this.#gathering?.dispose();
    const unknown =
      undurable ??
      new ForelockError("outcome_unknown", `Partition ${this.partition} stopped before the answer was durable.`);
    const waiting = [...(this.#inFlight ?? []), ...this.#gathered];
    this.#inFlight = undefined;
    this.#gathered = [];
    for (const release of waiting) release.failed(unknown);
    for (const entry of this.#inbox.splice(this.#taken)) entry.failed(error);
    this.#inbox = [];
    this.#taken = 0;
    this.#tellSettled();
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    this.#options.defer(() => {
      this.#isScheduled = false;
      try {
        this.#turn();
      } catch (cause) {
        // A broken invariant: nothing that follows from it may leave or be logged.
        this.#failed(new ForelockError("internal", `Partition ${this.partition} broke an invariant.`, { cause }));
      }
    });
  }

  #turn(): void {
    if (this.#stopped !== undefined || this.#isFrozen || this.#gathering !== undefined) return;
    this.#advanceClock();
    while (this.#taken < this.#inbox.length && this.#writer.length < RECORD_BYTES_SOFT) {
      const entry = this.#inbox[this.#taken];
      if (entry !== undefined) this.#take(entry);
      this.#taken += 1; // Not before: when it breaks an invariant, its caller is told too.
    }
    if (this.#taken === this.#inbox.length) {
      this.#inbox = [];
      this.#taken = 0;
    } else if (this.#taken > TAKEN_MAX) {
      this.#inbox = this.#inbox.slice(this.#taken);
      this.#taken = 0;
    }
    this.#grantNext();
    this.#armTimer();
    this.#send();
  }

  #take(entry: Entry): void {
    let refusal: Refusal | undefined;
    this.undone = 0;
    if (entry.command !== undefined) {
      const decision = decide(this.state, entry.command, this.#options.limits);
      refusal = decision.refusal;
      for (const event of decision.events) this.#apply(event);
    }
    if (entry.decided(this.state, refusal)) this.#gathered.push(entry);
  }

  #apply(event: PartitionEvent): void {
    const { observer } = this.#options;
    encodeEvent(this.#writer, event);
    if (observer.isWatched) observer.happened(this, event);
    if (event.kind === "session_ended") {
      const id = this.state.sessionByNumber.get(event.session)?.id ?? "";
      apply(this.state, event, this.#applyObserver);
      observer.sessionEnded(this.partition, id);
    } else {
      apply(this.state, event, this.#applyObserver);
      if (event.kind === "session_opened") observer.sessionOpened(this.partition, event.id);
    }
    this.events += 1;
  }

  /** Grants what became free, at most so many a turn and so many as the record has room for: the rest follows in the next. */
  #grantNext(): void {
    const room = Math.floor((RECORD_BYTES_FULL - this.#writer.length) / WAIT_GRANTED_BYTES_MAX);
    const max = Math.max(0, Math.min(this.#options.grantsPerTurnMax, room));
    this.#freed.grant({
      state: this.state,
      max,
      grant: (wait) => this.#apply({ kind: "wait_granted", wait: wait.id }),
      settled: (element) => this.#tellPositions(element),
    });
    if (this.#freed.size > 0 && max > 0) this.#schedule(); // A full record leaves now or next, and then there is a turn.
  }

  /** Those whose position has halved since they were told: at most log2 of the queue's length, whatever its length. */
  #tellPositions(element: Element): void {
    for (const lane of element.lanes ?? []) {
      if (lane === undefined) continue;
      for (let position = 1; position <= lane.size; position *= 2) {
        const wait = lane.at(position);
        if (wait === undefined || wait.toldPosition < position * 2) continue;
        wait.toldPosition = position;
        this.#options.observer.moved(this, wait, position);
      }
    }
  }

  /** H3: the clock moves on only while no event of the record being gathered has been applied. */
  #advanceClock(): void {
    this.turnAtMs = this.#options.clock.monotonicMs();
    if (this.#writer.length > 0) return;
    const passedMs = Math.floor(this.turnAtMs - this.#recordedAtMs);
    this.state.clockMs = this.#recordedClockMs + Math.max(0, passedMs);
  }

  #armTimer(): void {
    const next = this.state.deadlines.first();
    const atMs = next?.atMs ?? Number.POSITIVE_INFINITY;
    if (atMs === this.#timerAtMs && this.#timer !== undefined) return;
    this.#timer?.dispose();
    this.#timer = undefined;
    this.#timerAtMs = atMs;
    if (atMs === Number.POSITIVE_INFINITY) return;
    this.#timer = this.#options.clock.after(Math.max(1, Math.min(atMs - this.state.clockMs, 2 ** 30)), () => {
      this.#timer = undefined;
      this.submit(
        { kind: "tick" },
        () => undefined,
        () => {},
      );
    });
  }

  #send(): void {
    if (this.#inFlight !== undefined || this.#isHandingOver) return; // H1, H7
    const elapsedMs = this.state.clockMs - this.#recordedClockMs;
    if (this.#writer.length === 0 && elapsedMs < CLOCK_RECORD_MS) {
      const ready = this.#gathered;
      if (ready.length === 0) return;
      if (this.#options.mayAnswer?.() ?? true) {
        this.#gathered = [];
        for (const release of ready) release.send();
        return;
      }
    }
    this.#append(this.#cut());
  }

  /** What is decided becomes the next record, on its way from now on. */
  #cut(): LogRecord {
    const elapsedMs = this.state.clockMs - this.#recordedClockMs;
    this.#sequence += 1;
    this.records += 1;
    this.marks?.note(this.#sequence, this.state);
    this.#recordedClockMs = this.state.clockMs;
    this.#recordedAtMs += elapsedMs;
    const record = {
      partition: this.partition,
      epoch: this.state.epoch,
      sequence: this.#sequence,
      elapsedMs,
      events: this.#writer.give(),
    };
    this.#bulkInFlight = this.#gatheredBulk;
    this.#gatheredBulk = [];
    const released = this.#gathered;
    this.#gathered = [];
    this.#inFlight = this.#options.isDurable ? released : [];
    if (!this.#options.isDurable) for (const release of released) release.send();
    return record;
  }

  #append(record: LogRecord): void {
    this.#options.log.append(record).then(
      () => this.#appended(),
      (cause: unknown) => this.#failed(cause),
    );
  }

  #appended(): void {
    const durable = this.#inFlight;
    if (durable === undefined) return; // Stopped meanwhile.
    this.#inFlight = undefined;
    for (const write of this.#bulkInFlight) write();
    this.#bulkInFlight = [];
    for (const release of durable) release.send();
    if (this.#inbox.length > 0 || this.#freed.size > 0) this.#schedule();
    this.#send();
    this.#tellSettled();
  }

  #failed(cause: unknown): void {
    const error =
      cause instanceof ForelockError ? cause : new ForelockError("log_stopped", "An append failed.", { cause });
    if (error.code === "fenced") {
      // Another owner has the partition: it knows what became of every request that is asked again under its own id.
      const moved = notOwner(this.partition, cause);
      this.stop(moved, moved);
    } else this.stop(error);
    this.#options.observer.stopped(this, error);
  }
}

/** At least one record in this time while anything is timed, so that a crash costs the partition clock no more. */
const CLOCK_RECORD_MS = 1_000;

/** What is told of a partition that another node leads. */
export function notOwner(partition: number, cause?: unknown): ForelockError {
  return new ForelockError("not_owner", `Partition ${partition} is not led by this node.`, { cause });
}
