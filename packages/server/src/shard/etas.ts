// etas.ts: how long those who wait will still wait: estimated for the first of every queue, told to them when it changed, and held
// against the truth when they are granted. Not here: the estimate itself (the forecast package), who is looked at when (foresight.ts).
import { cutAt, type DurationLike, type EtaEstimate, emptyDurationForecast, type WaitHandle } from "@forelock/forecast";
import { holdersInTheWay } from "../lock/below.ts";
import { isBefore } from "../lock/lane.ts";
import { CONFLICTS, intentOf, PERMIT, SHARED } from "../lock/mode.ts";
import { ageOf, type Element, type Grant, holdersOf, type PartitionState, type Wait } from "../partition/state.ts";
import { forecastOf } from "./hold-forecasts.ts";
import { clientOf, type Profiles } from "./profiles.ts";

/** Of each queue; those behind are estimated when they have come nearer. */
export const WAITERS_MAX = 100;
const HOLDERS_MAX = 64;
const ABOVE_MAX = 16;
/** What changed less, or was told less long ago, is not told again. */
const CHANGE_RATIO = 0.25;
const CHANGE_MS = 100;
const TOLD_EVERY_MS = 1_000;
/** Told at once, and once, when half of such waits end within this. */
const SOON_MS = 500;

export interface Told {
  readonly wait: Wait;
  readonly estimate: EtaEstimate;
  readonly isSoon: boolean;
}

interface Known {
  estimate: EtaEstimate;
  /** When it was made. */
  atMs: number;
  toldP50Ms: number;
  toldAtMs: number;
  isSoonTold: boolean;
}

export class Etas {
  readonly #profiles: Profiles;
  readonly #known = new WeakMap<Wait, Known>();
  /** Waits whose first estimate the truth is held against. Bounded by what the forecaster follows. */
  readonly #followed = new Map<Wait, WaitHandle>();

  constructor(profiles: Profiles) {
    this.#profiles = profiles;
  }

  /** What was estimated last, less the time that has passed since. */
  of(wait: Wait, nowMs: number): { readonly p50Ms: number; readonly p90Ms: number } | undefined {
    const known = this.#known.get(wait);
    if (known === undefined) return undefined;
    const passedMs = nowMs - known.atMs;
    const left = (ms: number): number => Math.max(0, ms - passedMs);
    return { p50Ms: left(known.estimate.p50Ms), p90Ms: left(known.estimate.p90Ms) };
  }

