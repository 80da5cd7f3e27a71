// storm.ts: inflicts faults on a place until told to stop: one at a time in each lane, the lanes beside each other.
//   S1. Every kind that can be done here is done until it has happened once, before any is drawn by chance, time permitting.
//   S2. A server that does not come up again ends the storm: that is a failure of the run.
import { pause } from "../../proxy/clock.ts";
import { between, type Random } from "../../proxy/random.ts";
import type { Fault, FaultContext, FaultRecord, Lane } from "./fault.ts";

/** Of a kind, until it has happened. */
const TRIES_MAX = 4;

/** @param names undefined: `usual` @throws when a name is not known */
export function faultsNamed<Place>(
  names: readonly string[] | undefined,
  usual: readonly Fault<Place>[],
  all: readonly Fault<Place>[],
): readonly Fault<Place>[] {
  if (names === undefined) return usual;
  return names.map((name) => {
    const fault = all.find(({ kind }) => kind === name);
    if (fault === undefined)
      throw new Error(`no such fault: ${name}; there are ${all.map(({ kind }) => kind).join(", ")}`);
    return fault;
  });
}

export interface StormReport {
  readonly records: readonly FaultRecord[];
  /** Why the place is beyond use; undefined when it is not. */
  readonly failure: string | undefined;
}

export interface Storm {
  /** Resolves when every kind was tried as S1 says, or the storm is over. */
  readonly toured: Promise<void>;
  /** Resolves when it is over. */
  readonly report: Promise<StormReport>;
}

export interface StormOrder<Place> {
  readonly faults: readonly Fault<Place>[];
  readonly lanes: readonly Lane<Place>[];
  readonly context: FaultContext<Place>;
  readonly signal: AbortSignal;
  /** Told of each as it begins. */
  readonly onFault?: (kind: string, target: string) => void;
}

export function storm<Place>({ faults, lanes, context, signal, onFault }: StormOrder<Place>): Storm {
  const records: FaultRecord[] = [];
  const failures: string[] = [];
  const giveUp = new AbortController();
  const stop = AbortSignal.any([signal, giveUp.signal]);
  const runs = lanes.map((lane) => {
    const own = faults.filter((fault) => fault.lane === lane.name);
    const due = shuffled(own, context.random).map((fault) => ({ fault, tries: 0 })); // S1
    let tour: () => void = () => {};
    const toured = new Promise<void>((resolve) => {
      tour = resolve;
    });
    const run = async (): Promise<void> => {
      while (own.length > 0 && !stop.aborted) {
        if (due.length === 0) tour();
        await pause(context.clock, between(context.random, ...lane.calmMs), stop);
        if (stop.aborted) return;
        if (!lane.isReady(context.scene)) continue;
        const next = due.shift();
        const fault = next?.fault ?? drawn(own, context.random);
        try {
          const target = fault.aim?.(context) ?? lane.target;
          onFault?.(fault.kind, target);
          const record = await inflicted(fault, target, context);
          records.push(record);
          if (!record.happened && next !== undefined && next.tries + 1 < TRIES_MAX)
            due.push({ fault, tries: next.tries + 1 });
        } catch (error) {
          failures.push(`${fault.kind}: ${error instanceof Error ? error.message : String(error)}`);
          giveUp.abort(); // S2
        }
      }
    };
    const over = run().finally(tour);
    return { toured, over };
  });
  return {
    toured: Promise.all(runs.map(({ toured }) => toured)).then(() => undefined),
    report: Promise.all(runs.map(({ over }) => over)).then(() => ({ records, failure: failures[0] })),
  };
}

async function inflicted<Place>(
  fault: Fault<Place>,
  target: string,
  context: FaultContext<Place>,
): Promise<FaultRecord> {
  const startNs = context.history.nowNs();
  const seen = await fault.inflict(context, target);
  return {
    fault: fault.kind,
    target,
    start_ns: startNs,
    end_ns: context.history.nowNs(),
    happened: seen !== undefined,
    seen: seen ?? "",
  };
}

function drawn<Place>(faults: readonly Fault<Place>[], random: Random): Fault<Place> {
  let left = random() * faults.reduce((sum, { weight }) => sum + weight, 0);
  for (const fault of faults) {
    left -= fault.weight;
    if (left <= 0) return fault;
  }
  throw new Error("there is no fault to draw");
}

function shuffled<Place>(faults: readonly Fault<Place>[], random: Random): Fault<Place>[] {
  return faults
    .map((fault) => ({ fault, place: random() }))
    .sort((a, b) => a.place - b.place)
    .map(({ fault }) => fault);
}
