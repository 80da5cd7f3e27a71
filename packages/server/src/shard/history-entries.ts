// history-entries.ts: what the log still remembers, as entries for people: a scratch state is rebuilt from snapshots and records, and
// each event is described as a watcher would have been told. Not here: where records come from (history-files.ts, history.ts).
//   T1. Nothing is told that the asker may not read: names are asked about before their entries are kept.
//   T2. Memory is bounded: the newest entries are kept, with a cap on their bytes.
//   T3. A record that is missing is never passed over: the look fails, and is tried again.
import { ForelockError, type GetHistoryReply, HistoryEntry, type Risk } from "@forelock/protocol";
import type { LogRecord, Snapshot } from "../log/event-log.ts";
import { apply } from "../partition/apply.ts";
import { decodeEvents } from "../partition/codec.ts";
import type { PartitionEvent } from "../partition/events.ts";
import { SILENT } from "../partition/observer.ts";
import { decodeSnapshot } from "../partition/snapshot.ts";
import { createState, holderByToken, type PartitionState, tokenOf, type Wait } from "../partition/state.ts";
import { causeMessage } from "./insight-messages.ts";
import { ServiceTime } from "./service-time.ts";
import { type Happening, happeningsOf } from "./watches.ts";

/** What is looked for. Plain data: it goes to another thread. */
export interface HistoryWork {
  /** Empty: all names. */
  readonly name: string;
  /** Of the name; undefined: all partitions. */
  readonly partition: number | undefined;
  /** 0: no limit. */
  readonly sinceMs: number;
  /** Entries, 1 or more: the newest are kept. */
  readonly limit: number;
  /** Of the encoded entries, all together. */
  readonly bytesMax: number;
  /** The asker may read every name: nothing is to be asked about. */
  readonly mayReadAll: boolean;
  /** By partition, of all of them: where the look ends. */
  readonly ends: readonly HistoryEnd[];
}

export interface HistoryEnd {
  /** The last record that counts. 0: none. */
  readonly through: number;
  /** Partition clock at the moment of asking. */
  readonly clockMs: number;
}

export interface HistorySource {
  /** Snapshots to begin with, of one generation: as old a one as can be had. */
  snapshots(): Promise<readonly Snapshot[]>;
  /** All records that are there, in stream order; more may come than are asked for. */
  records(): AsyncIterable<readonly LogRecord[]>;
}

/** Which of the names the asker may read, in their order. */
export type MayRead = (names: readonly string[]) => Promise<readonly boolean[]>;

/** Records that should be there are not: the log has moved on under the reader. Another look begins at a newer snapshot. */
export class HistoryMoved extends Error {
  override readonly name = "HistoryMoved";
}

/** @throws HistoryMoved; ForelockError `log_damaged` and what the source throws */
export async function collectHistory(
  source: HistorySource,
  work: HistoryWork,
  mayRead: MayRead,
): Promise<GetHistoryReply> {
  const collector = new Collector(work, await source.snapshots());
  for await (const records of source.records()) {
    for (const record of records) {
      collector.take(record);
      if (collector.isFull) await collector.keepReadable(mayRead); // T2: a batch can be a whole segment.
    }
    if (collector.isDone) break;
  }
  await collector.keepReadable(mayRead);
  return collector.reply();
}

interface Told {
  readonly happening: Happening;
  readonly client: string;
  /** What a warning was given for. */
  readonly risk: Risk | undefined;
}

interface Stamped extends Told {
  readonly partition: number;
  /** Partition clock. */
  readonly clockMs: number;
  /** As ServiceTime gives it. */
  readonly atMs: number;
  readonly epoch: number;
}

interface Row {
  readonly state: PartitionState;
  sequence: number;
  /** Partition clock where the look began. */
  readonly sinceClockMs: number;
}

/** Entries that are told of before their names are asked about: each question goes to another thread and back. */
const FRESH_MAX = 4_096;
/** Names whose right is remembered before all are asked about anew. */
const NAMES_MAX = 20_000;

class Collector {
  readonly #work: HistoryWork;
  readonly #snapshotByPartition: ReadonlyMap<number, Snapshot>;
  readonly #rows = new Map<number, Row>();
  readonly #time = new ServiceTime();
  readonly #mayReadByName = new Map<string, boolean>();
  /** Since the last question of T1. */
  #fresh: Stamped[] = [];
  #kept: Stamped[] = [];
  #newestDropped: Stamped | undefined;
  #missing: number;

