// load.ts: clients that ask all the time, and when they were answered: at every node one client, for each tag some slots that acquire
// and release a name of their own. Not here: what happens to the cluster meanwhile.

import { connect, type ForelockClient } from "@forelock/client";
import { pause } from "../server-process.ts";
import { Answers } from "./answers.ts";
import { whyOf } from "./run.ts";

const AFTER_FAILURE_MS = 20;

export interface LoadOptions {
  /** One client for each, which goes to the others when its own is gone. */
  readonly endpoints: readonly string[];
  readonly tags: readonly string[];
  /** For each client and tag. */
  readonly slots: number;
  /** Each slot begins a cycle this often, or as soon as the one before has ended; 0: at once, and then the machine is full. */
  readonly everyMs: number;
}

export class Load {
  readonly #clients: readonly ForelockClient[];
  /** Of each client, by tag. */
  readonly #answers: readonly ReadonlyMap<string, Answers>[];
  /** Of all clients, by tag. */
  readonly #together: ReadonlyMap<string, Answers>;
  readonly #everyMs: number;
  readonly #slots: readonly Promise<void>[];
  #isOver = false;
  #asked = 0;
  #failed = 0;
  #failure: string | undefined;

  static async start(options: LoadOptions): Promise<Load> {
    const { endpoints } = options;
    const inTurn = endpoints.map((_, first) => [...endpoints.slice(first), ...endpoints.slice(0, first)]);
    const clients = await Promise.all(inTurn.map((own) => connect({ endpoints: own })));
    return new Load(clients, options);
  }

  private constructor(clients: readonly ForelockClient[], { tags, slots, everyMs }: LoadOptions) {
    this.#clients = clients;
    this.#everyMs = everyMs;
    this.#together = new Map(tags.map((tag) => [tag, new Answers()]));
    this.#answers = clients.map(() => new Map(tags.map((tag) => [tag, new Answers()])));
    this.#slots = clients.flatMap((client, index) =>
      tags.flatMap((tag) => Array.from({ length: slots }, (_, slot) => this.#slot(client, index, tag, slot))),
    );
  }

  get asked(): number {
    return this.#asked;
  }

  get failed(): number {
    return this.#failed;
  }

  /** Of the first request that failed. */
  get failure(): string | undefined {
    return this.#failure;
  }

  /** Of the client that waited longest for an answer of the tag. */
  longestGapMs(tag: string, fromMs: number, toMs: number): number {
    return Math.max(...this.#of(tag).map((answers) => answers.longestGapMs(fromMs, toMs, performance.now())));
  }

  /** The longest time in which nobody was answered. */
  longestSilenceMs(tag: string, fromMs: number, toMs: number): number {
    return this.#together.get(tag)!.longestGapMs(fromMs, toMs, performance.now()); // A tag of this load.
  }

  /** Whether every client has been answered since. */
  isAnsweredSince(tag: string, atMs: number): boolean {
    return this.#of(tag).every((answers) => answers.isAfter(atMs));
  }

  forget(beforeMs: number): void {
    for (const byTag of [...this.#answers, this.#together])
      for (const answers of byTag.values()) answers.forget(beforeMs);
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#slots);
    await Promise.all(this.#clients.map((client) => client.close()));
  }

  #of(tag: string): readonly Answers[] {
    return this.#answers.map((byTag) => byTag.get(tag)!); // A tag of this load.
  }

  async #slot(client: ForelockClient, index: number, tag: string, slot: number): Promise<void> {
    const answers = this.#answers[index]!.get(tag)!; // As many as clients, and a tag of this load.
    const answered = (): void => {
      for (const each of [answers, this.#together.get(tag)!]) each.add(performance.now()); // A tag of this load.
    };
    await pause(Math.random() * this.#everyMs); // Else all slots would begin together, again and again.
    while (!this.#isOver) {
      const beganMs = performance.now();
      try {
        this.#asked += 1;
        const lock = await client.lock(`${tag}/${index}/${slot}`);
        answered();
        this.#asked += 1;
        await lock.release();
        answered();
        const restMs = beganMs + this.#everyMs - performance.now();
        if (restMs > 0) await pause(restMs);
      } catch (error) {
        this.#failed += 1;
        this.#failure ??= whyOf(error);
        await pause(AFTER_FAILURE_MS);
      }
    }
  }
}
