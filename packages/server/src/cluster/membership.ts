// membership.ts: which nodes live. Each rewrites its record every leaseMs / 4; who sees none for leaseMs on its own clock suspects it.
// Not here: what follows from that (ownership.ts). The lease of etcd only tidies up after nodes that are long gone.
//   L1. A node is suspected only by one that could itself write to etcd during that time: when etcd stands still, everybody is silent.
//   L2. Nothing is taken from a suspect before a linearizable read has shown that it wrote nothing meanwhile (`confirmSilent`).
//   L3. A name is one process: who finds it rewritten by another does not start.
import { assert, ForelockError } from "@forelock/protocol";
import { type Clock, pauseFor, type Timer } from "../clock.ts";
import { type Etcd, type LeaseId, NO_LEASE } from "../etcd/etcd.ts";
import { Mirror } from "./mirror.ts";
import { encodeRecord, type MemberKeys, type NodeRecord, nodeOfOwner, ownerName, parseNode } from "./records.ts";

export interface MembershipOptions {
  readonly etcd: Etcd;
  readonly keys: MemberKeys;
  readonly clock: Clock;
  readonly self: Pick<NodeRecord, "id" | "boot" | "version">;
  readonly leaseMs: number;
  /** What this node tells of its partitions. */
  readonly tell: () => Pick<NodeRecord, "positions" | "marks" | "synced" | "missing">;
  /** Another node has written its record. */
  readonly saw: (record: NodeRecord) => void;
  /** A node came, went, was rewritten under another boot, or fell silent. */
  readonly changed: () => void;
  readonly note: (line: string, fields: Readonly<Record<string, unknown>>) => void;
}

/** Where other nodes and clients reach this one. */
export type Address = Pick<NodeRecord, "host" | "port">;

interface Seen {
  record: NodeRecord;
  modRevision: number;
  /** On this node's clock. */
  writtenAtMs: number;
  isSilent: boolean;
}

/** Records of nodes that are gone stay this long, so that operators see them. In times of leaseMs. */
const TIDY_LEASES = 30;
/** Two rewrites of a living process. */
const TWIN_LEASE_RATIO = 0.6;
/** How often silence is looked for, in parts of leaseMs: what is added at most to the time until a dead owner is replaced. */
const LOOK_LEASE_RATIO = 1 / 40;

