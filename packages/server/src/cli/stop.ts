// stop.ts: ending a command by SIGINT, SIGTERM or SIGHUP: what it holds is given back first, then the exit code says which.
import { ForelockError } from "@forelock/protocol";
import { EXIT_SIGNAL_BASE } from "./exit-codes.ts";
import { type CliIo, STOP_SIGNAL_NUMBERS, type StopSignal } from "./io.ts";

/** Ends listening: from then on signals are someone else's affair. Idempotent. */
export interface Stop {
  /** Aborts at the first signal. */
  readonly signal: AbortSignal;
  release(): void;
}

/**
 * Runs `work`, whose signal aborts at the first stop signal. What `work` gives or throws after that yields to 128 + its number.
 */
export async function untilStopped(io: CliIo, work: (stop: Stop) => Promise<number>): Promise<number> {
  const controller = new AbortController();
  let stoppedBy: StopSignal | undefined;
  const release = io.onStop((signal) => {
    stoppedBy ??= signal;
    controller.abort(new ForelockError("cancelled", `${signal} came.`));
  });
  // A function: the compiler cannot know that the listener has run meanwhile.
  const stoppedCode = (): number | undefined => stoppedBy && EXIT_SIGNAL_BASE + STOP_SIGNAL_NUMBERS[stoppedBy];
  try {
    const code = await work({ signal: controller.signal, release });
    return stoppedCode() ?? code;
  } catch (error) {
    const code = stoppedCode();
    if (code === undefined) throw error;
    return code;
  } finally {
    release();
  }
}
