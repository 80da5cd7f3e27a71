// simulation.ts: one run from one seed: a server, its clients, its faults, and what must hold after every step.
//   I1. After every event: nobody believes in a grant that is not his by what is durable (forced and pre-empted ones aside: there the fence tells).
//   I2. After every step: the tables agree with each other; at rest the live state equals the shadow, and nobody waits for nothing.
//   I3. In the end, with the world healed: every waiter is granted or refused; with all clients gone and time passed: nothing is left.
import { Mode } from "@forelock/protocol";
import {
  decodeSnapshot,
  type Element,
  encodeSnapshot,
  holdersOf,
  type PartitionEvent,
  type PartitionState,
  stateHash,
} from "forelock/internal";
import { between, choose, forkRandom, type Random } from "../proxy/random.ts";
import { adversary } from "./adversary.ts";
import { Answers } from "./answers.ts";
import { audit } from "./audit.ts";
import { Calls } from "./call-out.ts";
import { type Hold, keyOf, type SavedSession, SimulatedClient } from "./client.ts";
import { dial } from "./dial.ts";
import { SimulatedDisk } from "./disk.ts";
import { dump } from "./dump.ts";
import { Ledger } from "./ledger.ts";
import { Preemptions } from "./preemption.ts";
import type { Fault, Profile } from "./profile.ts";
import { Reactions } from "./reaction.ts";
import { differences, SimulatedServer } from "./server.ts";
import type { Situations } from "./situations.ts";
import { setPolicy } from "./steering.ts";
import { Process, SimulatedTime } from "./time.ts";
import type { Trace } from "./trace.ts";
import { expectRule, Violation } from "./violation.ts";
import type { Weather, Wire } from "./wire.ts";
import { forgottenWaits, Witness } from "./witness.ts";
import { act, cancelUpgrades, FILES, type ReadValue, releaseWhole, type World } from "./workload.ts";

export interface RunResult {
  readonly violation: Violation | undefined;
  /** Step at which it was found; the number of steps when there is none. */
  readonly step: number;
  readonly simulatedMs: number;
  readonly events: number;
  readonly counts: ReadonlyMap<string, number>;
}

const PRINCIPALS = ["ana", "bo"] as const;
const FULL_CHECK_STEPS = 50;
/** So often, and so soon, an operator changes a policy, beside all that happens by chance. */
const STEERED_STEPS = 60;
const STEERED_FROM = 8;
/** From the end of a ttl until the session is gone: a check, and a turn. */
const EXPIRY_MS_MAX = 200;
const CRASH_MS_MAX = 150;
const FOLDER_CALLS = ["rename", "remove", "open", "syncFolder"] as const;
const DISK_CALLS = ["write", "write", "sync"] as const;
const PAUSE_MS_MAX = 12_000;
const HANG_MS_MAX = 15_000;
const HEALED_MS = 20_000;
const RECONNECT_ROUNDS = 30;
const LEAVE_MS = 20_000;
/** From the end of a countdown until it has had its effect: a timer, and a turn. */
const COUNTDOWN_LATE_MS_MAX = 1_500;
/** Beyond ten times the longest ttl, which tombstones take, and beyond the longest keepMs. */
const EMPTY_MS = 60_000;

export async function simulate(profile: Profile, trace: Trace, situations: Situations): Promise<RunResult> {
  const simulation = new Simulation(profile, trace, situations);
  let violation: Violation | undefined;
  try {
    await simulation.run();
  } catch (cause) {
    violation = cause instanceof Violation ? cause : new Violation("exception", errorText(cause));
    trace.add(simulation.time.nowMs, `VIOLATION ${violation.message}`);
  }
  return {
    violation,
    step: simulation.step,
    simulatedMs: simulation.time.nowMs,
    events: simulation.time.events,
    counts: simulation.counts,
  };
}

export function errorText(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  const inner = cause.cause === undefined ? "" : `\n  because ${errorText(cause.cause)}`;
  return `${cause.stack ?? cause.message}${inner}`;
}

