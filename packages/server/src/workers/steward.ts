// steward.ts: which worker has what, seen from the thread that has the port: evens it out at the start and by load, moves what operators ask
// for, and tells what it all costs. Not here: one move (mover.ts), which partition is worth one (balance.ts).
//   E1. Every BALANCE_MS at most one partition moves for its load: the next look sees what it brought.
//   E2. What an operator has moved stays where it is, until a rebalance.
import { ForelockError, type GetClusterReply, type Operation, type Reply } from "@forelock/protocol";
import type { Clock, Timer } from "../clock.ts";
import type { Caller } from "../shard/service.ts";
import { type Load, nextMove } from "./balance.ts";
import { evened, withAllHeld } from "./holders.ts";
import type { Sample } from "./messages.ts";
import type { Mover } from "./mover.ts";
import { FRONT, type WorkerOwners, workerId } from "./owners.ts";
import { type Moved, reportOf } from "./report.ts";

export interface StewardOptions {
  readonly workers: number;
  readonly owners: WorkerOwners;
  readonly mover: Mover;
  /** Of this start: what every partition has until it moves. */
  readonly epoch: number;
  readonly sample: () => Promise<readonly Sample[]>;
  readonly clock: Clock;
  /** Processor time of this thread, in milliseconds. */
  readonly cpuMs: () => number;
  readonly version: string;
  readonly address: () => string;
  readonly note: (line: string, fields: Readonly<Record<string, unknown>>) => void;
}

type AdministrationBody = Extract<NonNullable<Operation["body"]>, { readonly $case: "getCluster" | "changeCluster" }>;

const SAMPLE_MS = 1_000;
const BALANCE_MS = 5_000;
/** Within it they count as even: below what is promised, so that it is kept between two looks. */
const RATIO_MAX = 1.15;
/** Of BALANCE_MS: below that nobody waits for anybody. */
const BUSY_RATIO = 0.2;
const MOVES_MAX = 500;
const MOVES_DEFAULT = 100;

export class Steward {
  readonly #options: StewardOptions;
  readonly #pins = new Map<number, number>();
  readonly #moves: Moved[] = [];
  readonly #epochs = new Map<number, number>();
  #samples: readonly Sample[] = [];
  #balanced: { readonly atMs: number; readonly samples: readonly Sample[] } | undefined;
  #timer: Timer | undefined;
  #looking: Promise<void> = Promise.resolve();
  #isClosed = false;

  constructor(options: StewardOptions) {
    this.#options = options;
  }

  /** Evens out how many partitions each has. Resolves when that is done. */
  async even(): Promise<void> {
    const { owners, workers } = this.#options;
    const moves = evened(withAllHeld(owners.holders(), workers), workers);
    for (const { partition, to } of moves) await this.#move(partition, to);
  }

  /** Looks at the load from now on. */
  async start(): Promise<void> {
    await this.#look();
    this.#again();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#timer?.dispose();
    await this.#looking;
    await this.#options.mover.idle();
  }

  /** Why one of them takes no work. */
  get unavailable(): string | undefined {
    return this.#samples.map(({ unavailable }) => unavailable).find((why) => why !== undefined);
  }

  /** Sums over the workers, as of the last second, and the processor time of each. */
  counters(): Readonly<Record<string, number>> {
    const { workers, mover, cpuMs } = this.#options;
    const sums: Record<string, number> = {};
    for (const [worker, { counters, cpuMs: workerMs }] of this.#samples.entries()) {
      for (const [name, value] of Object.entries(counters)) sums[name] = (sums[name] ?? 0) + value;
      sums[`worker_${worker}_cpu_seconds_total`] = workerMs / 1_000;
    }
    return {
      ...sums,
      up: this.unavailable === undefined ? 1 : 0,
      workers,
      front_cpu_seconds_total: cpuMs() / 1_000,
      partition_moves_total: mover.done,
      partition_moves_failed_total: mover.failed,
    };
  }

