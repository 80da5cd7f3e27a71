// random.ts: chance from a seed, for the proxy, the torture driver and the tests of the checkers.

/** Uniform in [0, 1). */
export type Random = () => number;

/** The same seed gives the same numbers. Source: mulberry32 (Tommy Ettinger, public domain). */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A generator of its own for a named part, so that one part's draws do not move another's. */
export function forkRandom(seed: number, name: string): Random {
  let hash = seed >>> 0;
  for (const character of name) hash = Math.imul(hash ^ (character.codePointAt(0) ?? 0), 0x01000193) >>> 0;
  return seededRandom(hash);
}

/** A whole number from `least` up to `most`, both possible. */
export function between(random: Random, least: number, most: number): number {
  return least + Math.floor(random() * (most - least + 1));
}

/** @throws when there is nothing to choose from */
export function choose<Member>(random: Random, members: readonly Member[]): Member {
  const member = members[Math.floor(random() * members.length)];
  if (member === undefined) throw new Error("nothing to choose from");
  return member;
}
