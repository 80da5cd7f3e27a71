// heartbeats.ts: the heartbeats of one connection. Not here: what keeps a session alive (shard/).
//   B3. What cannot be answered in time is not answered: the client counts only those that were, so it stays on the safe side.
import type { HeartbeatReply, HeartbeatRequest } from "@forelock/protocol";
import type { NodeSession, Service } from "../shard/service.ts";
import type { EdgeCounters } from "./counters.ts";

const IN_FLIGHT_MAX = 16;

export interface HeartbeatsParts {
  readonly service: Service;
  readonly session: NodeSession;
  readonly counters: EdgeCounters;
  reply(reply: HeartbeatReply): void;
}

export class Heartbeats {
  readonly #parts: HeartbeatsParts;
  #inFlight = 0;

  constructor(parts: HeartbeatsParts) {
    this.#parts = parts;
  }

  beat({ number, lagMs, health }: HeartbeatRequest): void {
    const { service, session, counters } = this.#parts;
    counters.heartbeats_total++;
    if (this.#inFlight >= IN_FLIGHT_MAX) {
      counters.heartbeats_dropped_total++; // B3
      return;
    }
    this.#inFlight++;
    service.heartbeat(session, number, { lagMs, health }, this.#answer);
  }

  readonly #answer = (reply: HeartbeatReply): void => {
    this.#inFlight--;
    this.#parts.reply(reply);
  };
}
