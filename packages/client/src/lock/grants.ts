// lock/grants.ts: what one session holds, and what of it is lost. Not here: what a user sees of it (held-lock.ts).
//   T1. A grant is here from its answer until its release is sent or it is lost.
//   T2. What the server does not confirm as held is lost: here it must never look safer than it is there.
import { ForelockError, type HeldGrant } from "@forelock/protocol";
import type { Grant } from "./grant.ts";

/** As a rule one grant; by token where a name is held several times, shared or as permits. */
type OfName = Grant | Map<bigint, Grant>;

export class Grants {
  /** By name and then by token: a key made of both would have to be built and hashed for each grant. */
  readonly #heldByName = new Map<string, OfName>();
  /** 0 where nothing is held any more. */
  readonly #countByPartition = new Map<number, number>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(grant: Grant): void {
    const held = this.#heldByName.get(grant.name);
    if (held === undefined) {
      this.#heldByName.set(grant.name, grant);
    } else if (held instanceof Map) {
      held.set(grant.token, grant);
    } else {
      this.#heldByName.set(grant.name, new Map([held, grant].map((one) => [one.token, one])));
    }
    this.#size++;
    this.#count(grant.partition, 1);
  }

  find(name: string, token: bigint): Grant | undefined {
    const held = this.#heldByName.get(name);
    if (held instanceof Map) return held.get(token);
    return held?.token === token ? held : undefined;
  }

  /** Its release is on its way, or it was lost. */
  drop(grant: Grant): void {
    const held = this.#heldByName.get(grant.name);
    if (held === undefined) return;
    if (held instanceof Map) {
      if (!held.delete(grant.token)) return;
      if (held.size === 0) this.#heldByName.delete(grant.name);
    } else {
      if (held.token !== grant.token) return;
      this.#heldByName.delete(grant.name);
    }
    this.#size--;
    this.#count(grant.partition, -1);
  }

  /** It is held under another token from now on. */
  rekey(grant: Grant, token: bigint): void {
    this.drop(grant);
    grant.token = token;
    this.add(grant);
  }

  lose(grant: Grant, why: string, cause?: unknown): void {
    this.loseBy(
      grant,
      new ForelockError("lock_lost", `The lock ${grant.name} (token ${grant.token}) was lost: ${why}`, { cause }),
    );
  }

  loseBy(grant: Grant, reason: ForelockError): void {
    this.drop(grant);
    grant.lose(reason);
  }

  loseAll(why: string, cause: unknown): void {
    for (const grant of [...this]) this.lose(grant, why, cause);
  }

  /** A heartbeat sent at `sentAtMs` was answered: what is older and not in `alive` is lost (T2). */
  loseMissing(sentAtMs: number, alive: readonly number[], expired: readonly number[]): void {
    const living = new Set(alive);
    for (const partition of expired) living.delete(partition);
    const suspect =
      expired.length > 0 ||
      [...this.#countByPartition].some(([partition, count]) => count > 0 && !living.has(partition));
    if (!suspect) return; // The usual case, at a cost that does not grow with the number of locks.
    for (const grant of [...this]) {
      const dead = !living.has(grant.partition);
      if (dead && grant.grantedAtMs < sentAtMs) this.lose(grant, "the session expired in its partition.");
    }
  }

  /** Where something is held. */
  *partitions(): IterableIterator<number> {
    for (const [partition, count] of this.#countByPartition) if (count > 0) yield partition;
  }

  holdsIn(partition: number): boolean {
    return (this.#countByPartition.get(partition) ?? 0) > 0;
  }

  /** @returns what was held there */
  loseIn(partition: number, why: string): readonly Grant[] {
    if (!this.holdsIn(partition)) return [];
    const held = [...this].filter((grant) => grant.partition === partition);
    for (const grant of held) this.lose(grant, why);
    return held;
  }

  /**
   * The owner of `partitions` told that it holds `held` there for us, in answer to what was sent at `sentAtMs`. What is older and not
   * among them is lost (T2); what it holds and we do not know may have been released meanwhile.
   */
  reconcileIn(partitions: readonly number[], sentAtMs: number, held: readonly HeldGrant[]): void {
    const heldKeys = new Set(held.map(keyOf));
    const told = new Set(partitions);
    for (const grant of [...this]) {
      const isOlder = told.has(grant.partition) && grant.grantedAtMs < sentAtMs && !grant.changing;
      if (isOlder && !heldKeys.has(keyOf(grant))) this.lose(grant, "the server does not hold it any more.");
    }
  }

  /**
   * The session was resumed and holds `held`, whatever was believed here.
   * @returns what the server holds for us and we do not know
   */
  reconcile(held: readonly HeldGrant[]): readonly HeldGrant[] {
    const heldKeys = new Set(held.map(keyOf));
    const changing = new Set<string>();
    for (const grant of [...this]) {
      if (grant.changing)
        changing.add(grant.name); // The answer to the change will tell.
      else if (!heldKeys.has(keyOf(grant))) this.lose(grant, "the server does not hold it any more."); // T2
    }
    return held.filter((grant) => this.find(grant.name, grant.token) === undefined && !changing.has(grant.name));
  }

  *[Symbol.iterator](): IterableIterator<Grant> {
    for (const held of this.#heldByName.values()) {
      if (held instanceof Map) yield* held.values();
      else yield held;
    }
  }

  #count(partition: number, change: number): void {
    this.#countByPartition.set(partition, (this.#countByPartition.get(partition) ?? 0) + change);
  }
}

/** Tokens of different partitions may be equal, so the name belongs to the key. */
function keyOf({ name, token }: { readonly name: string; readonly token: bigint }): string {
  return `${token} ${name}`;
}
