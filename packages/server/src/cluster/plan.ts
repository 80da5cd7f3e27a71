// plan.ts: which node is to own which partition, and who stands by: from who lives and how it is now. Pure: the same arguments give the
// same plan. Not here: who carries it out (ownership.ts), who is asked to plan (planner.ts).
//   N1. Every live node that is not draining owns as many partitions as any other, give or take one.
//   N2. Nothing moves that need not: a node owns what it owned up to its share, and what has no owner goes to whoever stands by.
//   N3. Standbys are others than the owner, as many as asked for where there are nodes enough, spread as evenly as N2 allows.
//   N4. A pin overrides N1 and N2 while its node lives and is not draining.

/** One partition's place. */
export interface Assignment {
  /** Undefined while no node may own anything. */
  readonly owner: string | undefined;
  readonly standbys: readonly string[];
}

export interface PlanInput {
  /** Ids of the live nodes; draining ones own nothing new. */
  readonly nodes: readonly { readonly id: string; readonly isDraining: boolean }[];
  /** As it is now, by partition: who owns it in truth, and who stands by. */
  readonly now: readonly Assignment[];
  /** Copies in all, the owner's included; 1 or more. */
  readonly replicas: number;
  /** Partition to the node that an operator wants there. */
  readonly pins: ReadonlyMap<number, string>;
}

/** @returns one assignment for each partition of `now` */
export function plan({ nodes, now, replicas, pins }: PlanInput): readonly Assignment[] {
  const live = [...new Set(nodes.map(({ id }) => id))].sort();
  const draining = new Set(nodes.filter(({ isDraining }) => isDraining).map(({ id }) => id));
  const able = live.filter((id) => !draining.has(id));
  const owners = planOwners(able, now, pins);
  return planStandbys({ live, able, owners, now, copies: Math.max(0, replicas - 1) });
}

function planOwners(
  able: readonly string[],
  now: readonly Assignment[],
  pins: ReadonlyMap<number, string>,
): readonly (string | undefined)[] {
  if (able.length === 0) return now.map(() => undefined);
  const isAble = new Set(able);
  const wanted = now.map(({ owner }, partition) => {
    const pin = pins.get(partition);
    if (pin !== undefined && isAble.has(pin)) return pin; // N4
    return owner !== undefined && isAble.has(owner) ? owner : undefined;
  });
  const counts = new Map(able.map((id) => [id, 0]));
  for (const id of wanted) if (id !== undefined) raise(counts, id);
  const quotas = quotasOf(able, counts, now.length);
  const owners: (string | undefined)[] = wanted.map((id, partition) => {
    const isPinned = id !== undefined && pins.get(partition) === id;
    if (isPinned) take(quotas, id);
    return isPinned ? id : undefined;
  });
  const keep = (partition: number, id: string | undefined): boolean => {
    if (id === undefined || owners[partition] !== undefined || (quotas.get(id) ?? 0) <= 0) return false;
    take(quotas, id);
    owners[partition] = id;
    return true;
  };
  for (const [partition, id] of wanted.entries()) keep(partition, id); // N2
  // The standbys first, everywhere: a partition that anybody could take must not use up the share of the only one who is warm.
  for (const [partition, { standbys }] of now.entries()) {
    const byRoom = [...standbys].sort((a, b) => (quotas.get(b) ?? 0) - (quotas.get(a) ?? 0) || (a < b ? -1 : 1));
    for (const id of byRoom) if (keep(partition, id)) break;
  }
  for (const partition of now.keys()) {
    if (owners[partition] === undefined) keep(partition, mostRoom(quotas));
  }
  return owners;
}

/** N1: who owns most keeps the larger share, so that the fewest move. */
function quotasOf(
  able: readonly string[],
  counts: ReadonlyMap<string, number>,
  partitions: number,
): Map<string, number> {
  const floor = Math.floor(partitions / able.length);
  const byCount = [...able].sort((a, b) => (counts.get(b) ?? 0) - (counts.get(a) ?? 0) || (a < b ? -1 : 1));
  return new Map(byCount.map((id, index) => [id, floor + (index < partitions % able.length ? 1 : 0)]));
}

interface StandbyInput {
  readonly live: readonly string[];
  readonly able: readonly string[];
  readonly owners: readonly (string | undefined)[];
  readonly now: readonly Assignment[];
  readonly copies: number;
}

/** N3 */
function planStandbys({ live, able, owners, now, copies }: StandbyInput): readonly Assignment[] {
  const isLive = new Set(live);
  const counts = new Map(able.map((id) => [id, 0]));
  const standbys: string[][] = owners.map(() => []);
  const add = (partition: number, id: string): void => {
    const chosen = standbys[partition] ?? [];
    if (chosen.length >= copies || chosen.includes(id) || id === owners[partition] || !counts.has(id)) return;
    raise(counts, id);
    chosen.push(id);
  };
  for (const [partition, { owner, standbys: before }] of now.entries()) {
    for (const id of before) if (isLive.has(id)) add(partition, id);
    if (owner !== undefined && isLive.has(owner)) add(partition, owner); // It has everything.
  }
  for (const [partition, owner] of owners.entries()) {
    // Of those with as few, who stands by least for this owner: the partitions of a dead owner are then shared by all others.
    const pairs = (id: string): number =>
      owners.filter((other, index) => other === owner && standbys[index]?.includes(id)).length;
    const ranked = able.map((id) => ({ id, count: counts.get(id) ?? 0, pairs: pairs(id) }));
    ranked.sort((a, b) => a.count - b.count || a.pairs - b.pairs || (a.id < b.id ? -1 : 1));
    for (const { id } of ranked) add(partition, id);
  }
  spread(standbys, owners, counts);
  return owners.map((owner, partition) => ({ owner, standbys: standbys[partition] ?? [] }));
}

/** Who stands by most gives to who stands by least, while that makes them more even. */
function spread(
  standbys: readonly string[][],
  owners: readonly (string | undefined)[],
  counts: Map<string, number>,
): void {
  for (;;) {
    const byCount = [...counts].sort(([a, x], [b, y]) => x - y || (a < b ? -1 : 1));
    const [least, fewest] = byCount[0] ?? ["", 0];
    const [most, highest] = byCount.at(-1) ?? ["", 0];
    if (highest - fewest < 2) return;
    const partition = standbys.findIndex(
      (chosen, index) => chosen.includes(most) && !chosen.includes(least) && owners[index] !== least,
    );
    const chosen = standbys[partition];
    if (chosen === undefined) return;
    chosen[chosen.indexOf(most)] = least;
    counts.set(most, highest - 1);
    counts.set(least, fewest + 1);
  }
}

function raise(counts: Map<string, number>, id: string): void {
  counts.set(id, (counts.get(id) ?? 0) + 1);
}

function take(quotas: Map<string, number>, id: string): void {
  quotas.set(id, (quotas.get(id) ?? 0) - 1);
}

function mostRoom(quotas: ReadonlyMap<string, number>): string | undefined {
  let found: string | undefined;
  for (const [id, room] of quotas) {
    const best = found === undefined ? Number.NEGATIVE_INFINITY : (quotas.get(found) ?? 0);
    if (room > best || (room === best && found !== undefined && id < found)) found = id;
  }
  return found;
}
