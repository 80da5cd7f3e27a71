// lock.ts: `forelock lock NAME -- CMD`: runs a command while a lock is held. The watch over the command stands in guard.ts.
//   K1. The command runs only while the lock is certainly held: it is stopped before anybody else can be granted.
//   K2. However this ends, by the command, a signal, or a failure, the lock is given back at once when the server can be told.
//   K3. With --rollback what was done under the lock stays only when the command gave 0.
//   K4. A warning is acknowledged, and stops the command; with `--on-warning ignore` it is neither, until its countdown runs low (K1).
import { type ErrorCode, unreachable } from "@forelock/protocol";
import { type ForelockCommand, type Invocation, makeCommand, onRun, option } from "./command.ts";
import type { Context } from "./context.ts";
import { formatDuration, parseDurationMs } from "./duration.ts";
import { EXIT_CODES, EXIT_SIGNAL_BASE } from "./exit-codes.ts";
import { isForelockFailure } from "./forelock-error.ts";
import { type GuardedEnd, preemptedBy, runGuarded } from "./guard.ts";
import { etaCell } from "./outlook.ts";
import { formatCount, parseCount, printable, toJson } from "./quantity.ts";
import type { HeldLock, ModeWord, QueuePlace, Remote, Warned } from "./remote.ts";
import { untilStopped } from "./stop.ts";
import { UsageError } from "./usage-error.ts";

export interface LockOptions {
  readonly shared?: true;
  readonly permits?: string;
  readonly take?: string;
  readonly wait?: string | false;
  readonly rollback?: true;
  readonly ttl?: string;
  readonly killAfter?: string;
  readonly onWarning?: string;
}

export function lockCommand(invocation: Invocation): ForelockCommand {
  const command = makeCommand({
    usage: "lock NAME -- CMD [ARG...]",
    summary: "Run a command while holding a lock",
    examples: [
      "forelock lock orders/42 --wait 5s -- ./import.sh",
      "forelock lock nightly --no-wait --rollback -- sh -c 'date | forelock append nightly'",
    ],
    notes: [
      "The command finds FORELOCK_TOKEN, FORELOCK_LOCK, FORELOCK_ENDPOINT and FORELOCK_REFERENCE in its environment, and `forelock append` uses them. Signals are passed on to it. When the lock is lost it gets SIGTERM, then SIGKILL, before anybody else can be granted.",
      "On a warning that the lock is in the way of others the command gets SIGTERM, and, where the warning is enforced, SIGKILL before the release is forced; the warning is acknowledged, and the lock released as soon as the command has ended.",
      "Exit codes: the command's own, or 111 busy, 112 timeout, 113 lost, 114 unavailable, 121 stopped for a warning; `forelock help exit-codes` lists all.",
    ],
  })
    .argument("<name>")
    .argument("[command...]")
    .addOption(option("--shared", "Share the lock with other --shared holders"))
    .addOption(option("--permits <count>", "Use the lock as a semaphore with this limit"))
    .addOption(option("--take <count>", "Permits to take; with --permits", { default: "1" }))
    .addOption(option("--wait <duration>", "Wait at most this long for the lock", { default: "no limit" }))
    .addOption(option("--no-wait", "Do not wait: exit with 111 when it is held"))
    .addOption(option("--rollback", "Undo the command's effects in Forelock unless it gives 0"))
    .addOption(
      option(
        "--on-warning <term|ignore>",
        "What a warning does: SIGTERM to the command, or nothing until it is enforced",
        {
          default: "term",
        },
      ),
    )
    .addOption(
      option("--kill-after <duration>", "Time between SIGTERM and SIGKILL when the lock is lost", { default: "5s" }),
    )
    .addOption(
      option("--ttl <duration>", "Session time: without a sign of life the lock is freed", {
        default: "the server's, 30s",
      }),
    );
  return onRun<LockOptions>(command, invocation, async (context, options, [name = "", ...argv]) => {
    const [program, ...args] = argv;
    if (program === undefined) {
      throw new UsageError("No command: put it behind --, as in `forelock lock NAME -- ./import.sh`.");
    }
    const plan = readLockPlan(name, options);
    return new LockRun(context, plan).run(program, args);
  });
}

