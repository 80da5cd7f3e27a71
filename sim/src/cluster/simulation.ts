// simulation.ts: one run of a whole cluster from one seed: nodes on one etcd, clients at any of them, faults, and what must hold.
//   I1. After every event: at most one node may answer for a partition (judge.ts), and nobody believes in a grant that is not his.
//   I2. After every step: standbys agree with the log. With every answer: what is acknowledged is in the log (acknowledged.ts).
//   I3. Whoever is refused for a cycle of waits was in one, and once all is healed none is left (circles.ts).
//   I4. In the end, healed: every partition has one leader whose state is that of the log; every waiter is granted or refused.
import { MemoryEtcdStore, type PartitionEvent, type PartitionState } from "forelock/internal";
import { between, choose, forkRandom, type Random } from "../proxy/random.ts";
import { Answers } from "../simulator/answers.ts";
import { keyOf, type SavedSession, SimulatedClient } from "../simulator/client.ts";
import { dial } from "../simulator/dial.ts";
import { dump } from "../simulator/dump.ts";
import { Preemptions } from "../simulator/preemption.ts";
import { errorText, isHeld, type RunResult, textOf } from "../simulator/simulation.ts";
import { Situations } from "../simulator/situations.ts";
import { Process, SimulatedTime } from "../simulator/time.ts";
import type { Trace } from "../simulator/trace.ts";
import { expectRule, Violation } from "../simulator/violation.ts";
import type { Weather, Wire } from "../simulator/wire.ts";
import { Witness } from "../simulator/witness.ts";
import { act, cancelUpgrades, FILES, type ReadValue, releaseWhole, type World } from "../simulator/workload.ts";
import { judgeAcknowledged } from "./acknowledged.ts";
import { Circles } from "./circles.ts";
import { PRINCIPALS } from "./edge-options.ts";
import { befall, type FaultedWorld, heal } from "./faults.ts";
import { Judge } from "./judge.ts";
import { ClusterLedger } from "./ledger.ts";
import { CLUSTER, Member } from "./member.ts";
import { PeerNetwork } from "./network.ts";
import { type ClusterFault, type ClusterProfile, DRIFT_RATIO } from "./profile.ts";

/** What needs forecasts and operators of one node is simulated there; a batch over several owners is refused by its nature. */
const WITHOUT: ReadonlySet<string> = new Set(["set policy", "warn", "look ahead", "acknowledge", "acquireAll", "look"]);
const BOUNDS = { extensionsMax: 2, extensionMsMax: 3_000, preemptionsPerHourMax: 0, coolDownMs: 0 };
const START_MS = 3_000;
/** A client that is not welcomed by then tries another node. */
const WELCOME_MS_MAX = 1_500;
const PAUSE_MS_MAX = 9_000;
/** Whoever is down or paused goes on by then, and all that was planned is done. */
const RECOVER_MS = 14_000;
/** From then on a circle is broken in this time: a few looks, and answers that are waited for in vain. */
const SEARCH_MS = 6_000;
const HEALED_MS = 30_000;
const RECONNECT_ROUNDS = 16;
/** For what is on its way to the log when the run ends. */
const WRITTEN_MS = 200;
/** From the moment a partition is led anew, sessions of it are given this part of their ttl at least. */
const SERVED_RATIO_MIN = 0.32;

export async function simulateCluster(profile: ClusterProfile, trace: Trace): Promise<RunResult> {
  const simulation = new ClusterSimulation(profile, trace);
  let violation: Violation | undefined;
  try {
    await simulation.run();
  } catch (cause) {
    violation = cause instanceof Violation ? cause : new Violation("exception", errorText(cause));
    trace.add(simulation.time.nowMs, `VIOLATION ${violation.message}`);
  }
  simulation.summarize();
  const { step, counts, time } = simulation;
  return { violation, step, simulatedMs: time.nowMs, events: time.events, counts };
}

class ClusterSimulation {
  readonly time = new SimulatedTime();
  readonly counts = new Map<string, number>();
  step = 0;
  readonly #profile: ClusterProfile;
  readonly #trace: Trace;
  readonly #witness: Witness;
  readonly #ledger: ClusterLedger;
  readonly #judge: Judge;
  readonly #circles: Circles;
  readonly #members: readonly Member[];
  readonly #faulted: FaultedWorld;
  readonly #answers = new Answers();
  readonly #clients: (SimulatedClient | undefined)[] = [];
  readonly #lives: number[] = [];
  readonly #wires = new Map<Member, Set<Wire>>();
  readonly #claims = new Map<Member, Map<string, Wire>>();
  readonly #ledSinceMs = new Map<number, number>();
  readonly #weather: Weather = { delayMsMax: 4, lossRatio: 0 };
  readonly #steps: Random;
  readonly #chances: Random;
  readonly #network: Random;
  readonly #world: World;
  readonly #fate = new Process("fate");
  #broken: unknown;
  #isHealed = false;

