// adverse-load.ts: what prediction costs when it is always wrong: the same well-behaved clients on the same few names for the same simulated
// time, once under policy `off` and once under `enforce` with an adversary for a forecaster. Clients hold briefly, and release when
// they are warned, as they would have anyway. Not here: faults, which the simulation brings (simulation.ts).
import { Mode, OnLoss, OperationState, Preemptible, type Reply } from "@forelock/protocol";
import { forkRandom, type Random } from "../proxy/random.ts";
import { adversary } from "./adversary.ts";
import { Answers } from "./answers.ts";
import { audit } from "./audit.ts";
import { Calls } from "./call-out.ts";
import { SimulatedClient } from "./client.ts";
import { dial } from "./dial.ts";
import { SimulatedDisk } from "./disk.ts";
import { Ledger } from "./ledger.ts";
import { Preemptions } from "./preemption.ts";
import { drawProfile } from "./profile.ts";
import { SimulatedServer } from "./server.ts";
import { Situations } from "./situations.ts";
import { Process, SimulatedTime } from "./time.ts";
import { Trace } from "./trace.ts";

import type { Wire } from "./wire.ts";
import { Witness } from "./witness.ts";

export interface Throughput {
  /** Completed: granted, held and released. */
  readonly grants: number;
  readonly warnings: number;
  readonly forced: number;
}

const CLIENTS = 9;
const NAMES = ["a", "b", "{t}/x"] as const;
const RUN_MS = 60_000;
const CHECK_MS = 500;
const HOLD_MS_MAX = 120;
const THINK_MS_MAX = 60;
const TTL_MS = 4_000;
/** As short as a countdown can be and still leave a client that holds so briefly the time to end by itself. */
const COUNTDOWN_MS = 300;

/** The strictest that can be set: everybody whom the adversary accuses is warned at once. */
const POLICIES = {
  off: { policy: "off" },
  enforce: {
    ...{ policy: "enforce", threshold: "0", thresholdMin: "0", pendingThreshold: "0", falseRatioMax: "1" },
    ...{ minimumHoldMs: "0", coolDownMs: "0", countdownMs: String(COUNTDOWN_MS), preemptionsPerHourMax: "100000" },
  },
} as const satisfies Record<string, Record<string, string>>;

/** Of what is done under `off`: more than that prediction must not cost, however wrong it is. */
export const LOSS_RATIO_MAX = 0.05;

/** @throws Violation when a promise is broken on the way */
export async function compareThroughput(seeds: readonly number[]): Promise<{
  readonly off: Throughput;
  readonly enforce: Throughput;
  /** Negative when more was done. */
  readonly lossRatio: number;
}> {
  const sums = { off: NOTHING, enforce: NOTHING };
  for (const seed of seeds) {
    for (const policy of ["off", "enforce"] as const)
      sums[policy] = plus(sums[policy], await throughputOf(seed, policy));
  }
  return { ...sums, lossRatio: 1 - sums.enforce.grants / sums.off.grants };
}

const NOTHING: Throughput = { grants: 0, warnings: 0, forced: 0 };

const plus = (a: Throughput, b: Throughput): Throughput => ({
  grants: a.grants + b.grants,
  warnings: a.warnings + b.warnings,
  forced: a.forced + b.forced,
});

/** @throws Violation when a promise is broken on the way */
export async function throughputOf(seed: number, policy: keyof typeof POLICIES): Promise<Throughput> {
  const load = new Load(seed, policy);
  return load.run();
}

class Load {
  readonly #time = new SimulatedTime();
  readonly #seed: number;
  readonly #policy: keyof typeof POLICIES;
  readonly #trace = new Trace(undefined);
  readonly #server: SimulatedServer;
  readonly #claims = new Map<string, Wire>();
  readonly #counts = { grants: 0, warnings: 0, forced: 0 };
  #broken: unknown;

