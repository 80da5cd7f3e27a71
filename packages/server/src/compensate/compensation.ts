// compensation.ts: a call that is owed for a lost grant, as others see it: its body and its idempotency key. Pure. Not here: when it
// is owed (partitions keep that), where it may go (allow.ts), how often it is tried (plan.ts).
//   C1. Every attempt of one call carries the same key and the same body, also after a restart: the receiver can tell a repetition.

export interface Compensation {
  readonly partition: number;
  /** Within the partition: never used again. */
  readonly id: number;
  readonly url: string;
  /** Handed back as it was given. */
  readonly argument: string;
  readonly element: string;
  /** Of the lost grant: stale now. */
  readonly token: bigint;
  readonly session: string;
  readonly principal: string;
  readonly why: "expired" | "forced" | "preempted";
}

/**
 * C1. Names the call among all servers that may ever post to one receiver: ids of sessions are 128 random bits.
 * @returns characters of [A-Za-z0-9_.-]
 */
export function keyOf({ partition, id, session }: Compensation): string {
  return `forelock-${session}-${partition}-${id}`;
}

/** JSON. Tokens are strings: they do not fit a number. */
export function bodyOf(compensation: Compensation): string {
  const { argument, element, token, session, principal, why } = compensation;
  return JSON.stringify({
    event: "grant_lost",
    key: keyOf(compensation),
    why,
    element,
    token: token.toString(),
    session,
    principal,
    argument,
  });
}
