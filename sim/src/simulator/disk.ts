// disk.ts: the disk of the simulated server: log files and bulk files in memory, slow, failing and forgetful as the run wants.
//   K1. A kill loses what the process had in mind; a power cut also what was not synced.
import { type FileCall, type FileFault, type Files, faultyFiles, MemoryFiles, SimulatedFiles } from "forelock/internal";
import { between, type Random } from "../proxy/random.ts";
import type { Process, SimulatedTime } from "./time.ts";

const SLOW_FACTOR = 60;

export class SimulatedDisk {
  readonly logFiles: Files;
  /** Calls of the log that were made to fail. */
  faults = 0;
  readonly #memory: MemoryFiles;
  readonly #time: SimulatedTime;
  readonly #random: Random;
  #bulkFiles: SimulatedFiles;
  #process: Process;
  #slowUntilMs = 0;
  #armed: { left: number; readonly call: FileCall; readonly fault: FileFault } | undefined;

  constructor(time: SimulatedTime, random: Random, process: Process) {
    this.#time = time;
    this.#random = random;
    this.#process = process;
    this.#memory = new MemoryFiles({ pause: (call) => this.#pause(call) });
    this.#bulkFiles = new SimulatedFiles(random);
    this.logFiles = faultyFiles(this.#memory, (call) => this.#faultOf(call));
  }

  get bulkFiles(): SimulatedFiles {
    return this.#bulkFiles;
  }

  /** The server that uses the disk from now on. K1 */
  restartFor(process: Process, powerCut: boolean): void {
    this.#process = process;
    this.#armed = undefined;
    if (powerCut) this.#memory.crash(this.#random);
    this.#bulkFiles = powerCut ? this.#bulkFiles.crash() : this.#bulkFiles.kill();
  }

  slowFor(ms: number): void {
    this.#slowUntilMs = this.#time.nowMs + ms;
  }

  /** The call of this kind after `left` others fails. */
  arm(call: FileCall, fault: FileFault, left: number): void {
    this.#armed = { left, call, fault };
  }

  #faultOf(call: FileCall): FileFault | undefined {
    if (this.#armed === undefined || this.#armed.call !== call) return undefined;
    this.#armed.left -= 1;
    if (this.#armed.left >= 0) return undefined;
    const { fault } = this.#armed;
    this.#armed = undefined;
    this.faults += 1;
    return fault;
  }

  #pause(call: "read" | "write" | "sync" | "other"): Promise<void> {
    if (call === "read" || call === "other") return Promise.resolve();
    const factor = this.#time.nowMs < this.#slowUntilMs ? SLOW_FACTOR : 1;
    const delayMs = (between(this.#random, 100, 2_000) / 1_000) * factor;
    return new Promise((resolve) => this.#time.after(this.#process, delayMs, resolve));
  }
}
