// contents.ts: the file contents of a node that shares its partitions with others: what of them is on its disk for sure, and what is
// missing. Stands before the bulk store of this node. Not here: bytes (bulk/), how what is missing comes (filler.ts).
//   T1. A mark says: all contents of the log up to this record are complete on this disk and synced. It is told to nobody before it is
//       on the same disk itself, so that who lost the disk claims nothing.
//   T2. The log may be truncated only past what `replicas` live nodes have marked, this one included. Where nothing was appended behind
//       that, nothing can be lost, and there is no bound.
//   T3. Missing contents are refused `bulk_unavailable`. What was appended since is read as ever.
import { ForelockError } from "@forelock/protocol";
import type { BulkFileId, BulkRange, BulkRecord, BulkStore } from "../bulk/bulk-store.ts";
import { type Clock, pauseFor, type Timer } from "../clock.ts";
import type { PartitionState } from "../partition/state.ts";
import { type Gap, Gaps } from "./gaps.ts";

/** Where marks are kept: on the disk of the contents. */
export interface MarkStore {
  /** Of each partition; 0 where there is none. */
  load(): Promise<readonly number[]>;
  /** Resolves when they survive a crash. */
  save(marks: readonly number[]): Promise<void>;
}

export interface ContentsOptions {
  readonly bulk: BulkStore;
  readonly marks: MarkStore;
  readonly clock: Clock;
  readonly partitions: number;
  /** Of each partition, the last record that this node has; below 0 where it follows nothing. */
  readonly positions: () => readonly number[];
  /** Marks of the other live nodes. */
  readonly others: () => readonly (readonly number[])[];
  /** Nodes that must have contents before the log forgets them. */
  readonly replicas: () => number;
  /** Bytes of log that this node's partitions keep in etcd, */
  readonly keptBytes: () => number;
  /** and from how many on nothing is appended to files. */
  readonly keptBytesMax: number;
  readonly note: (line: string, fields: Readonly<Record<string, unknown>>) => void;
}

const SYNC_MS = 1_000;
/** Without anything appended: so that a restart begins near the end of the log. */
const SYNC_IDLE_MS = 10_000;
/** How long what the log keeps counts as known: each append asks. */
const KEPT_MS = 100;
/** Of a record that is durable, what it appends is queued a moment later. */
const SETTLE_MS = 1;

interface Followed {
  readonly gaps: Gaps;
}

export class Contents implements BulkStore {
  readonly #options: ContentsOptions;
  readonly #marks: number[];
  readonly #followed = new Map<number, Followed>();
  /** Partitions with contents queued since the last sync, */
  readonly #touched = new Set<number>();
  /** and of each the record behind which the log has none that this node knows of. */
  readonly #lastAppend: number[];
  /** Since the last sync. */
  #isFilled = false;
  #timer: Timer | undefined;
  #isClosed = false;
  #syncing: Promise<void> = Promise.resolve();
  #syncedAtMs: number;
  #kept = { bytes: 0, atMs: Number.NEGATIVE_INFINITY };

  constructor(options: ContentsOptions, marks: readonly number[]) {
    this.#options = options;
    this.#marks = Array.from({ length: options.partitions }, (_, partition) => marks[partition] ?? 0);
    this.#lastAppend = new Array<number>(options.partitions).fill(0);
    this.#syncedAtMs = options.clock.monotonicMs();
  }

  static async open(options: ContentsOptions): Promise<Contents> {
    return new Contents(options, await options.marks.load());
  }

  /** Syncs and marks from now on. */
  start(): void {
    if (this.#isClosed) return;
    this.#timer = this.#options.clock.after(SYNC_MS, () => {
      const isDue =
        this.#touched.size > 0 ||
        this.#isFilled ||
        this.#options.clock.monotonicMs() - this.#syncedAtMs >= SYNC_IDLE_MS;
      const done = isDue ? this.sync() : Promise.resolve();
      void done
        .catch((error: unknown) => this.#options.note("contents not synced", { error: String(error) }))
        .finally(() => this.start());
    });
  }

  // ------------------------------------------------------------------------------------------------------ what is complete

  /** This node begins to follow the partition with `state`, which is of a snapshot at `sequence`. */
  begin(state: PartitionState, sequence: number): void {
    const { partition } = state;
    const isMarked = this.mark(partition) >= sequence;
    this.#followed.set(partition, { gaps: isMarked ? new Gaps() : Gaps.of(state) });
    const hasContents = [...state.files.values()].some(({ count }) => count > 0);
    this.#lastAppend[partition] = Math.max(this.#lastAppend[partition] ?? 0, hasContents ? sequence : 0);
  }

  /** It follows the partition no more; what is on the disk stays. */
  forget(partition: number): void {
    this.#followed.delete(partition);
  }

  /** The last record up to which all contents are synced here; 0 where nothing is sure. */
  mark(partition: number): number {
    return this.#marks[partition] ?? 0;
  }

  /** Of every partition. */
  get marks(): readonly number[] {
    return this.#marks;
  }