  /**
   * Estimates the queue of an element.
   * @returns who is to be told
   */
  look(state: PartitionState, element: Element, nowMs: number): readonly Told[] {
    const waits = firstWaits(element);
    if (waits.length === 0) return [];
    const groups = groupsOf(waits);
    const limit = waits[0]?.parts.find((part) => part.element === element)?.limit ?? 0;
    const capacity = waits[0]?.parts[0]?.mode === PERMIT ? Math.max(1, element.limit === 0 ? limit : element.limit) : 1;
    const forecasts = groups.map((group) =>
      group.map((wait) => this.#forecast(clientOf(wait.session), element.name, 0, nowMs)),
    );
    const above = waitsAbove(waits[0]);
    const before = groupsOf(above).map((group) => group.map((wait) => this.#forecastAt(wait, nowMs)));
    const ahead = [...before, ...forecasts];
    const view = { holders: this.#holders(state, { element, waits, above }, nowMs), ahead, capacity };
    const estimates = this.#profiles.eta.estimateAll(view, ahead.length).slice(before.length);
    const told: Told[] = [];
    for (const [index, group] of groups.entries()) {
      const estimate = estimates[index];
      if (estimate === undefined) break;
      for (const wait of group) {
        const isSoon = this.#note(wait, estimate, nowMs);
        if (isSoon !== undefined) told.push({ wait, estimate, isSoon });
      }
    }
    return told;
  }

  /** The wait was granted. */
  granted(wait: Wait, nowMs: number): void {
    this.#known.delete(wait);
    const handle = this.#followed.get(wait);
    if (handle === undefined) return;
    this.#followed.delete(wait);
    this.#profiles.eta.granted(handle, nowMs);
  }

  /** Forgets those who left without a grant. */
  sweep(): void {
    for (const [wait, handle] of this.#followed) {
      if (!wait.gone) continue;
      this.#followed.delete(wait);
      this.#profiles.eta.left(handle);
    }
  }

  /** @returns whether its grant is near, when the waiter is to be told of a change; else undefined */
  #note(wait: Wait, estimate: EtaEstimate, nowMs: number): boolean | undefined {
    const known = this.#known.get(wait);
    const isSoon = estimate.p50Ms <= SOON_MS && estimate.ahead === 0;
    if (known === undefined) {
      const handle = this.#profiles.eta.enter(estimate, nowMs);
      if (handle !== undefined) this.#followed.set(wait, handle);
      this.#known.set(wait, { estimate, atMs: nowMs, toldP50Ms: estimate.p50Ms, toldAtMs: nowMs, isSoonTold: isSoon });
      return isSoon;
    }
    known.estimate = estimate;
    known.atMs = nowMs;
    const expectedMs = Math.max(0, known.toldP50Ms - (nowMs - known.toldAtMs));
    const changeMs = Math.abs(estimate.p50Ms - expectedMs);
    const isChanged = changeMs > CHANGE_MS + CHANGE_RATIO * expectedMs && nowMs - known.toldAtMs >= TOLD_EVERY_MS;
    const isNewlySoon = isSoon && !known.isSoonTold;
    if (!isChanged && !isNewlySoon) return undefined;
    known.toldP50Ms = estimate.p50Ms;
    known.toldAtMs = nowMs;
    known.isSoonTold ||= isSoon;
    return isSoon;
  }

  #holders(state: PartitionState, queue: Queue, nowMs: number): readonly DurationLike[] {
    const holders: DurationLike[] = [];
    for (const grant of holdersBefore(queue)) {
      if (holders.length === HOLDERS_MAX) break;
      const { element, session } = grant;
      const hold = { client: clientOf(session), element: element.name, ageMs: ageOf(state, grant), nowMs };
      const forecast = forecastOf(this.#profiles.holds, { ...hold, self: this.#profiles.handleOf(grant) });
      holders.push(cutAt(forecast, endOf(state, grant)));
    }
    return holders;
  }

  #forecastAt({ session, parts }: Wait, nowMs: number): DurationLike {
    return this.#forecast(clientOf(session), parts[0]?.element.name ?? "", 0, nowMs);
  }

  #forecast(client: string, element: string, ageMs: number, nowMs: number): DurationLike {
    return this.#profiles.holds.forecast(client, element, ageMs, emptyDurationForecast(), nowMs);
  }
}

/** Who waits for an element, and who goes before them above it. */
interface Queue {
  readonly element: Element;
  readonly waits: readonly Wait[];
  readonly above: readonly Wait[];
}

/** At the element, above it, and below; and below those elements above that somebody waits for first. */
function* holdersBefore({ element, waits, above }: Queue): IterableIterator<Grant> {
  for (const near of [element, ...element.ancestors]) yield* holdersOf(near);
  for (const wait of waits.slice(0, 1).concat(above))
    for (const part of wait.parts) yield* holdersInTheWay(part.element, part.mode);
}

/** Those who wait for elements above and came before the first of a queue below: it does not overtake them. */
function waitsAbove(first: Wait | undefined): readonly Wait[] {
  const waits: Wait[] = [];
  for (const { element, mode } of first?.parts ?? []) {
    for (const { lanes } of element.ancestors) {
      for (const other of CONFLICTS[intentOf(mode)]) {
        for (const wait of lanes?.[other] ?? []) {
          if (first === undefined || waits.length === ABOVE_MAX || !isBefore(wait, first)) break;
          waits.push(wait);
        }
      }
    }
  }
  return waits.sort((a, b) => (isBefore(a, b) ? -1 : 1));
}

/** How old a grant gets at most, when the countdown of a warning is to end it. */
function endOf(state: PartitionState, grant: Grant): number {
  const warning = state.warnings.size === 0 ? undefined : state.warningByTarget.get(grant);
  if (warning === undefined || !warning.enforce) return Number.POSITIVE_INFINITY;
  return Math.max(0, warning.endsAtMs - grant.grantedAtMs);
}

/** In order of arrival, over all modes. */
function firstWaits(element: Element): readonly Wait[] {
  const waits: Wait[] = [];
  for (const lane of element.lanes ?? []) {
    let taken = 0;
    for (const wait of lane ?? []) {
      if (taken === WAITERS_MAX) break;
      taken += 1;
      if (wait.parts.some((part) => part.element === element)) waits.push(wait);
    }
  }
  return waits.sort((a, b) => (isBefore(a, b) ? -1 : 1)).slice(0, WAITERS_MAX);
}

/** Shared waiters side by side hold together. */
function groupsOf(waits: readonly Wait[]): readonly (readonly Wait[])[] {
  const groups: Wait[][] = [];
  let previous: Wait | undefined;
  for (const wait of waits) {
    const last = groups.at(-1);
    const isTogether = previous?.parts[0]?.mode === SHARED && wait.parts[0]?.mode === SHARED;
    if (isTogether && last !== undefined) last.push(wait);
    else groups.push([wait]);
    previous = wait;
  }
  return groups;
}
