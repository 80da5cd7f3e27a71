// bench.ts: `forelock bench`: how fast a running server acquires and releases, from here. A self-test of an installation;
// comparisons with other services are made by `npm run bench`.
import { type ForelockCommand, type Invocation, makeCommand, onRun, option } from "./command.ts";
import type { Context } from "./context.ts";
import { formatLatency } from "./duration.ts";
import { formatCount, parseCount, plural } from "./quantity.ts";
import type { Remote } from "./remote.ts";
import { untilStopped } from "./stop.ts";
import { UsageError } from "./usage-error.ts";

interface BenchOptions {
  readonly seconds?: string;
  readonly inFlight?: string;
  readonly clients?: string;
}

/** Past this many cycles latencies are thinned out: quantiles stay honest, memory bounded. */
const SAMPLES_MAX = 1_000_000;

export function benchCommand(invocation: Invocation): ForelockCommand {
  const command = makeCommand({
    usage: "bench",
    summary: "Measure acquire+release cycles against a running server",
    examples: ["forelock bench", "forelock bench --seconds 10 --clients 4 --in-flight 256 --json"],
    notes: [
      "Each request in flight uses a lock of its own under bench/, so nothing waits for anything but the server.",
    ],
  })
    .addOption(option("--seconds <count>", "How long to measure, after one second of warming up", { default: "5" }))
    .addOption(option("--in-flight <count>", "Requests in flight per client", { default: "64" }))
    .addOption(option("--clients <count>", "Clients, each with a session of its own", { default: "1" }));
  return onRun<BenchOptions>(command, invocation, async (context, options) => {
    const plan: BenchPlan = {
      measureMs: parseCount("--seconds", options.seconds ?? "5", { min: 1, max: 3_600 }) * 1_000,
      inFlight: parseCount("--in-flight", options.inFlight ?? "64", { min: 1, max: 4_096 }),
      clients: parseCount("--clients", options.clients ?? "1", { min: 1, max: 256 }),
    };
    return untilStopped(context.io, async ({ signal }) => {
      const result = await measure(context, plan, signal);
      if (result.cycles === 0) throw new UsageError("Not one cycle ended in that time: give more --seconds.");
      if (context.json) await context.printJson({ ...plan, ...result });
      else await context.out.lines(resultLines(result));
      return 0;
    });
  });
}

interface BenchPlan {
  readonly measureMs: number;
  readonly inFlight: number;
  readonly clients: number;
}

export interface BenchResult {
  readonly cycles: number;
  readonly cyclesPerSecond: number;
  readonly durable: boolean;
  /** Of one cycle, in milliseconds: two round trips. */
  readonly cycleMs: { readonly p50: number; readonly p90: number; readonly p99: number; readonly max: number };
}

const WARM_UP_MS = 1_000;

async function measure(context: Context, plan: BenchPlan, stop: AbortSignal): Promise<BenchResult> {
  const remotes: Remote[] = [];
  try {
    for (let index = 0; index < plan.clients; index += 1) {
      remotes.push(await context.connect({ session: "open", ttlMs: undefined }));
    }
    const [first] = remotes;
    const durable = (await first?.status())?.durable ?? false;
    const clock = context.io.clock;
    context.err.live(
      `forelock: measuring with ${plural(plan.clients, "client")}, ${formatCount(plan.inFlight)} in flight each ...`,
    );
    const startMs = clock.monotonicMs() + WARM_UP_MS;
    const samples = new Samples();
    const phase = { startMs, endMs: startMs + plan.measureMs };
    await Promise.all(
      remotes.flatMap((remote, client) =>
        Array.from({ length: plan.inFlight }, (_, lane) =>
          cycle(remote, { name: `bench/${client}/${lane}`, phase, samples, stop, nowMs: () => clock.monotonicMs() }),
        ),
      ),
    );
    context.err.settle();
    const seconds = plan.measureMs / 1_000;
    return { cycles: samples.count, cyclesPerSecond: samples.count / seconds, durable, cycleMs: samples.quantiles() };
  } finally {
    await Promise.all(remotes.map((remote) => remote[Symbol.asyncDispose]()));
  }
}

interface Lane {
  readonly name: string;
  readonly phase: { readonly startMs: number; readonly endMs: number };
  readonly samples: Samples;
  readonly stop: AbortSignal;
  readonly nowMs: () => number;
}

async function cycle(remote: Remote, { name, phase, samples, stop, nowMs }: Lane): Promise<void> {
  for (let beganMs = nowMs(); beganMs < phase.endMs && !stop.aborted; ) {
    const held = await remote.acquire({ ...PLAIN_WISH, name });
    await held.release({ undo: false });
    const endedMs = nowMs();
    if (endedMs >= phase.startMs && endedMs < phase.endMs) samples.add(endedMs - beganMs);
    beganMs = endedMs;
  }
}

const PLAIN_WISH = {
  mode: "exclusive",
  permits: 0,
  take: 0,
  waitMs: undefined,
  rollback: false,
  signal: undefined,
  onQueued: undefined,
} as const;

/** Latencies, all of them up to SAMPLES_MAX, then every 2nd, 4th, ...: a systematic sample, free of chance. */
export class Samples {
  #kept: number[] = [];
  #every = 1;
  count = 0;

  add(ms: number): void {
    if (this.count % this.#every === 0) this.#kept.push(ms);
    this.count += 1;
    if (this.#kept.length < SAMPLES_MAX) return;
    this.#kept = this.#kept.filter((_, index) => index % 2 === 0);
    this.#every *= 2;
  }

  quantiles(): BenchResult["cycleMs"] {
    const sorted = Float64Array.from(this.#kept).sort();
    const at = (level: number): number => sorted[Math.min(sorted.length - 1, Math.floor(level * sorted.length))] ?? 0;
    return { p50: at(0.5), p90: at(0.9), p99: at(0.99), max: sorted.at(-1) ?? 0 };
  }
}

function resultLines({ cycles, cyclesPerSecond, durable, cycleMs }: BenchResult): readonly string[] {
  return [
    `${formatCount(Math.round(cyclesPerSecond))} acquire+release cycles/s  (${formatCount(cycles)} cycles, ${durable ? "durable" : "relaxed durability"})`,
    `one cycle: p50 ${formatLatency(cycleMs.p50)}, p90 ${formatLatency(cycleMs.p90)}, p99 ${formatLatency(cycleMs.p99)}, max ${formatLatency(cycleMs.max)}`,
  ];
}
