// profiles.ts: what this node has learned of clients and elements: how long they hold, how long is waited, how often. Fed by the
// shards as grants and waits end; bounded; saved beside the snapshots, never part of the hashed state. Not here: what follows from
// it (preempt/), how quantiles are learned (the forecast package).
import {
  DURATION_QUANTILES,
  DurationForecaster,
  emptyDurationForecast,
  type HoldHandle,
  QueueEta,
} from "@forelock/forecast";
import { assert } from "@forelock/protocol";
import type { Grant, Session } from "../partition/state.ts";
import type { HoldForecasts, HoldQuantiles } from "../preempt/engine.ts";
import type { Ledger, LedgerState } from "../preempt/ledger.ts";
import type { HistogramView } from "./histogram.ts";
import { forecastOf, outlivesOf, quantilesOf } from "./hold-forecasts.ts";
import { Sample } from "./sample.ts";
import { type ElementCounts, Seen } from "./seen.ts";

const VERSION = 1;
const ELEMENTS_MAX = 10_000;
const PAIRS_MAX = 20_000;
const CLIENTS_MAX = 5_000;
const RUNNING_MAX = 20_000;
const RECENT_MAX = 4_096;
/** The shortest hold that is told from none. */
const HOLD_MS_MIN = 0.1;

/** What the holds of all clients of a kind are learned under: no client's name begins so. */
const voiceOf = (application: string): string => `\u0000${application}`;

/**
 * What holds of one client are learned under, and how it is shown: its own name for itself, or who it is. Names are the clients' own
 * choice, so that of an authenticated one goes with its principal: nobody can spend another's budget, or learn for it.
 */
export function clientOf({ client, principal }: Pick<Session, "client" | "principal">): string {
  if (client === "") return principal;
  return principal === UNAUTHENTICATED ? client : `${client} (${principal})`;
}

/** Who everybody is where nobody has to say. */
const UNAUTHENTICATED = "local";

interface Saved {
  readonly version: number;
  readonly ledger: LedgerState;
  readonly counts: readonly (readonly [string, ElementCounts])[];
}

export class Profiles implements HoldForecasts {
  readonly ledger: Ledger;
  holds = new DurationForecaster({
    pairsMax: PAIRS_MAX,
    clientsMax: CLIENTS_MAX,
    elementsMax: ELEMENTS_MAX,
    runningMax: RUNNING_MAX,
  });
  /** Under one client for all: how long is waited for an element. */
  waits = new DurationForecaster({ pairsMax: 1_000, clientsMax: 1, elementsMax: ELEMENTS_MAX, runningMax: 1 });
  eta = new QueueEta();
  readonly #sample = new Sample();
  readonly #seen = new Seen();
  /** Of grants that somebody waits for: looked at before their end, and so scored. */
  readonly #handles = new Map<Grant, HoldHandle>();
  readonly #scratch = emptyDurationForecast();
  readonly #applicationByClient = new Map<string, string>();
  readonly #recentWaits: { readonly name: string; readonly waitMs: number }[] = [];
  #recentNext = 0;

  constructor(ledger: Ledger) {
    this.ledger = ledger;
  }

  /** A grant ended by its release. */
  released(grant: Grant, heldMs: number, nowMs: number): void {
    const { element, session } = grant;
    const handle = this.#handles.size === 0 ? undefined : this.#handles.get(grant);
    const standsFor = this.#sample.take(nowMs);
    if (standsFor === 0 && handle === undefined) return;
    this.#seen.held(element.name, clientOf(session), heldMs, nowMs, Math.max(1, standsFor));
    if (handle !== undefined) this.#handles.delete(grant);
    this.#learnForApplication(clientOf(session), element.name, heldMs);
    if (handle !== undefined && this.holds.end(handle, nowMs)) return;
    this.holds.observe(clientOf(session), element.name, Math.max(HOLD_MS_MIN, heldMs));
  }

  /** It ended by force or expiry: it would have lasted at least so long. */
  lost(grant: Grant, heldMs: number, nowMs: number): void {
    this.#seen.lost(grant.element.name, nowMs);
    const handle = this.#handleOf(grant, heldMs, nowMs);
    this.#handles.delete(grant);
    if (handle !== undefined) this.holds.drop(handle, nowMs);
  }

