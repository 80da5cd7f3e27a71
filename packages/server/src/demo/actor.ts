// actor.ts: one client of the demo: takes a lock, holds it, thinks, and now and then gets into trouble.
import { connect, type ForelockClient, type Lock, type Warning } from "@forelock/client";
import type { Clock } from "../clock.ts";
import { type Character, TTL_MS } from "./cast.ts";
import { draw, type Random } from "./shapes.ts";

export interface Stage {
  /** `host:port` */
  readonly endpoint: string;
  readonly clock: Clock;
  readonly random: Random;
  /** Aborts at the end of the demo. */
  readonly signal: AbortSignal;
  /** One line of what happens. */
  readonly say: (line: string) => void;
  /** Someone hangs on to a lock: an operator may have to help (operator.ts). */
  readonly troubled: (name: string, client: string) => void;
}

/** Even a hung one ends: without enforcement the queue behind it would stand for as long as the demo runs. */
const HANG_MS_MAX = 40_000;
/** Longer than what the client leaves between the signal and the forced release. */
const DEAF_MS = 4_000;
const OVERRUN_MS = 40_000;
/** Shorter than the countdown. */
const SAVE_MS = 1_500;
const AWAY_MS = 8_000;
const RECONNECT_MS = 2_000;

/** Plays until the stage's signal aborts. Does not reject. */
export async function play(character: Character, stage: Stage): Promise<void> {
  const actor = new Actor(character, stage);
  while (!stage.signal.aborted) {
    try {
      await actor.live();
    } catch {
      // A lost session, a refused request: this client is played anew, as a supervisor would start it.
    }
    await pause(stage.clock, RECONNECT_MS, stage.signal);
  }
}

class Actor {
  readonly #character: Character;
  readonly #stage: Stage;
  #nextTroubleMs: number;

  constructor(character: Character, stage: Stage) {
    this.#character = character;
    this.#stage = stage;
    this.#nextTroubleMs = stage.clock.monotonicMs() + (character.trouble?.firstMs ?? Number.POSITIVE_INFINITY);
  }

  /** From connecting to the end of the session. */
  async live(): Promise<void> {
    const { client } = this.#character;
    const { endpoint, signal, clock } = this.#stage;
    const forelock = await connect({ endpoints: endpoint, client, ttlMs: TTL_MS, signal });
    let isDead = false;
    try {
      while (!signal.aborted && !isDead) {
        isDead = await this.#turn(forelock);
        if (!isDead) await pause(clock, this.#draw("think"), signal);
      }
    } finally {
      if (!isDead) await forelock.close();
    }
    if (isDead) await pause(clock, AWAY_MS, signal);
  }

  /** @returns whether the client died */
  async #turn(forelock: ForelockClient): Promise<boolean> {
    const { names, mode, client, trouble } = this.#character;
    const { signal, random, clock, say, troubled } = this.#stage;
    const name = names[Math.floor(random() * names.length)] ?? names.join();
    const onWarning = trouble?.what.kind === "hangs" ? undefined : (warning: Warning) => this.#answer(warning);
    const lock = await forelock.lock(name, { mode, signal, ...(onWarning === undefined ? {} : { onWarning }) });
    const isDue = trouble !== undefined && clock.monotonicMs() >= this.#nextTroubleMs;
    if (!isDue) {
      await this.#hold(lock, this.#draw("hold"));
      return false;
    }
    this.#nextTroubleMs = clock.monotonicMs() + trouble.everyMs;
    switch (trouble.what.kind) {
      case "dies":
        say(`${client} dies while it holds ${name}: no more heartbeats`);
        await forelock.detach();
        return true;
      case "hangs":
        say(`${client} hangs on to ${name}, and will not answer a warning`);
        troubled(name, client);
        await pause(clock, HANG_MS_MAX, signal, lock.signal);
        await pause(clock, DEAF_MS, signal); // Its signal was aborted in good time: whoever hangs does not see that.
        await this.#hold(lock, 0);
        return false;
      case "overruns":
        say(`${client} takes far too long with ${name}, but listens to warnings`);
        await this.#hold(lock, OVERRUN_MS);
        return false;
    }
  }

  /** The client acknowledges, and releases when what this returns has settled. A request that waits has nothing to save yet. */
  #answer(warning: Warning): Promise<void> | undefined {
    const { clock, say, signal } = this.#stage;
    if (warning.isPending) return undefined;
    say(`${this.#character.client} answers the warning: saves its work, then releases ${warning.name}`);
    return pause(clock, SAVE_MS, signal);
  }

  /** Until `ms` have passed, or the lock is lost. */
  async #hold(lock: Lock, ms: number): Promise<void> {
    const { clock, signal } = this.#stage;
    await pause(clock, ms, signal, lock.signal);
    await lock.release().catch(() => {}); // Lost: that is told by the server's own event.
  }

  #draw(what: "hold" | "think"): number {
    return draw(this.#character[what], this.#stage.random);
  }
}

/** Resolves after `ms`, or when one of the signals aborts. */
export function pause(clock: Clock, ms: number, ...signals: readonly AbortSignal[]): Promise<void> {
  return new Promise((resolve) => {
    if (signals.some((signal) => signal.aborted)) return resolve();
    const done = (): void => {
      timer.dispose();
      for (const signal of signals) signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = clock.after(ms, done);
    for (const signal of signals) signal.addEventListener("abort", done);
  });
}
