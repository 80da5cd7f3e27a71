// planner.ts: writes the wish. The live node of the lowest id does it; when two think so for a moment, both write by compare what the same
// plan says. Not here: the plan (plan.ts), what becomes of it (ownership.ts).
import type { Clock, Timer } from "../clock.ts";
import { type Etcd, type KeyValue, prefixEnd } from "../etcd/etcd.ts";
import type { Membership } from "./membership.ts";
import { Mirror } from "./mirror.ts";
import { type Assignment, plan } from "./plan.ts";
import { encodeRecord, type MapRecord, type MemberKeys, nodeOfOwner, parseMap } from "./records.ts";
import type { EpochRecord } from "./shared-log.ts";

export interface PlannerOptions {
  readonly etcd: Etcd;
  readonly keys: MemberKeys;
  readonly clock: Clock;
  readonly nodeId: string;
  readonly partitions: number;
  readonly replicas: number;
  readonly members: () => Membership;
  readonly epoch: (partition: number) => EpochRecord | undefined;
  /** The wish as it stands in etcd. */
  readonly wished: (map: MapRecord | undefined) => void;
  readonly note: (line: string, fields: Readonly<Record<string, unknown>>) => void;
}

/** Changes come in bunches. */
const SETTLE_MS = 100;
const AGAIN_MS = 1_000;

export class Planner {
  readonly #options: PlannerOptions;
  readonly #map: Mirror;
  readonly #wishes: Mirror;
  #timer: Timer | undefined;
  #isClosed = false;
  #isSoon = false;
  #planning: Promise<void> = Promise.resolve();

  constructor(options: PlannerOptions) {
    this.#options = options;
    const { etcd, keys, clock, note, wished } = options;
    this.#map = new Mirror({
      etcd,
      prefix: keys.map,
      clock,
      note,
      changed: (_, entry) => wished(entry === undefined ? undefined : parseMap(entry.value)),
    });
    const changed = (): void => this.changed();
    this.#wishes = new Mirror({ etcd, prefix: keys.wishes, clock, note, changed });
  }

  async start(): Promise<void> {
    await Promise.all([this.#map.start(), this.#wishes.start()]);
    await this.#plan().catch((error: unknown) => this.#options.note("not planned", { error: String(error) }));
    this.#arm(AGAIN_MS);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#timer?.dispose();
    await this.#planning;
    await Promise.all([this.#map.close(), this.#wishes.close()]);
  }

  /** Members, epochs or wishes are others now. */
  changed(): void {
    if (this.#isSoon) return; // Put off again and again, nothing would ever be planned.
    this.#isSoon = true;
    this.#arm(SETTLE_MS);
  }

  get map(): MapRecord | undefined {
    const entry = this.#mapEntry();
    return entry === undefined ? undefined : parseMap(entry.value);
  }

  /** Whether this node is the one that plans. */
  get isPlanning(): boolean {
    return this.#options.members().living()[0]?.id === this.#options.nodeId;
  }

  isDraining(id: string): boolean {
    return this.#wishes.entries.has(this.#options.keys.drain(id));
  }

  /** Pins by partition. */
  pins(): ReadonlyMap<number, string> {
    const pins = new Map<number, string>();
    const { keys, partitions } = this.#options;
    for (let partition = 0; partition < partitions; partition += 1) {
      const entry = this.#wishes.entries.get(keys.pin(partition));
      if (entry !== undefined) pins.set(partition, Buffer.from(entry.value).toString("utf8"));
    }
    return pins;
  }

  /** Draining nodes give away what they own and get nothing new. */
  async drain(id: string, isDraining: boolean): Promise<void> {
    const key = this.#options.keys.drain(id);
    await this.#write(isDraining ? { kind: "put", key, value: Buffer.from("1") } : { kind: "delete", key });
  }

  /** How many nodes are to have each partition: as an operator said last, else as the settings say. */
  get replicas(): number {
    const entry = this.#wishes.entries.get(this.#options.keys.replicas);
    const wished = entry === undefined ? Number.NaN : Number(Buffer.from(entry.value).toString("utf8"));
    return Number.isSafeInteger(wished) && wished >= 1 ? wished : this.#options.replicas;
  }

  /** For all nodes, until said otherwise. @param replicas undefined: as the settings say */
  async setReplicas(replicas: number | undefined): Promise<void> {
    const key = this.#options.keys.replicas;
    const value = Buffer.from(String(replicas));
    await this.#write(replicas === undefined ? { kind: "delete", key } : { kind: "put", key, value });
  }

  async pin(partition: number, id: string): Promise<void> {
    await this.#write({ kind: "put", key: this.#options.keys.pin(partition), value: Buffer.from(id) });
  }

  /** Forgets all pins: partitions go where they are even. */
  async unpin(): Promise<void> {
    const prefix = `${this.#options.keys.wishes}pin/`;
    await this.#write({ kind: "delete", key: prefix, end: prefixEnd(prefix) });
  }

  async #write(operation: Parameters<Etcd["txn"]>[0]["success"][number]): Promise<void> {
    await this.#options.etcd.txn({ compare: [], success: [operation] });
  }

  #arm(delayMs: number): void {
    if (this.#isClosed) return;
    this.#timer?.dispose();
    this.#timer = this.#options.clock.after(delayMs, () => {
      this.#isSoon = false;
      this.#planning = this.#plan().catch((error: unknown) => {
        this.#options.note("not planned", { error: String(error) });
      });
      void this.#planning.finally(() => this.#isSoon || this.#arm(AGAIN_MS));
    });
  }

  async #plan(): Promise<void> {
    const { etcd, keys, partitions } = this.#options;
    const { replicas } = this;
    if (!this.isPlanning) return;
    const live = this.#options.members().living();
    const map = this.map;
    const nodes = live.map(({ id, isLeaving }) => ({ id, isDraining: isLeaving || this.isDraining(id) }));
    const able = new Set(nodes.flatMap(({ id, isDraining }) => (isDraining ? [] : [id])));
    const now = Array.from({ length: partitions }, (_, partition) => this.#now(partition, map, able));
    const next = plan({ nodes, now, replicas, pins: this.pins() });
    const wish: MapRecord = {
      replicas,
      partitions: next.map(({ owner, standbys }) => (owner === undefined ? [] : [owner, ...standbys])),
    };
    if (JSON.stringify(wish) === JSON.stringify(map)) return;
    const to = this.#mapEntry()?.modRevision ?? 0;
    await etcd.txn({
      compare: [{ key: keys.map, target: "mod", is: "equal", to }],
      success: [{ kind: "put", key: keys.map, value: encodeRecord(wish) }],
    });
  }

  /**
   * Who owns it, or is about to: a wish that can come true stands, whoever owns the partition on its way. Were each plan made from the
   * owner of the moment, who hears of a wish late would carry out what another plan has taken back, and partitions would go to and fro.
   */
  #now(partition: number, map: MapRecord | undefined, able: ReadonlySet<string>): Assignment {
    const [wished, ...standbys] = map?.partitions[partition] ?? [];
    const record = this.#options.epoch(partition);
    const owner = record === undefined ? wished : nodeOfOwner(record.owner);
    if (owner === undefined || wished === undefined || wished === owner) return { owner, standbys };
    return able.has(wished)
      ? { owner: wished, standbys: [...standbys.filter((id) => id !== owner), owner] }
      : { owner, standbys: [...standbys, wished] };
  }

  #mapEntry(): KeyValue | undefined {
    return this.#map.entries.get(this.#options.keys.map);
  }
}
