// inspect/prediction.ts: what the server forecasts, how sure it is, what it does about it, and what it remembers. Not here: asking
// for it (reads.ts).
import type { RequestOptions } from "../lock/lock.ts";

/** The rest of a wait: half of such waits end by `p50Ms`, nine of ten by `p90Ms`. */
export interface Eta {
  readonly p50Ms: number;
  readonly p90Ms: number;
}

/** The hold's total length given how long it has lasted, in milliseconds. */
export interface HoldForecast {
  readonly p50Ms: number;
  readonly p90Ms: number;
  readonly p99Ms: number;
  /** Completed holds that speak. */
  readonly observations: number;
  /** Which history spoke mostly: `pair`, `client`, `element`, `all`, `prior`, or a model's name. */
  readonly source: string;
}

export interface RiskPart {
  /** `hold`, `harm`, `contention`, `load`, `suspicion`. */
  readonly name: string;
  /** 0 to 1. */
  readonly value: number;
  /** Its share of the score is weight times value over the sum of the weights. */
  readonly weight: number;
}

/** Why a grant or a wait is, or may be, in the way of others. */
export interface Risk {
  /** 0 to 1. */
  readonly score: number;
  readonly parts: readonly RiskPart[];
  /** A score at or above it is acted on. */
  readonly threshold: number;
  /** `off`, `observe`, `warn`, `enforce`. */
  readonly policy: string;
  /** Of a grant `held`, `warned`, `acknowledged`, `extended`; of a wait `waiting`, `warned`, `acknowledged`, `passed_over`. */
  readonly state: string;
  /** Until the release is forced; -1 when it will not be. */
  readonly countdownMs: number;
  /** In a sentence. */
  readonly reason: string;
}

export interface HistoryOptions extends RequestOptions {
  /** How far to look back; absent: as far as the log remembers. */
  readonly sinceMs?: number;
  /** 1 to 10,000; the newest are kept. Absent: 1,000. */
  readonly limit?: number;
}

export interface HistoryEntry {
  /** Before now, in milliseconds of service: time without a server does not count. */
  readonly agoMs: number;
  /** As `WatchEvent.kind`; also `warned`, `acknowledged`, `extended`, `preempted`. */
  readonly kind: string;
  readonly name: string;
  readonly session: string;
  readonly client: string;
  /** 0n where it tells nothing. */
  readonly token: bigint;
  readonly reason: string;
  /** Of `warned`: score, parts, threshold and countdown as they were then. Servers before it do not tell. */
  readonly risk?: Risk | undefined;
}

export interface History {
  /** Oldest first. */
  readonly entries: readonly HistoryEntry[];
  /** How far back the log reaches. */
  readonly reachMs: number;
  /** Older ones were left out. */
  readonly more: boolean;
}

export interface WarnOptions extends RequestOptions {
  /** 1 to 256 bytes; kept in the log and told to the holder. */
  readonly reason: string;
  /** Only the grant with this token; absent: all holders. */
  readonly token?: bigint;
  /** 100 to 3,600,000; absent: what the policy says. */
  readonly countdownMs?: number;
}

export interface SetPolicyOptions extends RequestOptions {
  /** 1 to 256 bytes; kept in the log. */
  readonly reason: string;
}

export interface PolicyInfo {
  /** Empty: of everything that has no longer prefix. */
  readonly prefix: string;
  /** What is set at this prefix itself. */
  readonly set: Readonly<Record<string, string>>;
  /** What holds here. */
  readonly effective: Readonly<Record<string, string>>;
  /** Where the controller has moved the threshold to. */
  readonly threshold: number;
  readonly changedBy: string;
  /** Wall clock of the server; 0: never. */
  readonly changedMs: number;
  readonly reason: string;
}

export interface PolicyField {
  readonly name: string;
  readonly range: string;
  /** What it is where nothing is set. */
  readonly standard: string;
  readonly description: string;
}

export interface Policies {
  readonly policies: readonly PolicyInfo[];
  readonly fields: readonly PolicyField[];
}

export interface PredictionOptions extends RequestOptions {
  /** Decisions, 1 to 1,000; absent: 100. */
  readonly limit?: number;
}

/** How often the truth lay at or below a forecast quantile, of late. */
export interface Calibration {
  /** `hold` or `eta`. */
  readonly of: string;
  readonly quantile: number;
  readonly coverage: number;
  readonly observations: number;
}

export interface PredictionTotals {
  readonly warnings: number;
  readonly released: number;
  readonly extended: number;
  readonly forced: number;
  /** Warned holders that would have released in time without being asked, as far as can be told. */
  readonly wrong: number;
  readonly ignored: number;
  /** Under `observe`: what would have been done, and whether it would have been right. */
  readonly observed: number;
  readonly observedRight: number;
  readonly observedWrong: number;
  /** Waiting that acting would have saved, all waiters together. */
  readonly observedSavedMs: number;
}

/** One thing that was done, or would have been, and what came of it. */
export interface Decision {
  /** Wall clock of the server. */
  readonly atMs: number;
  readonly kind: string;
  readonly name: string;
  readonly token: bigint;
  readonly client: string;
  readonly risk: Risk | undefined;
  /** `open`, `released`, `forced`, `right`, `wrong`, `ignored`. */
  readonly outcome: string;
  /** In a sentence. */
  readonly reason: string;
}

export interface Prediction {
  readonly calibrations: readonly Calibration[];
  /** The newest first. */
  readonly decisions: readonly Decision[];
  readonly totals: PredictionTotals;
}

/** Counts by bucket: `counts[i]` lie from `edgesMs[i]` up to `edgesMs[i + 1]`. */
export interface Distribution {
  readonly edgesMs: readonly number[];
  readonly counts: readonly number[];
  readonly p50Ms: number;
  readonly p90Ms: number;
  readonly p99Ms: number;
  readonly observations: number;
}

export interface ClientProfile {
  readonly client: string;
  readonly holds: number;
  readonly forecast: HoldForecast | undefined;
  readonly preemptions: number;
}

/** What has been seen of one element, and of the clients that hold it. */
export interface Profile {
  readonly name: string;
  readonly hold: Distribution | undefined;
  readonly wait: Distribution | undefined;
  readonly arrivalsPerSecond: number;
  /** Ratio of the requests that had to wait. */
  readonly contention: number;
  readonly clients: readonly ClientProfile[];
}