  /** A request was granted after a wait, in a partition that another node leads. */
  followed(name: string, waitMs: number): void {
    this.waits.observe("", name, Math.max(HOLD_MS_MIN, waitMs));
    this.#seen.waited(name, waitMs, 1 / this.#sample.stride);
  }

  /** A request was granted here after a wait. */
  waited(name: string, waitMs: number): void {
    this.followed(name, waitMs);
    this.#recentWaits[this.#recentNext] = { name, waitMs };
    this.#recentNext = (this.#recentNext + 1) % RECENT_MAX;
  }

  /** Half of the waits for the element end within it; 0 while none is known. */
  predictedWaitMs(name: string): number {
    const { p50Ms, level } = this.waits.forecast("", name, 0, this.#scratch);
    return level === "pair" || level === "element" ? p50Ms : 0;
  }

  /** Waits here since the last call, the last few thousand of them. */
  takeWaits(): readonly { readonly name: string; readonly waitMs: number }[] {
    this.#recentNext = 0;
    return this.#recentWaits.splice(0);
  }

  /** From now on the end of this grant is scored against what is forecast for it. */
  watch(grant: Grant, heldMs: number, nowMs: number): void {
    this.#handleOf(grant, heldMs, nowMs);
  }

  /** A client declares what kind of work it does: what its like have done speaks for it until it has a history. */
  declare(client: string, application: string): void {
    if (application === "") return;
    if (this.#applicationByClient.size >= CLIENTS_MAX && !this.#applicationByClient.has(client)) {
      const [oldest] = this.#applicationByClient.keys();
      if (oldest !== undefined) this.#applicationByClient.delete(oldest);
    }
    this.#applicationByClient.set(client, application);
  }

  /** The name of a watched hold. */
  handleOf(grant: Grant): HoldHandle | undefined {
    return this.#handles.get(grant);
  }

  quantiles(client: string, element: string, ageMs: number, nowMs: number, self?: number): HoldQuantiles | undefined {
    const hold = { client, element, ageMs, nowMs, self };
    const found = forecastOf(this.holds, hold, this.#scratch);
    const voice = this.#voiceOf(client, found.level);
    if (voice === client) return quantilesOf(found);
    return quantilesOf(forecastOf(this.holds, { ...hold, client: voice, self: undefined }, this.#scratch));
  }

  outlives(client: string, element: string, ageMs: number, deadlineMs: number, nowMs: number, self?: number): number {
    const hold = { client, element, ageMs, nowMs, self };
    if (this.#applicationByClient.size > 0) {
      const { level } = this.holds.forecast(client, element, 0, this.#scratch, nowMs);
      const voice = this.#voiceOf(client, level);
      if (voice !== client) return outlivesOf(this.holds, { ...hold, client: voice, self: undefined }, deadlineMs);
    }
    return outlivesOf(this.holds, hold, deadlineMs);
  }

  /** The elements with most requests since the last call, and how many. */
  takeRequests(elementsMax: number): readonly { readonly name: string; readonly requests: number }[] {
    const busy: { readonly name: string; readonly requests: number }[] = [];
    for (const [name, counts] of this.#seen.all()) {
      if (counts.requests > 0) busy.push({ name, requests: counts.requests });
      counts.requests = 0;
    }
    return busy.sort((a, b) => b.requests - a.requests || (a.name < b.name ? -1 : 1)).slice(0, elementsMax);
  }

  counts(name: string): ElementCounts | undefined {
    return this.#seen.counts(name);
  }

  /** Ratio of requests for the element that had to wait. */
  contentionRatio(name: string): number {
    const counts = this.#seen.counts(name);
    return counts === undefined || counts.grants === 0 ? 0 : Math.min(1, counts.waits / counts.grants);
  }

  /** Who has held the element most while the node runs. */
  clientsOf(name: string, limit: number): readonly { readonly client: string; readonly holds: number }[] {
    const clients = [...this.#seen.clientsOf(name)].map(([client, holds]) => ({ client, holds }));
    return clients.sort((a, b) => b.holds - a.holds || (a.client < b.client ? -1 : 1)).slice(0, limit);
  }

  /** What was seen while the node runs, and the quantiles that are forecast from all that is remembered. */
  distribution(
    of: "hold" | "wait",
    name: string,
  ): HistogramView & {
    readonly quantiles: { readonly p50Ms: number; readonly p90Ms: number; readonly p99Ms: number };
    readonly observations: number;
  } {
    const forecaster = of === "hold" ? this.holds : this.waits;
    const { p50Ms, p90Ms, p99Ms, observations } = forecaster.forecast("", name, 0, this.#scratch);
    const view = this.#seen.histogram(of, name);
    return { ...view, quantiles: { p50Ms, p90Ms, p99Ms }, observations };
  }

  /** How often the truth lay at or below a forecast quantile, of late. */
  calibrations(): readonly {
    readonly of: string;
    readonly quantile: number;
    readonly coverage: number;
    readonly observations: number;
  }[] {
    const { learned } = this.holds.gauges;
    const coverage = this.holds.coverage();
    const { coverage50Ratio, coverage90Ratio, observed } = this.eta.coverage();
    return [
      ...DURATION_QUANTILES.map((quantile, index) => ({
        of: "hold",
        quantile,
        coverage: coverage[index] ?? quantile,
        observations: Math.floor(learned),
      })),
      { of: "eta", quantile: 0.5, coverage: coverage50Ratio, observations: observed },
      { of: "eta", quantile: 0.9, coverage: coverage90Ratio, observations: observed },
    ];
  }

  save(): Uint8Array {
    const saved: Saved = { version: VERSION, ledger: this.ledger.save(), counts: this.#seen.save() };
    const learned = [this.holds, this.waits, this.eta].map((each) => each.serialize());
    const parts = [Buffer.from(JSON.stringify(saved)), ...learned];
    const lengths = Buffer.alloc(parts.length * 4);
    for (const [index, part] of parts.entries()) lengths.writeUInt32LE(part.byteLength, index * 4);
    return Buffer.concat([lengths, ...parts]);
  }

  /** @throws when the bytes are not of `save`: nothing of them is used then, and everything is learned anew */
  restore(bytes: Uint8Array): void {
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const lengths = [0, 1, 2, 3].map((index) => buffer.readUInt32LE(index * 4));
    let at = lengths.length * 4;
    const parts = lengths.map((length) => {
      assert(at + length <= buffer.byteLength, "the profiles are cut");
      const part = buffer.subarray(at, at + length);
      at += length;
      return part;
    });
    const [json, holds, waits, eta] = parts;
    assert(json !== undefined && holds !== undefined && waits !== undefined && eta !== undefined, "four parts");
    // Written by `save`; a version that does not fit is refused right here.
    const saved = JSON.parse(json.toString()) as Saved;
    assert(saved.version === VERSION, `the profiles have version ${saved.version}; this server reads ${VERSION}`);
    const limits = { elementsMax: ELEMENTS_MAX };
    const restoredHolds = DurationForecaster.restore(holds, {
      ...limits,
      pairsMax: PAIRS_MAX,
      clientsMax: CLIENTS_MAX,
      runningMax: RUNNING_MAX,
    });
    const restoredWaits = DurationForecaster.restore(waits, {
      ...limits,
      pairsMax: 1_000,
      clientsMax: 1,
      runningMax: 1,
    });
    this.eta = QueueEta.restore(eta);
    this.holds = restoredHolds;
    this.waits = restoredWaits;
    this.ledger.restore(saved.ledger);
    this.#seen.restore(saved.counts);
  }

  #learnForApplication(client: string, element: string, heldMs: number): void {
    if (this.#applicationByClient.size === 0) return;
    const application = this.#applicationByClient.get(client);
    if (application !== undefined) this.holds.observe(voiceOf(application), element, Math.max(HOLD_MS_MIN, heldMs));
  }

  /** Who speaks for a client: itself, or its kind while it has no history. */
  #voiceOf(client: string, level: string): string {
    if (this.#applicationByClient.size === 0 || level === "pair" || level === "client" || level === "series")
      return client;
    const application = this.#applicationByClient.get(client);
    return application === undefined ? client : voiceOf(application);
  }

  #handleOf(grant: Grant, heldMs: number, nowMs: number): HoldHandle | undefined {
    const known = this.#handles.get(grant);
    if (known !== undefined) return known;
    const handle = this.holds.begin(clientOf(grant.session), grant.element.name, Math.max(0, nowMs - heldMs));
    if (handle !== undefined) this.#handles.set(grant, handle);
    return handle;
  }
}
