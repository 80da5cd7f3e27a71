// session/direct.ts: one connection of a session to the owner of partitions, beside its home connection. Not here: which requests take it
// and when it is opened (routes.ts), answers (link.ts).
//   D1. Nothing is sent before its Welcome. After its end nothing comes from it; what it had is its owner's to send elsewhere.
import type { ForelockError, Hello, Limits, MapNode, ServerFrame, Welcome } from "@forelock/protocol";
import type { Environment } from "../environment.ts";
import type { Settings } from "../settings.ts";
import { Connection } from "../wire/connection.ts";
import { Outbox } from "./outbox.ts";
import type { Request } from "./request.ts";
import type { Window } from "./window.ts";

export interface DirectEvents {
  welcomed(direct: Direct, welcome: Welcome): void;
  received(direct: Direct, frame: ServerFrame): void;
  ended(direct: Direct, reason: ForelockError): void;
}

export interface DirectOptions {
  readonly environment: Environment;
  readonly settings: Settings;
  readonly window: Window;
  readonly node: MapNode;
  readonly hello: Hello;
}

const HANDSHAKE_MS = 10_000;
/** Numbers of ended waits travel with operations; past this many, alone. */
const SETTLED_MAX = 256;

export class Direct {
  readonly node: MapNode;
  readonly outbox: Outbox;
  /** What its node is to be told of ended waits. */
  readonly settled: number[] = [];
  /** Requests of no partition that were sent here all the same: its pings, and closing. */
  readonly others = new Set<Request>();
  /** Sent and not answered. */
  due = 0;
  stalls = 0;
  heardAtMs = 0;
  /** When its Hello was sent: what happened later is told. */
  helloSentAtMs = 0;
  welcomedAtMs = 0;
  #limits: Limits | undefined;
  readonly #window: Window;
  readonly #connection: Connection;

  /** @throws certificates that do not parse */
  constructor({ environment, settings, window, node, hello }: DirectOptions, events: DirectEvents) {
    this.node = node;
    this.outbox = new Outbox(window);
    this.#window = window;
    const { clock } = environment;
    const handshakeMs = Math.min(HANDSHAKE_MS, settings.requestMs);
    const { host, port } = node;
    this.#connection = new Connection(
      environment,
      { endpoint: { host, port }, tls: settings.tls, hello, handshakeMs },
      {
        welcomed: (welcome, helloSentAtMs) => {
          this.helloSentAtMs = helloSentAtMs;
          this.welcomedAtMs = clock.monotonicMs();
          this.heardAtMs = this.welcomedAtMs;
          this.#limits = welcome.limits;
          events.welcomed(this, welcome);
        },
        received: (frame) => {
          this.heardAtMs = clock.monotonicMs();
          if (frame.replies.length > 0) this.stalls = 0;
          events.received(this, frame);
        },
      },
    );
    void this.#connection.closed.then((reason) => events.ended(this, reason)); // Never rejects.
  }

  get isReady(): boolean {
    return this.#limits !== undefined;
  }

  /** Sends what it has, as far as there is room. */
  flush(inFlightMax: number, nowMs: number): void {
    const limits = this.#limits;
    if (limits === undefined) return; // D1
    if (this.due === 0) this.heardAtMs = Math.max(this.heardAtMs, nowMs);
    const most = Math.min(inFlightMax, limits.requestsInFlight);
    for (;;) {
      const operations = this.outbox.nextFrame(limits, most);
      if (operations.length === 0 && this.settled.length < SETTLED_MAX) return;
      this.due += operations.length;
      this.#connection.send({
        hello: undefined,
        lowestUnanswered: this.#window.lowestUnanswered,
        operations,
        settled: this.settled.splice(0).map(BigInt),
        heartbeat: undefined,
      });
    }
  }

  end(reason: ForelockError): void {
    this.#connection.end(reason);
  }
}
