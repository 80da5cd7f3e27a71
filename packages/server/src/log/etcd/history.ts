// history.ts: has etcd forget what was replaced and deleted. Without it the members' files grow with all that was ever appended.
//   C1. A revision is compacted one call after it was seen, so that every watcher of this cluster had that long to pass it. One
//       that did not is told `compacted`, and reads anew.
import { type Etcd, isEtcdError } from "../../etcd/etcd.ts";
import type { ClusterKeys } from "./keys.ts";

export class HistoryCompaction {
  readonly #etcd: Etcd;
  readonly #keys: ClusterKeys;
  #seen: number | undefined;

  constructor(etcd: Etcd, keys: ClusterKeys) {
    this.#etcd = etcd;
    this.#keys = keys;
  }

  /**
   * Compacts at the revision that the call before it saw. One node of a cluster calls it every 10 to 30 s.
   * @returns the revision, or undefined when there was nothing to compact
   */
  async compact(): Promise<number | undefined> {
    const { revision } = await this.#etcd.range({ key: this.#keys.format, countOnly: true });
    const at = this.#seen; // C1
    this.#seen = revision;
    if (at === undefined || at === revision) return undefined;
    try {
      await this.#etcd.compact(at);
      return at;
    } catch (error) {
      if (isEtcdError(error, "compacted")) return undefined; // Another node did.
      throw error;
    }
  }
}
