// dial.ts: the connection of a simulated client to a server: what each side is told. Not here: how messages travel (wire.ts), what a
// client makes of them (client.ts).
import type { SimulatedClient } from "./client.ts";
import { type Hello, Wire, type WireOptions } from "./wire.ts";

/** A client has one connection for operations and one for heartbeats. */
export function dial(
  client: SimulatedClient,
  purpose: Hello["purpose"],
  net: Omit<WireOptions, "client" | "caller">,
): Wire {
  const isHeartbeat = purpose === "heartbeat";
  const { process, principal } = client.options;
  const caller = { principal, may: () => true, remoteAddress: "simulated" };
  return new Wire(
    { ...net, client: process, caller },
    {
      welcomed: (welcome) => (isHeartbeat ? client.heartbeatWelcomed() : client.welcomed(welcome)),
      refused: (error) => (isHeartbeat ? client.heartbeatRefused(error) : client.refused(error)),
      reply: (reply) => client.replied(reply),
      notice: (notice) => client.noticed(notice),
      heartbeat: (reply) => client.heartbeatAnswered(reply),
      cut: () => (isHeartbeat ? client.heartbeatCut() : client.lostWire()),
    },
    {
      purpose,
      sessionId: client.sessionId === "" ? undefined : Buffer.from(client.sessionId, "base64url"),
      secret: client.secret,
      ttlMs: client.ttlMs,
      open: [...client.unanswered.keys(), ...client.waiting.keys()],
    },
  );
}