  constructor(seed: number, policy: keyof typeof POLICIES) {
    this.#seed = seed;
    this.#policy = policy;
    const situations = new Situations();
    const { limits } = drawProfile(seed, 1, new Set());
    const bounds = { extensionsMax: 1e6, extensionMsMax: 1e6, preemptionsPerHourMax: 1e6, coolDownMs: 0 };
    const calls = new Calls();
    const preemptions = new Preemptions(bounds, situations, () => this.#server.starts, calls.judge.bind(calls));
    const witness = new Witness(situations, preemptions, limits.priorityStepMs, (_state, event) => {
      if (event.kind === "warned") this.#counts.warnings += 1;
      if (event.kind === "preempted") this.#counts.forced += 1;
    });
    const process = new Process("server 1");
    const lies = forkRandom(seed, "adversary");
    const time = this.#time;
    this.#server = new SimulatedServer(
      {
        ...{ time, trace: this.#trace, random: forkRandom(seed, "server"), calls, isPredicting: true },
        ledger: new Ledger(1, (state, event) => witness.see(state, event)),
        disk: new SimulatedDisk(time, forkRandom(seed, "disk"), process),
        limits: { ...limits, waitersMax: 100, locksMax: 100, sessionsMax: 100, unansweredMax: 100, awaitsMax: 100 },
        ...{ partitions: 1, segmentBytes: 1_048_576, snapshotBytes: 16_777_216, files: [] },
        forecasts: policy === "off" ? undefined : (truth) => adversary(lies, truth),
        broken: (cause) => {
          this.#broken ??= cause;
        },
        down: () => {},
      },
      process,
    );
  }

  async run(): Promise<Throughput> {
    this.#server.start();
    await this.#pass(100);
    for (let slot = 0; slot < CLIENTS; slot += 1) this.#born(slot);
    for (let passedMs = 0; passedMs < RUN_MS; passedMs += CHECK_MS) {
      await this.#pass(CHECK_MS);
      for (const { state } of this.#server.node?.shards ?? []) audit(state);
    }
    return this.#counts;
  }

  async #pass(ms: number): Promise<void> {
    await this.#time.runUntil(this.#time.nowMs + ms, () => {
      if (this.#broken !== undefined) throw this.#broken;
    });
  }

  #born(slot: number): void {
    const name = `c${slot}`;
    const random = forkRandom(this.#seed, name);
    const process = new Process(name);
    const clock = this.#time.clockOf(process, 0, 1, () => this.#time.nowMs);
    const client = new SimulatedClient({
      ...{ name, principal: "ana", ttlMs: TTL_MS, beatsPerTtl: 12, time: this.#time, process, clock },
      ...{ random: forkRandom(this.#seed, `${name} itself`), trace: this.#trace, answers: new Answers() },
      ...{ met: () => {}, warned: () => {}, failed: () => {}, saved: undefined },
      connect: (self, purpose) => this.#connect(self, purpose, random),
    });
    if (slot === 0) {
      const value = { prefix: "", set: POLICIES[this.#policy], reason: "simulated" };
      client.request({ $case: "setPolicy", value }, undefined, () => {});
    }
    this.#think(client, forkRandom(this.#seed, `${name} works`), slot);
  }

  #think(client: SimulatedClient, random: Random, slot: number): void {
    client.options.clock.after(random() * THINK_MS_MAX, () => this.#acquire(client, random, slot));
  }

  #acquire(client: SimulatedClient, random: Random, slot: number): void {
    const name = NAMES[slot % NAMES.length] ?? "a";
    const holdMs = random() * HOLD_MS_MAX;
    const value = {
      ...{ name, mode: Mode.EXCLUSIVE, permits: 0, take: 0, waitMs: undefined, priority: 0, onLoss: OnLoss.KEEP },
      ...{ actor: "", reenter: 0n, preemptible: Preemptible.BY_POLICY, compensation: undefined },
    };
    client.request({ $case: "acquire", value }, undefined, (answer: NonNullable<Reply["body"]>) => {
      if (answer.$case !== "acquire") return this.#think(client, random, slot);
      if (answer.value.state === OperationState.QUEUED) return;
      const grant = answer.value.grants[0];
      if (grant === undefined) return this.#think(client, random, slot);
      client.options.clock.after(holdMs, () => {
        const release = { name, token: grant.token, undo: false };
        client.request({ $case: "release", value: release }, undefined, (done) => {
          if (done.$case === "release") this.#counts.grants += 1;
          this.#think(client, random, slot);
        });
      });
    });
  }

  #connect(client: SimulatedClient, purpose: "operations" | "heartbeat", random: Random): Wire {
    return dial(client, purpose, {
      ...{ time: this.#time, random, weather: { delayMsMax: 4, lossRatio: 0 }, server: this.#server },
      ...{ clientName: client.options.name, claims: this.#claims, heard: () => {} },
    });
  }
}
