// metrics.ts: counters of the node and its edge for Prometheus, read only when scraped. Not here: counting.
import { Counter, Gauge, Registry } from "prom-client";

export type CounterSource = () => Readonly<Record<string, number>>;

const NAME = /^[a-z][a-z0-9_]*$/;

export class Metrics {
  readonly #registry = new Registry();
  readonly #sources: readonly CounterSource[];
  readonly #known = new Set<string>();

  /** @param sources name (without `forelock_`) to value; names that end in `_total` only rise */
  constructor(sources: readonly CounterSource[]) {
    this.#sources = sources;
  }

  get type(): string {
    return this.#registry.contentType;
  }

  text(): Promise<string> {
    for (const source of this.#sources) {
      for (const name of Object.keys(source())) if (!this.#known.has(name) && NAME.test(name)) this.#add(name, source);
    }
    return this.#registry.metrics();
  }

  #add(name: string, source: CounterSource): void {
    this.#known.add(name);
    const about = { name: `forelock_${name}`, help: `${name.replaceAll("_", " ")}.`, registers: [this.#registry] };
    if (name.endsWith("_total")) {
      const counter: Counter = new Counter({
        ...about,
        collect: () => {
          counter.reset();
          counter.inc(Math.max(0, source()[name] ?? 0));
        },
      });
    } else {
      const gauge: Gauge = new Gauge({ ...about, collect: () => gauge.set(source()[name] ?? 0) });
    }
  }
}
