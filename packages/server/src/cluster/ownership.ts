// ownership.ts: what this node does about each partition: follow it, take it over, lead it, give it away. The wish (the map) says what
// should be, the epoch record what is. Not here: making the wish (plan.ts, planner.ts), who lives (membership.ts).
//   O1. A partition is led only under an epoch whose record names this process.
//   O2. Taken over unplanned: the epoch is raised first, the rest of the log is read second, and nothing is answered before the
//       old owner's window has passed (window.ts).
//   O3. Given away: one transaction holds what was decided last and names the successor; what was asked meanwhile is told
//       `not_owner` and asked again there. Without an answer in time this node goes on as the owner, if it still is.
//   O4. One step at a time for each partition.
//   O5. Owner and standby are compared at equal positions, all the time. A standby that differs stops, and takes over nothing with
//       what it has.
//   O6. Who lacks file contents of a partition yields it to a live node that follows it and lacks none. Without any it leads all the
//       same: locks come first, and what is missing is refused until it comes (contents.ts).
//   O7. A gift is kept until the wish that it came by is known here: who is behind with the wish would give it back by an older one.
import { ForelockError } from "@forelock/protocol";
import { pauseFor, type Timer } from "../clock.ts";
import type { PartitionState } from "../partition/state.ts";
import type { Node } from "../shard/node.ts";
import type { Ownership as NodeOwnership } from "../shard/ownership.ts";
import type { Owner, Owners, PeerAddress } from "./owners.ts";
import type { OwnershipOptions } from "./ownership-options.ts";
import { type MapRecord, type NodeRecord, nodeOfOwner, ownerName } from "./records.ts";
import { Replica } from "./replica.ts";
import type { EpochRecord, FollowSink } from "./shared-log.ts";
import { isFenced, isNotOwner, type Slot } from "./slot.ts";
import { Timeline } from "./timeline.ts";
import { SILENCE_MS, Window } from "./window.ts";

/** Given away at the same time. */
const GIVING_MAX = 2;
/** A successor may be this many records behind: what it reports of itself is up to leaseMs / 4 old. */
const BEHIND_MAX = 1_000;
const LOOK_MS = 50;
/** How long a partition that was given to this node waits for its clients: they hear of it within a fraction of a round trip. */
const GATHER_MS = 3;
/** After a step failed. */
const PAUSE_MS = 100;
const TIMELINE_MAX = 500;

export class Ownership implements NodeOwnership, Owners {
  readonly timeline: Timeline;
  /** Marks of owners that were compared with this node's. */
  compared = 0;
  readonly #options: OwnershipOptions;
  readonly #slots: Slot[];
  readonly #epochs = new Map<number, EpochRecord>();
  /** The epoch up to which the log has told this node's replica everything. */
  readonly #complete = new Map<number, number>();
  /** When the newest epoch record was seen, or waited for anew. */
  readonly #sawAtMs = new Map<number, number>();
  /** Under which this node leads, or did last. */
  readonly #ledEpochs = new Map<number, number>();
  readonly #busy = new Set<number>();
  /** O7. Given to this node while the wish, as it is known here, named another: until when it is kept for that reason. */
  readonly #keptUntilMs = new Map<number, number>();
  readonly #listeners = new Set<() => void>();
  readonly #window: Window;
  #map: MapRecord | undefined;
  #node: Node | undefined;
  #looking: Timer | undefined;
  #endEpochs = (): void => {};
  #isClosed = false;
  #isTold = false;
  #epochChanges = 0;

