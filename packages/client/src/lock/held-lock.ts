// lock/held-lock.ts: the handle of one entry of a grant: what `client.lock` resolves with.
// Not here: how a loss becomes known (grant.ts, grants.ts).
//   H1. A handle releases its entry once, whatever is called how often.
//   H2. A lock lost before its release is told: by the signal if someone took it, else by `release`.
//   H3. What the client gave back in time, because a warning's work was done, is not lost: `release` says what that release did.
import { ForelockError } from "@forelock/protocol";
import { Call } from "../session/request.ts";
import { abandonOn, withSignal } from "../signal.ts";
import type { Warning } from "../warning/warning.ts";
import { giveBack, reenterBody, upgradeBody } from "./acquire.ts";
import { Acquisition } from "./acquisition.ts";
import type { Grant } from "./grant.ts";
import type { Lock, Released, ReleaseOptions, RequestOptions, WaitOptions } from "./lock.ts";
import { lossOf, Release } from "./release.ts";

export class HeldLock implements Lock {
  readonly #grant: Grant;
  #released: Promise<Released> | undefined;

  constructor(grant: Grant) {
    this.#grant = grant;
  }

  get name(): string {
    return this.#grant.name;
  }

  get mode(): Lock["mode"] {
    return this.#grant.mode;
  }

  get token(): bigint {
    return this.#grant.token;
  }

  get reference(): string {
    return this.#grant.reference;
  }

  get signal(): AbortSignal {
    return this.#grant.signal;
  }

  get held(): boolean {
    return this.#released === undefined && this.#grant.lost === undefined;
  }

  get safeMs(): number {
    if (!this.held) return 0;
    const { session, warning, partition } = this.#grant;
    const safeMs = session.safeMsOf(partition);
    return warning === undefined || warning.isOver ? safeMs : Math.min(safeMs, warning.safeMs);
  }

  get warning(): Warning | undefined {
    const { warning } = this.#grant;
    return warning === undefined || warning.isOver || !this.held ? undefined : warning;
  }

  get durable(): boolean {
    return this.#grant.session.durable;
  }

  release(options?: ReleaseOptions): Promise<Released> {
    this.#released ??= this.#release(options?.undo ?? false); // H1
    return withSignal(this.#released, options?.signal);
  }

  async upgrade(options: WaitOptions = {}): Promise<void> {
    const grant = this.#usable("shared");
    grant.changing = true;
    const acquisition = new Acquisition<void>(upgradeBody(grant.name, grant.token, options.waitMs), undefined, {
      granted: ({ grants }) => this.#becomes("exclusive", grants[0]?.token),
      // Nobody waits for it any more: back to shared, as the holder believes.
      unwanted: (reply) => {
        this.#becomes("exclusive", reply.grants[0]?.token);
        void this.downgrade().catch(() => {}); // Lost meanwhile: told by the signal.
      },
    });
    grant.session.submit(acquisition);
    abandonOn(acquisition, options.signal);
    try {
      await acquisition.result;
    } finally {
      if (acquisition.state !== "abandoned") grant.changing = false;
    }
  }

  async downgrade(options: RequestOptions = {}): Promise<void> {
    const grant = this.#usable("exclusive");
    grant.changing = true;
    const call = new Call({ $case: "downgrade", value: { name: grant.name, token: grant.token } }, "downgrade");
    grant.session.submit(call);
    const done = call.promise.then(
      ({ token }) => this.#becomes("shared", token),
      (error: unknown) => {
        grant.changing = false;
        throw lossOf(grant, error);
      },
    );
    await withSignal(done, options.signal);
  }

  async reenter(options: RequestOptions = {}): Promise<Lock> {
    const grant = this.#usable(this.mode);
    const acquisition = new Acquisition<Lock>(reenterBody(grant.name, grant.token), undefined, {
      granted: () => {
        grant.entries++;
        return new HeldLock(grant);
      },
      unwanted: giveBack,
    });
    grant.session.submit(acquisition);
    abandonOn(acquisition, options.signal);
    return acquisition.result;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.release();
    } catch (error) {
      const isLoss = error instanceof ForelockError && (error.code === "lock_lost" || error.code === "preempted");
      if (!isLoss || !this.#grant.watched) throw error; // H2
    }
  }

  #release(undo: boolean): Promise<Released> {
    const grant = this.#grant;
    const { lost } = grant;
    if (lost !== undefined) return grant.warning?.handBack(undo) ?? Promise.reject(lost); // H3
    const release = new Release(grant, undo);
    if (--grant.entries === 0) {
      grant.session.grants.drop(grant);
      grant.warning?.end();
    }
    grant.session.submit(release);
    return release.promise;
  }

  #usable(mode: Lock["mode"]): Grant {
    const grant = this.#grant;
    if (grant.lost !== undefined) throw grant.lost;
    if (this.#released !== undefined) throw new ForelockError("not_held", `${grant.name} was released.`);
    if (grant.mode !== mode)
      throw new ForelockError("bad_argument", `${grant.name} is held ${grant.mode}, not ${mode}.`);
    return grant;
  }

  #becomes(mode: Lock["mode"], token: bigint | undefined): void {
    const grant = this.#grant;
    grant.changing = false;
    if (token === undefined) return;
    if (grant.lost !== undefined) {
      grant.session.releaseUnwanted(grant.name, token); // Given up meanwhile, under the token before.
      return;
    }
    grant.mode = mode;
    grant.session.grants.rekey(grant, token);
  }
}
