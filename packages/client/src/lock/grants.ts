// lock/grants.ts: what one session holds, and what of it is lost. Not here: what a user sees of it (held-lock.ts).
//   T1. A grant is here from its answer until its release is sent or it is lost.
//   T2. What the server does not confirm as held is lost: here it must never look safer than it is there.
import { ForelockError, type HeldGrant } from "@forelock/protocol";
import type { Grant } from "./grant.ts";

export class Grants {
  readonly #grantByKey = new Map<string, Grant>();
  readonly #countByPartition = new Map<number, number>();

  get size(): number {
    return this.#grantByKey.size;
  }

  add(grant: Grant): void {
    this.#grantByKey.set(keyOf(grant), grant);
    this.#count(grant.partition, 1);
  }

  find(name: string, token: bigint): Grant | undefined {
    return this.#grantByKey.get(keyOf({ name, token }));
  }

  /** Its release is on its way, or it was lost. */
  drop(grant: Grant): void {
    if (this.#grantByKey.delete(keyOf(grant))) this.#count(grant.partition, -1);
  }

  /** It is held under another token from now on. */
  rekey(grant: Grant, token: bigint): void {
    this.drop(grant);
    grant.token = token;
    this.add(grant);
  }

  lose(grant: Grant, why: string, cause?: unknown): void {
    this.drop(grant);
    grant.lose(
      new ForelockError("lock_lost", `The lock ${grant.name} (token ${grant.token}) was lost: ${why}`, { cause }),
    );
  }

  loseAll(why: string, cause: unknown): void {
    for (const grant of [...this.#grantByKey.values()]) this.lose(grant, why, cause);
  }

  /** A heartbeat sent at `sentAtMs` was answered: what is older and not in `alive` is lost (T2). */
  loseMissing(sentAtMs: number, alive: readonly number[], expired: readonly number[]): void {
    const living = new Set(alive);
    for (const partition of expired) living.delete(partition);
    const suspect =
      expired.length > 0 || [...this.#countByPartition.keys()].some((partition) => !living.has(partition));
    if (!suspect) return; // The usual case, at a cost that does not grow with the number of locks.
    for (const grant of [...this.#grantByKey.values()]) {
      const dead = !living.has(grant.partition);
      if (dead && grant.grantedAtMs < sentAtMs) this.lose(grant, "the session expired in its partition.");
    }
  }

  /**
   * The session was resumed and holds `held`, whatever was believed here.
   * @returns what the server holds for us and we do not know
   */
  reconcile(held: readonly HeldGrant[]): readonly HeldGrant[] {
    const heldKeys = new Set(held.map(keyOf));
    const changing = new Set<string>();
    for (const [key, grant] of [...this.#grantByKey]) {
      if (grant.changing)
        changing.add(grant.name); // The answer to the change will tell.
      else if (!heldKeys.has(key)) this.lose(grant, "the server does not hold it any more."); // T2
    }
    return held.filter((grant) => !this.#grantByKey.has(keyOf(grant)) && !changing.has(grant.name));
  }

  [Symbol.iterator](): IterableIterator<Grant> {
    return this.#grantByKey.values();
  }

  #count(partition: number, change: number): void {
    const count = (this.#countByPartition.get(partition) ?? 0) + change;
    if (count === 0) this.#countByPartition.delete(partition);
    else this.#countByPartition.set(partition, count);
  }
}

/** Tokens of different partitions may be equal, so the name belongs to the key. */
function keyOf({ name, token }: { readonly name: string; readonly token: bigint }): string {
  return `${token} ${name}`;
}
