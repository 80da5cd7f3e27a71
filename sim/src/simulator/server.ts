// server.ts: the life of the simulated server: the real Node over the real log and bulk store, started, killed, paused and started again.
//   V1. What a start recovers equals what was acknowledged (ledger.ts), whichever snapshots and tail it came from.
//   V2. Nothing of a dead server acts any more.
import {
  buildSnapshots,
  DiskBulkStore,
  type HoldForecasts,
  Node,
  type NodeLimits,
  openSegmentEventLog,
  recover,
  Snapshots,
} from "forelock/internal";
import { between, type Random } from "../proxy/random.ts";
import { ALLOWED_URL, type Calls, SimulatedCallOut } from "./call-out.ts";
import type { SimulatedDisk } from "./disk.ts";
import { dump } from "./dump.ts";
import type { Ledger } from "./ledger.ts";
import { Process, type SimulatedTime } from "./time.ts";
import type { Trace } from "./trace.ts";
import { expectRule, Violation } from "./violation.ts";

const LOG_FOLDER = "/log";
const BULK_OPEN_FILES_MAX = 4;

export interface ServerOptions {
  readonly time: SimulatedTime;
  readonly trace: Trace;
  readonly random: Random;
  readonly ledger: Ledger;
  readonly disk: SimulatedDisk;
  readonly limits: NodeLimits;
  readonly partitions: number;
  readonly segmentBytes: number;
  readonly snapshotBytes: number;
  readonly files: readonly string[];
  readonly calls: Calls;
  readonly isPredicting: boolean;
  /** Put before what the node has learned: an adversary, or nothing. */
  readonly forecasts: ((profiles: HoldForecasts) => HoldForecasts) | undefined;
  /** The run cannot go on. */
  readonly broken: (cause: unknown) => void;
  /** The connections of the server that ended are gone. */
  readonly down: () => void;
}

export class SimulatedServer {
  process: Process;
  /** Undefined while down or starting. */
  node: Node | undefined;
  startedAtMs = 0;
  starts = 0;
  snapshots = 0;
  readonly #options: ServerOptions;
  #snapshots: Snapshots | undefined;
  #wallOffsetMs = 1_700_000_000_000;

  constructor(options: ServerOptions, process: Process) {
    this.#options = options;
    this.process = process;
  }

  get isUp(): boolean {
    return this.node !== undefined && this.node.unavailable === undefined;
  }

