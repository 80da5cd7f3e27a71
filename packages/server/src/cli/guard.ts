// guard.ts: a child process that must not outlive the certainty that its lock is held. Not here: acquiring, releasing (lock.ts).
//   G1. SIGTERM goes out while `killAfterMs` of certainty are left, SIGKILL while KILL_MARGIN_MS are, whatever the server says.
//   G2. A grant that is known to be lost (forced, expired) is too late for that: its token is dead already, so the child gets
//       LOST_GRACE_MS to clean up, and no more.
//   G3. A child that was told to stop for a lost lock counts as lost, however it ended.
import { constants } from "node:os";
import { ForelockError } from "@forelock/protocol";
import type { Child, CliIo, SpawnWish } from "./io.ts";
import type { HeldLock } from "./remote.ts";

/** Killing and its delivery take a moment, on a busy machine a longer one. */
const KILL_MARGIN_MS = 250;
/**
 * Long enough to remove a temporary file. Less than the 500 ms that the client's safe-until leaves to the server's expiry, so
 * that a child whose session went silent is gone before anybody else is granted.
 */
const LOST_GRACE_MS = 400;
/** A short session leaves little: the child gets at most this part of what was certain at the start. */
const GRACE_RATIO = 1 / 3;

export type GuardedEnd =
  | { readonly kind: "exited"; readonly code: number }
  | { readonly kind: "killed"; readonly signalNumber: number }
  | { readonly kind: "lost" }
  | { readonly kind: "failed"; readonly error: NodeJS.ErrnoException };

export interface GuardWish {
  readonly spawn: SpawnWish;
  readonly killAfterMs: number;
  readonly onLost: (reason: Error, killInMs: number) => void;
}

/** Runs the child to its end. Never rejects. */
export async function runGuarded(io: CliIo, held: HeldLock, wish: GuardWish): Promise<GuardedEnd> {
  const child = io.spawn(wish.spawn);
  const guard = new Guard(io, { held, child, wish });
  // On a terminal Ctrl-C reaches the child without us: passing it on would make it two.
  const stopListening = io.onStop((signal) => {
    if (!(signal === "SIGINT" && io.stdin.isTTY === true)) child.kill(signal);
  });
  try {
    const { code, signal } = await child.ended;
    if (guard.lost) return { kind: "lost" }; // G3
    if (code !== undefined) return { kind: "exited", code };
    return { kind: "killed", signalNumber: signal === undefined ? 0 : constants.signals[signal] };
  } catch (error) {
    return { kind: "failed", error: error as NodeJS.ErrnoException }; // Cast: spawn fails with errno errors.
  } finally {
    stopListening();
    guard.stop();
  }
}

class Guard {
  readonly #io: CliIo;
  readonly #held: HeldLock;
  readonly #child: Child;
  readonly #wish: GuardWish;
  readonly #graceMs: number;
  #timer: { dispose(): void } | undefined;
  #lost = false;

  constructor(
    io: CliIo,
    { held, child, wish }: { readonly held: HeldLock; readonly child: Child; readonly wish: GuardWish },
  ) {
    this.#io = io;
    this.#held = held;
    this.#child = child;
    this.#wish = wish;
    this.#graceMs = Math.min(wish.killAfterMs, held.safeMs() * GRACE_RATIO);
    held.signal.addEventListener("abort", this.#onAbort);
    if (held.signal.aborted) this.#onAbort();
    else this.#watch();
  }

  get lost(): boolean {
    return this.#lost;
  }

  stop(): void {
    this.#timer?.dispose();
    this.#held.signal.removeEventListener("abort", this.#onAbort);
  }

  /** Sleeps until certainty runs low; each answered heartbeat has moved that moment on by then. */
  #watch(): void {
    const leftMs = this.#held.safeMs() - this.#graceMs - KILL_MARGIN_MS;
    if (leftMs > 0) this.#timer = this.#io.clock.after(Math.ceil(leftMs), () => this.#watch());
    else
      this.#terminate(new ForelockError("lock_lost", `No heartbeat of ${this.#held.name} was answered for too long.`)); // G1
  }

  readonly #onAbort = (): void => {
    const reason: unknown = this.#held.signal.reason;
    this.#terminate(reason instanceof Error ? reason : new ForelockError("lock_lost", `${this.#held.name} was lost.`)); // G2
  };

  #terminate(reason: Error): void {
    if (this.#lost) return;
    this.#lost = true;
    this.#timer?.dispose();
    const certainMs = this.#held.signal.aborted ? LOST_GRACE_MS : this.#held.safeMs() - KILL_MARGIN_MS;
    const killInMs = Math.max(0, Math.min(this.#graceMs, certainMs));
    this.#wish.onLost(reason, killInMs);
    this.#child.kill("SIGTERM");
    this.#timer = this.#io.clock.after(killInMs, () => this.#child.kill("SIGKILL"));
  }
}
