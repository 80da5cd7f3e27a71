// wire.ts: one connection between a client and a server: messages in order, late, or never. What the edge does with frames stands here
// in short: greet, acknowledge, submit, answer (compare edge/connection.ts). Not here: what a client says (client.ts).
//   N1. Messages of one connection stay in order; those of two connections do not.
//   N2. A cut loses what is under way in both directions, at once; each side notices later, on its own.
//   N3. A session's newer connection ends the older one: what comes on it afterwards is not read.
import {
  type Error as ErrorMessage,
  ForelockError,
  type HeartbeatReply,
  type Notice,
  type Operation,
  type Reply,
  Welcome,
} from "@forelock/protocol";
import type { Caller, NodeSession, Service } from "forelock/internal";
import type { Random } from "../proxy/random.ts";
import type { Process, SimulatedTime } from "./time.ts";

export interface Hello {
  readonly purpose: "operations" | "heartbeat";
  readonly sessionId: Uint8Array | undefined;
  readonly secret: Uint8Array;
  readonly ttlMs: number;
  readonly open: readonly number[];
}

export interface ClientSide {
  welcomed(welcome: Welcome): void;
  refused(error: ErrorMessage): void;
  reply(reply: Reply): void;
  notice(notice: Notice): void;
  heartbeat(reply: HeartbeatReply): void;
  cut(): void;
}

/** What a connection leads to. */
export interface WireServer {
  readonly process: Process;
  /** Undefined while it is down or starting. */
  readonly node: Service | undefined;
}

export interface WireOptions {
  readonly time: SimulatedTime;
  readonly random: Random;
  readonly weather: Weather;
  readonly server: WireServer;
  readonly client: Process;
  /** Of the client over all its lives: what it is known by. */
  readonly clientName: string;
  readonly caller: Caller;
  readonly claims: Map<string, Wire>;
  /** A message of the session reached a server. */
  readonly heard: (sessionId: string) => void;
}

/** What the network is like now; changed by faults while a run goes on. */
export interface Weather {
  delayMsMax: number;
  /** In [0, 1]: of single messages that take the connection with them. */
  lossRatio: number;
}

export class Wire {
  isCut = false;
  /** The client knows that the server knows it. */
  isWelcome = false;
  readonly #options: WireOptions;
  readonly #side: ClientSide;
  readonly #serverProcess: Process;
  #lastToServerMs = 0;
  #lastToClientMs = 0;
  #session: NodeSession | undefined;
  #isClosed = false;
  readonly #withdrawals = new Set<() => void>();
  #endListening: (() => void) | undefined;

  constructor(options: WireOptions, side: ClientSide, hello: Hello) {
    this.#options = options;
    this.#side = side;
    this.#serverProcess = options.server.process;
    this.#toServer(() => this.#greet(hello));
  }

  send(frame: {
    readonly lowest: number;
    readonly settled: readonly number[];
    readonly operations: readonly Operation[];
  }): void {
    this.#toServer(() => {
      const { server, caller, heard } = this.#options;
      const session = this.#session;
      if (session === undefined || server.node === undefined) return;
      heard(session.id);
      try {
        if (frame.lowest > 0 || frame.settled.length > 0) {
          server.node.acknowledge(session, frame.lowest, frame.settled);
        }
      } catch (cause) {
        return this.#fail(cause);
      }
      for (const operation of frame.operations) {
        const withdraw = server.node.submit(caller, session, operation, (reply) => {
          this.#withdrawals.delete(withdraw);
          this.#toClient(() => this.#side.reply(reply));
        });
        this.#withdrawals.add(withdraw);
      }
    });
  }

  beat(number: number): void {
    this.#toServer(() => {
      const { server, heard } = this.#options;
      if (this.#session === undefined || server.node === undefined) return;
      heard(this.#session.id);
      try {
        server.node.heartbeat(this.#session, number, { lagMs: 0, health: 0 }, (reply) =>
          this.#toClient(() => this.#side.heartbeat(reply)),
        );
      } catch (cause) {
        this.#fail(cause);
      }
    });
  }

  /** N2 */
  cut(): void {
    if (this.isCut) return;
    this.isCut = true;
    const { time, random, client } = this.#options;
    time.after(this.#serverProcess, random() * 400, () => this.close());
    time.after(client, random() * 400, () => this.#side.cut());
  }

  /** Ended by the client, which needs no telling. */
  drop(): void {
    if (this.isCut) return;
    this.isCut = true;
    this.#options.time.after(this.#serverProcess, this.#options.random() * 400, () => this.close());
  }

  #greet(hello: Hello): void {
    const { server, caller, claims, heard, clientName } = this.#options;
    const { node } = server;
    try {
      if (node === undefined) throw new ForelockError("unavailable", "The server is starting.");
      const { sessionId, secret, ttlMs } = hello;
      const open = hello.purpose === "operations" ? hello.open : undefined;
      const opened =
        sessionId === undefined
          ? node.openSession(caller, { ttlMs, client: clientName })
          : node.resumeSession(caller, { sessionId, secret, open, client: clientName, ttlMs });
      const { session } = opened;
      heard(session.id);
      if (hello.purpose === "heartbeat") {
        this.#session = session;
        return this.#toClient(() => this.#welcomed(Welcome.create()));
      }
      claims.get(session.id)?.close(); // N3
      claims.set(session.id, this);
      this.#endListening = node.listen(session, {
        notify: (notice) => this.#toClient(() => this.#side.notice(notice)),
      });
      node.welcome(caller, opened).then(
        (welcome) => {
          if (this.#isClosed) return;
          this.#session = session;
          this.#toClient(() => this.#welcomed(welcome));
        },
        (cause: unknown) => this.#fail(cause),
      );
    } catch (cause) {
      this.#fail(cause);
    }
  }

  #welcomed(welcome: Welcome): void {
    this.isWelcome = true;
    this.#side.welcomed(welcome);
  }

  #fail(cause: unknown): void {
    if (!(cause instanceof ForelockError)) throw cause;
    const error = { code: cause.code, message: cause.plainMessage, detailsJson: "", retryAfterMs: 0 };
    this.#toClient(() => this.#side.refused(error));
    this.close();
  }

  /** The server's side ends. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#endListening?.();
    for (const withdraw of this.#withdrawals) withdraw();
    this.#withdrawals.clear();
    const { claims } = this.#options;
    const id = this.#session?.id;
    if (id !== undefined && claims.get(id) === this) claims.delete(id);
  }

  #toServer(run: () => void): void {
    if (this.isCut || this.#isLost()) return;
    const { time } = this.#options;
    const atMs = Math.max(this.#lastToServerMs, time.nowMs + this.#delayMs());
    this.#lastToServerMs = atMs;
    time.after(this.#serverProcess, atMs - time.nowMs, () => {
      if (!this.isCut && !this.#isClosed) run();
    });
  }

  #toClient(run: () => void): void {
    if (this.isCut || !this.#serverProcess.isAlive || this.#isLost()) return;
    const { time, client } = this.#options;
    const atMs = Math.max(this.#lastToClientMs, time.nowMs + this.#delayMs());
    this.#lastToClientMs = atMs;
    time.after(client, atMs - time.nowMs, () => {
      if (!this.isCut) run();
    });
  }

  /** A lost message of a stream is the end of the stream. N1 */
  #isLost(): boolean {
    if (this.#options.random() >= this.#options.weather.lossRatio) return false;
    this.cut();
    return true;
  }

  #delayMs(): number {
    const { random, weather } = this.#options;
    const chance = random();
    return chance * chance * chance * weather.delayMsMax;
  }
}