  /** Begins a start; `node` is there when it is done. */
  start(): void {
    const { time } = this.#options;
    const { process } = this;
    this.starts += 1;
    time.after(process, 0, () => {
      this.#boot(process).catch((cause: unknown) => {
        if (process.isAlive) this.#startFailed(cause);
      });
    });
  }

  /** Ends the process where it stands, and starts another after `downMs`. */
  crash(powerCut: boolean, downMs: number): void {
    const { disk, time, down, trace } = this.#options;
    trace.add(time.nowMs, `server ${powerCut ? "loses power" : "is killed"}, down for ${downMs} ms`);
    this.process.isAlive = false; // V2
    this.node = undefined;
    this.#snapshots = undefined;
    this.process = new Process(`server ${this.starts + 1}`);
    disk.restartFor(this.process, powerCut);
    down();
    this.process.pausedUntilMs = time.nowMs + downMs;
    this.start();
  }

  /** Does nothing for `ms`, then goes on as if nothing had been. */
  pause(ms: number): void {
    this.process.pausedUntilMs = Math.max(this.process.pausedUntilMs, this.#options.time.nowMs + ms);
  }

  jumpWallClock(ms: number): void {
    this.#wallOffsetMs += ms;
  }

  takeSnapshot(): void {
    const { process } = this;
    const { time, trace } = this.#options;
    const taken = this.#snapshots?.take();
    if (taken === undefined) return;
    trace.add(time.nowMs, "server takes a snapshot");
    taken.then(
      () => {
        this.snapshots += 1;
        if (process.isAlive) trace.add(time.nowMs, "server has taken a snapshot");
      },
      (cause: unknown) => {
        if (process.isAlive) this.#snapshotFailed(cause);
      },
    );
  }

  async #boot(process: Process): Promise<void> {
    const { time, trace, random, ledger, disk, limits, partitions, segmentBytes, files, broken } = this.#options;
    const { isPredicting, forecasts, calls } = this.#options;
    await disk.logFiles.makeFolder(LOG_FOLDER);
    await disk.logFiles.syncFolder("/");
    const log = await openSegmentEventLog({
      folder: LOG_FOLDER,
      files: disk.logFiles,
      segmentBytes,
      notice: ({ kind }) => process.isAlive && trace.add(time.nowMs, `log notice ${kind}`),
    });
    await ledger.takeStock(log);
    const bulk = await DiskBulkStore.open({
      folder: "/bulk",
      files: disk.bulkFiles,
      openFilesMax: BULK_OPEN_FILES_MAX,
    });
    const { states } = await recover(log, partitions, bulk);
    for (const [partition, state] of states.entries()) this.#compare(partition, dump(state), "recovered-differs"); // V1
    const originMs = between(random, 0, 1_000_000);
    const clock = time.clockOf(process, originMs, 1, () => time.nowMs + this.#wallOffsetMs);
    const node = new Node({
      states,
      log: ledger.around(log, process, broken),
      bulk,
      clock,
      random: (bytes) => Uint8Array.from({ length: bytes }, () => Math.floor(random() * 256)),
      defer: (run) => {
        time.after(process, 0, run);
      },
      limits,
      placementKey: PLACEMENT_KEY,
      isDurable: true,
      version: "simulated",
      isPredicting,
      ...(forecasts === undefined ? {} : { forecasts }),
      isCompensationAllowed: (url) => url === ALLOWED_URL,
      callOut: new SimulatedCallOut({ time, random, broken }, process, calls),
      note: (line, fields) =>
        process.isAlive && trace.add(time.nowMs, `server notes ${line} ${JSON.stringify(fields)}`),
    });
    this.startedAtMs = time.nowMs;
    await node.start(log.lastEpoch() + 1, files);
    if (!process.isAlive) return;
    this.node = node;
    this.#snapshots = new Snapshots({
      log,
      bulk,
      clock,
      logFolder: LOG_FOLDER,
      partitions,
      snapshotBytes: this.#options.snapshotBytes,
      note: (line) => {
        if (!process.isAlive) return;
        this.snapshots += line === "snapshot taken" ? 1 : 0;
        trace.add(time.nowMs, `server notes ${line}`);
      },
      build: (work) => buildSnapshots(disk.logFiles, work),
    });
    trace.add(time.nowMs, `server ${this.starts} is up, epoch ${log.lastEpoch()}`);
  }

  #compare(partition: number, found: string, rule: string): void {
    const shadow = this.#options.ledger.shadows[partition];
    const expected = shadow === undefined ? "" : dump(shadow);
    expectRule(found === expected, rule, () => `partition ${partition}: ${differences(expected, found)}`);
  }

  #startFailed(cause: unknown): void {
    const { time, trace, disk, random, broken } = this.#options;
    if (cause instanceof Violation || disk.faults === this.#faultsSeen) return broken(cause);
    this.#faultsSeen = disk.faults;
    trace.add(time.nowMs, `server fails to start: ${String(cause)}`);
    this.crash(false, between(random, 10, 500));
  }

  #faultsSeen = 0;

  #snapshotFailed(cause: unknown): void {
    const { time, trace, disk, broken } = this.#options;
    const isExpected = disk.faults !== this.#faultsSeen || this.node?.stopCause !== undefined;
    if (!isExpected) return broken(cause);
    trace.add(time.nowMs, `snapshot failed: ${String(cause)}`);
  }
}

const PLACEMENT_KEY = Uint8Array.from({ length: 16 }, (_, index) => index * 11 + 3);

/** The first rows that only one side has. */
export function differences(expected: string, found: string): string {
  const left = new Set(expected.split("\n"));
  const right = new Set(found.split("\n"));
  const missing = [...left].filter((row) => !right.has(row)).slice(0, 4);
  const extra = [...right].filter((row) => !left.has(row)).slice(0, 4);
  return `\n  expected ${missing.join("\n           ")}\n  found    ${extra.join("\n           ")}`;
}
