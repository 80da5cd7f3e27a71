// events.ts: GET /v1/events?pattern=: what happens, as server-sent events. Not here: which events there are (the service).
//   E1. A reader that does not keep up loses events and is told how many; it holds up nobody.
import type { ServerResponse } from "node:http";
import { Event, type Notice } from "@forelock/protocol";
import type { Clock, Timer } from "../../clock.ts";
import type { Service } from "../../shard/service.ts";
import type { EdgeCaller } from "../authorize.ts";
import type { EdgeCounters } from "../counters.ts";
import { SAFE_HEADERS } from "./answer.ts";

const UNSENT_BYTES_MAX = 262_144;
/** Proxies close what is silent, and a dead reader is found only by writing. */
const PING_MS = 15_000;

export interface EventsParts {
  readonly service: Service;
  readonly clock: Clock;
  readonly counters: EdgeCounters;
}

/** Streams until the reader leaves. `caller` has been allowed to watch `pattern`. */
export function streamEvents(response: ServerResponse, caller: EdgeCaller, pattern: string, parts: EventsParts): void {
  const { service, clock, counters } = parts;
  let missed = 0;
  let ping: Timer | undefined;
  const write = (text: string): void => {
    response.write(text);
  };
  const beat = (): void => {
    write(": still here\n\n");
    ping = clock.after(PING_MS, beat);
  };
  const notify = ({ body }: Notice): void => {
    if (body?.$case !== "event") return;
    if (response.writableLength > UNSENT_BYTES_MAX) {
      missed++; // E1
      counters.events_missed_total++;
      return;
    }
    write(text(missed === 0 ? body.value : { ...body.value, missed: body.value.missed + missed }));
    missed = 0;
  };
  response.writeHead(200, { ...SAFE_HEADERS, "Content-Type": "text/event-stream; charset=utf-8" });
  write("retry: 2000\n\n");
  counters.watchers++;
  const end = service.watch(caller, pattern, 0, { notify });
  ping = clock.after(PING_MS, beat);
  response.on("close", () => {
    counters.watchers--;
    ping?.dispose();
    end();
  });
}

function text(event: Event): string {
  return `event: ${event.kind}\ndata: ${JSON.stringify(Event.toJSON(event))}\n\n`;
}
