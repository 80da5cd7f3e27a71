// keys.ts: where things stand in etcd, under `/<cluster>/`. docs/formats.md shows them all.
//   K1. In the order of etcd's keys the records of a partition stand in order, and the further slots of one behind its first.
import { ForelockError } from "@forelock/protocol";
import { prefixEnd } from "../../etcd/etcd.ts";

const SEQUENCE_DIGITS = 16;
const CLUSTER_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

export interface KeyRange {
  readonly key: string;
  readonly end: string;
}

export type ParsedKey =
  | { readonly kind: "epoch"; readonly partition: number }
  | { readonly kind: "slot"; readonly partition: number; readonly sequence: number; readonly slot: number };

export class ClusterKeys {
  readonly prefix: string;
  readonly #slot: RegExp;
  readonly #epoch: RegExp;

  /** @throws ForelockError `bad_setting` when the name does not fit a key */
  constructor(cluster: string) {
    if (!CLUSTER_NAME.test(cluster))
      throw new ForelockError(
        "bad_setting",
        `A cluster's name is 1 to 64 letters, digits, ".", "_" or "-": "${cluster}".`,
      );
    this.prefix = `/${cluster}/`;
    const escaped = this.prefix.replaceAll(".", "\\.");
    this.#slot = new RegExp(`^${escaped}p/(\\d+)/log/(\\d{${SEQUENCE_DIGITS}})(?:/(\\d))?$`);
    this.#epoch = new RegExp(`^${escaped}epoch/(\\d+)$`);
  }

  get all(): KeyRange {
    return rangeOf(this.prefix);
  }

  get format(): string {
    return `${this.prefix}format`;
  }

  /** There until an import is finished. */
  get importing(): string {
    return `${this.prefix}importing`;
  }

  get epochs(): KeyRange {
    return rangeOf(`${this.prefix}epoch/`);
  }

  epoch(partition: number): string {
    return `${this.prefix}epoch/${partition}`;
  }

  /** The key whose presence is the record's. */
  record(partition: number, sequence: number): string {
    return `${this.prefix}p/${partition}/log/${padded(sequence)}`;
  }

  slot(partition: number, sequence: number, slot: number): string {
    const first = this.record(partition, sequence);
    return slot === 0 ? first : `${first}/${slot}`;
  }

  /** The records from `from` up to and including `through`, with all their slots. */
  records(partition: number, from: number, through: number = Number.MAX_SAFE_INTEGER - 1): KeyRange {
    return { key: this.record(partition, from), end: this.record(partition, through + 1) };
  }

  pointer(partition: number): string {
    return `${this.prefix}p/${partition}/snapshot`;
  }

  chunk(partition: number, generation: number, chunk: number): string {
    return `${this.pointer(partition)}/${padded(generation)}/${String(chunk).padStart(6, "0")}`;
  }

  generation(partition: number, generation: number): KeyRange {
    return rangeOf(`${this.pointer(partition)}/${padded(generation)}/`);
  }

  /** What a watch of the whole cluster can bring; undefined for what is not the log's. */
  parse(key: string): ParsedKey | undefined {
    const slot = this.#slot.exec(key);
    if (slot !== null)
      return { kind: "slot", partition: Number(slot[1]), sequence: Number(slot[2]), slot: Number(slot[3] ?? 0) };
    const epoch = this.#epoch.exec(key);
    return epoch === null ? undefined : { kind: "epoch", partition: Number(epoch[1]) };
  }
}

function padded(count: number): string {
  return String(count).padStart(SEQUENCE_DIGITS, "0"); // K1
}

function rangeOf(prefix: string): KeyRange {
  return { key: prefix, end: prefixEnd(prefix) };
}