  /** What is missing of a partition that is followed or led. */
  gaps(partition: number): Gaps | undefined {
    return this.#followed.get(partition)?.gaps;
  }

  /** Partitions of which something is missing. */
  get missing(): readonly number[] {
    return [...this.#followed].filter(([, { gaps }]) => gaps.size > 0).map(([partition]) => partition);
  }

  /** T2. The last record of the log that may be freed. */
  floor(partition: number): number {
    const { others, replicas } = this.#options;
    const marks = [this.mark(partition), ...others().map((theirs) => theirs[partition] ?? 0)].sort((a, b) => b - a);
    const synced = marks[replicas() - 1] ?? 0;
    const isBounded = this.#touched.has(partition) || (this.#lastAppend[partition] ?? 0) > synced;
    return isBounded ? synced : Number.POSITIVE_INFINITY;
  }

  /** Why nothing is appended to files now; undefined while it is. */
  appendRefused(): string | undefined {
    const { keptBytes, keptBytesMax, others, replicas, clock } = this.#options;
    const nowMs = clock.monotonicMs();
    if (nowMs - this.#kept.atMs >= KEPT_MS) this.#kept = { bytes: keptBytes(), atMs: nowMs };
    const kept = Math.round(this.#kept.bytes);
    if (kept < keptBytesMax) return undefined;
    const live = others().length + 1;
    const why = live < replicas() ? `${live} of ${replicas()} replicas live` : `not ${replicas()} replicas have synced`;
    return `the log keeps ${kept} bytes of this node's partitions, allowed ${keptBytesMax}: ${why}`;
  }

  // ---------------------------------------------------------------------------------------------------------- as a bulk store

  append(id: BulkFileId, record: BulkRecord): void {
    this.#touched.add(id.partition);
    this.#options.bulk.append(id, record);
  }

  fill(id: BulkFileId, record: BulkRecord): void {
    this.#isFilled = true;
    this.#options.bulk.fill(id, record);
  }

  truncate(id: BulkFileId, count: number, length: number, checksum: number): void {
    this.#touched.add(id.partition);
    this.gaps(id.partition)?.cut(id.file, { index: count, offset: length, checksum });
    this.#options.bulk.truncate(id, count, length, checksum);
  }

  async read(id: BulkFileId, range: BulkRange): Promise<Uint8Array> {
    const gap = this.gaps(id.partition)?.of(id.file);
    if (gap === undefined) return this.#options.bulk.read(id, range);
    if (range.offset < gap.until.offset) throw unavailable(gap);
    return this.#options.bulk.read(id, { ...range, behind: gap.until });
  }

  async readRecords(
    id: BulkFileId,
    range: { readonly index: number; readonly recordsMax: number; readonly bytesMax: number; readonly count: number },
  ): Promise<readonly Uint8Array[]> {
    const gap = this.gaps(id.partition)?.of(id.file);
    if (gap !== undefined && range.index < gap.until.index) throw unavailable(gap);
    return this.#options.bulk.readRecords(id, range);
  }

  /** Makes all that is queued durable, and marks how far that goes. T1 */
  sync(): Promise<void> {
    const sync = this.#syncing.then(() => this.#sync());
    this.#syncing = sync.catch(() => undefined); // Told to the caller of that sync.
    return sync;
  }

  get pendingBytes(): number {
    return this.#options.bulk.pendingBytes;
  }

  get stopped(): Error | undefined {
    return this.#options.bulk.stopped;
  }

  /** The store below is closed by whoever opened it. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#timer?.dispose();
    await this.#syncing;
  }

  async #sync(): Promise<void> {
    const { bulk, marks, positions, clock } = this.#options;
    const reached = positions();
    this.#isFilled = false;
    // Complete now: what fills a gap later is not in the sync below.
    const complete = new Map([...this.#followed].filter(([, { gaps }]) => gaps.size === 0));
    for (const partition of [...this.#touched]) {
      const position = reached[partition] ?? -1;
      if (position < 0) continue;
      this.#lastAppend[partition] = Math.max(this.#lastAppend[partition] ?? 0, position);
      this.#touched.delete(partition);
    }
    await pauseFor(clock, SETTLE_MS);
    await bulk.sync();
    this.#syncedAtMs = clock.monotonicMs();
    const next = this.#marks.map((mark, partition) => {
      const was = complete.get(partition);
      return was !== undefined && was === this.#followed.get(partition)
        ? Math.max(mark, reached[partition] ?? 0)
        : mark;
    });
    if (next.every((mark, partition) => mark === this.#marks[partition])) return;
    await marks.save(next);
    for (const [partition, mark] of next.entries()) this.#marks[partition] = mark;
  }
}

/** T3 */
function unavailable({ row, until }: Gap): ForelockError {
  const details = { file: row.name, count: until.index, length: until.offset };
  const message = `The first ${until.index} records of ${row.name} have not come to this node yet.`;
  return new ForelockError("bulk_unavailable", message, { details, retryAfterMs: 1_000 });
}