export class Membership {
  readonly #options: MembershipOptions;
  readonly #mirror: Mirror;
  readonly #seen = new Map<string, Seen>();
  #lease: LeaseId = NO_LEASE;
  #address: Address = { host: "", port: 0 };
  #beat = 0;
  #isLeaving = false;
  #timer: Timer | undefined;
  #looking: Timer | undefined;
  #beating: Promise<void> = Promise.resolve();
  #isClosed = false;
  /** Own rewrites have succeeded since, without a pause of leaseMs / 2. L1 */
  #writingSinceMs = Number.POSITIVE_INFINITY;
  #wroteAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: MembershipOptions) {
    this.#options = options;
    const { etcd, keys, clock, note } = options;
    this.#mirror = new Mirror({
      etcd,
      prefix: keys.nodes,
      clock,
      note,
      changed: (key, entry) => {
        const record = entry === undefined ? undefined : parseNode(entry.value);
        if (record === undefined || keys.node(record.id) !== key) this.#forget(key);
        else this.#see(record, entry?.modRevision ?? 0);
      },
    });
  }

  /**
   * Resolves when this node is entered under the address and the others are known.
   * @throws ForelockError `bad_setting` when another process runs under its id
   */
  async start(address: Address): Promise<void> {
    this.#address = address;
    await this.#refuseTwin();
    await this.#write();
    await this.#mirror.start();
    this.#arm();
    this.#look();
  }

  /** Tells the others that this node is stopping. */
  async announceLeave(): Promise<void> {
    this.#isLeaving = true;
    await this.#write();
  }

  /** Leaves: the others need not wait for a silence. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#timer?.dispose();
    this.#looking?.dispose();
    await this.#beating;
    await this.#mirror.close();
    const { etcd, note } = this.#options;
    if (this.#lease === NO_LEASE) return;
    await etcd.leaseRevoke(this.#lease).catch((error: unknown) => note("could not leave", { error: String(error) }));
  }

  /** Everybody who has a record, this node included, by id. */
  all(): readonly { readonly record: NodeRecord; readonly isLive: boolean; readonly silentMs: number }[] {
    const nowMs = this.#options.clock.monotonicMs();
    return [...this.#seen.values()]
      .map((seen) => ({ record: seen.record, isLive: !seen.isSilent, silentMs: nowMs - seen.writtenAtMs }))
      .sort((a, b) => (a.record.id < b.record.id ? -1 : 1));
  }

  /** The records of those that are not silent, by id. */
  living(): readonly NodeRecord[] {
    return this.all()
      .filter(({ isLive }) => isLive)
      .map(({ record }) => record);
  }

  /** The record of a node that is not silent. */
  live(id: string): NodeRecord | undefined {
    const seen = this.#seen.get(id);
    return seen === undefined || seen.isSilent ? undefined : seen.record;
  }

  /** Whether that very process of the node lives, as far as this node has seen. */
  isOwnerLive(owner: string): boolean {
    for (const { record, isSilent } of this.#seen.values()) if (ownerName(record) === owner) return !isSilent;
    return false;
  }

  /** L2. @returns whether nothing of the owner was written since it fell silent; false also when it lives after all */
  async confirmSilent(owner: string): Promise<boolean> {
    const { etcd, keys } = this.#options;
    const id = nodeOfOwner(owner);
    const before = this.#seen.get(id);
    const { entries } = await etcd.range({ key: keys.node(id) });
    const [entry] = entries;
    if (entry === undefined) return true;
    const record = parseNode(entry.value);
    if (record !== undefined && ownerName(record) !== owner) return true; // It has started anew, and knows nothing.
    if (before === undefined || ownerName(before.record) !== owner) return record === undefined; // Never seen, or long replaced.
    return before.isSilent && entry.modRevision === before.modRevision;
  }

  /** L3. A record that is left from before is not rewritten while one waits for longer than a rewrite takes. */
  async #refuseTwin(): Promise<void> {
    const { etcd, keys, self, clock, leaseMs } = this.#options;
    const read = async () => (await etcd.range({ key: keys.node(self.id) })).entries[0];
    const before = await read();
    if (before === undefined) return;
    await pauseFor(clock, leaseMs * TWIN_LEASE_RATIO);
    const after = await read();
    if (after === undefined || after.modRevision === before.modRevision) return;
    const { host, port } = parseNode(after.value) ?? { host: "another host", port: "?" };
    throw new ForelockError("bad_setting", `cluster.nodeId: ${self.id} is in use by the process at ${host}:${port}.`);
  }

  #see(record: NodeRecord, modRevision: number): void {
    const known = this.#seen.get(record.id);
    const nowMs = this.#options.clock.monotonicMs();
    const isNews =
      known === undefined ||
      known.isSilent ||
      known.record.boot !== record.boot ||
      known.record.isLeaving !== record.isLeaving;
    this.#seen.set(record.id, { record, modRevision, writtenAtMs: nowMs, isSilent: false });
    if (isNews) this.#options.changed();
    if (record.id !== this.#options.self.id) this.#options.saw(record);
  }

  #forget(key: string): void {
    for (const id of this.#seen.keys()) {
      if (this.#options.keys.node(id) !== key) continue;
      this.#seen.delete(id);
      this.#options.changed();
    }
  }

  #arm(): void {
    if (this.#isClosed) return;
    this.#timer = this.#options.clock.after(this.#options.leaseMs / 4, () => {
      this.#beating = this.#rewrite();
      void this.#beating.finally(() => this.#arm());
    });
  }

  async #rewrite(): Promise<void> {
    try {
      await this.#write();
    } catch (error) {
      this.#options.note("own record not written", { error: String(error) });
    }
  }

  #look(): void {
    if (this.#isClosed) return;
    this.#looking = this.#options.clock.after(this.#options.leaseMs * LOOK_LEASE_RATIO, () => {
      this.#look();
      this.#suspect();
    });
  }

  async #write(): Promise<void> {
    const { etcd, keys, clock, self, leaseMs, tell } = this.#options;
    const deadlineMs = leaseMs / 2;
    const ttlSeconds = Math.ceil((leaseMs * TIDY_LEASES) / 1_000);
    if (this.#lease === NO_LEASE) this.#lease = (await etcd.leaseGrant({ ttlSeconds }, { deadlineMs })).id;
    else if ((await etcd.leaseKeepAlive(this.#lease, { deadlineMs })).ttlSeconds === 0) {
      this.#lease = (await etcd.leaseGrant({ ttlSeconds }, { deadlineMs })).id;
    }
    this.#beat += 1;
    const value = encodeRecord({
      ...self,
      ...this.#address,
      isLeaving: this.#isLeaving,
      beat: this.#beat,
      ...tell(),
    });
    const put = { kind: "put", key: keys.node(self.id), value, lease: this.#lease } as const;
    const { succeeded } = await etcd.txn({ compare: [], success: [put] }, { deadlineMs });
    assert(succeeded, "a transaction without compares succeeds");
    const nowMs = clock.monotonicMs();
    if (nowMs - this.#wroteAtMs > leaseMs / 2) this.#writingSinceMs = nowMs;
    this.#wroteAtMs = nowMs;
  }

  #suspect(): void {
    const { clock, leaseMs, self, changed } = this.#options;
    const nowMs = clock.monotonicMs();
    if (nowMs - this.#wroteAtMs > leaseMs / 2) return; // L1
    let isNews = false;
    for (const [id, seen] of this.#seen) {
      if (id === self.id || seen.isSilent) continue;
      if (nowMs - Math.max(seen.writtenAtMs, this.#writingSinceMs) < leaseMs) continue;
      seen.isSilent = true;
      isNews = true;
    }
    if (isNews) changed();
  }
}
