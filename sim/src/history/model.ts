// model.ts: a small lock service in one place, correct unless told to have one bug, under clients with slow and lost answers.
// It makes the histories of check.property.test.ts: a checker that accuses the correct model is unsound.
// Not here: what Forelock does; only what every lock service of this kind must do.
import { between, choose, type Random, seededRandom } from "../proxy/random.ts";
import type { HistoryLine } from "./record.ts";
import { type Telling, tell } from "./story.ts";

export type ModelBug =
  | "none"
  | "early_expiry"
  | "token_reused"
  | "no_fence"
  | "no_undo"
  | "doubled_retry"
  | "lost_append"
  | "ignored_token";

const TTL_MS = 400;
const CLIENTS = 6;

interface Holder {
  readonly session: string;
  readonly token: number;
  readonly rollback: boolean;
  readonly firstEntry: number;
}

interface Element {
  holder: Holder | undefined;
  token: number;
  readonly queue: (() => void)[];
  entries: string[];
}

export function modelHistory(seed: number, bug: ModelBug, untilMs: number): readonly HistoryLine[] {
  const model = new Model(seededRandom(seed), bug);
  for (let client = 0; client < CLIENTS; client += 1) model.startClient(`c${client}.0`);
  model.run(untilMs);
  return model.lines.map((line, index) => ({ ...line, line: index + 1 }));
}

class Model {
  readonly lines: Telling[] = [];
  readonly #random: Random;
  readonly #bug: ModelBug;
  readonly #events: { readonly atMs: number; readonly run: () => void }[] = [];
  readonly #elements = new Map<string, Element>();
  readonly #started = new Set<string>();
  readonly #heard = new Map<string, number>();
  readonly #answers = new Map<string, number>();
  #nowMs = 0;
  #untilMs = 0;
  #values = 0;

  constructor(random: Random, bug: ModelBug) {
    this.#random = random;
    this.#bug = bug;
  }

  run(untilMs: number): void {
    this.#untilMs = untilMs;
    while (this.#events.length > 0) {
      const index = this.#events.reduce(
        (best, event, at) => (event.atMs < (this.#events[best]?.atMs ?? 0) ? at : best),
        0,
      );
      const [event] = this.#events.splice(index, 1);
      if (event === undefined) continue;
      this.#nowMs = event.atMs;
      for (const [key, element] of this.#elements) this.#expire(key, element);
      event.run();
    }
    for (const [key, element] of this.#elements) {
      this.lines.push(
        tell("reader", "read", key, [this.#nowMs + 1, this.#nowMs + 2], { result: { entries: [...element.entries] } }),
      );
    }
  }

  startClient(name: string): void {
    if (this.#isOver() || this.#started.has(name)) return;
    this.#started.add(name);
    const session = `${name}@0`;
    const callMs = this.#nowMs;
    this.#after(this.#lag(), () => {
      this.#heard.set(session, this.#nowMs);
      this.#after(this.#lag(), () => {
        this.lines.push(
          tell(`${name}/open`, "session_open", session, [callMs, this.#nowMs], { args: { ttl_ms: TTL_MS } }),
        );
        this.#beat(name, session);
        this.#cycle(name, session);
      });
    });
  }

  /** Some clients stop being heard from for longer than the ttl, and come back. */
  #beat(name: string, session: string): void {
    if (this.#isOver()) return;
    const callMs = this.#nowMs;
    this.#after(this.#lag(), () => {
      const alive = this.#isAlive(session);
      if (alive) this.#heard.set(session, this.#nowMs);
      this.#after(this.#lag(), () => {
        this.lines.push(tell(`${name}/beat`, "keepalive", session, [callMs, this.#nowMs], { result: { alive } }));
        if (alive) this.#after(this.#random() < 0.06 ? TTL_MS * 2 : TTL_MS / 4, () => this.#beat(name, session));
      });
    });
  }

  #cycle(name: string, session: string): void {
    if (this.#isOver()) return;
    const key = choose(this.#random, ["x", "y"]);
    const rollback = this.#random() < 0.5;
    const callMs = this.#nowMs;
    const lost = this.#random() < 0.05;
    this.#after(this.#lag(), () => {
      const element = this.#element(key);
      const grant = (): void => {
        if (!this.#isAlive(session)) {
          this.#next(element);
          return;
        }
        element.token += this.#bug === "token_reused" && this.#random() < 0.2 ? 0 : 1;
        element.holder = { session, token: element.token, rollback, firstEntry: element.entries.length };
        const { token } = element;
        const args = { owner: `${name}/${callMs}`, session, ...(rollback ? { on_loss: "rollback" } : {}) };
        if (lost) {
          this.lines.push(tell(name, "acquire", key, [callMs, null], { args }));
          this.startClient(renamed(name));
          return;
        }
        this.#after(this.#lag(), () => {
          this.lines.push(
            tell(name, "acquire", key, [callMs, this.#nowMs], { args, result: { granted: true, token } }),
          );
          this.#work({ name, session, key, token, left: between(this.#random, 0, 3) });
        });
      };
      if (element.holder === undefined) grant();
      else element.queue.push(grant);
    });
    // A waiter whose session died is never answered: its client starts anew.
    this.#after(TTL_MS * 8, () => {
      if (!this.#isAlive(session)) this.startClient(renamed(name));
    });
  }