/** The options, checked. */
export interface LockPlan {
  readonly name: string;
  readonly mode: ModeWord;
  readonly permits: number;
  readonly take: number;
  readonly waitMs: number | undefined;
  readonly rollback: boolean;
  readonly ttlMs: number | undefined;
  readonly killAfterMs: number;
  readonly onWarning: "term" | "ignore";
}

const PERMITS_MAX = 1_000_000;

/** @throws UsageError */
export function readLockPlan(name: string, options: LockOptions): LockPlan {
  if (options.shared === true && options.permits !== undefined) {
    throw new UsageError("--shared and --permits exclude each other: a lock is shared, or a semaphore.");
  }
  if (options.take !== undefined && options.permits === undefined) {
    throw new UsageError(`--take is "${options.take}", but only a semaphore has permits to take: add --permits N.`);
  }
  if (options.rollback === true && (options.shared === true || options.permits !== undefined)) {
    throw new UsageError("--rollback needs an exclusive lock: leave out --shared and --permits.");
  }
  const permits =
    options.permits === undefined ? 0 : parseCount("--permits", options.permits, { min: 1, max: PERMITS_MAX });
  return {
    name,
    mode: options.permits !== undefined ? "permit" : options.shared === true ? "shared" : "exclusive",
    permits,
    take: permits === 0 ? 0 : parseCount("--take", options.take ?? "1", { min: 1, max: permits }),
    waitMs:
      options.wait === false
        ? 0
        : typeof options.wait === "string"
          ? parseDurationMs("--wait", options.wait)
          : undefined,
    rollback: options.rollback === true,
    ttlMs: options.ttl === undefined ? undefined : parseDurationMs("--ttl", options.ttl),
    killAfterMs: parseDurationMs("--kill-after", options.killAfter ?? "5s"),
    onWarning: parseOnWarning(options.onWarning ?? "term"),
  };
}

function parseOnWarning(text: string): LockPlan["onWarning"] {
  if (text === "term" || text === "ignore") return text;
  throw new UsageError(`--on-warning is "${text}": give term or ignore.`);
}

class LockRun {
  readonly #context: Context;
  readonly #plan: LockPlan;
  /** Resolves with the first warning of the grant; as a rule never. */
  readonly #warned: Promise<Warned>;
  #warn!: (warning: Warned) => void; // Set by the promise's constructor, which runs at once.