class Simulation {
  readonly time = new SimulatedTime();
  readonly counts = new Map<string, number>();
  step = 0;
  readonly #profile: Profile;
  readonly #trace: Trace;
  readonly #situations: Situations;
  readonly #witness: Witness;
  readonly #ledger: Ledger;
  readonly #server: SimulatedServer;
  readonly #disk: SimulatedDisk;
  readonly #answers = new Answers();
  readonly #reactions = new Reactions();
  readonly #clients: (SimulatedClient | undefined)[] = [];
  readonly #claims = new Map<string, Wire>();
  readonly #weather: Weather = { delayMsMax: 4, lossRatio: 0 };
  readonly #steps: Random;
  readonly #chances: Random;
  readonly #network: Random;
  readonly #world: World;
  readonly #lives: number[] = [];
  readonly #heardMs = new Map<string, number>();
  #broken: unknown;
  #isHealed = false;
  #stoppedSinceMs: number | undefined;

  constructor(profile: Profile, trace: Trace, situations: Situations) {
    this.#profile = profile;
    this.#trace = trace;
    this.#situations = situations;
    const { seed, partitions, limits } = profile;
    this.#steps = forkRandom(seed, "steps");
    this.#chances = forkRandom(seed, "faults");
    this.#network = forkRandom(seed, "network");
    const told = (state: PartitionState, event: PartitionEvent): void => {
      trace.add(this.time.nowMs, `p${state.partition} ${textOf(event)}`);
      if (event.kind === "session_ended" && event.why === "expired") this.#judgeExpiry(state, event.session);
      if (event.kind === "session_heard") this.#judgeSign(state, event.session);
    };
    const calls = new Calls();
    const preemptions = new Preemptions(
      profile.bounds,
      situations,
      () => this.#server.starts,
      (partition, id, isDelivered) => calls.judge(partition, id, isDelivered),
    );
    this.#witness = new Witness(situations, preemptions, limits.priorityStepMs, told);
    this.#ledger = new Ledger(partitions, (state, event) => this.#witness.see(state, event));
    const process = new Process("server 1");
    const lies = forkRandom(seed, "adversary");
    this.#disk = new SimulatedDisk(this.time, forkRandom(seed, "disk"), process);
    const broken = (cause: unknown): void => {
      this.#broken ??= cause;
    };
    this.#server = new SimulatedServer(
      {
        ...{ time: this.time, trace, random: forkRandom(seed, "server"), ledger: this.#ledger, disk: this.#disk },
        ...{ limits, partitions, segmentBytes: profile.segmentBytes, snapshotBytes: profile.snapshotBytes },
        files: FILES.slice(0, 2).map(({ file }) => file),
        ...{ calls, isPredicting: true },
        forecasts: profile.isAdverse ? (truth) => adversary(lies, truth) : undefined,
        broken,
        down: () => {
          this.#claims.clear();
          for (const client of this.#clients) client?.cutAll();
        },
      },
      process,
    );
    this.#world = this.#makeWorld();
  }

  async run(): Promise<void> {
    this.#server.start();
    for (let slot = 0; slot < this.#profile.clients; slot += 1) {
      this.#lives.push(0);
      this.#born(slot, undefined);
    }
    while (this.step < this.#profile.steps) {
      this.step += 1;
      this.#act();
      await this.#pass(this.#paceMs());
      this.#check();
    }
    await this.#heal();
    await this.#empty();
  }

  #makeWorld(): World {
    const simulation = this;
    return {
      random: this.#steps,
      references: [],
      released: new Set(),
      bounds: this.#profile.bounds,
      isStrict: this.#profile.isStrict,
      get clients() {
        return simulation.#present();
      },
      count: (name) => this.#count(name),
      readBegins: (file) => this.#witness.files.versionOf(file),
      readEnds: (file, begun, value) => this.#judgeRead(file, begun, value),
    };
  }

