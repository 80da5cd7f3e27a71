// records.ts: what a cluster keeps in etcd beside logs and epochs: its nodes, the wished map, what operators want. Values are JSON.
//   Anybody with access to etcd can write here: what does not parse is as if it were not there.

export interface NodeRecord {
  readonly id: string;
  /** Drawn at each start: a node that starts again is another owner, which has to take over anew. */
  readonly boot: string;
  readonly host: string;
  readonly port: number;
  readonly version: string;
  /** It is stopping: it gives away what it owns, and is given nothing. */
  readonly isLeaving: boolean;
  /** Rises with each rewrite. */
  readonly beat: number;
  /** Of each partition, the last record that this node has applied; -1 where it follows nothing. */
  readonly positions: readonly number[];
  /** Hashes of states that it leads: partition, sequence of a durable record, hash right after it. */
  readonly marks: readonly (readonly [partition: number, sequence: number, hash: string])[];
  /** Of each partition, the last record up to which all file contents are complete and synced on its disk; 0 where nothing is sure. */
  readonly synced: readonly number[];
  /** Partitions that it follows or leads and of which it lacks contents. */
  readonly missing: readonly number[];
}

/** The wish: by partition the owner, then its standbys. */
export interface MapRecord {
  readonly replicas: number;
  readonly partitions: readonly (readonly string[])[];
}

/** What stands in the epoch record as owner: one process of one node. */
export function ownerName({ id, boot }: Pick<NodeRecord, "id" | "boot">): string {
  return `${id}#${boot}`;
}

export function nodeOfOwner(owner: string): string {
  const at = owner.lastIndexOf("#");
  return at < 0 ? owner : owner.slice(0, at);
}

export class MemberKeys {
  readonly #prefix: string;

  /** @param cluster its name: letters, digits, `-`, `_` and `.` */
  constructor(cluster: string) {
    this.#prefix = `/${cluster}/`;
  }

  get nodes(): string {
    return `${this.#prefix}node/`;
  }

  get map(): string {
    return `${this.#prefix}map`;
  }

  get planner(): string {
    return `${this.#prefix}planner`;
  }

  /** Below it `drain/<node>` and `pin/<partition>`. */
  get wishes(): string {
    return `${this.#prefix}wish/`;
  }

  node(id: string): string {
    return `${this.nodes}${id}`;
  }

  drain(id: string): string {
    return `${this.wishes}drain/${id}`;
  }

  /** How many nodes must have file contents, where an operator has said so. */
  get replicas(): string {
    return `${this.wishes}replicas`;
  }

  pin(partition: number): string {
    return `${this.wishes}pin/${partition}`;
  }
}

export function encodeRecord(record: NodeRecord | MapRecord): Uint8Array {
  return Buffer.from(JSON.stringify(record));
}

export function parseNode(value: Uint8Array): NodeRecord | undefined {
  const record = parse(value);
  if (record === undefined) return undefined;
  const { id, boot, host, port, version, isLeaving, beat, positions, marks, synced, missing } = record;
  const isWhole =
    typeof id === "string" &&
    typeof boot === "string" &&
    typeof host === "string" &&
    typeof version === "string" &&
    typeof isLeaving === "boolean" &&
    isCount(port) &&
    isCount(beat) &&
    isNumbers(positions) &&
    Array.isArray(marks) &&
    marks.every(isMark) &&
    isNumbers(synced) &&
    isNumbers(missing);
  return isWhole ? { id, boot, host, port, version, isLeaving, beat, positions, marks, synced, missing } : undefined;
}

export function parseMap(value: Uint8Array): MapRecord | undefined {
  const record = parse(value);
  if (record === undefined || !isCount(record["replicas"]) || !Array.isArray(record["partitions"])) return undefined;
  const { replicas, partitions } = record as { replicas: number; partitions: unknown[] };
  const isWhole = partitions.every((ids) => Array.isArray(ids) && ids.every((id) => typeof id === "string"));
  return isWhole ? { replicas, partitions: partitions as string[][] } : undefined;
}

function parse(value: Uint8Array): Record<string, unknown> | undefined {
  try {
    const parsed: unknown = JSON.parse(Buffer.from(value).toString("utf8"));
    return typeof parsed === "object" && parsed !== null ? (parsed as Record<string, unknown>) : undefined;
  } catch {
    return undefined; // Not ours, or cut: told apart from nothing by nobody.
  }
}

function isMark(mark: unknown): mark is NodeRecord["marks"][number] {
  return Array.isArray(mark) && isCount(mark[0]) && isCount(mark[1]) && typeof mark[2] === "string";
}

function isNumbers(value: unknown): value is number[] {
  return Array.isArray(value) && value.every(Number.isSafeInteger);
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
