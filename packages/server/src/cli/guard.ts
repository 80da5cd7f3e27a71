// guard.ts: a child process that must not outlive the certainty that its lock is held. Not here: acquiring, releasing (lock.ts).
//   G1. SIGTERM goes out while `killAfterMs` of certainty are left, SIGKILL while KILL_MARGIN_MS are, whatever the server says.
//   G2. A grant that is known to be lost (forced, expired) is too late for that: its token is dead already, so the child gets
//       LOST_GRACE_MS to clean up, and no more.
//   G3. A child that was told to stop, for a lost lock or a warning, counts as stopped for that, however it ended.
//   G4. A warning that was listened to brings SIGTERM at once, and the rest of its countdown to clean up; SIGTERM comes once.
import { constants } from "node:os";
import { ForelockError } from "@forelock/protocol";
import { isForelockFailure } from "./forelock-error.ts";
import type { Child, ChildEnd, CliIo, SpawnWish } from "./io.ts";
import type { HeldLock, Warned } from "./remote.ts";

/** Killing and its delivery take a moment, on a busy machine a longer one. */
const KILL_MARGIN_MS = 250;
/**
 * Long enough to remove a temporary file. Less than the 500 ms that the client's safe-until leaves to the server's expiry, so
 * that a child whose session went silent is gone before anybody else is granted.
 */
const LOST_GRACE_MS = 400;
/** A short session leaves little: the child gets at most this part of what was certain at the start. */
const GRACE_RATIO = 1 / 3;
/** A warning that nobody listens to shortens certainty from one moment to the next, and so does an extension the other way. */
const LOOK_MS = 100;

export type GuardedEnd =
  | { readonly kind: "exited"; readonly code: number }
  | { readonly kind: "killed"; readonly signalNumber: number }
  | { readonly kind: "lost" }
  /** @property code what the child gave; undefined when a signal ended it */
  | { readonly kind: "preempted"; readonly code: number | undefined }
  | { readonly kind: "failed"; readonly error: NodeJS.ErrnoException };

export interface GuardWish {
  readonly spawn: SpawnWish;
  readonly killAfterMs: number;
  /** Resolves with the warning that the command is to be stopped for; as a rule never. */
  readonly warned: Promise<Warned>;
  /** @param killInMs infinite when nothing is forced */
  readonly onStopping: (reason: Error, killInMs: number) => void;
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
    return endOf(await child.ended, guard.stoppedFor);
  } catch (error) {
    return { kind: "failed", error: error as NodeJS.ErrnoException }; // Cast: spawn fails with errno errors.
  } finally {
    stopListening();
    guard.stop();
  }
}

function endOf({ code, signal }: ChildEnd, stoppedFor: "lost" | "preempted" | undefined): GuardedEnd {
  if (stoppedFor === "lost") return { kind: "lost" }; // G3
  if (stoppedFor === "preempted") return { kind: "preempted", code }; // G3
  if (code !== undefined) return { kind: "exited", code };
  return { kind: "killed", signalNumber: signal === undefined ? 0 : constants.signals[signal] };
}

class Guard {
  readonly #io: CliIo;
  readonly #held: HeldLock;
  readonly #child: Child;
  readonly #wish: GuardWish;
  readonly #graceMs: number;
  #timer: { dispose(): void } | undefined;
  #stoppedFor: "lost" | "preempted" | undefined;
  #isOver = false;

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
    void wish.warned.then((warning) => this.#onWarning(warning));
  }

  /** What the child was told to stop for. */
  get stoppedFor(): "lost" | "preempted" | undefined {
    return this.#stoppedFor;
  }

  stop(): void {
    this.#isOver = true;
    this.#timer?.dispose();
    this.#held.signal.removeEventListener("abort", this.#onAbort);
  }

  /** Sleeps until certainty runs low; each answered heartbeat has moved that moment on by then. */
  #watch(): void {
    const leftMs = this.#held.safeMs() - this.#graceMs - KILL_MARGIN_MS;
    if (leftMs > 0) {
      this.#timer = this.#io.clock.after(Math.min(LOOK_MS, Math.ceil(leftMs)), () => this.#watch());
      return;
    }
    const warning = this.#held.warning(); // G1
    if (warning?.enforced === true) this.#preempt(preemptedBy(warning));
    else this.#lose(new ForelockError("lock_lost", `No heartbeat of ${this.#held.name} was answered for too long.`));
  }

  readonly #onAbort = (): void => {
    const reason: unknown = this.#held.signal.reason;
    const error = reason instanceof Error ? reason : new ForelockError("lock_lost", `${this.#held.name} was lost.`);
    if (isForelockFailure(error) && error.code === "preempted") this.#preempt(error);
    else if (this.#stoppedFor === "preempted")
      this.#killInTime(); // It had its time to clean up.
    else this.#lose(error); // G2
  };

  /** G4 */
  #onWarning(warning: Warned): void {
    if (!this.#isOver) this.#preempt(preemptedBy(warning));
  }

  #preempt(reason: Error): void {
    if (this.#stoppedFor === "lost") return;
    if (this.#stoppedFor === undefined) {
      this.#stoppedFor = "preempted";
      this.#wish.onStopping(
        reason,
        this.#held.warning()?.enforced === false ? Number.POSITIVE_INFINITY : this.#killInMs(),
      );
      this.#child.kill("SIGTERM");
    }
    this.#killInTime();
  }

  /** As soon as nothing is certain any more; an extension, or the heartbeats of a lock that is not forced, move that on. */
  #killInTime(): void {
    this.#timer?.dispose();
    const leftMs = this.#killInMs();
    if (leftMs <= 0) this.#child.kill("SIGKILL");
    else this.#timer = this.#io.clock.after(Math.min(LOOK_MS, Math.ceil(leftMs)), () => this.#killInTime());
  }

  #killInMs(): number {
    return this.#held.signal.aborted ? 0 : Math.max(0, this.#held.safeMs() - KILL_MARGIN_MS);
  }

  #lose(reason: Error): void {
    if (this.#stoppedFor !== undefined) return;
    this.#stoppedFor = "lost";
    this.#timer?.dispose();
    const certainMs = this.#held.signal.aborted ? LOST_GRACE_MS : this.#held.safeMs() - KILL_MARGIN_MS;
    const killInMs = Math.max(0, Math.min(this.#graceMs, certainMs));
    this.#wish.onStopping(reason, killInMs);
    this.#child.kill("SIGTERM");
    this.#timer = this.#io.clock.after(killInMs, () => this.#child.kill("SIGKILL"));
  }
}

export function preemptedBy({ name, score, reason, isPending }: Warned): ForelockError {
  const what = `${isPending ? "The request for" : "The lock"} ${name} is in the way of others`;
  return new ForelockError("preempted", `${what} (risk ${score.toFixed(2)}): ${asSentence(reason)}`);
}

/** An operator's reason may be a word. */
function asSentence(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}