  #present(): readonly SimulatedClient[] {
    return this.#clients.filter(
      (client) => client !== undefined && !client.isEnded && client.options.process.isAlive,
    ) as SimulatedClient[]; // The filter leaves no undefined.
  }

  #count(name: string): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + 1);
  }

  // ---- steps

  #paceMs(): number {
    const chance = this.#steps();
    const { paceMs } = this.#profile;
    if (chance < 0.6) return this.#steps() * paceMs;
    if (chance < 0.95) return this.#steps() * paceMs * 10;
    return this.#steps() * 4_000;
  }

  #act(): void {
    if (this.#chances() < this.#profile.faultRatio) return this.#fault();
    const clients = this.#present().filter(
      (client) => client.options.process.pausedUntilMs <= this.time.nowMs && !client.isHung,
    );
    if (clients.length === 0) return;
    const client = choose(this.#steps, clients);
    if (this.step % STEERED_STEPS === STEERED_FROM) setPolicy(this.#world, client);
    else act(this.#world, client);
  }

  #fault(): void {
    const random = this.#chances;
    const kind = choose(random, FAULT_CHOICES);
    const amount = random();
    const clients = this.#present();
    const client = clients[Math.floor(random() * clients.length)];
    if (!this.#profile.faults.has(kind)) return;
    this.#count(`fault ${kind}`);
    this.#trace.add(this.time.nowMs, `fault ${kind} ${client?.options.name} ${amount.toFixed(3)}`);
    switch (kind) {
      case "cut":
        if (amount < 0.6) client?.cutOperations();
        else if (amount < 0.8) client?.cutHeartbeats();
        else client?.cutAll();
        return;
      case "loss":
        this.#weather.lossRatio = amount < 0.5 ? 0 : amount * 0.1;
        return;
      case "delay":
        this.#weather.delayMsMax = amount < 0.4 ? 4 : amount < 0.92 ? 100 : amount * 1_500;
        return;
      case "client_pause":
        if (client !== undefined) client.options.process.pausedUntilMs = this.time.nowMs + amount * PAUSE_MS_MAX;
        return;
      case "client_hang": {
        // One that holds, if there is one: who hangs without a lock is in nobody's way.
        const holders = clients.filter((each) => each.holds.size > 0);
        const victim = holders[Math.floor(amount * holders.length)] ?? client;
        if (victim !== undefined) victim.hungUntilMs = this.time.nowMs + amount * HANG_MS_MAX;
        return;
      }
      case "client_death":
        if (client !== undefined) this.#kill(client, amount);
        return;
      case "crash":
      case "power":
        this.#crashSoon(kind === "power", amount);
        return;
      case "pause":
        this.#server.pause(amount * amount * 9_000);
        return;
      case "slow_disk":
        this.#disk.slowFor(amount * 3_000);
        return;
      case "disk_error": {
        const call = choose(random, DISK_CALLS);
        this.#disk.arm(call, choose(random, ["EIO", "ENOSPC", "short"] as const), Math.floor(amount * 4));
        return;
      }
      case "folder_error":
        this.#disk.arm(choose(random, FOLDER_CALLS), "EIO", Math.floor(amount * 4));
        return;
      case "snapshot":
        this.#server.takeSnapshot();
        return;
      case "wall_clock":
        this.#server.jumpWallClock((amount - 0.5) * 1e8);
        return;
      case "client_skew":
        return; // Clocks of clients always run at rates of their own: see #born.
    }
  }

  /** At any moment, not only between two steps; often while the disk is behind. */
  #crashSoon(powerCut: boolean, amount: number): void {
    if (amount < 0.6) this.#disk.slowFor(CRASH_MS_MAX);
    const inMs = this.#chances() * CRASH_MS_MAX;
    this.time.after(this.#fate, inMs, () => this.#server.crash(powerCut, Math.floor(amount * amount * 6_000)));
  }

  /** The process ends; another one follows, sometimes with the saved session. */
  #kill(client: SimulatedClient, amount: number): void {
    client.options.process.isAlive = false;
    client.cutAll();
    const slot = this.#clients.indexOf(client);
    const saved = amount < 0.4 ? client.saved : undefined;
    this.#rebear(slot, amount * 8_000, saved);
  }

  #rebear(slot: number, delayMs: number, saved: SavedSession | undefined): void {
    this.#clients[slot] = undefined;
    this.time.after(this.#fate, delayMs, () => this.#born(slot, saved));
  }

  readonly #fate = new Process("fate");

  #born(slot: number, saved: SavedSession | undefined): void {
    const life = (this.#lives[slot] ?? 0) + 1;
    this.#lives[slot] = life;
    const { seed } = this.#profile;
    const name = `c${slot}.${life}`;
    const random = forkRandom(seed, name);
    const process = new Process(name);
    const rate = this.#profile.faults.has("client_skew") ? 1 + (random() - 0.5) * 0.004 : 1;
    const clock = this.time.clockOf(process, random() * 1e6, rate, () => this.time.nowMs);
    this.#clients[slot] = new SimulatedClient({
      ...{ name, time: this.time, process, clock, random, trace: this.#trace, answers: this.#answers, saved },
      met: (situation) => this.#situations.meet(situation),
      warned: (client, warning) => this.#reactions.warned(this.#world, client, warning),
      failed: (client, failure) => this.#reactions.failed(client, failure),
      principal: PRINCIPALS[slot % 3 === 2 ? 1 : 0],
      ttlMs: between(random, 2_000, 5_000),
      beatsPerTtl: choose(random, [12, 12, 4]),
      connect: (client, purpose) => this.#connect(client, purpose),
    });
  }

  #connect(client: SimulatedClient, purpose: "operations" | "heartbeat"): Wire {
    return dial(client, purpose, {
      ...{ time: this.time, random: this.#network, weather: this.#weather, server: this.#server },
      clientName: client.options.name.split(".")[0] ?? "",
      claims: this.#claims,
      heard: (sessionId) => this.#heardMs.set(sessionId, this.time.nowMs),
    });
  }

  // ---- what must hold

  async #pass(ms: number): Promise<void> {
    await this.time.runUntil(this.time.nowMs + ms, () => this.#checkEvent());
    for (const [slot, client] of this.#clients.entries()) {
      if (client?.isEnded === true && !this.#isHealed) this.#rebear(slot, this.#steps() * 2_000, undefined);
    }
    this.#restartStopped();
  }

  /** An operator starts a server again whose log has stopped. */
  #restartStopped(): void {
    const cause = this.#server.node?.stopCause;
    if (cause === undefined) {
      this.#stoppedSinceMs = undefined;
      return;
    }
    const isFault = this.#disk.faults > 0;
    if (!isFault || String(cause).includes("invariant")) throw new Violation("stopped", errorText(cause));
    this.#stoppedSinceMs ??= this.time.nowMs;
    if (this.time.nowMs - this.#stoppedSinceMs > 300) this.#server.crash(false, 50);
  }

  /** I1 */
  #checkEvent(): void {
    if (this.#broken !== undefined) throw this.#broken;
    for (const client of this.#clients) {
      for (const hold of client?.beliefs ?? []) {
        const element = this.#ledger.shadows[hold.partition]?.elements.get(hold.name);
        if (element !== undefined && isHeld(element, hold)) continue;
        const key = keyOf(hold);
        const end = this.#witness.endByToken.get(key);
        if (end === "forced" || end === "preempted" || end === "upgraded") continue;
        if (end === "released" && this.#world.released.has(key)) continue;
        throw new Violation("held-while-lost", `${client?.options.name} believes in ${key}, which was ${end}`);
      }
    }
  }

  /** After a start everybody has at least a third of his ttl to be heard. */
  #judgeExpiry(state: PartitionState, number: number): void {
    const ttlMs = state.sessionByNumber.get(number)?.ttlMs ?? 0;
    const servedMs = this.time.nowMs - this.#server.startedAtMs;
    expectRule(servedMs >= ttlMs / 3, "expired-early", () => `session ${number} had ${servedMs} of its ${ttlMs} ms`);
  }

  /** Nobody is called alive after a start who did not say anything since. */
  #judgeSign(state: PartitionState, number: number): void {
    const session = state.sessionByNumber.get(number);
    const heardMs = this.#heardMs.get(session?.id ?? "") ?? 0;
    const isTrue = session?.unheard !== true || heardMs >= this.#server.startedAtMs;
    expectRule(isTrue, "heard-from-nobody", () => `session ${session?.id} was last heard at ${heardMs}`);
  }

  /** A session that was not heard for its ttl by one server is gone. */
  #judgeLives(state: PartitionState): void {
    const { startedAtMs, process } = this.#server;
    for (const session of state.sessions.values()) {
      const heardMs = this.#heardMs.get(session.id) ?? 0;
      const unheardMs = this.time.nowMs - Math.max(heardMs, startedAtMs, process.pausedUntilMs);
      const isOver = unheardMs > session.ttlMs + EXPIRY_MS_MAX;
      expectRule(!isOver, "undead", () => `session ${session.id} lives on after ${unheardMs} of ${session.ttlMs} ms`);
    }
  }

  /** I2 */
  #check(): void {
    const { node, process } = this.#server;
    if (node === undefined || node.stopCause !== undefined) return;
    const isDue = this.time.isDue(process);
    const isFull = this.step % FULL_CHECK_STEPS === 0;
    for (const { state } of node.shards) {
      audit(state);
      this.#judgeLives(state);
      const shadow = this.#ledger.shadows[state.partition];
      if (isDue || shadow === undefined || this.#ledger.isInFlight(state.partition)) continue;
      this.#checkAtRest(state, shadow, isFull);
    }
  }

  #checkAtRest(state: PartitionState, shadow: PartitionState, isFull: boolean): void {
    const { partition } = state;
    const [live, durable] = [stateHash(state), stateHash(shadow)];
    expectRule(
      live === durable,
      "hash-differs",
      () => `partition ${partition}:${differences(dump(shadow), dump(state))}`,
    );
    const forgotten = forgottenWaits(state);
    expectRule(
      forgotten.length === 0,
      "lost-wake-up",
      () => `partition ${partition}: nothing stands before wait ${forgotten.map((wait) => wait.id).join()}`,
    );
    for (const warning of state.warnings.values()) {
      const lateMs = state.clockMs - warning.endsAtMs;
      expectRule(lateMs < COUNTDOWN_LATE_MS_MAX, "countdown-overdue", () => `warning ${warning.id} by ${lateMs} ms`);
    }
    if (!isFull) return;
    const text = dump(state);
    expectRule(text === dump(shadow), "replay-differs", () => differences(dump(shadow), text));
    const decoded = decodeSnapshot(partition, encodeSnapshot(state));
    audit(decoded);
    expectRule(dump(decoded) === text, "snapshot-differs", () => differences(text, dump(decoded)));
  }

  #judgeRead(file: string, begun: number, value: ReadValue): void {
    const { files } = this.#witness;
    const { version, offset, bytes, length } = value;
    const newest = files.versionOf(file);
    expectRule(
      version >= begun && version <= newest,
      "read-stale",
      () => `${file} was read at version ${version}; it was ${begun} when asked and ${newest} when answered`,
    );
    const contents = files.contentsAt(file, version);
    const expected = contents?.subarray(offset, offset + bytes.length);
    const isSame = contents?.length === length && expected !== undefined && Buffer.compare(expected, bytes) === 0;
    expectRule(
      isSame,
      "read-wrong",
      () => `${file} version ${version} from ${offset}: ${Buffer.from(bytes).toString()}`,
    );
    this.#count("read judged");
  }

  // ---- the end

  /** I3: the world is healed, everybody gives back what he gets. */
  async #heal(): Promise<void> {
    this.#weather.delayMsMax = 4;
    this.#weather.lossRatio = 0;
    await this.#pass(PAUSE_MS_MAX); // Whoever is paused goes on by then.
    this.#isHealed = true;
    this.#trace.add(this.time.nowMs, "healed");
    const endMs = this.time.nowMs + HEALED_MS;
    for (let round = 0; this.time.nowMs < endMs; round += 1) {
      // On resuming, a client gives back what the server holds for it and it does not know.
      if (round % RECONNECT_ROUNDS === 0) for (const client of this.#present()) client.cutOperations();
      if (round === RECONNECT_ROUNDS) for (const client of this.#present()) cancelUpgrades(client);
      for (const client of this.#present()) {
        for (const hold of [...client.holds.values()]) {
          if (hold.isChanging) continue;
          client.drop(hold);
          const value = { name: hold.name, token: hold.token, undo: false };
          releaseWhole(client, { $case: "release", value }, undefined);
        }
      }
      await this.#pass(200);
      this.#check();
    }
    const { shadows } = this.#ledger;
    const left = shadows.flatMap((shadow) =>
      dump(shadow)
        .split("\n")
        .filter((row) => /^(wait|grant|batch|session|part) /.test(row))
        .map((row) => `p${shadow.partition} ${row}`),
    );
    const isOver = shadows.every(({ waits, batches }) => waits.size === 0 && batches.size === 0);
    expectRule(isOver, "waits-for-ever", () => left.join("\n  "));
  }

  /** I3: everybody leaves, by closing or by silence. */
  async #empty(): Promise<void> {
    this.#trace.add(this.time.nowMs, "everybody leaves");
    for (const client of this.#present()) {
      if (this.#steps() < 0.5)
        client.request({ $case: "closeSession", value: {} }, undefined, () => client.end("closed"));
      else client.end("left");
    }
    await this.#pass(LEAVE_MS);
    for (const client of this.#present()) client.end("left");
    await this.#pass(EMPTY_MS);
    this.#check();
    for (const shadow of this.#ledger.shadows) {
      const sizes = {
        sessions: shadow.sessions.size,
        tombstones: shadow.tombstones.size,
        elements: shadow.elements.size,
        waits: shadow.waits.size,
        kept: shadow.kept.size,
        batches: shadow.batches.size,
        warnings: shadow.warnings.size + shadow.warningByTarget.size,
        terms: shadow.termsByTarget.size,
        compensations: shadow.compensations.size,
        contended: shadow.contended.size,
        parts: shadow.parts.size,
        grants: shadow.grants,
        operations: shadow.operations,
      };
      const left = Object.entries(sizes).filter(([, size]) => size > 0);
      expectRule(left.length === 0, "left-over", () => `partition ${shadow.partition} keeps ${JSON.stringify(left)}`);
    }
    const directory = this.#server.node?.directory.size ?? 0;
    expectRule(directory === 0, "left-over", () => `the node still knows ${directory} sessions`);
    for (const replayed of this.#ledger.replayAll()) {
      const shadow = this.#ledger.shadows[replayed.partition];
      const isSame = shadow !== undefined && dump(shadow) === dump(replayed);
      expectRule(isSame, "replay-differs", () => `partition ${replayed.partition} from an empty state`);
    }
  }
}

export function isHeld(element: Element, hold: Hold): boolean {
  for (const grant of holdersOf(element)) {
    if (grant.token === hold.token && !grant.reserved) return grant.mode === hold.mode || hold.mode !== Mode.EXCLUSIVE;
  }
  return false;
}

const FAULT_CHOICES: readonly Fault[] = [
  ...(["cut", "cut", "cut", "cut", "cut", "loss", "delay", "delay", "client_pause", "client_pause"] as const),
  ...([
    "client_death",
    "client_death",
    "crash",
    "power",
    "pause",
    "slow_disk",
    "disk_error",
    "snapshot",
    "snapshot",
  ] as const),
  "wall_clock",
  "folder_error",
  "client_hang",
  "client_hang",
  "client_hang",
];

export function textOf(event: { readonly kind: string }): string {
  return JSON.stringify(event, (key, value: unknown) => {
    if (typeof value === "bigint") return value.toString();
    if (value instanceof Uint8Array) return Buffer.from(value).toString();
    return key === "secretHash" ? undefined : value;
  });
}