  #work(task: {
    readonly name: string;
    readonly session: string;
    readonly key: string;
    readonly token: number;
    readonly left: number;
  }): void {
    const { name, key, token, left } = task;
    if (left === 0) {
      this.#release(task);
      return;
    }
    this.#values += 1;
    const value = `v${this.#values}`;
    const attempt = (again: boolean): void => {
      const callMs = this.#nowMs;
      const lost = !again && this.#random() < 0.15;
      this.#after(this.#lag(), () => {
        const index = this.#append(key, token, value);
        const result = index === undefined ? { applied: false, reason: "stale_token" } : { index };
        const told: Telling = tell(name, "append", key, [callMs, null], {
          args: { value, token, lock: key },
          req: value,
        });
        if (lost) {
          this.lines.push(told);
          this.#after(this.#lag(), () =>
            this.#random() < 0.7 ? attempt(true) : this.#work({ ...task, left: left - 1 }),
          );
          return;
        }
        this.#after(this.#lag(), () => {
          this.lines.push(tell(name, "append", key, [callMs, this.#nowMs], { args: told.args, result, req: value }));
          this.#work({ ...task, left: left - 1 });
        });
      });
    };
    if (this.#random() < 0.1) this.#read(key);
    attempt(false);
  }

  #release({
    name,
    session,
    key,
    token,
  }: {
    readonly name: string;
    readonly session: string;
    readonly key: string;
    readonly token: number;
  }): void {
    const callMs = this.#nowMs;
    const lost = this.#random() < 0.05;
    const pauseMs = this.#random() < 0.1 ? TTL_MS : 0;
    this.#after(this.#lag() + pauseMs, () => {
      const element = this.#element(key);
      const released =
        element.holder?.token === token || (this.#bug === "ignored_token" && element.holder !== undefined);
      if (released) this.#next(element);
      this.#after(this.#lag(), () => {
        const times = [callMs, lost ? null : this.#nowMs] as const;
        this.lines.push(
          tell(name, "release", key, times, {
            args: { token },
            result: released ? { released } : { released, reason: "stale_token" },
          }),
        );
        this.#after(this.#lag(), () =>
          lost || !this.#isAlive(session) ? this.startClient(renamed(name)) : this.#cycle(name, session),
        );
      });
    });
  }

  #read(key: string): void {
    const callMs = this.#nowMs;
    const reader = `reader/${key}/${callMs}/${this.lines.length}`;
    this.#after(this.#lag(), () => {
      const entries = [...this.#element(key).entries];
      this.#after(this.#lag(), () =>
        this.lines.push(tell(reader, "read", key, [callMs, this.#nowMs], { result: { entries } })),
      );
    });
  }

  #append(key: string, token: number, value: string): number | undefined {
    const element = this.#element(key);
    const before = this.#answers.get(value);
    if (before !== undefined && this.#bug !== "doubled_retry") return before;
    if (element.holder?.token !== token && this.#bug !== "no_fence") return undefined;
    const index = element.entries.length;
    this.#answers.set(value, index);
    if (this.#bug !== "lost_append" || this.#random() > 0.05) element.entries.push(value);
    return index;
  }

  #expire(key: string, element: Element): void {
    const holder = element.holder;
    if (holder === undefined || this.#isAlive(holder.session)) return;
    if (holder.rollback && this.#bug !== "no_undo") element.entries = element.entries.slice(0, holder.firstEntry);
    this.#next(this.#element(key));
  }

  #next(element: Element): void {
    element.holder = undefined;
    element.queue.shift()?.();
  }

  #isAlive(session: string): boolean {
    const heardMs = this.#heard.get(session) ?? this.#nowMs;
    const ttlMs = this.#bug === "early_expiry" ? TTL_MS / 4 : TTL_MS;
    return this.#nowMs - heardMs <= ttlMs;
  }

  #element(key: string): Element {
    const element = this.#elements.get(key) ?? { holder: undefined, token: 0, queue: [], entries: [] };
    this.#elements.set(key, element);
    return element;
  }

  /** No new work from then on; what is under way is finished, so that no operation is left out. */
  #isOver(): boolean {
    return this.#untilMs > 0 && this.#nowMs > this.#untilMs;
  }

  #lag(): number {
    return this.#random() < 0.02 ? between(this.#random, 50, 300) : between(this.#random, 1, 6);
  }

  #after(delayMs: number, run: () => void): void {
    this.#events.push({ atMs: this.#nowMs + delayMs, run });
  }
}

/** A restarted client has a new name. */
function renamed(name: string): string {
  const [client, life] = name.split(".");
  return `${client}.${Number(life) + 1}`;
}