  constructor(profile: ClusterProfile, trace: Trace) {
    this.#profile = profile;
    this.#trace = trace;
    const { seed, partitions, limits } = profile;
    this.#steps = forkRandom(seed, "steps");
    this.#chances = forkRandom(seed, "faults");
    this.#network = forkRandom(seed, "network");
    const situations = new Situations();
    const preemptions = new Preemptions(
      BOUNDS,
      situations,
      () => 1,
      () => {},
    ); // Nobody is warned here.
    const told = (state: PartitionState, event: PartitionEvent): void => this.#told(state, event);
    this.#witness = new Witness(situations, preemptions, limits.priorityStepMs, told);
    const store = new MemoryEtcdStore({
      clock: this.time.clockOf(new Process("etcd"), 0, 1, () => this.time.nowMs),
    });
    this.#ledger = new ClusterLedger(store, CLUSTER, partitions, (state, event) => this.#witness.see(state, event));
    this.#circles = new Circles(this.#ledger.shadows);
    store.onChange(() => this.#guarded(() => this.#see()));
    const network = new PeerNetwork(this.time, forkRandom(seed, "peers"));
    this.#members = Array.from({ length: profile.nodes }, (_, index) => this.#member(index, store, network));
    this.#judge = new Judge(this.#members, this.#ledger);
    this.#faulted = { time: this.time, random: this.#chances, network, members: this.#members, partitions };
    this.#world = this.#makeWorld();
  }

  async run(): Promise<void> {
    for (const member of this.#members) member.start();
    await this.#pass(START_MS);
    for (let slot = 0; slot < this.#profile.clients; slot += 1) {
      this.#lives.push(0);
      this.#born(slot, undefined);
    }
    while (this.step < this.#profile.steps) {
      this.step += 1;
      this.#act();
      await this.#pass(this.#paceMs());
      this.#judge.step();
    }
    await this.#heal();
  }

  summarize(): void {
    const add = (name: string, count: number): void => void this.counts.set(name, (this.counts.get(name) ?? 0) + count);
    for (const { weather, compared, cluster } of this.#members) {
      for (const [name, count] of weather.counts) add(name, count);
      add("marks compared", compared + (cluster?.ownership.compared ?? 0));
    }
    add("records", this.#ledger.records);
    add("epochs", this.#ledger.moves);
    add("carried between nodes", this.#faulted.network.carried);
    add("waits in a circle", this.#circles.met);
    add("waits refused for a circle", this.#circles.broken);
    add("waits refused for a circle over partitions", this.#circles.brokenOver);
    add("answers compared", this.#answers.compared);
  }

  #member(index: number, store: MemoryEtcdStore, network: PeerNetwork): Member {
    const { seed, partitions, limits, snapshotBytes, faults } = this.#profile;
    const id = "abcdefgh"[index] ?? `n${index}`;
    const random = forkRandom(seed, `node ${id}`);
    return new Member({
      ...{ id, random, store, network, limits, partitions, snapshotBytes },
      ...{ time: this.time, trace: this.#trace, ledger: this.#ledger },
      rate: faults.has("drift") ? 1 + (random() * 2 - 1) * DRIFT_RATIO : 1,
      files: FILES.slice(0, 2).map(({ file }) => file),
      others: () => this.#members,
      broken: (cause) => {
        this.#broken ??= cause;
      },
      down: (member) => {
        this.#claims.delete(member);
        for (const wire of this.#wires.get(member) ?? []) wire.cut();
        this.#wires.delete(member);
      },
    });
  }

  #makeWorld(): World {
    const simulation = this;
    return {
      random: this.#steps,
      references: [],
      released: new Set(),
      bounds: BOUNDS,
      isStrict: false,
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
    if (chance < 0.7) return this.#steps() * paceMs;
    return chance < 0.95 ? this.#steps() * paceMs * 5 : this.#steps() * 3_000;
  }

  #act(): void {
    if (this.#chances() < this.#profile.faultRatio) return this.#fault();
    const clients = this.#present().filter((client) => client.options.process.pausedUntilMs <= this.time.nowMs);
    if (clients.length > 0) act(this.#world, choose(this.#steps, clients), WITHOUT);
  }

  #fault(): void {
    const random = this.#chances;
    const kind = choose(random, CHOICES);
    const [amount, which] = [random(), random()];
    if (!this.#profile.faults.has(kind)) return;
    const clients = this.#present();
    const client = clients[Math.floor(which * clients.length)];
    this.#count(`fault ${kind}`);
    const what = this.#clientFault(kind, client, amount) ?? befall(this.#faulted, kind);
    this.#trace.add(this.time.nowMs, `fault ${kind} ${what}`);
  }

  /** Undefined: it is none of clients. */
  #clientFault(kind: ClusterFault, client: SimulatedClient | undefined, amount: number): string | undefined {
    const name = client?.options.name ?? "nobody";
    switch (kind) {
      case "client_cut":
        if (amount < 0.6) client?.cutOperations();
        else if (amount < 0.8) client?.cutHeartbeats();
        else client?.cutAll();
        return name;
      case "client_loss":
        this.#weather.lossRatio = amount < 0.5 ? 0 : amount * 0.05;
        return amount.toFixed(2);
      case "client_delay":
        this.#weather.delayMsMax = amount < 0.4 ? 4 : amount < 0.92 ? 100 : amount * 1_500;
        return amount.toFixed(2);
      case "client_pause":
        if (client !== undefined) client.options.process.pausedUntilMs = this.time.nowMs + amount * PAUSE_MS_MAX;
        return name;
      case "client_death":
        if (client !== undefined) this.#kill(client, amount);
        return name;
      default:
        return undefined;
    }
  }

  #kill(client: SimulatedClient, amount: number): void {
    client.options.process.isAlive = false;
    client.cutAll();
    this.#rebear(this.#clients.indexOf(client), amount * 8_000, amount < 0.4 ? client.saved : undefined);
  }

  #rebear(slot: number, delayMs: number, saved: SavedSession | undefined): void {
    this.#clients[slot] = undefined;
    this.time.after(this.#fate, delayMs, () => this.#born(slot, saved));
  }

  #born(slot: number, saved: SavedSession | undefined): void {
    const life = (this.#lives[slot] ?? 0) + 1;
    this.#lives[slot] = life;
    const { seed, faults } = this.#profile;
    const name = `c${slot}.${life}`;
    const random = forkRandom(seed, name);
    const process = new Process(name);
    const rate = faults.has("drift") ? 1 + (random() * 2 - 1) * DRIFT_RATIO : 1;
    this.#clients[slot] = new SimulatedClient({
      ...{ name, time: this.time, process, random, trace: this.#trace, answers: this.#answers, saved },
      clock: this.time.clockOf(process, random() * 1e6, rate, () => this.time.nowMs),
      met: () => {},
      acknowledged: (client, request, body) => {
        if (judgeAcknowledged(this.#witness, client, request, body)) this.#count("acknowledgement judged");
      },
      warned: () => {},
      failed: () => {},
      principal: PRINCIPALS[slot % 3 === 2 ? 1 : 0],
      ttlMs: between(random, 6_000, 12_000),
      beatsPerTtl: choose(random, [12, 12, 6]),
      connect: (client, purpose) => this.#connect(client, purpose, random),
    });
  }

  /** To any node: none of them knows better to a client than another. */
  #connect(client: SimulatedClient, purpose: "operations" | "heartbeat", random: Random): Wire {
    const member = choose(random, this.#members);
    const claims = this.#claims.get(member) ?? new Map<string, Wire>();
    this.#claims.set(member, claims);
    const wire = dial(client, purpose, {
      ...{ time: this.time, random: this.#network, weather: this.#weather, server: member, claims },
      clientName: client.options.name.split(".")[0] ?? "",
      heard: () => {},
    });
    const wires = this.#wires.get(member) ?? new Set();
    this.#wires.set(member, wires);
    for (const each of wires) if (each.isCut) wires.delete(each);
    wires.add(wire);
    this.time.after(client.options.process, WELCOME_MS_MAX, () => {
      if (!wire.isWelcome) wire.cut();
    });
    return wire;
  }

  // ---- what must hold

  #told(state: PartitionState, event: PartitionEvent): void {
    const { partition } = state;
    this.#trace.add(this.time.nowMs, `p${partition} ${textOf(event)}`);
    if (event.kind === "wait_ended" && event.code === "deadlock") this.#circles.refused(partition, event.wait); // I3
    if (event.kind === "started") this.#ledSinceMs.set(partition, this.time.nowMs);
    if (event.kind !== "session_ended" || event.why !== "expired") return;
    const ttlMs = state.sessionByNumber.get(event.session)?.ttlMs ?? 0;
    const servedMs = this.time.nowMs - (this.#ledSinceMs.get(partition) ?? 0);
    expectRule(
      servedMs >= ttlMs * SERVED_RATIO_MIN,
      "expired-early",
      () => `session ${event.session} of partition ${partition} had ${servedMs} of its ${ttlMs} ms`,
    );
  }

  #see(): void {
    const before = this.#ledger.records;
    this.#ledger.see();
    if (this.#ledger.records > before) this.#circles.look(this.time.nowMs);
  }

  /** What is called by the code under test must not throw into it. */
  #guarded(run: () => void): void {
    try {
      run();
    } catch (cause) {
      this.#broken ??= cause;
    }
  }

  async #pass(ms: number): Promise<void> {
    await this.time.runUntil(this.time.nowMs + ms, () => this.#checkEvent());
    for (const [slot, client] of this.#clients.entries())
      if (client?.isEnded === true && !this.#isHealed) this.#rebear(slot, this.#steps() * 2_000, undefined);
  }

  /** I1 */
  #checkEvent(): void {
    if (this.#broken !== undefined) throw this.#broken;
    this.#judge.event();
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

  #judgeRead(file: string, begun: number, { version, offset, bytes, length }: ReadValue): void {
    const { files } = this.#witness;
    const newest = files.versionOf(file);
    expectRule(
      version >= begun && version <= newest,
      "read-stale",
      () => `${file} was read at version ${version}; it was ${begun} when asked and ${newest} when answered`,
    );
    const contents = files.contentsAt(file, version);
    const expected = contents?.subarray(offset, offset + bytes.length);
    const isSame = contents?.length === length && expected !== undefined && Buffer.compare(expected, bytes) === 0;
    expectRule(isSame, "read-wrong", () => `${file} version ${version} from ${offset}`);
    this.#count("read judged");
  }

  // ---- the end

  /** I4 */
  async #heal(): Promise<void> {
    this.#weather.delayMsMax = 4;
    this.#weather.lossRatio = 0;
    this.#isHealed = true;
    heal(this.#faulted);
    this.#trace.add(this.time.nowMs, "healed");
    await this.#pass(RECOVER_MS);
    await this.#pass(SEARCH_MS);
    this.#circles.end(this.time.nowMs, SEARCH_MS);
    for (const { id } of this.#members) this.#members[0]?.wish((cluster) => cluster.planner.drain(id, false));
    heal(this.#faulted); // Of what broke later.
    const endMs = this.time.nowMs + HEALED_MS;
    for (let round = 0; this.time.nowMs < endMs; round += 1) {
      if (round % RECONNECT_ROUNDS === 0) for (const client of this.#present()) client.cutOperations();
      if (round === RECONNECT_ROUNDS) for (const client of this.#present()) cancelUpgrades(client);
      for (const client of this.#present()) this.#releaseAll(client);
      await this.#pass(200);
      this.#judge.step();
      if (round > RECONNECT_ROUNDS && this.#isAtRest()) break;
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
    for (const client of this.#present()) client.end("left");
    await this.#pass(200);
    for (let ms = 0; ms < WRITTEN_MS && !this.#judge.isWritten; ms += 1) await this.#pass(1);
    this.#judge.end();
  }

  /** Nobody waits, and nothing is held that will be given back. */
  #isAtRest(): boolean {
    const isIdle = this.#present().every(({ unanswered, holds }) => unanswered.size === 0 && holds.size === 0);
    return isIdle && this.#ledger.shadows.every(({ waits, batches }) => waits.size === 0 && batches.size === 0);
  }

  #releaseAll(client: SimulatedClient): void {
    for (const hold of [...client.holds.values()]) {
      if (hold.isChanging) continue;
      client.drop(hold);
      const value = { name: hold.name, token: hold.token, undo: false };
      releaseWhole(client, { $case: "release", value }, undefined);
    }
  }
}

const CHOICES: readonly ClusterFault[] = [
  ...([
    "etcd_way",
    "etcd_way",
    "etcd_way",
    "etcd_refuses",
    "watch",
    "watch",
    "watch",
    "watch",
    "peer_cut",
    "peer_cut",
  ] as const),
  ...(["pause", "pause", "pause", "crash", "crash", "leave", "drain", "pin", "pin", "pin"] as const),
  ...(["client_cut", "client_cut", "client_loss", "client_delay", "client_pause", "client_death"] as const),
];
