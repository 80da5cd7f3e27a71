// faults.ts: what a network and members under strain do to the requests and watches of a MemoryEtcd. Seeded, so that a run can be
// had again. Not here: carrying it out (memory.ts).

/** Of one request. None: it is answered in the same turn of the event loop. */
export type RequestFault =
  /** Cannot be sent, and the client knows: `unavailable` at once. */
  | { readonly kind: "refused" }
  /** Never arrives; the client waits until its deadline. */
  | { readonly kind: "request_lost" }
  /** Is done; the client waits for the answer until its deadline. */
  | { readonly kind: "answer_lost" }
  /** The client waits until its deadline, and `lateMs` after that the request is done. */
  | { readonly kind: "late"; readonly lateMs: number }
  /** Arrives half of the time in, and is answered at the end of it. */
  | { readonly kind: "slow"; readonly delayMs: number };

/** Of what a watch is about to deliver. */
export type WatchFault =
  /** Comes later, with whatever happened until then. */
  | { readonly kind: "stalled"; readonly delayMs: number }
  /** Comes twice: members never should, but a follower must not depend on it. */
  | { readonly kind: "repeated" }
  /** Never comes, and the watch goes on after it: as above. */
  | { readonly kind: "skipped" }
  /** The watch ends with `unavailable`. */
  | { readonly kind: "broken" };

export type RequestKind =
  | "range"
  | "txn"
  | "lease_grant"
  | "lease_keep_alive"
  | "lease_revoke"
  | "compact"
  | "status"
  | "alarms";

export interface EtcdFaults {
  /** Asked once for each request. */
  request?(kind: RequestKind): RequestFault | undefined;
  /** Asked once for each batch of a watch. */
  watch?(): WatchFault | undefined;
  /** How many revisions a `stale` range lags behind. */
  staleRevisions?(): number;
}

/** Chances in [0, 1] by fault, and the longest of the durations. */
export interface FaultRates {
  readonly refused: number;
  readonly requestLost: number;
  readonly answerLost: number;
  readonly late: number;
  readonly slow: number;
  readonly slowMsMax: number;
  readonly stalled: number;
  readonly stalledMsMax: number;
  readonly repeated: number;
  readonly skipped: number;
  readonly broken: number;
  readonly staleRevisionsMax: number;
}

export const NO_FAULTS: FaultRates = {
  refused: 0,
  requestLost: 0,
  answerLost: 0,
  late: 0,
  slow: 0,
  slowMsMax: 0,
  stalled: 0,
  stalledMsMax: 0,
  repeated: 0,
  skipped: 0,
  broken: 0,
  staleRevisionsMax: 0,
};

/** @param random uniform in [0, 1) */
export function seededFaults(random: () => number, rates: FaultRates): EtcdFaults {
  const upTo = (max: number): number => 1 + Math.floor(random() * max);
  return {
    request: () => {
      const slow = (): RequestFault => ({ kind: "slow", delayMs: upTo(rates.slowMsMax) });
      return pick<RequestFault>(random(), [
        [rates.refused, () => ({ kind: "refused" })],
        [rates.requestLost, () => ({ kind: "request_lost" })],
        [rates.answerLost, () => ({ kind: "answer_lost" })],
        [rates.late, () => ({ kind: "late", lateMs: upTo(rates.slowMsMax) })],
        [rates.slow, slow],
      ]);
    },
    watch: () =>
      pick<WatchFault>(random(), [
        [rates.stalled, () => ({ kind: "stalled", delayMs: upTo(rates.stalledMsMax) })],
        [rates.repeated, () => ({ kind: "repeated" })],
        [rates.skipped, () => ({ kind: "skipped" })],
        [rates.broken, () => ({ kind: "broken" })],
      ]),
    staleRevisions: () => Math.floor(random() * (rates.staleRevisionsMax + 1)),
  };
}

function pick<Fault>(drawn: number, faults: readonly (readonly [number, () => Fault])[]): Fault | undefined {
  let left = drawn;
  for (const [rate, make] of faults) {
    if (left < rate) return make();
    left -= rate;
  }
  return undefined;
}
