// session/pulse.ts: keeps one session alive by heartbeats on a connection of their own. Runs in the heartbeat thread.
// Not here: the thread (../heartbeat-worker.ts), what a heartbeat's answer means for locks (link.ts).
//   P1. While the main loop is silent for longer than lagMsMax, no heartbeat is sent: a hung program loses its locks.
//   P2. safe-until only moves by an acknowledged heartbeat, to the time that one was sent plus ttl less the margin.
//   P3. At most SENT_MAX heartbeats are remembered; a connection that answers none for STALL_TTL_RATIO of the ttl is replaced.
import { ERRORS, ForelockError, type HeartbeatReply, Hello, Purpose } from "@forelock/protocol";
import type { ThreadEnvironment, Timer } from "../environment.ts";
import { Connection, PROTOCOL_VERSION } from "../wire/connection.ts";
import { EMPTY_FRAME } from "../wire/frame.ts";
import { pauseMs } from "./backoff.ts";
import type { HeartbeatListener, HeartbeatOrder, Heartbeats } from "./heartbeats.ts";
import { Lease, PartitionLeases } from "./lease.ts";

const SENT_MAX = 64;
const STALL_TTL_RATIO = 1 / 4;

export function startPulse(
  environment: ThreadEnvironment,
  order: HeartbeatOrder,
  listener: HeartbeatListener,
): Heartbeats {
  return new Pulse(environment, order, listener);
}

class Pulse implements Heartbeats {
  readonly #environment: ThreadEnvironment;
  readonly #order: HeartbeatOrder;
  readonly #listener: HeartbeatListener;
  readonly #lease: Lease;
  readonly #leases: PartitionLeases | undefined;
  /** When each unanswered heartbeat of this connection was sent, oldest first, by its number. */
  #sentAtMs = new Map<number, number>();
  #number = 0;
  #failures = 0;
  #endpointIndex = 0;
  #connection: Connection | undefined;
  #timer: Timer | undefined;
  #stopped = false;

  constructor(environment: ThreadEnvironment, order: HeartbeatOrder, listener: HeartbeatListener) {
    this.#environment = environment;
    this.#order = order;
    this.#listener = listener;
    this.#lease = new Lease(environment.clock, order.shared);
    this.#leases = order.partitions && new PartitionLeases(environment.clock, order.partitions);
    this.#connect();
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.dispose();
    this.#connection?.end(new ForelockError("session_closed", "Heartbeats were stopped."));
  }

  #connect(): void {
    const { endpoints, tls } = this.#order;
    const endpoint = endpoints[this.#endpointIndex % endpoints.length];
    if (endpoint === undefined || this.#stopped) return;
    this.#sentAtMs.clear();
    const options = { endpoint, tls, hello: this.#hello(), handshakeMs: this.#stallMs() };
    const connection = new Connection(this.#environment, options, {
      welcomed: () => this.#beat(),
      received: (frame) => {
        if (frame.heartbeat !== undefined) this.#answered(frame.heartbeat);
      },
    });
    this.#connection = connection;
    void connection.closed.then((reason) => this.#disconnected(reason)); // Never rejects.
  }

  #hello(): Hello {
    const { sessionId, secret, token, client, ttlMs } = this.#order;
    // Copies from another thread are plain bytes; the encoder takes them as they are.
    return Hello.create({
      version: PROTOCOL_VERSION,
      purpose: Purpose.HEARTBEAT,
      token,
      client,
      ttlMs, // A node that hears of the session by its heartbeat first would give it the standard one.
      direct: this.#order.direct,
      sessionId: Buffer.from(sessionId),
      sessionSecret: Buffer.from(secret),
    });
  }

  #beat(): void {
    const { clock } = this.#environment;
    const { intervalMs, lagMsMax, tickMs } = this.#order;
    this.#timer = clock.after(intervalMs, () => this.#beat());
    const nowMs = clock.monotonicMs();
    const [oldestMs] = this.#sentAtMs.values();
    if (this.#sentAtMs.size >= SENT_MAX || (oldestMs !== undefined && nowMs - oldestMs > this.#stallMs())) {
      this.#connection?.end(new ForelockError("unavailable", "Heartbeats were not answered.")); // P3
      return;
    }
    const sinceTickMs = this.#lease.sinceTickMs();
    if (sinceTickMs > lagMsMax) return; // P1
    this.#number++;
    this.#sentAtMs.set(this.#number, nowMs);
    const lagMs = Math.round(Math.max(0, sinceTickMs - tickMs));
    const { health } = this.#lease;
    this.#connection?.send({ ...EMPTY_FRAME, heartbeat: { number: this.#number, lagMs, health } });
  }

  #answered({ number, partitions, expiredPartitions }: HeartbeatReply): void {
    const sentAtMs = this.#sentAtMs.get(number);
    if (sentAtMs === undefined || this.#stopped) return;
    for (const sent of this.#sentAtMs.keys()) if (sent <= number) this.#sentAtMs.delete(sent);
    this.#failures = 0;
    this.#lease.extend(sentAtMs, this.#order.ttlMs); // P2
    this.#leases?.extend(partitions, sentAtMs, this.#order.ttlMs);
    this.#listener.acknowledged(sentAtMs, partitions, expiredPartitions);
  }

  #disconnected(reason: ForelockError): void {
    this.#timer?.dispose();
    if (this.#stopped) return;
    const { retry } = ERRORS[reason.code];
    if (retry === "new_session" || retry === "never") {
      this.#stopped = true;
      this.#listener.gone(reason.code, reason.message);
      return;
    }
    this.#endpointIndex++;
    const { clock, random } = this.#environment;
    // Pauses stay below an interval, for the session is dying meanwhile; the jitter still spreads them.
    const bounds = { attemptsMax: 0, totalMs: 0, pauseMs: 50, pauseMsMax: Math.max(50, this.#order.intervalMs) };
    this.#timer = clock.after(pauseMs(this.#failures++, bounds, random), () => this.#connect());
  }

  #stallMs(): number {
    return this.#order.ttlMs * STALL_TTL_RATIO;
  }
}
