// demo.ts: the load of `forelock serve --demo`: a cast of clients against this server, its policy, and a line for what happens.
// Not here: who plays (cast.ts), how (actor.ts).
//   D2. Nothing but names under `demo/` and the policy of the prefix `demo` is touched; the policy is taken back at the end.
import { setMaxListeners } from "node:events";
import { connect, type ForelockClient, type WatchEvent } from "@forelock/client";
import type { Clock } from "../clock.ts";
import { pause, play, type Stage } from "./actor.ts";
import { CAST, DEMO_POLICY, TTL_MS } from "./cast.ts";
import type { Random } from "./shapes.ts";

export interface DemoParts {
  /** `host:port` of a server without TLS and principals. */
  readonly endpoint: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly say: (line: string) => void;
  /** Ends the demo. */
  readonly signal: AbortSignal;
}

/** Of the server's events, those that a newcomer should see. */
const TOLD = new Set(["warned", "acknowledged", "extended", "preempted", "forced", "expired"]);
const REASON = "forelock serve --demo";
/** A hung client that nobody warned within this long is warned by the demo's operator, and later forced by it. */
const OPERATOR_WARNS_MS = 15_000;
const OPERATOR_FORCES_MS = 30_000;

/** Runs until the signal aborts. @throws ForelockError when the server cannot be reached at all */
export async function runDemo({ endpoint, clock, random, say, signal }: DemoParts): Promise<void> {
  setMaxListeners(0, signal); // Every client listens to it: they are as many as the cast, and no leak.
  const operator = await connect({ endpoints: endpoint, client: "demo operator", session: "none" });
  const beganMs = clock.monotonicMs();
  const tell = (line: string): void =>
    say(`demo  ${String(Math.round((clock.monotonicMs() - beganMs) / 1_000)).padStart(3)} s  ${line}`);
  try {
    tell(`${CAST.length} clients take turns on locks named demo/...`);
    tell(await setPolicy(operator));
    const helped = new Helper(operator, clock, signal, tell);
    const stage: Stage = {
      endpoint,
      clock,
      random,
      signal,
      say: tell,
      troubled: (name, client) => helped.help(name, client),
    };
    await Promise.all([
      watch(operator, signal, (event) => {
        if (event.kind === "warned" || event.kind === "forced") helped.over(event.name);
        tell(words(event));
      }),
      ...CAST.map((character) => play(character, stage)),
    ]);
  } finally {
    await takeBack(operator);
    await operator.close();
  }
}

async function setPolicy(operator: ForelockClient): Promise<string> {
  try {
    await operator.setPolicy("demo", DEMO_POLICY, { reason: REASON });
    return "policy of the prefix demo: enforce, with a countdown of 5 s";
  } catch {
    return "this server has no policies: the demo's operator frees what hangs";
  }
}

/** D2 */
async function takeBack(operator: ForelockClient): Promise<void> {
  const nothing = Object.fromEntries(Object.keys(DEMO_POLICY).map((field) => [field, ""]));
  await operator.setPolicy("demo", nothing, { reason: `${REASON} ended` }).catch(() => {}); // The server is stopping as well.
}

async function watch(operator: ForelockClient, signal: AbortSignal, see: (event: WatchEvent) => void): Promise<void> {
  try {
    for await (const event of operator.watch("demo/*", { signal })) if (TOLD.has(event.kind)) see(event);
  } catch {
    // The signal, or a server that stops: the demo goes on without its commentary.
  }
}

function words({ kind, name, reason }: WatchEvent): string {
  const why = reason === "" ? "" : ` (${reason})`;
  switch (kind) {
    case "expired":
      return `${name}: its dead holder's session expired after ${TTL_MS / 1_000} s, the next one is granted`;
    case "forced":
    case "preempted":
      return `${name}: taken from its holder${why}`;
    default:
      return `${name}: ${kind}${why}`;
  }
}

/** An operator who steps in where no policy does. */
class Helper {
  readonly #operator: ForelockClient;
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  readonly #tell: (line: string) => void;
  readonly #open = new Map<string, AbortController>();

  constructor(operator: ForelockClient, clock: Clock, signal: AbortSignal, tell: (line: string) => void) {
    this.#operator = operator;
    this.#clock = clock;
    this.#signal = signal;
    this.#tell = tell;
  }

  help(name: string, client: string): void {
    const over = new AbortController();
    this.#open.get(name)?.abort();
    this.#open.set(name, over);
    void this.#stepIn(name, client, AbortSignal.any([over.signal, this.#signal]));
  }

  over(name: string): void {
    this.#open.get(name)?.abort();
    this.#open.delete(name);
  }

  async #stepIn(name: string, client: string, over: AbortSignal): Promise<void> {
    await pause(this.#clock, OPERATOR_WARNS_MS, over);
    if (over.aborted) return;
    const isWarned = await this.#operator.warn(name, { reason: `${client} hangs`, countdownMs: 5_000 }).then(
      () => true,
      () => false,
    );
    if (isWarned) this.#tell(`${name}: warned by the demo's operator`);
    await pause(this.#clock, OPERATOR_FORCES_MS - OPERATOR_WARNS_MS, over);
    if (!over.aborted) await this.#operator.forceRelease(name, { reason: `${client} hangs` }).catch(() => {}); // It ended by itself.
  }
}