  constructor(work: HistoryWork, snapshots: readonly Snapshot[]) {
    this.#work = work;
    this.#snapshotByPartition = new Map(snapshots.map((snapshot) => [snapshot.partition, snapshot]));
    this.#missing = this.#wanted().filter((partition) => this.#through(partition) > 0).length;
  }

  /** Whether every wanted partition has been seen to its end. */
  get isDone(): boolean {
    return this.#missing === 0;
  }

  /** Whether it is time for `keepReadable`. */
  get isFull(): boolean {
    return this.#fresh.length >= FRESH_MAX;
  }

  take(record: LogRecord): void {
    const { partition, sequence, epoch } = record;
    const atMs = this.#time.take(record);
    if (this.#work.partition !== undefined && this.#work.partition !== partition) return;
    if (sequence > this.#through(partition)) return;
    const before = this.#rows.get(partition) ?? this.#begin(partition, sequence);
    const row = sequence > before.sequence + 1 ? this.#rejoin(before, record) : before;
    if (sequence > row.sequence) {
      if (sequence !== row.sequence + 1)
        throw new HistoryMoved(`partition ${partition} misses record ${row.sequence + 1}`); // T3
      this.#replay(row.state, record, { atMs, epoch });
      row.sequence = sequence;
    }
    if (sequence === this.#through(partition)) this.#missing -= 1;
  }

  /** T1, T2 */
  async keepReadable(mayRead: MayRead): Promise<void> {
    if (!this.#work.mayReadAll) await this.#learnRights(mayRead);
    for (const entry of this.#fresh)
      if (this.#work.mayReadAll || this.#mayReadByName.get(entry.happening.name) === true) this.#kept.push(entry);
    this.#fresh = [];
    if (this.#kept.length < this.#work.limit * 2) return;
    this.#drop(this.#kept.length - this.#work.limit);
  }

  /** @throws HistoryMoved when records are missing at the end */
  reply(): GetHistoryReply {
    for (const partition of this.#wanted()) {
      const row = this.#rows.get(partition);
      const seen = row?.sequence ?? this.#snapshotByPartition.get(partition)?.sequence ?? 0;
      if (seen < this.#through(partition))
        throw new HistoryMoved(`partition ${partition} ends at record ${seen} of ${this.#through(partition)}`);
    }
    if (this.#rows.size === 0) this.#beginAtSnapshots();
    const nowMs = this.#nowMs();
    const agoOf = (entry: Stamped): number => this.#agoMs(entry, nowMs);
    const { sinceMs, limit, bytesMax } = this.#work;
    const isWanted = (entry: Stamped): boolean => sinceMs === 0 || agoOf(entry) <= sinceMs;
    // Stable: the order of the log decides between equals.
    const entries = this.#kept
      .filter(isWanted)
      .map((entry) => messageOf(entry, agoOf(entry)))
      .sort((a, b) => b.agoMs - a.agoMs);
    const fitting = newestWithin(entries, limit, bytesMax);
    const more =
      fitting.length < entries.length || (this.#newestDropped !== undefined && isWanted(this.#newestDropped));
    return { entries: fitting, reachMs: this.#reachMs(nowMs), more };
  }

  async #learnRights(mayRead: MayRead): Promise<void> {
    if (this.#mayReadByName.size > NAMES_MAX) this.#mayReadByName.clear();
    const unknown = new Set<string>();
    for (const { happening } of this.#fresh) if (!this.#mayReadByName.has(happening.name)) unknown.add(happening.name);
    if (unknown.size === 0) return;
    const names = [...unknown];
    const allowed = await mayRead(names);
    for (const [index, name] of names.entries()) this.#mayReadByName.set(name, allowed[index] === true);
  }

  #begin(partition: number, sequence: number): Row {
    const snapshot = this.#snapshotByPartition.get(partition);
    // The log goes back to the beginning: more can be told than the snapshot covers.
    const state =
      sequence === 1 || snapshot === undefined ? createState(partition) : decodeSnapshot(partition, snapshot.state);
    const begun = sequence === 1 || snapshot === undefined ? 0 : snapshot.sequence;
    if (sequence > begun + 1) throw new HistoryMoved(`partition ${partition} misses record ${begun + 1}`); // T3
    const row = { state, sequence: begun, sinceClockMs: state.clockMs };
    this.#rows.set(partition, row);
    return row;
  }

  /** It was with another stream in between, and came back with a snapshot: what is told begins there. */
  #rejoin(before: Row, { partition, sequence }: LogRecord): Row {
    const snapshot = this.#snapshotByPartition.get(partition);
    if (snapshot === undefined || snapshot.sequence < sequence - 1) return before;
    this.#fresh = this.#fresh.filter((entry) => entry.partition !== partition);
    this.#kept = this.#kept.filter((entry) => entry.partition !== partition);
    return this.#begin(partition, snapshot.sequence + 1);
  }

  /** Nothing was written since they were taken: they only tell how far back that is. */
  #beginAtSnapshots(): void {
    for (const partition of this.#wanted()) {
      const snapshot = this.#snapshotByPartition.get(partition);
      if (snapshot !== undefined) this.#begin(partition, snapshot.sequence + 1);
    }
  }

  #replay(
    state: PartitionState,
    record: LogRecord,
    { atMs, epoch }: { readonly atMs: number; readonly epoch: number },
  ): void {
    const { name } = this.#work;
    state.clockMs += record.elapsedMs;
    decodeEvents(record.events, (event) => {
      for (const told of describeAndApply(state, event)) {
        if (name !== "" && told.happening.name !== name) continue;
        this.#fresh.push({ ...told, partition: state.partition, clockMs: state.clockMs, atMs, epoch });
      }
    });
  }

  #drop(count: number): void {
    this.#newestDropped = this.#kept[count - 1] ?? this.#newestDropped;
    this.#kept = this.#kept.slice(count);
  }

  /** Where service time stands now: later than the last record, by what the partition clocks have gone on since. */
  #nowMs(): number {
    let nowMs = this.#time.nowMs;
    for (const [partition, { state }] of this.#rows) {
      const atMs = this.#time.lastOf(partition);
      if (atMs !== undefined) nowMs = Math.max(nowMs, atMs + this.#clockNow(partition) - state.clockMs);
    }
    return nowMs;
  }

  #agoMs({ partition, clockMs, atMs, epoch }: Stamped, nowMs: number): number {
    // Since the last start the partition's own clock is exact, wherever the log begins.
    const agoMs = epoch === this.#time.epoch ? this.#clockNow(partition) - clockMs : nowMs - atMs;
    return Math.max(0, Math.round(agoMs));
  }

  /** Everything is told since then; where a partition had nothing to tell for longer, the others decide. */
  #reachMs(nowMs: number): number {
    if (this.#time.lives > 1) return Math.round(nowMs);
    let reachMs = Number.POSITIVE_INFINITY;
    for (const [partition, { sinceClockMs }] of this.#rows)
      reachMs = Math.min(reachMs, this.#clockNow(partition) - sinceClockMs);
    return Number.isFinite(reachMs) ? Math.max(0, Math.round(reachMs)) : 0;
  }

  #clockNow(partition: number): number {
    return this.#work.ends[partition]?.clockMs ?? 0;
  }

  #through(partition: number): number {
    return this.#work.ends[partition]?.through ?? 0;
  }

  #wanted(): readonly number[] {
    return this.#work.partition === undefined ? [...this.#work.ends.keys()] : [this.#work.partition];
  }
}

/** Applies the event, and tells what it meant. More exact than what watchers are told: here nothing has to be quick. */
function describeAndApply(state: PartitionState, event: PartitionEvent): readonly Told[] {
  const told = before(state, event).map((happening) => ({
    happening,
    client: state.sessions.get(happening.session)?.client ?? "",
    risk: event.kind === "warned" ? causeMessage(event.cause) : undefined,
  }));
  const counterBefore = state.grantCounter;
  apply(state, event, SILENT);
  switch (event.kind) {
    case "granted":
    case "wait_granted":
    case "part_confirmed": {
      // One token for each element, in order: see lock/apply.ts.
      let counter = counterBefore;
      return told.map((each) => {
        if (each.happening.kind !== "granted") return each;
        counter += 1;
        return { ...each, happening: { ...each.happening, token: tokenOf(state.epoch, counter) } };
      });
    }
    case "released": {
      const element = state.elements.get(event.name);
      const isStillHeld = element !== undefined && holderByToken(element, event.token) !== undefined;
      return isStillHeld ? [] : told; // An inner entry was left.
    }
    default:
      return told;
  }
}

function before(state: PartitionState, event: PartitionEvent): readonly Happening[] {
  switch (event.kind) {
    case "granted":
      if (event.reserve) return []; // A part of a batch: granted when all are.
      return [...upgraded(event.parts[0]?.name ?? "", event.upgradeOf, state, event), ...happeningsOf(state, event)];
    case "wait_granted": {
      const wait = state.waits.get(event.wait);
      if (wait === undefined || wait.reserve) return [];
      const old = wait.upgradeOf;
      const gone =
        old === undefined
          ? []
          : [{ kind: "released", name: old.element.name, session: old.session.id, token: old.token, reason: UPGRADED }];
      return [...gone, ...happeningsOf(state, event)];
    }
    case "part_confirmed":
    case "part_abandoned": {
      const part = state.parts.get(event.part);
      if (part === undefined) return [];
      const isConfirmed = event.kind === "part_confirmed";
      const names = "element" in part ? [part.element.name] : part.parts.map(({ element }) => element.name);
      const reason = isConfirmed ? "" : "the batch was given up";
      const kind = isConfirmed ? "granted" : "ended";
      return names.map((name) => ({ kind, name, session: part.session.id, token: 0n, reason }));
    }
    case "session_ended": {
      const session = state.sessionByNumber.get(event.session);
      const ended = [...(session?.waits ?? [])].flatMap((wait) => endedWith(wait, event.why));
      // Reserved parts of batches have no token, and were never told of as granted.
      const grants = happeningsOf(state, event).map((each) =>
        each.token === 0n ? { ...each, kind: "ended", reason: sessionOver(event.why) } : each,
      );
      return [...ended, ...grants];
    }
    default:
      return happeningsOf(state, event);
  }
}

const UPGRADED = "upgraded";
const sessionOver = (why: string): string => `its session ended: ${why}`;

/** A grant that becomes another one: the old token is gone. */
function upgraded(
  name: string,
  token: bigint,
  state: PartitionState,
  event: PartitionEvent & { readonly kind: "granted" },
): readonly Happening[] {
  if (token === 0n) return [];
  const session = state.sessionByNumber.get(event.request.session)?.id ?? "";
  return [{ kind: "released", name, session, token, reason: UPGRADED }];
}

function endedWith(wait: Wait, why: string): readonly Happening[] {
  const reason = sessionOver(why);
  return wait.parts.map(({ element }) => ({
    kind: "ended",
    name: element.name,
    session: wait.session.id,
    token: 0n,
    reason,
  }));
}

function messageOf({ happening, client, risk }: Stamped, agoMs: number): HistoryEntry {
  return { agoMs, ...happening, client, risk };
}

/** T2 */
function newestWithin(entries: readonly HistoryEntry[], limit: number, bytesMax: number): HistoryEntry[] {
  let bytes = 0;
  let from = entries.length;
  while (from > 0 && entries.length - from < limit) {
    const entry = entries[from - 1];
    bytes += entry === undefined ? 0 : HistoryEntry.encode(entry).finish().length + ENTRY_OVERHEAD_BYTES;
    if (bytes > bytesMax) break;
    from -= 1;
  }
  return entries.slice(from);
}

/** Field number and length of an entry in the reply. */
const ENTRY_OVERHEAD_BYTES = 4;

/** Looks again while the log moves on under the reader, a few times. @throws ForelockError `overloaded` after that */
export async function lookAgain<Result>(look: () => Promise<Result>): Promise<Result> {
  for (let looks = 1; ; looks += 1) {
    try {
      return await look();
    } catch (error) {
      if (!(error instanceof HistoryMoved)) throw error;
      if (looks === LOOKS_MAX)
        throw new ForelockError("overloaded", `The log changed ${LOOKS_MAX} times while its history was read.`, {
          cause: error,
          retryAfterMs: 1_000,
        });
    }
  }
}

const LOOKS_MAX = 3;
