// settings.ts: the defaults and ranges of `connect`'s options, checked before a socket is opened.
// Not here: what the options mean (options.ts).
import { ForelockError } from "@forelock/protocol";
import type { ConnectOptions, HealthWord, SavedSession, TlsOptions } from "./options.ts";
import { type Endpoint, parseEndpoint } from "./wire/endpoint.ts";

/** Options of `connect` in full. */
export interface Settings {
  readonly endpoints: readonly Endpoint[];
  readonly token: string;
  readonly tls: TlsOptions | undefined;
  readonly session: SavedSession | "none" | undefined;
  /** 0: the server's default. */
  readonly ttlMs: number;
  readonly client: string;
  readonly application: string;
  readonly health: HealthWord | (() => HealthWord);
  readonly requestMs: number;
  readonly inFlightMax: number;
  readonly queuedMax: number;
  /** 0: twice the ttl. */
  readonly lagMsMax: number;
  /** Direct connections at once; 0: everything goes through one node. */
  readonly directMax: number;
  readonly retry: RetrySettings;
}

export interface RetrySettings {
  readonly attemptsMax: number;
  readonly totalMs: number;
  readonly pauseMs: number;
  readonly pauseMsMax: number;
}

interface Range {
  readonly default: number;
  readonly min: number;
  readonly max: number;
}

const RANGES = {
  ttlMs: { default: 0, min: 1_000, max: 300_000 },
  requestMs: { default: 30_000, min: 10, max: 3_600_000 },
  inFlightMax: { default: 4_096, min: 1, max: 1_000_000 },
  queuedMax: { default: 100_000, min: 0, max: 10_000_000 },
  lagMsMax: { default: 0, min: 100, max: 3_600_000 },
  directMax: { default: 16, min: 1, max: 1_000 },
  "retry.attemptsMax": { default: 20, min: 0, max: 1_000_000 },
  "retry.totalMs": { default: 60_000, min: 0, max: 86_400_000 },
  "retry.pauseMs": { default: 50, min: 1, max: 60_000 },
  "retry.pauseMsMax": { default: 30_000, min: 1, max: 600_000 },
} as const satisfies Record<string, Range>;

const DEFAULT_ENDPOINT = "127.0.0.1:7420";
const CLIENT_BYTES_MAX = 128;
const APPLICATION_BYTES_MAX = 64;
const HEALTH_WORDS: readonly HealthWord[] = ["ok", "degraded", "failing"];

/** @throws ForelockError `bad_argument`, naming the option, its value and the range. */
export function settingsFrom(options: ConnectOptions): Settings {
  const endpoints = options.endpoints ?? DEFAULT_ENDPOINT;
  const list = (typeof endpoints === "string" ? [endpoints] : endpoints).map(parseEndpoint);
  if (list.length === 0) throw new ForelockError("bad_argument", "endpoints: [] names no server.");
  const client = options.client ?? defaultName();
  if (Buffer.byteLength(client) > CLIENT_BYTES_MAX) {
    throw new ForelockError("bad_argument", `client: must be at most ${CLIENT_BYTES_MAX} bytes.`);
  }
  const { application = "", health = "ok" } = options;
  if (Buffer.byteLength(application) > APPLICATION_BYTES_MAX) {
    throw new ForelockError("bad_argument", `application: must be at most ${APPLICATION_BYTES_MAX} bytes.`);
  }
  if (typeof health !== "function" && !HEALTH_WORDS.includes(health)) {
    throw new ForelockError(
      "bad_argument",
      `health: ${health} must be a function, or one of ${HEALTH_WORDS.join(", ")}.`,
    );
  }
  return {
    endpoints: list,
    token: options.token ?? "",
    tls: options.tls === true ? {} : options.tls === false ? undefined : options.tls,
    session: options.session,
    ttlMs: within("ttlMs", options.ttlMs),
    client,
    application,
    health,
    requestMs: within("requestMs", options.requestMs),
    inFlightMax: within("inFlightMax", options.inFlightMax),
    queuedMax: within("queuedMax", options.queuedMax),
    lagMsMax: within("lagMsMax", options.lagMsMax),
    directMax: (options.direct ?? true) ? within("directMax", options.directMax) : 0,
    retry: {
      attemptsMax: within("retry.attemptsMax", options.retry?.attemptsMax),
      totalMs: within("retry.totalMs", options.retry?.totalMs),
      pauseMs: within("retry.pauseMs", options.retry?.pauseMs),
      pauseMsMax: within("retry.pauseMsMax", options.retry?.pauseMsMax),
    },
  };
}

/**
 * A whole number in its range, or a complaint.
 * @throws ForelockError `bad_argument`
 */
export function wholeNumber(key: string, value: number, min: number, max: number): number {
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  throw new ForelockError("bad_argument", `${key}: ${value} must be a whole number from ${min} to ${max}.`);
}

function within(key: keyof typeof RANGES, value: number | undefined): number {
  const range = RANGES[key];
  return value === undefined ? range.default : wholeNumber(key, value, range.min, range.max);
}

function defaultName(): string {
  const program = (process.argv[1] ?? "node").split(/[\\/]/).at(-1) ?? "node";
  return `${program.slice(0, 40)}[${process.pid}]`;
}
