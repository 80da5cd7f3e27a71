// options.ts: what a caller of `connect` may say. Not here: defaults and ranges (settings.ts).

/** Certificates are PEM, as text or bytes. */
export interface TlsOptions {
  /** Authorities to trust instead of the system's. */
  readonly ca?: string | Uint8Array;
  /** The client's certificate and key, when the server asks for them. */
  readonly cert?: string | Uint8Array;
  readonly key?: string | Uint8Array;
  /** Name that the server's certificate must carry; the host of the endpoint when absent. */
  readonly serverName?: string;
}

/** A session that outlives its process. Keep it secret: who has it speaks for the session. Survives JSON. */
export interface SavedSession {
  /** base64url, 22 characters. */
  readonly id: string;
  /** base64url. */
  readonly secret: string;
}

export interface RetryOptions {
  /** Attempts to connect in one outage, and answers "try later" to one request, before giving up. Default 20. */
  readonly attemptsMax?: number;
  /** How long one outage may last before giving up, in milliseconds. Default 60,000. */
  readonly totalMs?: number;
  /** First pause; doubles with each attempt up to `pauseMsMax`, and each is drawn between 0 and that. Default 50. */
  readonly pauseMs?: number;
  /** Default 30,000. */
  readonly pauseMsMax?: number;
}

export type HealthWord = "ok" | "degraded" | "failing";

export interface ConnectOptions {
  /** `host:port` (port 7420 when absent). Several: tried in turn. Default `127.0.0.1:7420`. */
  readonly endpoints?: string | readonly string[];
  /** Bearer token, where the server asks for one. */
  readonly token?: string;
  /** `true`: TLS with the system's authorities. */
  readonly tls?: TlsOptions | boolean;
  /**
   * A session saved earlier: resumed, with its grants and waits (`client.held()`), and never replaced by a new one.
   * `"none"`: no session, for reads and operator commands only; nothing can be locked.
   */
  readonly session?: SavedSession | "none";
  /** Without a heartbeat for this long the session and its locks end. 1,000 to 300,000; the server's default when absent. */
  readonly ttlMs?: number;
  /** The program's name for people, at most 128 bytes: shown by `forelock why`. */
  readonly client?: string;
  /** What kind of work it does, at most 64 bytes: shown with its session. */
  readonly application?: string;
  /**
   * How it is, told with each heartbeat: the server suspects who is `degraded`, and more who is `failing`. A function is asked shortly
   * before each heartbeat; one that throws is `failing`. Default `ok`.
   */
  readonly health?: HealthWord | (() => HealthWord);
  /** How long a request may go without its first answer, in milliseconds. Waiting in a queue does not count. Default 30,000. */
  readonly requestMs?: number;
  /** Requests on their way at once; more wait here, in order. Bounded by the server's limit, too. Default 4,096. */
  readonly inFlightMax?: number;
  /** Requests that may wait here before more are refused with `overloaded`. Default 100,000. */
  readonly queuedMax?: number;
  /** Heartbeats stop when the main thread has been blocked for this long, in milliseconds. Default twice the ttl. */
  readonly lagMsMax?: number;
  /** Whether to connect to the owners of locks themselves, where a cluster tells who they are; one node needs no more. Default true. */
  readonly direct?: boolean;
  /** Direct connections at once; what other nodes own is forwarded by the first one. Default 16. */
  readonly directMax?: number;
  readonly retry?: RetryOptions;
  /** Gives up connecting. Once connected it has no effect. */
  readonly signal?: AbortSignal;
}
