// desk.ts: what one shell has at hand: the connection, the locks it holds, and where it writes. The steps stand in steps.ts.
import { ForelockError } from "@forelock/protocol";
import type { Context } from "../context.ts";
import { toJson } from "../quantity.ts";
import type { HeldLock, Remote } from "../remote.ts";
import { UsageError } from "../usage-error.ts";
import type { Lines } from "./lines.ts";

export class Desk {
  readonly context: Context;
  readonly remote: Remote;
  readonly lines: Lines;
  /** Aborts when the shell is told to stop from outside. */
  readonly stopped: AbortSignal;
  /** By name, in order of acquisition. */
  readonly #held = new Map<string, HeldLock>();

  constructor(context: Context, { remote, lines, stopped }: Pick<Desk, "remote" | "lines" | "stopped">) {
    this.context = context;
    this.remote = remote;
    this.lines = lines;
    this.stopped = stopped;
  }

  get held(): readonly HeldLock[] {
    return [...this.#held.values()];
  }

  heldUnder(name: string): HeldLock | undefined {
    return this.#held.get(name);
  }

  /** The lock that was acquired last: what a step without a name is most likely about. */
  get latest(): HeldLock | undefined {
    return this.held.at(-1);
  }

  /** Keeps a lock until it is released or lost; a loss is told at once, whatever the person is doing. */
  keep(lock: HeldLock): void {
    this.#held.set(lock.name, lock);
    lock.signal.addEventListener("abort", () => {
      if (this.#held.get(lock.name) !== lock) return; // Released before.
      this.#held.delete(lock.name);
      const reason: unknown = lock.signal.reason;
      const message = reason instanceof Error ? reason.message : String(reason);
      this.announce({ event: "lost", lock: lock.name, token: lock.token, message }, `LOST ${lock.name}: ${message}`);
    });
  }

  forget(lock: HeldLock): void {
    if (this.#held.get(lock.name) === lock) this.#held.delete(lock.name);
  }

  /** The outcome of a step: for people a sentence, with --json a document. */
  async say(outcome: Readonly<Record<string, unknown>>, text: string | readonly string[]): Promise<void> {
    if (this.context.json) await this.context.printJson(outcome);
    else await this.context.out.lines(typeof text === "string" ? [text] : text);
  }

  /** Something that happened by itself. */
  announce(outcome: Readonly<Record<string, unknown>>, text: string): void {
    const { out, json } = this.context;
    const line = json ? toJson(outcome) : out.palette.bad(text);
    // A reader that is gone is met by the next step's output.
    void out.line(line).then(
      () => this.lines.redraw(),
      () => {},
    );
  }

  /** Advice: only a person at a terminal needs it. */
  async advise(text: string): Promise<void> {
    if (this.lines.isTerminal && !this.context.json) await this.context.out.line(this.context.out.palette.dim(text));
  }

  /**
   * Asks for what a step lacks; an empty answer takes the suggestion. Works from a pipe, too: the next line is the answer.
   * @throws UsageError when nothing was answered
   */
  async ask(question: string, suggestion: string | undefined): Promise<string> {
    const answer = (
      await this.lines.next(`${question}${suggestion === undefined ? "" : ` [${suggestion}]`}: `)
    )?.trim();
    const value = answer === undefined || answer === "" ? suggestion : answer;
    if (value === undefined || (answer === undefined && !this.lines.isTerminal)) {
      throw new UsageError(`No answer to "${question}".`);
    }
    return value;
  }

  /** A lock of ours. @throws ForelockError not_held, naming what is held */
  mustHold(name: string): HeldLock {
    const lock = this.#held.get(name);
    if (lock !== undefined) return lock;
    const names = this.held.map((each) => each.name).join(", ");
    throw new ForelockError(
      "not_held",
      `This shell does not hold ${name}${names === "" ? "" : `, but ${names}`}: type \`acquire ${name}\`.`,
    );
  }
}
