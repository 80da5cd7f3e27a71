// policies.ts: which policy and threshold hold for a name, from what the log keeps in partition 0. Not here: the fields and their
// ranges (preempt/policy.ts).
import type { PolicyRow } from "../partition/state.ts";
import { merge, type Policy, prefixesOf } from "../preempt/policy.ts";

/** A policy as it holds at a prefix. */
export interface EffectivePolicy {
  readonly policy: Policy;
  /** Where the controller has moved it to, or the policy's own. */
  readonly threshold: number;
  /** The longest prefix that sets anything: the controller moves the thresholds of these. */
  readonly prefix: string;
}

/** As partition 0 has it. */
export interface PolicyTable {
  readonly policies: ReadonlyMap<string, PolicyRow>;
}

/** Names whose policy is remembered; it is found anew when it falls out. */
const REMEMBERED_MAX = 10_000;

export class Policies {
  #rows: ReadonlyMap<string, PolicyRow>;
  readonly #known = new Map<string, EffectivePolicy>();

  constructor(first: PolicyTable) {
    this.#rows = first.policies;
  }

  /** Told after each change: where others follow this table. */
  onChanged: (() => void) | undefined;

  /** What holds where nothing is set. */
  readonly standard: Policy = merge([]);

  /** Another table of partition 0 holds the rows from now on. */
  follow(first: PolicyTable): void {
    this.#rows = first.policies;
    this.changed();
  }

  /** Call when a row changed. */
  changed(): void {
    this.#known.clear();
    this.onChanged?.();
  }

  get rows(): ReadonlyMap<string, PolicyRow> {
    return this.#rows;
  }

  row(prefix: string): PolicyRow | undefined {
    return this.#rows.get(prefix);
  }

  /** Prefixes that set something, and "". */
  prefixes(): readonly string[] {
    return [...new Set(["", ...this.#rows.keys()])].sort();
  }

  of(name: string): EffectivePolicy {
    const known = this.#known.get(name);
    if (known !== undefined) return known;
    if (this.#known.size >= REMEMBERED_MAX) this.#known.clear();
    const found = this.#find(name);
    this.#known.set(name, found);
    return found;
  }

  #find(name: string): EffectivePolicy {
    const sets: ReadonlyMap<string, string>[] = [];
    let prefix = "";
    let moved = -1;
    for (const each of prefixesOf(name)) {
      const row = this.#rows.get(each);
      if (row === undefined) continue;
      sets.push(row.set);
      prefix = each;
      // A prefix that sets its own threshold does not follow one that was moved above it.
      if (row.threshold >= 0 || row.set.has("threshold")) moved = row.threshold;
    }
    const policy = merge(sets);
    return { policy, threshold: moved >= 0 ? moved : policy.threshold, prefix };
  }
}