  constructor(options: OwnershipOptions) {
    this.#options = options;
    this.#slots = Array.from({ length: options.partitions }, () => ({ kind: "away" }));
    this.timeline = new Timeline(options.clock, TIMELINE_MAX);
    this.#window = new Window({
      clock: options.clock,
      read: (deadlineMs) => options.log.ownEpochs(deadlineMs === undefined ? {} : { deadlineMs }),
      saw: (epochs) => {
        for (const [partition, record] of epochs) this.#sawEpoch(partition, record);
      },
    });
  }

  /** Begins to follow and to lead as wished. Resolves when this node knows who owns what. */
  async start(node: Node): Promise<void> {
    this.#node = node;
    // Requests for what moved are sent on at once, also by nodes that have no part in it: the window would tell them later.
    this.#endEpochs = this.#options.log.onEpoch((record) => this.#sawEpoch(record.partition, record));
    await this.#window.start();
    this.reconcile();
    this.#lookAgain();
  }

  /** Gives everything away for which a successor is there, for at most `boundMs`, then answers nothing more. */
  async close(boundMs: number): Promise<void> {
    const untilMs = this.#options.clock.monotonicMs() + boundMs;
    while (this.#leading().length > 0 && this.#options.clock.monotonicMs() < untilMs) {
      const [partition] = this.#leading();
      const successor = partition === undefined ? undefined : this.#heir(partition);
      if (partition === undefined || successor === undefined) break;
      if (!(await this.#step(partition, () => this.#give(partition, successor)))) break;
    }
    this.#isClosed = true;
    this.#looking?.dispose();
    this.#endEpochs();
    this.#window.close();
    for (const slot of this.#slots) if (slot.kind === "following") slot.end();
  }

  // ------------------------------------------------------------------------------------------------------ as others see it

  get nodeId(): string {
    return this.#options.nodeId;
  }

  of(partition: number): Owner {
    if (this.#slots[partition]?.kind === "leading") return { kind: "here" };
    const record = this.#epochs.get(partition);
    if (record === undefined || record.owner === this.#options.self) return { kind: "nobody" };
    const peer = this.#peer(nodeOfOwner(record.owner));
    return peer === undefined || !this.#options.members().isOwnerLive(record.owner)
      ? { kind: "nobody" }
      : { kind: "peer", peer };
  }

  peers(): readonly PeerAddress[] {
    return this.#options
      .members()
      .living()
      .filter(({ id }) => id !== this.nodeId)
      .map(({ id, host, port }) => ({ id, host, port }));
  }

  onChange(run: () => void): () => void {
    this.#listeners.add(run);
    return () => this.#listeners.delete(run);
  }

  growthRefused(): string | undefined {
    return this.#options.growthRefused();
  }

  appendRefused(): string | undefined {
    return this.#options.contents.appendRefused();
  }

  mayAnswer(): boolean {
    return this.#window.isOpen;
  }

  holds(key: string, run: () => void): boolean {
    return this.#window.holds(key, run);
  }

  fenced(partition: number): void {
    this.#fell(partition, "fenced");
  }

  /** Of each partition, the last record that this node has; -1 where it has nothing. */
  positions(): readonly number[] {
    return this.#slots.map((slot, partition) => {
      switch (slot.kind) {
        case "following":
        case "taking":
          return slot.replica.sequence;
        case "leading":
        case "giving":
          return this.#options.log.lastSequence(partition);
        default:
          return -1;
      }
    });
  }

  /** The newest durable mark of each partition that is led. */
  marks(): NodeRecord["marks"] {
    const marks: (readonly [number, number, string])[] = [];
    for (const partition of this.#leading()) {
      const mark = this.#node?.shardAt(partition).marks?.before(this.#options.log.lastSequence(partition));
      if (mark !== undefined) marks.push([partition, mark.sequence, mark.hash]);
    }
    return marks;
  }

  /** O5 */
  compare({ id, marks }: NodeRecord): void {
    for (const [partition, sequence, hash] of marks) {
      const slot = this.#slots[partition];
      const record = this.#epochs.get(partition);
      if (slot?.kind !== "following" || record === undefined || nodeOfOwner(record.owner) !== id) continue;
      const mine = slot.replica.marks.at(sequence);
      if (mine === undefined) continue;
      this.compared += 1;
      if (mine.hash === hash) continue;
      slot.end();
      this.#slots[partition] = { kind: "broken" };
      this.#options.note("state differs from the owner's", { partition, sequence, owner: id, hash, mine: mine.hash });
    }
  }

  /** Of a partition that this node follows or leads. */
  stateOf(partition: number): PartitionState | undefined {
    const slot = this.#slots[partition];
    switch (slot?.kind) {
      case "following":
      case "taking":
        return slot.replica.state;
      case "leading":
      case "giving":
        return this.#node?.shardAt(partition).state;
      default:
        return undefined;
    }
  }

  /** Live peers that follow the partition and lack nothing of its contents, its owner last: it has enough to do. */
  sources(partition: number): readonly PeerAddress[] {
    const owner = nodeOfOwner(this.#epochs.get(partition)?.owner ?? "");
    const peers = this.#completeNodes(partition).filter((id) => id !== this.nodeId);
    const byWork = peers.sort((a, b) => Number(a === owner) - Number(b === owner));
    return byWork.map((id) => this.#peer(id)).filter((peer) => peer !== undefined);
  }

  #completeNodes(partition: number): string[] {
    return this.#options
      .members()
      .living()
      .filter(({ positions, missing }) => (positions[partition] ?? -1) >= 0 && !missing.includes(partition))
      .map(({ id }) => id);
  }

  /** What this node is to the partition: a word for operators. */
  role(partition: number): Slot["kind"] {
    return this.#slots[partition]?.kind ?? "away";
  }

  /** What this node leads. */
  get led(): readonly number[] {
    return this.#leading();
  }

  /** Records that the last of the standbys has yet to apply, of what this node leads, as they have last told of themselves. */
  standbyLag(): number {
    const members = this.#options.members();
    const lags = this.#leading().flatMap((partition) => {
      const last = this.#options.log.lastSequence(partition);
      const standbys = this.#map?.partitions[partition]?.filter((id) => id !== this.nodeId) ?? [];
      return standbys.map((id) => {
        const position = members.live(id)?.positions[partition] ?? -1;
        return position < 0 ? 0 : last - position;
      });
    });
    return Math.max(0, ...lags);
  }

  /** Changes of owners that this node has seen since it started. */
  get epochChanges(): number {
    return this.#epochChanges;
  }

  /** The epoch record as last seen. */
  epoch(partition: number): EpochRecord | undefined {
    return this.#epochs.get(partition);
  }

  // ----------------------------------------------------------------------------------------------------------- what to do

  /** The wish changed. */
  wish(map: MapRecord | undefined): void {
    this.#map = map;
    this.reconcile();
  }

  /** Looks at every partition: call it when the wish, the epochs or the members have changed. */
  reconcile(): void {
    if (this.#isClosed || this.#node === undefined) return;
    for (const partition of this.#slots.keys()) this.#reconcile(partition);
  }

  /** What others report of themselves changes all the time, and what failed is tried again. */
  #lookAgain(): void {
    if (this.#isClosed) return;
    this.#looking = this.#options.clock.after(LOOK_MS, () => {
      this.reconcile();
      this.#lookAgain();
    });
  }

  #reconcile(partition: number): void {
    const slot = this.#slots[partition];
    if (slot === undefined || this.#busy.has(partition) || this.#isClosed) return;
    switch (slot.kind) {
      case "away":
        if (this.#isWanted(partition)) void this.#step(partition, () => this.#load(partition));
        return;
      case "following":
        if (this.#mayTake(partition)) void this.#step(partition, () => this.#take(partition, slot));
        else if (!this.#isWanted(partition) && this.of(partition).kind === "peer") this.#drop(partition, slot);
        else if (this.#isToldLate(partition)) {
          slot.end();
          this.#follow(partition, slot.replica);
        }
        return;
      case "leading": {
        const successor = this.#wishedSuccessor(partition);
        if (successor !== undefined) void this.#step(partition, () => this.#give(partition, successor));
        return;
      }
      case "broken": {
        // What it had is given up; with the owner gone, the log itself is better than nobody.
        const record = this.#epochs.get(partition);
        if (record === undefined || !this.#options.members().isOwnerLive(record.owner)) {
          this.#slots[partition] = { kind: "away" };
        }
        return;
      }
      case "loading":
      case "taking":
      case "giving":
        return; // A step is under way.
    }
  }

  /** O4. @returns whether it was done */
  async #step(partition: number, run: () => Promise<void>): Promise<boolean> {
    if (this.#busy.has(partition)) return false;
    this.#busy.add(partition);
    let isDone = true;
    try {
      await run();
    } catch (error) {
      isDone = false;
      this.#options.note("step failed", { partition, role: this.role(partition), error: String(error) });
      await pauseFor(this.#options.clock, PAUSE_MS);
    } finally {
      this.#busy.delete(partition);
    }
    this.reconcile();
    return isDone;
  }

  // ------------------------------------------------------------------------------------------------------------- follow

  /** Owner or standby by the wish, or owner in truth; and everybody follows partition 0, where the policies are. */
  #isWanted(partition: number): boolean {
    if (partition === 0 || this.#map?.partitions[partition]?.includes(this.nodeId) === true) return true;
    // It was given to this node, which had just dropped it: nobody else can take it, or give it on.
    return this.#epochs.get(partition)?.owner === this.#options.self;
  }

  async #load(partition: number): Promise<void> {
    const { log, contents } = this.#options;
    this.#slots[partition] = { kind: "loading" };
    try {
      const snapshot = await log.loadSnapshot(partition, contents.mark(partition));
      const replica = Replica.from(partition, snapshot, contents);
      contents.begin(replica.state, replica.sequence);
      this.#follow(partition, replica);
    } catch (error) {
      this.#slots[partition] = { kind: "away" };
      throw error;
    }
  }

  #follow(partition: number, replica: Replica): void {
    const { log } = this.#options;
    const policies = partition === 0 ? this.#node?.foresight.policies : undefined;
    policies?.follow(replica.state);
    this.#complete.delete(partition); // What an earlier replica was told, this one was not.
    const ending = new AbortController();
    const sink: FollowSink = {
      record: (record) => {
        if (this.replica(partition) !== replica) return; // It has been taken over with, or dropped.
        try {
          replica.apply(record);
        } catch (error) {
          this.#broke(partition, error);
          return;
        }
        policies?.changed();
      },
      epoch: (record) => {
        if (this.replica(partition) === replica) {
          this.#complete.set(partition, record.epoch);
          replica.learner ??= this.#node?.foresight.learner(replica.state);
        }
        this.#sawEpoch(partition, record);
        this.#reconcile(partition);
      },
    };
    this.#slots[partition] = { kind: "following", replica, end: () => ending.abort() };
    log.follow(partition, replica.position, sink, ending.signal).then(
      (how) => {
        if (how === "behind" && this.replica(partition) === replica) this.#slots[partition] = { kind: "away" };
      },
      (error: unknown) => {
        if (this.replica(partition) === replica) this.#broke(partition, error);
      },
    );
  }

  /** What the log has cannot follow what this node has: it stands by no more with that, and begins anew from the log. */
  #broke(partition: number, error: unknown): void {
    const slot = this.#slots[partition];
    this.#options.note("replica broke", { partition, error: String(error) });
    if (slot?.kind === "following") this.#drop(partition, slot);
  }

  #drop(partition: number, slot: Slot & { kind: "following" }): void {
    slot.end();
    this.#slots[partition] = { kind: "away" };
    this.#options.contents.forget(partition);
  }

  /** What this node follows, as it has it. */
  replica(partition: number): Replica | undefined {
    const slot = this.#slots[partition];
    return slot?.kind === "following" ? slot.replica : undefined;
  }

  /** It was given to this node, and its follower has not told so: with nobody to write to it, nothing else ever would. */
  #isToldLate(partition: number): boolean {
    const { clock, leaseMs, self } = this.#options;
    const record = this.#epochs.get(partition);
    if (record?.owner !== self || this.#complete.get(partition) === record.epoch) return false;
    const sinceMs = clock.monotonicMs() - (this.#sawAtMs.get(partition) ?? 0);
    if (sinceMs < leaseMs / 4) return false;
    this.#sawAtMs.set(partition, clock.monotonicMs()); // The next follower has as long.
    return true;
  }

  // ---------------------------------------------------------------------------------------------------------- take over

  #mayTake(partition: number): boolean {
    const record = this.#epochs.get(partition);
    const isWished = this.#map?.partitions[partition]?.[0] === this.nodeId;
    if (record === undefined) return isWished;
    if (record.owner === this.#options.self) return this.#complete.get(partition) === record.epoch; // It was given to this node.
    if (this.#options.members().isOwnerLive(record.owner)) return false;
    return (isWished && !this.#mustYield(partition)) || this.#isFirstInLine(partition);
  }

  /** O6 */
  #mustYield(partition: number): boolean {
    return this.#lacks(this.nodeId, partition) && this.#completeNodes(partition).some((id) => id !== this.nodeId);
  }

  #lacks(id: string, partition: number): boolean {
    if (id === this.nodeId) return (this.#options.contents.gaps(partition)?.size ?? 0) > 0;
    return this.#options.members().live(id)?.missing.includes(partition) ?? false;
  }

  /**
   * Of the live nodes that follow the partition, those first that lack nothing of it, then those that the wish names, then the one
   * furthest along, ties by id.
   */
  #isFirstInLine(partition: number): boolean {
    const line = this.#options
      .members()
      .living()
      .map(({ id, positions }) => ({ id, position: positions[partition] ?? -1 }))
      .map((each) => (each.id === this.nodeId ? { ...each, position: this.replica(partition)?.sequence ?? -1 } : each))
      .filter(({ position }) => position >= 0)
      .map(({ id, position }) => {
        const isWished = this.#map?.partitions[partition]?.includes(id) === true;
        return { id, position, rank: Number(this.#lacks(id, partition)) * 2 + Number(!isWished) };
      })
      .sort((a, b) => a.rank - b.rank || b.position - a.position || (a.id < b.id ? -1 : 1));
    return line[0]?.id === this.nodeId;
  }

  async #take(partition: number, { replica, end }: Slot & { kind: "following" }): Promise<void> {
    const { self, members, clock } = this.#options;
    const seen = this.#epochs.get(partition);
    const isGiven = seen?.owner === self;
    if (!isGiven && seen !== undefined && !(await members().confirmSilent(seen.owner))) return; // L2 of membership.ts
    if (this.replica(partition) !== replica) return;
    this.#slots[partition] = { kind: "taking", replica };
    const beganMs = clock.monotonicMs();
    try {
      // The log needs no look of its own while the partition is followed.
      if (isGiven && seen !== undefined) await this.#options.log.adopt(seen, replica.position);
      end();
      const epoch = isGiven && seen !== undefined ? seen.epoch : await this.#raise(partition, replica, seen);
      if (isGiven) this.#keep(partition);
      await this.#lead(partition, replica, epoch, isGiven ? GATHER_MS : 0);
      const from = seen === undefined || isGiven ? "" : nodeOfOwner(seen.owner);
      this.timeline.add({
        partition,
        kind: isGiven ? "received" : "took_over",
        node: from,
        epoch,
        ms: clock.monotonicMs() - beganMs,
      });
    } catch (error) {
      end();
      // What the replica has is from the log; whether it is all of it, the next look tells.
      if (this.#slots[partition]?.kind === "taking") this.#slots[partition] = { kind: "away" };
      if (isFenced(error) || isNotOwner(error)) return; // Another node was first, or is the owner by now.
      throw error;
    }
  }

  /** O2 */
  async #raise(partition: number, replica: Replica, seen: EpochRecord | undefined): Promise<number> {
    const { log, self, clock } = this.#options;
    const expected = seen ?? { partition, epoch: 0, owner: "", modRevision: 0 };
    const { claim, records, isBehind } = await log.takeOver(partition, {
      owner: self,
      after: replica.position,
      expected,
    });
    this.#sawEpoch(partition, claim);
    if (isBehind) throw new ForelockError("unavailable", `Partition ${partition} was truncated past this replica.`);
    for (const record of records) replica.apply(record);
    if (expected.owner !== "" && expected.owner !== self) await pauseFor(clock, SILENCE_MS);
    return claim.epoch;
  }

  async #lead(partition: number, replica: Replica, epoch: number, gatherMs: number): Promise<void> {
    const node = this.#node;
    if (node === undefined || this.#isClosed) throw new ForelockError("unavailable", "The node is stopping.");
    this.#ledEpochs.set(partition, epoch);
    if (this.#isDeposed(partition)) throw new ForelockError("fenced", `Partition ${partition} has another owner.`); // It came in the meantime. O1
    const started = node.lead(replica.state, epoch);
    if (gatherMs > 0) node.shardAt(partition).gather(gatherMs);
    // Requests are taken in while the start is on its way, and answered behind it: they wait for no round trip of their own.
    this.#slots[partition] = { kind: "leading" };
    this.#tell();
    await started;
    this.#options.led(partition);
  }

  // --------------------------------------------------------------------------------------------------------------- give

  /** O7. For a lease at most: whoever leaves gives to whom the wish does not name. */
  #keep(partition: number): void {
    const { clock, leaseMs } = this.#options;
    if (this.#map?.partitions[partition]?.[0] === this.nodeId) return;
    this.#keptUntilMs.set(partition, clock.monotonicMs() + leaseMs);
  }

  #isKept(partition: number): boolean {
    return this.#options.clock.monotonicMs() < (this.#keptUntilMs.get(partition) ?? 0);
  }

  #wishedSuccessor(partition: number): string | undefined {
    const wished = this.#map?.partitions[partition]?.[0];
    if (wished === this.nodeId) this.#keptUntilMs.delete(partition);
    if (wished === undefined || wished === this.nodeId || this.#isKept(partition)) return undefined;
    const giving = this.#slots.filter(({ kind }) => kind === "giving").length;
    return giving < GIVING_MAX ? this.#whenWarm(partition, wished) : undefined;
  }

  /** Whoever follows the partition closely, in the order of the wish. */
  #heir(partition: number): string | undefined {
    for (const id of this.#map?.partitions[partition] ?? []) {
      const owner = id === this.nodeId ? undefined : this.#whenWarm(partition, id);
      if (owner !== undefined) return owner;
    }
    return undefined;
  }

  #whenWarm(partition: number, id: string): string | undefined {
    const record = this.#options.members().live(id);
    const position = record?.positions[partition] ?? -1;
    const isWarm =
      record?.isLeaving === false &&
      !record.missing.includes(partition) &&
      position >= 0 &&
      position >= this.#options.log.lastSequence(partition) - BEHIND_MAX;
    return record !== undefined && isWarm ? ownerName(record) : undefined;
  }

  async #give(partition: number, successor: string): Promise<void> {
    const { log, clock, leaseMs } = this.#options;
    const node = this.#node;
    if (node === undefined) return;
    this.#slots[partition] = { kind: "giving", to: successor };
    const beganMs = clock.monotonicMs();
    const shard = node.shardAt(partition);
    const late = new AbortController();
    const timer = clock.after(leaseMs, () => late.abort());
    try {
      const record = await shard.handOver((last) => log.giveTo(partition, successor, last, { signal: late.signal }));
      if (record === undefined) return; // Fenced meanwhile, and told so.
      this.#given(partition, record, clock.monotonicMs() - beganMs);
    } catch (error) {
      if (!isFenced(error) && !this.#isDeposed(partition)) {
        this.#slots[partition] = { kind: "leading" };
        shard.thaw();
        throw error;
      }
      node.resign(partition);
      this.#fell(partition, "lost");
    } finally {
      timer.dispose();
    }
  }

  #given(partition: number, record: EpochRecord, ms: number): void {
    const node = this.#node;
    if (node === undefined) return;
    const { epoch, owner } = record;
    const { sequence, state } = node.shardAt(partition);
    const position = { epoch: state.epoch, sequence };
    this.#window.forget();
    this.#slots[partition] = { kind: "away" }; // For those who hear of the new epoch now.
    this.#sawEpoch(partition, record);
    this.#follow(partition, new Replica(node.resign(partition), position, this.#options.contents));
    this.timeline.add({ partition, kind: "gave", node: nodeOfOwner(owner), epoch, ms });
    this.#tell();
  }

  // -------------------------------------------------------------------------------------------------------------- truth

  #sawEpoch(partition: number, record: EpochRecord): void {
    if (record.epoch <= (this.#epochs.get(partition)?.epoch ?? 0)) return;
    if (this.#epochs.has(partition)) this.#epochChanges += 1;
    this.#epochs.set(partition, record);
    this.#sawAtMs.set(partition, this.#options.clock.monotonicMs());
    if (this.#slots[partition]?.kind === "leading" && this.#isDeposed(partition)) {
      this.#node?.resign(partition);
      this.#fell(partition, "lost");
    }
    this.#reconcile(partition);
    this.#tellSoon();
  }

  /** O1. Also when the newest epoch names this process: others led in between, and what they wrote is not in the state here. */
  #isDeposed(partition: number): boolean {
    const record = this.#epochs.get(partition);
    const led = this.#ledEpochs.get(partition) ?? 0;
    return record !== undefined && (record.owner !== this.#options.self || record.epoch > led);
  }

  /** It is led no more here, and what is in memory may be ahead of the log: it begins anew from the log. */
  #fell(partition: number, kind: "fenced" | "lost"): void {
    this.#window.forget();
    this.#slots[partition] = { kind: "away" };
    this.#options.contents.forget(partition);
    const record = this.#epochs.get(partition);
    const node = record === undefined ? "" : nodeOfOwner(record.owner);
    this.timeline.add({ partition, kind, node, epoch: record?.epoch ?? 0, ms: 0 });
    this.#reconcile(partition);
    this.#tell();
  }

  #leading(): readonly number[] {
    return [...this.#slots.keys()].filter(
      (partition) => this.#slots[partition]?.kind === "leading" && !this.#busy.has(partition),
    );
  }

  #peer(id: string): PeerAddress | undefined {
    const record = this.#options.members().live(id);
    return record === undefined ? undefined : { id, host: record.host, port: record.port };
  }

  /** Many epochs come in one read. */
  #tellSoon(): void {
    if (this.#isTold) return;
    this.#isTold = true;
    queueMicrotask(() => {
      this.#isTold = false;
      this.#tell();
    });
  }

  #tell(): void {
    for (const run of this.#listeners) run();
  }
}
