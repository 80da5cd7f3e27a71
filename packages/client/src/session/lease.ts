// session/lease.ts: until when a session is surely alive, in memory that the main and the heartbeat thread share.
// Not here: who sends heartbeats (pulse.ts), what ends when it passes (link.ts).
//   S1. safe-until = when the last acknowledged heartbeat was *sent* + ttl - margin; it never falls. The server counts from
//       receipt, so the client always gives up first.
//   S2. A machine that slept counts the sleep: its monotonic clock may stand still, but its wall clock has moved on.
//   S3. On direct connections each partition has a bound of its own, moved by its owner's answers only.
import type { Health } from "@forelock/protocol";
import type { Clock } from "../environment.ts";

const FIELDS = 4;
const FIELDS_OF_PARTITION = 2;
const SAFE_UNTIL = 0;
/** Wall clock less monotonic clock at that heartbeat (S2). */
const SKEW = 1;
/** When the main thread last ran its timers. */
const TICK = 2;
/** How the program says it is; a number of the protocol's. */
const HEALTH = 3;

const MARGIN_MS_MIN = 500;
const MARGIN_RATIO = 0.05;

/** One bound in shared memory; each thread makes its own view. Times are kept as whole microseconds. */
export class SafeUntil {
  readonly #fields: BigInt64Array;
  readonly #clock: Clock;
  /** What this thread last saw of the memory: until then it is safe in any case, for safe-until never falls. */
  #seenUntilMs = 0;
  #seenSkewMs = 0;

  constructor(clock: Clock, fields: BigInt64Array) {
    this.#fields = fields;
    this.#clock = clock;
  }

  /** The server answered what was sent at `sentAtMs` (monotonic). */
  extend(sentAtMs: number, ttlMs: number): void {
    const until = microseconds(sentAtMs + ttlMs - Math.max(MARGIN_MS_MIN, ttlMs * MARGIN_RATIO));
    if (until <= Atomics.load(this.#fields, SAFE_UNTIL)) return; // S1: an older answer came late.
    Atomics.store(this.#fields, SKEW, microseconds(this.#skewMs()));
    Atomics.store(this.#fields, SAFE_UNTIL, until);
  }

  /** Milliseconds until safe-until; 0 or less when it has passed. */
  remainingMs(): number {
    this.#look();
    const nowMs = this.#clock.monotonicMs();
    return this.#seenUntilMs - nowMs - this.#sleptMs(nowMs);
  }

  /** Whether safe-until has passed. As a rule two clocks are read, and not the shared memory. */
  hasPassed(): boolean {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs + this.#sleptMs(nowMs) < this.#seenUntilMs) return false; // S1
    return this.remainingMs() <= 0;
  }

  /** Safe-until first: its own skew was stored before it, and with that of a later one it is early, which is safe. */
  #look(): void {
    this.#seenUntilMs = milliseconds(Atomics.load(this.#fields, SAFE_UNTIL));
    this.#seenSkewMs = milliseconds(Atomics.load(this.#fields, SKEW));
  }

  /** Since the heartbeat that was seen last. */
  #sleptMs(nowMs: number): number {
    return Math.max(0, this.#clock.wallMs() - nowMs - this.#seenSkewMs); // S2
  }

  #skewMs(): number {
    return this.#clock.wallMs() - this.#clock.monotonicMs();
  }
}

/** Of a session as a whole. */
export class Lease extends SafeUntil {
  readonly shared: SharedArrayBuffer;
  readonly #fields: BigInt64Array;
  readonly #clock: Clock;

  constructor(clock: Clock, shared = new SharedArrayBuffer(FIELDS * BigInt64Array.BYTES_PER_ELEMENT)) {
    const fields = new BigInt64Array(shared);
    super(clock, fields);
    this.shared = shared;
    this.#fields = fields;
    this.#clock = clock;
  }

  /** Called by the main thread's timer: its loop turns. */
  tick(): void {
    Atomics.store(this.#fields, TICK, microseconds(this.#clock.monotonicMs()));
  }

  /** How long ago the main thread's loop last turned, in milliseconds. */
  sinceTickMs(): number {
    return Math.max(0, this.#clock.monotonicMs() - milliseconds(Atomics.load(this.#fields, TICK)));
  }

  /** Written by the main thread, read by that of the heartbeats. */
  get health(): Health {
    return Number(Atomics.load(this.#fields, HEALTH)) as Health; // Cast: only the line below writes it.
  }

  set health(health: Health) {
    Atomics.store(this.#fields, HEALTH, BigInt(health));
  }
}

/** Of each partition of a cluster, for a session with direct connections (S3). */
export class PartitionLeases {
  readonly shared: SharedArrayBuffer;
  readonly #leases: readonly SafeUntil[];

  constructor(clock: Clock, shared: SharedArrayBuffer) {
    this.shared = shared;
    const fields = new BigInt64Array(shared);
    this.#leases = Array.from({ length: fields.length / FIELDS_OF_PARTITION }, (_, partition) => {
      const from = partition * FIELDS_OF_PARTITION;
      return new SafeUntil(clock, fields.subarray(from, from + FIELDS_OF_PARTITION));
    });
  }

  static forPartitions(clock: Clock, partitions: number): PartitionLeases {
    const bytes = partitions * FIELDS_OF_PARTITION * BigInt64Array.BYTES_PER_ELEMENT;
    return new PartitionLeases(clock, new SharedArrayBuffer(bytes));
  }

  /** The owners of these partitions answered what was sent at `sentAtMs` (monotonic). */
  extend(partitions: Iterable<number>, sentAtMs: number, ttlMs: number): void {
    for (const partition of partitions) this.#leases[partition]?.extend(sentAtMs, ttlMs);
  }

  /** As `extend`, for a resume: all owners were asked. */
  extendAll(sentAtMs: number, ttlMs: number): void {
    for (const lease of this.#leases) lease.extend(sentAtMs, ttlMs);
  }

  remainingMs(partition: number): number {
    return this.#leases[partition]?.remainingMs() ?? 0;
  }

  hasPassed(partition: number): boolean {
    return this.#leases[partition]?.hasPassed() ?? true;
  }
}

function microseconds(ms: number): bigint {
  return BigInt(Math.floor(ms * 1_000));
}

function milliseconds(us: bigint): number {
  return Number(us) / 1_000;
}
