// filler.ts: brings the contents that this node lacks: first it looks what its own disk has of them, then it asks peers that have the
// rest, record by record from where it is. Not here: what is missing (gaps.ts), how peers are asked (bulk-asks.ts).
//   I1. One request at a time, of a bounded size, at a bounded rate: neither this node nor the one that is asked is held up.
//   I2. What comes is checked record by record; a gap is closed only when all its records roll to the checksum of the state.
//   I3. A file that is cut meanwhile is looked at again from its start; what is under way for it is thrown away.
//   I4. Where it stands is remembered: after a lost connection it goes on with the next record, at any peer.
import { crc32 } from "node:zlib";
import type { BulkStore } from "../bulk/bulk-store.ts";
import type { Clock, Timer } from "../clock.ts";
import { rollChecksum } from "../file/apply.ts";
import type { Contents } from "./contents.ts";
import { type Gap, type Gaps, type Place, START } from "./gaps.ts";
import type { PeerAddress } from "./owners.ts";

/** What a node asks another for. */
export interface BulkRequest {
  readonly partition: number;
  readonly file: string;
  readonly number: number;
  readonly undos: number;
  readonly index: number;
  readonly end: number;
}

export interface FetchedRecord {
  readonly bytes: Uint8Array;
  readonly checksum: number;
}

/** Records from `index` on, at least one. Rejects when the peer cannot be reached, or does not have them. */
export type FetchBulk = (peer: PeerAddress, request: BulkRequest) => Promise<readonly FetchedRecord[]>;

export interface FillerOptions {
  readonly contents: Contents;
  /** The store of this node, gaps and all. */
  readonly bulk: Pick<BulkStore, "readRecords">;
  readonly clock: Clock;
  /** Who follows the partition and lacks nothing of it, the one to ask first. */
  readonly sources: (partition: number) => readonly PeerAddress[];
  readonly fetch: FetchBulk;
  readonly bytesPerSecond: number;
  readonly note: (line: string, fields: Readonly<Record<string, unknown>>) => void;
}

/** Of one read of the own disk, and at most what a peer sends at once. */
export const FILL_BYTES = 256 * 1024;
export const FILL_RECORDS = 1_000;
/** Bytes waiting for this node's disk: beyond it nothing more is asked for. */
const PENDING_BYTES_MAX = 8 * 1024 * 1024;
const LOOK_MS = 50;
const PAUSE_MS = 250;

export class Filler {
  readonly #options: FillerOptions;
  #timer: Timer | undefined;
  #isClosed = false;
  #running: Promise<void> = Promise.resolve();
  /** Which source is asked; the next one after a failure. */
  #turn = 0;
  #filledBytes = 0;

  constructor(options: FillerOptions) {
    this.#options = options;
  }

  /** Fetched from peers so far. */
  get filledBytes(): number {
    return this.#filledBytes;
  }

  start(): void {
    this.#after(LOOK_MS);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#timer?.dispose();
    await this.#running;
  }

  #after(delayMs: number): void {
    if (this.#isClosed) return;
    this.#timer = this.#options.clock.after(delayMs, () => {
      this.#running = this.#step().then(
        (pauseMs) => this.#after(pauseMs),
        (error: unknown) => {
          this.#options.note("contents not filled", { error: String(error) });
          this.#after(PAUSE_MS);
        },
      );
    });
  }

  /** One read or one request. @returns how long to wait before the next */
  async #step(): Promise<number> {
    const { contents } = this.#options;
    const [partition] = contents.missing;
    if (partition === undefined) return LOOK_MS;
    if (contents.pendingBytes > PENDING_BYTES_MAX) return LOOK_MS;
    const gaps = contents.gaps(partition);
    const gap = gaps?.first();
    if (gaps === undefined || gap === undefined) return LOOK_MS;
    const bytes = gap.isSurveyed ? await this.#fetch(partition, gaps, gap) : await this.#survey(partition, gaps, gap);
    return bytes === undefined ? PAUSE_MS : Math.max(1, (bytes * 1_000) / this.#options.bytesPerSecond); // I1
  }

  /** What the disk has from an earlier life, as far as it hangs together. */
  async #survey(partition: number, gaps: Gaps, gap: Gap): Promise<number> {
    const { until, have } = gap;
    const range = { index: have.index, recordsMax: FILL_RECORDS, bytesMax: FILL_BYTES, count: until.index };
    // Nothing or damage: then all from here on comes from peers.
    const read = this.#options.bulk.readRecords({ partition, file: gap.row.number }, range).catch(() => []);
    const records = await read;
    if (!gaps.has(gap, until)) return 0; // I3
    gap.have = records.reduce((place, bytes) => behind(place, bytes, crc32(bytes)), have);
    gap.isSurveyed = records.length === 0 || gap.have.index >= until.index || gap.have.offset > until.offset;
    this.#settle(gaps, gap);
    return gap.have.offset - have.offset;
  }

  /** @returns bytes fetched; undefined when nobody has them now */
  async #fetch(partition: number, gaps: Gaps, gap: Gap): Promise<number | undefined> {
    const { sources, fetch, contents, note } = this.#options;
    const peers = sources(partition);
    const peer = peers[this.#turn % Math.max(1, peers.length)];
    if (peer === undefined) return undefined;
    const { row, until, have } = gap;
    const { name: file, number, undos } = row;
    let records: readonly FetchedRecord[];
    try {
      records = await fetch(peer, { partition, file, number, undos, index: have.index, end: until.index });
    } catch (error) {
      this.#turn += 1;
      note("contents not fetched", { partition, file, peer: peer.id, error: String(error) });
      return undefined;
    }
    if (contents.gaps(partition) !== gaps || !gaps.has(gap, until) || row.undos !== undos) return 0; // I3
    for (const { bytes, checksum } of records) {
      if (crc32(bytes) !== checksum || gap.have.offset + bytes.length > until.offset) {
        this.#turn += 1;
        note("contents fetched are damaged", { partition, file, peer: peer.id, record: gap.have.index });
        gap.have = START; // Whoever sent it: nothing of it is relied upon.
        return undefined;
      }
      if (gap.have.index >= until.index) break;
      contents.fill({ partition, file: number }, { index: gap.have.index, offset: gap.have.offset, bytes, checksum });
      gap.have = behind(gap.have, bytes, checksum); // I4
    }
    this.#filledBytes += gap.have.offset - have.offset;
    this.#settle(gaps, gap);
    return records.length === 0 ? undefined : gap.have.offset - have.offset;
  }

  /** I2 */
  #settle(gaps: Gaps, gap: Gap): void {
    const { have, until } = gap;
    if (have.index < until.index && have.offset <= until.offset) return;
    const isRight = have.index === until.index && have.offset === until.offset && have.checksum === until.checksum;
    if (isRight) gaps.close(gap);
    else gap.have = START; // What the disk had was of another life of the file.
  }
}

function behind({ index, offset, checksum }: Place, bytes: Uint8Array, ofRecord: number): Place {
  return { index: index + 1, offset: offset + bytes.length, checksum: rollChecksum(checksum, ofRecord) };
}
