// durations-peers.ts: what a forecaster of durations must beat: three ways that one would think of first. Not here: the scores.
import { logOf, type Quantiles, SCORED_LEVELS } from "./durations-score.ts";

export interface Peer {
  readonly name: string;
  /** Before the work begins. */
  forecast(client: string, element: string): Quantiles;
  /** After it has ended. */
  learn(client: string, element: string, durationMs: number): void;
}

/** What each says before it has seen anything: the prior of the forecaster. */
const FIRST: Quantiles = [1_000, 13_000, 105_000];
const ALL_WINDOW = 5_000;
const PAIR_WINDOW = 50;
const PAIR_MIN = 5;
const EWMA_STEP = 0.1;
const Z_BY_LEVEL = [0, 1.2816, 2.3263] as const;

export function peers(): readonly Peer[] {
  return [lastOfAll(), clientEwma(), pairWindow()];
}

/** The last durations in order of length, and in order of time to forget them by. */
class Window {
  readonly #inTime: number[] = [];
  readonly #sorted: number[] = [];
  readonly #max: number;

  constructor(max: number) {
    this.#max = max;
  }

  get size(): number {
    return this.#sorted.length;
  }

  add(value: number): void {
    this.#inTime.push(value);
    this.#sorted.splice(placeOf(this.#sorted, value), 0, value);
    if (this.#inTime.length <= this.#max) return;
    const oldest = this.#inTime.shift()!; // Longer than its limit, so not empty.
    this.#sorted.splice(placeOf(this.#sorted, oldest), 1);
  }

  quantiles(): Quantiles {
    const at = (level: number): number => {
      const index = level * (this.#sorted.length - 1);
      const low = this.#sorted[Math.floor(index)]!; // In range: not empty.
      const high = this.#sorted[Math.ceil(index)]!;
      return low + (index - Math.floor(index)) * (high - low);
    };
    return [at(SCORED_LEVELS[0]), at(SCORED_LEVELS[1]), at(SCORED_LEVELS[2])];
  }
}

function placeOf(sorted: readonly number[], value: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle]! < value)
      low = middle + 1; // In range.
    else high = middle;
  }
  return low;
}

function lastOfAll(): Peer {
  const window = new Window(ALL_WINDOW);
  return {
    name: "all, last 5,000",
    forecast: () => (window.size === 0 ? FIRST : window.quantiles()),
    learn: (_client, _element, durationMs) => window.add(durationMs),
  };
}

function clientEwma(): Peer {
  const byClient = new Map<string, { mean: number; variance: number }>();
  const all = { mean: Math.log(1_000), variance: 4 };
  const learn = (state: { mean: number; variance: number }, log: number): void => {
    const error = log - state.mean;
    state.mean += EWMA_STEP * error;
    state.variance = (1 - EWMA_STEP) * (state.variance + EWMA_STEP * error * error);
  };
  return {
    name: "client EWMA of log",
    forecast: (client) => {
      const { mean, variance } = byClient.get(client) ?? all;
      const at = (index: 0 | 1 | 2): number => Math.exp(mean + Z_BY_LEVEL[index] * Math.sqrt(variance));
      return [at(0), at(1), at(2)];
    },
    learn: (client, _element, durationMs) => {
      const log = logOf(durationMs);
      const known = byClient.get(client);
      if (known === undefined) byClient.set(client, { mean: log, variance: all.variance });
      else learn(known, log);
      learn(all, log);
    },
  };
}

function pairWindow(): Peer {
  const byPair = new Map<string, Window>();
  const all = new Window(ALL_WINDOW);
  return {
    name: "client x element window of 50, exact",
    forecast: (client, element) => {
      const window = byPair.get(`${client} ${element}`);
      if (window !== undefined && window.size >= PAIR_MIN) return window.quantiles();
      return all.size === 0 ? FIRST : all.quantiles();
    },
    learn: (client, element, durationMs) => {
      const key = `${client} ${element}`;
      const window = byPair.get(key) ?? new Window(PAIR_WINDOW);
      byPair.set(key, window);
      window.add(durationMs);
      all.add(durationMs);
    },
  };
}
