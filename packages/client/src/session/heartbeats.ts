// session/heartbeats.ts: what the main thread and the heartbeat thread say to each other.
// Not here: sending heartbeats (pulse.ts), the thread (heartbeat-thread.ts, ../heartbeat-worker.ts).
import type { ErrorCode } from "@forelock/protocol";
import type { TlsOptions } from "../options.ts";
import type { Endpoint } from "../wire/endpoint.ts";

/** Keep one session alive. Everything here can be copied to another thread. */
export interface HeartbeatOrder {
  readonly endpoints: readonly Endpoint[];
  readonly tls: TlsOptions | undefined;
  readonly token: string;
  readonly client: string;
  readonly sessionId: Uint8Array;
  readonly secret: Uint8Array;
  readonly ttlMs: number;
  readonly intervalMs: number;
  /** How often the main thread's loop says that it turns. */
  readonly tickMs: number;
  /** Heartbeats stop while the main loop has been silent for longer. */
  readonly lagMsMax: number;
  /** Memory of a Lease. */
  readonly shared: SharedArrayBuffer;
  /** On a direct connection: what lives at that node, alone. */
  readonly direct: boolean;
  /** Memory of PartitionLeases, for a session with direct connections. */
  readonly partitions: SharedArrayBuffer | undefined;
}

export interface HeartbeatListener {
  /**
   * A heartbeat was answered.
   * @param sentAtMs when it was sent: grants that are older than that and whose partition is not listed are lost
   */
  acknowledged(sentAtMs: number, partitions: readonly number[], expiredPartitions: readonly number[]): void;
  /** The session is over, or may not be kept alive any more. */
  gone(code: ErrorCode, message: string): void;
}

export interface Heartbeats {
  /** Nothing is reported afterwards. */
  stop(): void;
}

export type StartHeartbeats = (order: HeartbeatOrder, listener: HeartbeatListener) => Heartbeats;

/** To the thread. `session` is a number of this process. */
export type ThreadCommand =
  | { readonly kind: "start"; readonly session: number; readonly order: HeartbeatOrder }
  | { readonly kind: "stop"; readonly session: number };

/** From the thread. */
export type ThreadReport =
  | {
      readonly kind: "acknowledged";
      readonly session: number;
      readonly sentAtMs: number;
      readonly partitions: readonly number[];
      readonly expiredPartitions: readonly number[];
    }
  | { readonly kind: "gone"; readonly session: number; readonly code: ErrorCode; readonly message: string };

const INTERVAL_MS_MAX = 2_500;
const BEATS_PER_TTL = 12; // Above ten: a late one does not make the server call the session silent.

export function heartbeatIntervalMs(ttlMs: number): number {
  return Math.min(ttlMs / BEATS_PER_TTL, INTERVAL_MS_MAX);
}

const TICK_MS_MAX = 100;

/** A quarter of the interval: a blocked loop shows before the next heartbeat. */
export function tickIntervalMs(ttlMs: number): number {
  return Math.min(heartbeatIntervalMs(ttlMs) / 4, TICK_MS_MAX);
}
