// plan.ts: how often and when a call is tried. Pure. Not here: the attempt itself (post.ts).
//   T1. Only an answer 2xx ends the attempts early: a receiver that is wrongly deployed for a while must not cost a compensation.
//   T2. Attempts are bounded; the last failure gives the call up.

/** What came of one attempt. */
export type Attempt =
  /** `retryAfterMs` is what the receiver asked for; 0: nothing. */
  | { readonly kind: "answered"; readonly status: number; readonly retryAfterMs: number }
  /** A system error code, `timeout`, or `not_allowed`. */
  | { readonly kind: "failed"; readonly code: string };

export type Step =
  | { readonly kind: "delivered" }
  | { readonly kind: "retry"; readonly delayMs: number }
  | { readonly kind: "given_up" };

const DELAY_MS_FIRST = 500;
export const DELAY_MS_MAX = 60_000;

/**
 * @param attempts done so far, this one included; 1 or more
 * @param chance in [0, 1): spreads calls that failed together over half of the delay
 */
export function stepAfter(
  attempt: Attempt,
  {
    attempts,
    attemptsMax,
    chance,
  }: { readonly attempts: number; readonly attemptsMax: number; readonly chance: number },
): Step {
  if (attempt.kind === "answered" && attempt.status >= 200 && attempt.status <= 299) return { kind: "delivered" }; // T1
  if (attempts >= attemptsMax) return { kind: "given_up" }; // T2
  if (attempt.kind === "failed" && attempt.code === NOT_ALLOWED) return { kind: "given_up" }; // It would not change.
  const doubledMs = Math.min(DELAY_MS_MAX, DELAY_MS_FIRST * 2 ** Math.min(attempts - 1, 30));
  const spreadMs = doubledMs * (1 - chance / 2);
  const askedMs = attempt.kind === "answered" ? Math.min(attempt.retryAfterMs, DELAY_MS_MAX) : 0;
  return { kind: "retry", delayMs: Math.round(Math.max(spreadMs, askedMs)) };
}

export const NOT_ALLOWED = "not_allowed";

/** For the operator's log: says what came of an attempt, and nothing that the receiver said. */
export function attemptWords(attempt: Attempt): string {
  return attempt.kind === "answered" ? `status ${attempt.status}` : attempt.code;
}