  constructor(context: Context, plan: LockPlan) {
    this.#context = context;
    this.#plan = plan;
    this.#warned = new Promise((resolve) => {
      this.#warn = resolve;
    });
  }

  async run(program: string, args: readonly string[]): Promise<number> {
    const { endpoint } = await this.#context.target();
    return untilStopped(this.#context.io, async (stop) => {
      await using remote = await this.#context.connect({ session: "open", ttlMs: this.#plan.ttlMs });
      const held = await this.#acquire(remote, stop.signal);
      stop.release(); // From here on guard.ts listens, and passes signals on.
      return await this.#runHolding(held, { program, args, endpoint });
    });
  }

  async #acquire(remote: Remote, signal: AbortSignal): Promise<HeldLock> {
    const { name, mode, permits, take, waitMs, rollback, onWarning } = this.#plan;
    const held = await remote.acquire({
      name,
      mode,
      permits,
      take,
      waitMs,
      rollback,
      signal,
      onQueued: (place) => this.#say(place),
      ...(onWarning === "term" && { onWarning: (warning: Warned) => this.#hear(warning) }), // K4
    });
    this.#context.err.settle();
    this.#event("granted", { name, token: held.token, reference: held.reference });
    return held;
  }

  #say({ position, eta, reference }: QueuePlace): void {
    const { json, err } = this.#context;
    if (json) this.#event("queued", { name: this.#plan.name, position, eta, reference });
    else {
      const place = `place ${formatCount(position)}${eta === undefined ? "" : `, ${etaCell(eta)} to go`}`;
      err.live(`forelock: waiting for ${printable(this.#plan.name)}, ${place} (operation ${reference})`);
    }
  }

  #hear(warning: Warned): void {
    const { id, name, reason, score, enforced, isPending, countdownMs } = warning;
    const facts = { warning: id, reason, score, enforced, pending: isPending, countdownMs: Math.round(countdownMs) };
    this.#event("warned", { name, ...facts });
    if (!isPending) this.#warn(warning);
    else if (!this.#context.json && enforced) {
      const told = printable(preemptedBy(warning).plainMessage);
      this.#context.err.note(`forelock: ${told} Once granted, the command has ${formatDuration(countdownMs)}.`);
    }
  }

  async #runHolding(
    held: HeldLock,
    {
      program,
      args,
      endpoint,
    }: { readonly program: string; readonly args: readonly string[]; readonly endpoint: string },
  ): Promise<number> {
    const { io } = this.#context;
    const env = {
      ...io.env,
      FORELOCK_TOKEN: String(held.token),
      FORELOCK_LOCK: held.name,
      FORELOCK_ENDPOINT: endpoint,
      FORELOCK_REFERENCE: held.reference,
    };
    const end = await runGuarded(io, held, {
      spawn: { command: program, args, env },
      killAfterMs: this.#plan.killAfterMs,
      warned: this.#warned,
      onStopping: (reason, killInMs) => this.#sayStopping(reason, killInMs),
    });
    return this.#giveBack(held, end, program);
  }

  #sayStopping(reason: Error, killInMs: number): void {
    const { json, err } = this.#context;
    const isPreempted = isForelockFailure(reason) && reason.code === "preempted";
    if (json) this.#event(isPreempted ? "preempted" : "lost", { name: this.#plan.name, reason: reason.message });
    else {
      const told = printable((isPreempted ? reason.plainMessage : undefined) ?? reason.message); // The hint would tell to stop, which is done here.
      const kill = Number.isFinite(killInMs) ? `SIGTERM now, SIGKILL in ${formatDuration(killInMs)}` : "SIGTERM now";
      err.note(`forelock: ${told} Stopping the command: ${kill}.`);
    }
  }

  async #giveBack(held: HeldLock, end: GuardedEnd, program: string): Promise<number> {
    const code = exitCodeOf(end);
    const undo = this.#plan.rollback && !gaveZero(end); // K3
    try {
      await held.release({ undo });
      this.#event("released", { name: held.name, token: held.token, undo });
      if (undo && !this.#context.json) {
        await this.#context.err.line("forelock: the command did not give 0: its effects in Forelock are undone.");
      }
    } catch (error) {
      if (end.kind === "lost") return code;
      if (end.kind === "preempted" && isForelockFailure(error) && isLoss(error.code)) return code;
      if (this.#plan.rollback) throw error; // Nobody has confirmed what stays: the command's 0 would say too much.
      if (isForelockFailure(error) && isLoss(error.code)) throw error;
      await this.#context.err.line(
        `forelock: the lock could not be given back, and will expire: ${printable(String(error))}`,
      );
    }
    if (end.kind === "failed") {
      const reason =
        code === EXIT_CODES.not_found.code ? "was not found" : `cannot be run (${end.error.code ?? end.error.message})`;
      await this.#context.err.line(`forelock: the command "${printable(program)}" ${reason}.`);
    }
    return code;
  }

  #event(event: string, facts: Readonly<Record<string, unknown>>): void {
    if (this.#context.json) this.#context.io.stderr.write(`${toJson({ event, ...facts })}\n`); // stdout is the command's.
  }
}

function gaveZero(end: GuardedEnd): boolean {
  return (end.kind === "exited" || end.kind === "preempted") && end.code === 0;
}

function isLoss(code: ErrorCode): boolean {
  return code === "lock_lost" || code === "preempted";
}

function exitCodeOf(end: GuardedEnd): number {
  switch (end.kind) {
    case "exited":
      return end.code;
    case "killed":
      return EXIT_SIGNAL_BASE + end.signalNumber;
    case "lost":
      return EXIT_CODES.lost.code;
    case "preempted":
      return EXIT_CODES.preempted.code;
    case "failed":
      return end.error.code === "ENOENT" ? EXIT_CODES.not_found.code : EXIT_CODES.not_executable.code;
    default:
      return unreachable(end);
  }
}
