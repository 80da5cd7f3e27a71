// warning/received-warning.ts: one warning of pre-emption, from its first copy to the end of what was warned.
// Not here: which grant or wait a notice means (../session/session.ts, ../lock/acquisition.ts), what users see (warning.ts).
//   W1. Copies of a warning are one warning: the callback is called once, and the acknowledgement is sent until it was answered.
//   W2. An enforced countdown is given up a margin before its end. Bounds of that end come from answers, counted from their asking; until
//       there is one, from the copies. The server only ever moves the end later, so an old bound is never too late.
//   W3. The lock's signal is aborted before its release is sent, and the release is sent once.
//   W4. Nothing is given back for a callback that gave no work to wait for, or got an extension.
//   W5. What was given up in vain, because the server withdrew its warning in silence, is released after all.
import { type AcknowledgeReply, ForelockError, type PreemptionWarning } from "@forelock/protocol";
import type { Timer } from "../environment.ts";
import type { RiskPart } from "../inspect/prediction.ts";
import type { Grant } from "../lock/grant.ts";
import type { Released } from "../lock/lock.ts";
import { Release } from "../lock/release.ts";
import type { Terms } from "../lock/terms.ts";
import { Call } from "../session/request.ts";
import type { Session } from "../session/session.ts";
import { wholeNumber } from "../settings.ts";
import type { Extension, OnWarning, Warning } from "./warning.ts";

const MARGIN_MS_MIN = 50;
const MARGIN_RATIO = 0.05;
/** After the end of a countdown: by then a server that forces has told so (W5). */
const LEFT_OVER_MS = 1_000;
const EXTENSION_MS_MAX = 86_400_000;
const REASON_BYTES_MAX = 256;
const NOTHING_UNDONE: Released = Object.freeze({ undone: 0 });

/** A wait that was warned: what a warning may do to it. */
export interface WarnedWait {
  /** Leaves the queue, and rejects with `reason`. */
  abandon(reason: unknown): void;
}

/** `stopped`: the callback's work is done. `late`: the countdown ran low. Either way the signal is aborted. `over`: nothing is left to do. */
type Phase = "running" | "stopped" | "late" | "over";

export class ReceivedWarning implements Warning {
  readonly id: string;
  readonly name: string;
  readonly reference: string;
  readonly reason: string;
  readonly score: number;
  readonly parts: readonly RiskPart[];
  readonly enforced: boolean;
  readonly #session: Session;
  readonly #terms: Terms | undefined;
  #target: Grant | WarnedWait;
  #grant: Grant | undefined;
  #phase: Phase = "running";
  #lengthMs: number;
  /** Monotonic; only of a grant. */
  #endsAtMs = Number.POSITIVE_INFINITY;
  /** The end is a bound from an answer (W2). */
  #isBounded = false;
  #isAcknowledged = false;
  #timer: Timer | undefined;
  /** Promises not settled yet. */
  #open = 0;
  #hasWork = false;
  #asking = 0;
  #isExtended = false;
  #failure: { readonly cause: unknown } | undefined;
  #released: Promise<Released> | undefined;

  constructor(session: Session, notice: PreemptionWarning, target: Grant | WarnedWait, terms: Terms | undefined) {
    const { warning, name, reference, reason, risk, enforced, countdownMs } = notice;
    this.id = warning;
    this.name = name;
    this.reference = reference;
    this.reason = reason;
    this.score = risk?.score ?? 0;
    this.parts = risk?.parts ?? [];
    this.enforced = enforced;
    this.#session = session;
    this.#target = target;
    this.#terms = terms;
    this.#lengthMs = countdownMs;
    session.warnings.add(this);
  }

