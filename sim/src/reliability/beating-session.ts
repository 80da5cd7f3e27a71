// beating-session.ts: a session that holds one lock and is kept alive by heartbeats: the bystander of a load.

import { Purpose } from "@forelock/protocol";
import { type Clock, pause } from "../proxy/clock.ts";
import { onLoopback, WireConnection } from "../torture/wire.ts";
import { acquireBody, BusySession } from "./busy-session.ts";

export interface BeatingSessionOptions {
  readonly port: number;
  readonly clock: Clock;
  readonly ttlMs: number;
  readonly name: string;
  /** Once, when an answer shows that the session has expired. */
  readonly onExpired: () => void;
}

const BEATS_PER_TTL = 5;

/** @returns a function that ends it */
export async function beatingSession({
  port,
  clock,
  ttlMs,
  name,
  onExpired,
}: BeatingSessionOptions): Promise<() => void> {
  const session = await BusySession.open({ port, ttlMs, client: name });
  await session.ask(acquireBody(name, 0));
  const { sessionId, sessionSecret } = session.welcome;
  const stop = new AbortController();
  let isExpired = false;
  const connection = await WireConnection.open(onLoopback(port), {
    onFrame: (frame) => {
      const hasExpired = frame.closing !== undefined || (frame.heartbeat?.expiredPartitions.length ?? 0) > 0;
      if (!hasExpired || isExpired || stop.signal.aborted) return;
      isExpired = true;
      onExpired();
    },
    onClose: () => {},
  });
  const hello = {
    version: 1,
    purpose: Purpose.HEARTBEAT,
    token: "",
    sessionId,
    sessionSecret,
    ttlMs: 0,
    open: [],
    client: name,
    application: "",
    forwarded: undefined,
    direct: false,
  };
  connection.send({ hello });
  const beat = async (): Promise<void> => {
    for (let number = 1; !stop.signal.aborted; number += 1) {
      connection.send({ heartbeat: { number, lagMs: 0, health: 0 } });
      await pause(clock, ttlMs / BEATS_PER_TTL, stop.signal);
    }
  };
  void beat();
  return () => {
    stop.abort();
    connection.cut();
    session.cut();
  };
}
