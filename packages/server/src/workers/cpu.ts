// cpu.ts: the processor time that the calling thread has taken. Not here: what is made of it (balance.ts).
import { readFileSync } from "node:fs";
import { performance } from "node:perf_hooks";

const NANOSECONDS = 1e6;

/** In milliseconds, from any moment on. Where the system does not tell of threads: the time in which its event loop was busy. */
export function threadCpuMs(): number {
  try {
    // Read by this thread itself, which is whom it speaks of; nanoseconds on a processor come first.
    const [onCpu = ""] = readFileSync("/proc/thread-self/schedstat", "latin1").split(" ", 1);
    const cpuMs = Number(onCpu) / NANOSECONDS;
    if (cpuMs > 0) return cpuMs;
  } catch {
    // Not Linux, or a kernel without it.
  }
  return performance.eventLoopUtilization().active;
}