  /** The first copy: of a wait, unless `grant` is given. */
  begin(grant?: Grant): void {
    if (grant !== undefined) this.#countDown(grant);
    const onWarning = this.#terms?.onWarning;
    if (onWarning === undefined) return; // Nobody listens: an operator shall see that it is ignored.
    this.#acknowledge();
    queueMicrotask(() => this.#call(onWarning)); // After what else came in the frame, a grant perhaps.
  }

  /** Another copy came (W1). */
  repeated({ countdownMs }: PreemptionWarning): void {
    if (this.#phase !== "running") return;
    if (this.#grant === undefined) this.#lengthMs = Math.max(this.#lengthMs, countdownMs);
    else if (!this.#isBounded) this.#endAt(Math.min(this.#endsAtMs, this.#session.nowMs() + countdownMs));
    if (!this.#isAcknowledged) this.#acknowledge();
  }

  /** What waited was granted: its countdown begins. */
  becomes(grant: Grant): void {
    if (this.#phase !== "running") return;
    grant.warning = this;
    this.#countDown(grant);
    this.#acknowledge(); // The answer tells the countdown, or that there is none: it was passed over before it was acknowledged.
  }

  /** A connection stands again, perhaps to a server that started anew, with another countdown. */
  reconnected(): void {
    if (this.#phase === "running" && this.#isAcknowledged) this.#acknowledge();
  }

  /** What was warned ended, or is not at risk any more. */
  end(): void {
    this.#phase = "over";
    this.#timer?.dispose();
    this.#session.warnings.delete(this);
  }

  /** The grant was lost: what is still to come of the warning does not matter then, unless it was lost by the warning. */
  lost(): void {
    if (this.#phase === "running") this.end();
  }

  /** Gives the lock up when its countdown ran low (W2). Also asked by whoever looks, for the loop may have been blocked. */
  check(): void {
    if ((this.#phase !== "running" && this.#phase !== "stopped") || !this.enforced) return;
    if (this.safeMs <= 0) this.#giveUp();
  }

  /** What is left before it is given up. */
  get safeMs(): number {
    return this.enforced ? this.#endsAtMs - this.#marginMs - this.#session.nowMs() : Number.POSITIVE_INFINITY;
  }

  get isOver(): boolean {
    return this.#phase === "over";
  }

  get token(): bigint {
    return this.#grant?.token ?? 0n;
  }

  get isPending(): boolean {
    return this.#grant === undefined;
  }

  get countdownMs(): number {
    if (this.#phase === "over") return 0;
    if (this.#grant === undefined) return this.#lengthMs;
    return Math.max(0, this.#endsAtMs - this.#session.nowMs());
  }

  get releaseAt(): Date {
    return new Date(this.#session.wallMs() + this.countdownMs);
  }

  waitUntil(work: PromiseLike<unknown>): void {
    this.#open++;
    this.#hasWork = true;
    Promise.resolve(work).then(
      () => this.#settled(),
      (cause: unknown) => {
        this.#failure ??= { cause };
        this.#settled();
      },
    );
  }

  async extend(ms: number, reason: string): Promise<Extension> {
    wholeNumber("ms", ms, 1, EXTENSION_MS_MAX);
    const bytes = Buffer.byteLength(reason);
    if (bytes < 1 || bytes > REASON_BYTES_MAX) {
      throw new ForelockError("bad_argument", `reason: has ${bytes} bytes; allowed 1 to ${REASON_BYTES_MAX}.`);
    }
    if (this.#phase !== "running") return { granted: false, countdownMs: 0, reason: "The warning is over." };
    this.#asking++;
    try {
      const { state, reason: refusal } = await this.#ask(ms, reason);
      const granted = state === "extended";
      if (granted) this.#extended(ms);
      const why = state === "over" ? "The warning is over." : refusal;
      return { granted, countdownMs: this.countdownMs, reason: granted ? "" : why };
    } finally {
      this.#asking--;
      this.#finish();
    }
  }

  release(): Promise<Released> {
    const target = this.#target;
    if ("abandon" in target) {
      if (this.#phase === "running") target.abandon(this.#preempted());
      return Promise.resolve(NOTHING_UNDONE);
    }
    if (this.#phase === "running") this.#stop();
    return this.handBack(false) ?? Promise.resolve(NOTHING_UNDONE);
  }

  /**
   * The holder is done with a lock that this warning ended: releases it, if that was not done.
   * @returns undefined when it was too late: the lock counts as lost
   */
  handBack(undo: boolean): Promise<Released> | undefined {
    if (this.#phase === "running") return undefined; // Lost in another way.
    const wasLate = this.#phase === "late";
    if (this.#phase !== "over") {
      const isUndone = this.#terms?.isUndone === true && (undo || wasLate || this.#failure !== undefined);
      this.#released ??= this.#releaseAll(isUndone);
      this.end();
      if (wasLate) {
        this.#released.catch(() => {}); // Forced meanwhile: the signal has told.
        this.#released = undefined;
      }
    }
    return this.#released;
  }

  #call(onWarning: OnWarning): void {
    if (this.#phase === "over") return; // Released, or lost, since the notice came.
    const result = onWarning(this); // Throws into the microtask: an uncaught exception, as documented.
    if (!isPromiseLike(result)) return;
    this.waitUntil(result);
    result.then(undefined, (error: unknown) => queueMicrotask(() => raise(error)));
  }

  #settled(): void {
    this.#open--;
    this.#finish();
  }

  /** W4 */
  #finish(): void {
    if (!this.#hasWork || this.#isExtended || this.#open + this.#asking > 0) return;
    if (this.#phase !== "running" || this.#grant === undefined) return;
    this.#stop();
    if (this.#terms?.isOfCallback === true) return; // The end of the callback releases.
    this.handBack(false)?.catch(() => {}); // Whoever releases the lock learns of it: held-lock.ts.
  }

  #extended(ms: number): void {
    this.#isExtended = true;
    if (this.#grant === undefined) this.#lengthMs += ms;
    else if (!this.enforced) this.#endsAtMs += ms;
  }

  #countDown(grant: Grant): void {
    this.#grant = grant;
    this.#target = grant;
    this.#isBounded = false;
    this.#endAt(this.#session.nowMs() + this.#lengthMs);
  }

  #endAt(endsAtMs: number): void {
    this.#endsAtMs = endsAtMs;
    this.#timer?.dispose();
    if (!this.enforced) return;
    this.#timer = this.#session.after(Math.max(0, this.safeMs), () => {
      this.check();
      if (this.#phase === "running" || this.#phase === "stopped") this.#endAt(this.#endsAtMs); // Timers may be early.
    });
  }

  #acknowledge(): void {
    if (this.#terms?.onWarning === undefined) return;
    this.#isAcknowledged = true;
    this.#ask(undefined, "").catch(() => {
      this.#isAcknowledged = false; // The next copy asks again.
    });
  }

  async #ask(extensionMs: number | undefined, reason: string): Promise<AcknowledgeReply> {
    const value = { warning: this.id, name: this.name, extensionMs, reason };
    const call = new Call({ $case: "acknowledge", value }, "acknowledge");
    this.#session.submit(call);
    const reply = await call.promise;
    this.#told(reply, call.issuedAtMs);
    return reply;
  }

  #told({ state, countdownMs }: AcknowledgeReply, askedAtMs: number): void {
    if (this.#phase !== "running") return;
    if (state === "over") {
      if (this.#grant !== undefined) this.end(); // A wait may have been granted meanwhile: it asks again then.
    } else if (countdownMs >= 0 && this.#grant !== undefined) {
      const boundMs = askedAtMs + countdownMs; // W2
      const endsAtMs = this.#isBounded ? Math.max(this.#endsAtMs, boundMs) : boundMs;
      this.#isBounded = true;
      this.#endAt(endsAtMs);
    }
  }

  #stop(): void {
    this.#phase = "stopped";
    this.#abort();
  }

  #giveUp(): void {
    const isAborted = this.#phase === "stopped";
    this.#phase = "late";
    this.#timer?.dispose();
    this.#timer = this.#session.after(this.countdownMs + LEFT_OVER_MS, () => this.handBack(false)); // W5
    if (!isAborted) this.#abort();
  }

  /** W3 */
  #abort(): void {
    if (this.#grant !== undefined) this.#session.grants.loseBy(this.#grant, this.#preempted());
  }

  /** Every entry of the grant that was not released; the answer is that of the last, which ends it. */
  #releaseAll(undo: boolean): Promise<Released> {
    const grant = this.#grant;
    let released = Promise.resolve(NOTHING_UNDONE);
    for (; grant !== undefined && grant.entries > 0; grant.entries--) {
      released.catch(() => {}); // That of the last tells the same.
      const release = new Release(grant, undo);
      this.#session.submit(release);
      released = release.promise;
    }
    return released;
  }

  #preempted(): ForelockError {
    const what = this.isPending ? `The request for ${this.name}` : `The lock ${this.name} (token ${this.token})`;
    const details = { warning: this.id, score: this.score, reason: this.reason };
    return preempted(what, details, this.#failure);
  }

  get #marginMs(): number {
    return Math.max(MARGIN_MS_MIN, this.#lengthMs * MARGIN_RATIO);
  }
}

/** A notice of a warning came for a grant. */
export function warnGrant(grant: Grant, notice: PreemptionWarning): void {
  if (grant.warning?.id === notice.warning) {
    grant.warning.repeated(notice); // W1
    return;
  }
  grant.warning?.end(); // One that was ignored, and not enforced.
  grant.warning = new ReceivedWarning(grant.session, notice, grant, grant.terms);
  grant.warning.begin(grant);
}

/** @param what of which it is told, such as `The lock a (token 7)` */
export function preempted(
  what: string,
  details: { readonly reason: string } & Readonly<Record<string, unknown>>,
  options: ErrorOptions = {},
): ForelockError {
  const why = details.reason === "" ? "others wait" : details.reason;
  const end = /[.!?]$/.test(why) ? "" : "."; // An operator's reason may be a word.
  return new ForelockError("preempted", `${what} was pre-empted: ${why}${end}`, { ...options, details });
}

function isPromiseLike(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}

function raise(error: unknown): never {
  throw error;
}
