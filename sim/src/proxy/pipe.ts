// pipe.ts: one direction of one proxied connection: takes bytes from one socket and gives them to the other as the weather allows.
//   P1. Bytes keep their order, and none is left out unless the weather drops them; then the connection is never whole again.
//   P2. At most BYTES_QUEUED_MAX wait here; beyond that the source is not read, so its sender feels it.
import type { Socket } from "node:net";
import type { Clock } from "./clock.ts";
import type { Random } from "./random.ts";
import type { Direction, WeatherCounts } from "./weather.ts";

/** More would hide a slow reader from its sender. */
const BYTES_QUEUED_MAX = 65_536;
/** How often a slow reader takes its share. */
const SLICE_MS = 20;

interface Chunk {
  readonly bytes: Buffer;
  readonly dueMs: number;
}

export interface PipeContext {
  readonly clock: Clock;
  readonly random: Random;
  readonly counts: WeatherCounts;
  /** Ends both directions of the connection. */
  cut(): void;
}

export class Pipe {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #context: PipeContext;
  readonly #queue: Chunk[] = [];
  #direction: Direction;
  #queuedBytes = 0;
  #leftBytes: number | undefined;
  #lastDueMs = 0;
  #ended = false;
  #isPoisoned = false;
  #cancel: (() => void) | undefined;

  constructor(from: Socket, to: Socket, direction: Direction, context: PipeContext) {
    this.#from = from;
    this.#to = to;
    this.#context = context;
    this.#direction = direction;
    this.#leftBytes = direction.cutAfterBytes;
    from.on("data", (bytes: Buffer) => this.#take(bytes));
    from.on("end", () => {
      this.#ended = true;
      this.#give();
    });
    to.on("drain", () => this.#give());
  }

  /** Whether bytes were swallowed: what follows would be garbage to the receiver (P1). */
  get isPoisoned(): boolean {
    return this.#isPoisoned;
  }

  set direction(direction: Direction) {
    this.#direction = direction;
    this.#leftBytes = direction.cutAfterBytes;
    this.#give();
  }

  /** Tells the receiver that no more will come, while the other direction goes on. */
  halfClose(): void {
    this.#context.counts.halfCloses += 1;
    this.#isPoisoned = true;
    this.#to.end();
  }

  dispose(): void {
    this.#cancel?.();
    this.#queue.length = 0;
  }

  #take(bytes: Buffer): void {
    const { clock, random, counts } = this.#context;
    const { delayMs, jitterMs, dropped } = this.#direction;
    if (dropped || this.#isPoisoned) {
      this.#isPoisoned = true;
      counts.bytesDropped += bytes.length;
      return;
    }
    if (delayMs + jitterMs > 0) counts.chunksDelayed += 1;
    // A later chunk never overtakes an earlier one, whatever its jitter (P1).
    const dueMs = Math.max(this.#lastDueMs, clock.monotonicMs() + delayMs + jitterMs * random());
    this.#lastDueMs = dueMs;
    this.#queue.push({ bytes, dueMs });
    this.#queuedBytes += bytes.length;
    if (this.#queuedBytes >= BYTES_QUEUED_MAX) this.#from.pause(); // P2
    if (this.#direction.stalled) counts.chunksStalled += 1;
    this.#give();
  }

  #give(): void {
    const { clock } = this.#context;
    this.#cancel?.();
    this.#cancel = undefined;
    while (!this.#direction.stalled && !this.#to.writableNeedDrain && !this.#to.destroyed) {
      const chunk = this.#queue[0];
      if (chunk === undefined) break;
      const waitMs = chunk.dueMs - clock.monotonicMs();
      if (waitMs > 0) {
        this.#cancel = clock.after(waitMs, () => this.#give());
        return;
      }
      if (this.#giveOne(chunk)) return;
    }
    if (this.#queue.length === 0 && this.#ended && !this.#to.destroyed) this.#to.end();
  }

  /** @returns whether to stop for now */
  #giveOne(chunk: Chunk): boolean {
    const { clock, counts } = this.#context;
    const { bytesPerSecond } = this.#direction;
    const share = bytesPerSecond === undefined ? chunk.bytes.length : Math.max(1, (bytesPerSecond * SLICE_MS) / 1_000);
    const part = chunk.bytes.subarray(0, Math.min(share, this.#leftBytes ?? share));
    const rest = chunk.bytes.subarray(part.length);
    if (rest.length === 0) this.#queue.shift();
    else this.#queue[0] = { bytes: rest, dueMs: chunk.dueMs };
    this.#queuedBytes -= part.length;
    if (this.#queuedBytes < BYTES_QUEUED_MAX) this.#from.resume();
    this.#to.write(part);
    if (this.#leftBytes !== undefined) {
      this.#leftBytes -= part.length;
      if (this.#leftBytes <= 0) {
        counts.cuts += 1;
        this.#context.cut();
        return true;
      }
    }
    if (bytesPerSecond === undefined) return false;
    counts.chunksSlowed += 1;
    this.#cancel = clock.after(SLICE_MS, () => this.#give());
    return true;
  }
}
