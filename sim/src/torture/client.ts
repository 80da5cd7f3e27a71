// client.ts: one client of a run over the bare protocol: plays its role on a session, dies now and then, and starts anew.
// Not here: how an operation is asked and written down (recorded-session.ts).
//   D1. Every value is written once in a run: the name of the client plus a counter.
//   D2. A restarted client has a new name.
import { Mode, unreachable } from "@forelock/protocol";
import { pause } from "../proxy/clock.ts";
import { between, choose } from "../proxy/random.ts";
import type { Role } from "./elements.ts";
import { type Held, RecordedSession, type RecordedSessionOptions, type Wish } from "./recorded-session.ts";

export interface ClientOptions extends Omit<RecordedSessionOptions, "process" | "ttlMs"> {
  readonly name: string;
  readonly role: Role;
  /** No new work once aborted. */
  readonly stop: AbortSignal;
}

const TTL_MS_CHOICES = [1_500, 2_000, 3_000] as const;
const WAIT_MS_MIN = 500;
const WAIT_MS_MAX = 4_000;
const READ_RECORDS_MAX = 40;
const NOBODY_ANSWERS_MS = 500;
/** A server that refuses everything must not be hammered for ever. */
const LIVES_MAX = 500;

/** How often what happens to a client happens, on average. Dying while it holds stops its element for a ttl: seldom. */
const FATE_MS = { die: 15_000, dieHolding: 40_000, stopBeating: 40_000, reconnect: 4_000, hang: 8_000 } as const;
/** Longer than a countdown, and it is over before the run is. */
const HANG_MS_MIN = 2_500;
const HANG_MS_MAX = 5_000;
type Fate = keyof typeof FATE_MS;

/** Of what a client does, per cycle or per operation. */
const CHANCES = {
  try: 0.15,
  askAgain: 0.1,
  undo: 0.1,
  useStaleToken: 0.2,
  read: 0.1,
  exclusive: 0.4,
  rollback: 0.8,
  oneOfBatch: 0.3,
} as const;

export class Client {
  readonly #options: ClientOptions;
  #lives = 0;
  #values = 0;
  #recordsSeen = 0;
  readonly #dueMs = new Map<Fate, number>();
  /** Rounds of its role, for the summary. */
  cycles = 0;

  constructor(options: ClientOptions) {
    this.#options = options;
  }

  get name(): string {
    return this.#options.name;
  }

  async run(): Promise<void> {
    const { stop, clock, random, name } = this.#options;
    while (!stop.aborted && this.#lives < LIVES_MAX) {
      const ttlMs = choose(random, TTL_MS_CHOICES);
      const session = await RecordedSession.open({ ...this.#options, process: `${name}.${this.#lives}`, ttlMs }); // D2
      this.#lives += 1;
      if (session === undefined) {
        await pause(clock, NOBODY_ANSWERS_MS, stop);
        continue;
      }
      while (!stop.aborted && session.isAlive) {
        this.cycles += 1;
        await this.#cycle(session);
        this.#suffer(session);
        await pause(clock, between(random, 0, 4));
      }
      await session.end();
    }
  }

  #suffer(session: RecordedSession): void {
    if (this.#isDue("die")) session.die();
    if (this.#isDue("stopBeating")) session.stopBeating();
    if (this.#isDue("reconnect")) session.reconnect();
  }

  /** Whether it is time; draws the next time. */
  #isDue(fate: Fate): boolean {
    const { clock, random } = this.#options;
    const nowMs = clock.monotonicMs();
    const dueMs = this.#dueMs.get(fate);
    if (dueMs !== undefined && nowMs < dueMs) return false;
    this.#dueMs.set(fate, nowMs + FATE_MS[fate] * 2 * random());
    return dueMs !== undefined;
  }

  async #cycle(session: RecordedSession): Promise<void> {
    const { role, random } = this.#options;
    const waitMs = random() < CHANCES.try ? 0 : between(random, WAIT_MS_MIN, WAIT_MS_MAX);
    const element = choose(random, role.elements);
    switch (role.kind) {
      case "file":
        await this.#fileCycle(session, role, { element, waitMs, rollback: role.undo && random() < CHANCES.rollback });
        break;
      case "shared":
        await this.#holdOne(session, {
          element,
          waitMs,
          mode: random() < CHANCES.exclusive ? Mode.EXCLUSIVE : Mode.SHARED,
        });
        break;
      case "permit":
        await this.#holdOne(session, {
          element,
          waitMs,
          mode: Mode.PERMIT,
          permits: role.limit,
          take: between(random, 1, 2),
        });
        break;
      case "tree":
        await this.#holdOne(session, { element, waitMs, mode: Mode.EXCLUSIVE, tree: true });
        break;
      case "batch":
        if (random() < CHANCES.oneOfBatch) await this.#holdOne(session, { element, waitMs, mode: Mode.EXCLUSIVE });
        else await this.#hold(session, await session.acquireAll(role.elements, waitMs));
        break;
      default:
        unreachable(role);
    }
  }

  async #fileCycle(
    session: RecordedSession,
    role: Role & { readonly kind: "file" },
    { element, waitMs, rollback }: { readonly element: string; readonly waitMs: number; readonly rollback: boolean },
  ): Promise<void> {
    const { random, clock, stop } = this.#options;
    if (random() < CHANCES.read) await this.#read(session, element);
    const held = await session.acquire({ element, waitMs, mode: Mode.EXCLUSIVE, rollback });
    if (held === undefined) return;
    for (let left = between(random, 0, 3); left > 0 && session.isAlive; left -= 1) await this.#append(session, held);
    if (role.hangs && this.#isDue("hang")) {
      await pause(clock, between(random, HANG_MS_MIN, HANG_MS_MAX), stop);
      // What it goes on with when it wakes: refused, if it was pre-empted.
      if (session.isAlive) await this.#append(session, held);
    }
    if (this.#isDue("dieHolding")) session.die();
    if (session.isAlive) await session.release(held, rollback && random() < CHANCES.undo);
    // The token is stale now: what is still sent under it must be refused.
    if (random() < CHANCES.useStaleToken && session.isAlive) await this.#append(session, held);
  }

  async #append(session: RecordedSession, held: Held): Promise<void> {
    const { random, name } = this.#options;
    this.#values += 1;
    const appended = await session.append(held, `${name}-${this.#values}`); // D1
    if (appended === undefined || random() >= CHANCES.askAgain || !session.isAlive) return;
    await session.append(held, appended.value, appended.sequence);
  }

  async #read(session: RecordedSession, element: string): Promise<void> {
    const from = Math.max(0, this.#recordsSeen - between(this.#options.random, 0, READ_RECORDS_MAX * 2));
    this.#recordsSeen = (await session.read(element, from, READ_RECORDS_MAX)) ?? this.#recordsSeen;
  }

  async #holdOne(session: RecordedSession, wish: Wish): Promise<void> {
    const held = await session.acquire(wish);
    if (held !== undefined) await this.#hold(session, [held]);
  }

  async #hold(session: RecordedSession, held: readonly Held[]): Promise<void> {
    await pause(this.#options.clock, between(this.#options.random, 0, 5));
    if (this.#isDue("dieHolding")) session.die();
    for (const one of held) if (session.isAlive) await session.release(one, false);
  }
}