  /** As Administration (cluster/administration.ts): workers are told of as nodes are. @throws ForelockError */
  async carryOut(caller: Caller, body: AdministrationBody): Promise<Reply["body"]> {
    if (body.$case === "getCluster") return { $case: "getCluster", value: this.#report(body.value.movesMax) };
    const { action, node, partition, reason } = body.value;
    const partitions = await this.#change(action, node, partition);
    this.#options.note("workers changed", {
      ...{ action, node, reason, principal: caller.principal, from: caller.remoteAddress },
      ...(partition === undefined ? {} : { partition }),
    });
    return { $case: "changeCluster", value: { partitions } };
  }

  /** @returns partitions that it concerns */
  async #change(action: string, node: string, partition: number | undefined): Promise<number> {
    const { owners, workers } = this.#options;
    switch (action) {
      case "rebalance": {
        const { size } = this.#pins;
        this.#pins.clear();
        await this.even();
        return size;
      }
      case "move": {
        const worker = Array.from({ length: workers }, (_, each) => workerId(each)).indexOf(node);
        const count = owners.holders().length;
        if (worker < 0) throw bad(`node: there is no ${node}; there are ${workerId(0)} to ${workerId(workers - 1)}.`);
        if (partition === undefined || partition >= count)
          throw bad(`partition: ${partition}; allowed 0 to ${count - 1}.`);
        this.#pins.set(partition, worker);
        const isThere = owners.holder(partition) === worker;
        await this.#move(partition, worker);
        return isThere ? 0 : 1;
      }
      default:
        throw new ForelockError(
          "not_supported",
          `action: ${action}; workers of one server know "move" and "rebalance".`,
        );
    }
  }

  async #move(partition: number, to: number): Promise<void> {
    const { mover, owners, clock } = this.#options;
    const from = owners.holder(partition);
    if (from === to) return;
    const beganMs = clock.monotonicMs();
    const epoch = await mover.move(partition, to);
    const ms = clock.monotonicMs() - beganMs;
    if (epoch === undefined) return; // Another move was before this one.
    this.#epochs.set(partition, epoch);
    this.#moves.unshift({ partition, from: from ?? to, to, epoch, atMs: clock.wallMs(), ms });
    this.#moves.length = Math.min(this.#moves.length, MOVES_MAX);
  }

  #again(): void {
    if (this.#isClosed) return;
    this.#timer = this.#options.clock.after(SAMPLE_MS, () => {
      this.#looking = this.#look()
        .catch((error: unknown) => this.#options.note("workers not balanced", { error: String(error) }))
        .finally(() => this.#again());
    });
  }

  async #look(): Promise<void> {
    const { sample, clock } = this.#options;
    this.#samples = await sample();
    const nowMs = clock.monotonicMs();
    const before = this.#balanced;
    if (before !== undefined && nowMs - before.atMs < BALANCE_MS) return;
    this.#balanced = { atMs: nowMs, samples: this.#samples };
    if (before === undefined || this.#isClosed) return;
    const loads = this.#samples.map((now, worker) => this.#loadBetween(before.samples[worker], now));
    const cpuMsMin = (nowMs - before.atMs) * BUSY_RATIO;
    const move = nextMove(loads, { ratioMax: RATIO_MAX, cpuMsMin });
    if (move === undefined) return;
    this.#options.note("a partition moves for its load", { ...move });
    await this.#move(move.partition, move.to); // E1
  }

  /** E2: what is pinned is no candidate. */
  #loadBetween(before: Sample | undefined, now: Sample): Load {
    const eventsBefore = new Map(before?.events);
    const events = now.events
      .filter(([partition]) => !this.#pins.has(partition))
      .map(([partition, count]) => [partition, Math.max(0, count - (eventsBefore.get(partition) ?? 0))] as const);
    return { cpuMs: now.cpuMs - (before?.cpuMs ?? 0), events: new Map(events) };
  }

  #report(movesMax: number): GetClusterReply {
    const { owners, version, address, workers, epoch } = this.#options;
    const epochOf = (partition: number): number => this.#epochs.get(partition) ?? epoch;
    const most = movesMax === 0 ? MOVES_DEFAULT : movesMax;
    return {
      ...reportOf({
        owners,
        workers,
        version,
        address: address(),
        pins: this.#pins,
        epochOf,
        moves: this.#moves.slice(0, most),
      }),
      ...{ node: FRONT, moreMoves: this.#moves.length > most },
    };
  }
}

function bad(message: string): ForelockError {
  return new ForelockError("bad_argument", message);
}
