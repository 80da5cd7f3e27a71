// mode.ts: the modes an element can be held in, and which of them go together. Not here: queues (queue.ts), grants (grant.ts).
// "intent" modes are what a grant takes on the ancestors of its element within a tag.
//   Source of the table: Gray, Lorie, Putzolu, Traiger (1975), "Granularity of locks and degrees of consistency".

export const EXCLUSIVE = 0;
export const SHARED = 1;
/** A semaphore's permit: goes with other permits while they fit the limit, and with intents; not with locks. */
export const PERMIT = 2;
/** On an ancestor of an exclusive or permit grant. */
export const INTENT_EXCLUSIVE = 3;
/** On an ancestor of a shared grant. */
export const INTENT_SHARED = 4;

/** What a caller can ask for; the numbers are those of the wire. */
export type Mode = typeof EXCLUSIVE | typeof SHARED | typeof PERMIT;
/** What a place in a queue can stand for. */
export type QueueMode = Mode | typeof INTENT_EXCLUSIVE | typeof INTENT_SHARED;

export const QUEUE_MODES: readonly QueueMode[] = [EXCLUSIVE, SHARED, PERMIT, INTENT_EXCLUSIVE, INTENT_SHARED];

/** What a grant in `mode` takes on the ancestors of its element. */
export function intentOf(mode: Mode): typeof INTENT_EXCLUSIVE | typeof INTENT_SHARED {
  return mode === SHARED ? INTENT_SHARED : INTENT_EXCLUSIVE;
}

/** For each mode, the modes that it cannot be beside. Two permits conflict only in a queue, where the first come is first. */
export const CONFLICTS: Readonly<Record<QueueMode, readonly QueueMode[]>> = {
  [EXCLUSIVE]: QUEUE_MODES,
  [SHARED]: [EXCLUSIVE, PERMIT, INTENT_EXCLUSIVE],
  [PERMIT]: [EXCLUSIVE, SHARED, PERMIT],
  [INTENT_EXCLUSIVE]: [EXCLUSIVE, SHARED],
  [INTENT_SHARED]: [EXCLUSIVE],
};

export const MODE_NAMES: Readonly<Record<Mode, string>> = {
  [EXCLUSIVE]: "exclusive",
  [SHARED]: "shared",
  [PERMIT]: "permit",
};
