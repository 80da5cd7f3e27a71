// testing/fake-server.ts: a server in the test's own process, on a real socket, with the faults that a network has.
// Not here: what sessions and locks do (fake-sessions.ts, fake-elements.ts); they outlive `stop`, as on a disk.
import { createServer, type Server, type Socket } from "node:net";
import {
  ClientFrame,
  ForelockError,
  type Hello,
  type Notice,
  PreemptionWarning,
  Purpose,
  type Reply,
  ServerFrame,
} from "@forelock/protocol";
import { FrameSplitter } from "../wire/frame.ts";
import { type FakeSession, FakeSessions } from "./fake-sessions.ts";

export interface Faults {
  /** Answers are decided and never sent. */
  loseAnswers: boolean;
  /** Answers are sent this late. */
  delayMs: number;
  /** Heartbeats get no answer. */
  ignoreHeartbeats: boolean;
  /** Connections end after this many more bytes from clients; undefined: never. */
  cutAfterBytes: number | undefined;
  /** Connections are refused with this, after Hello. */
  closing: ForelockError | undefined;
}

export class FakeServer implements AsyncDisposable {
  readonly sessions = new FakeSessions();
  readonly faults: Faults = {
    loseAnswers: false,
    delayMs: 0,
    ignoreHeartbeats: false,
    cutAfterBytes: undefined,
    closing: undefined,
  };
  /** Frames with operations that came, by how many operations they had. */
  readonly frameSizes: number[] = [];
  connections = 0;
  /** Connections for operations that were greeted. */
  greeted = 0;
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;
  #port = 0;

  static async start(): Promise<FakeServer> {
    const server = new FakeServer();
    await server.start();
    return server;
  }

  get endpoint(): string {
    return `127.0.0.1:${this.#port}`;
  }

  /** Listens, on the same port as before. */
  start(): Promise<void> {
    this.#server = createServer((socket) => this.#accept(socket));
    return new Promise((resolve) => {
      this.#server?.listen(this.#port, "127.0.0.1", () => {
        const address = this.#server?.address();
        if (typeof address === "object" && address !== null) this.#port = address.port;
        resolve();
      });
    });
  }

  /** As if killed; what it had answered is kept. */
  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.#server?.close(resolve));
    this.cut();
    await closed;
  }

  /** Ends all connections. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  get only(): FakeSession {
    const [session] = this.sessions.sessionById.values();
    if (session === undefined) throw new Error("No session was opened.");
    return session;
  }

  /** Tells all sessions' connections. */
  notify(session: FakeSession, body: NonNullable<Notice["body"]>): void {
    session.notify({ body });
  }

  /** Warns whoever holds a name, or the first who waits for it. @returns the notice, to be sent again */
  warn(name: string, facts: Partial<PreemptionWarning> = {}): PreemptionWarning {
    const element = this.sessions.elements.elementByName.get(name);
    const holder = element?.holders[0];
    const target = facts.token === 0n ? element?.queue[0] : holder;
    if (target === undefined) throw new Error(`Nobody to warn at ${name}.`);
    const notice = PreemptionWarning.create({
      ...{ warning: "w1.1", name, reference: target.reference, sequence: target.sequence, token: holder?.token ?? 0n },
      ...{ countdownMs: 60_000, enforced: true, reason: "It hangs." },
      risk: { score: 0.9, parts: [{ name: "hold", value: 0.8, weight: 1 }], threshold: 0.8 },
      ...facts,
    });
    const session = this.sessions.sessionById.get(target.session);
    if (session !== undefined) this.notify(session, { $case: "warning", value: notice });
    return notice;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #accept(socket: Socket): void {
    this.connections++;
    this.#sockets.add(socket);
    socket.on("close", () => this.#sockets.delete(socket));
    socket.on("error", () => {}); // Cut by the test or the client.
    const splitter = new FrameSplitter();
    const connection = new FakeConnection(this, socket);
    socket.on("data", (chunk) => {
      if (!this.#survives(chunk.byteLength, socket)) return;
      splitter.push(chunk, (bytes) => connection.receive(ClientFrame.decode(bytes)));
    });
  }

  #survives(bytes: number, socket: Socket): boolean {
    const { cutAfterBytes } = this.faults;
    if (cutAfterBytes === undefined) return true;
    this.faults.cutAfterBytes = cutAfterBytes > bytes ? cutAfterBytes - bytes : undefined;
    if (cutAfterBytes <= bytes) socket.destroy();
    return cutAfterBytes > bytes;
  }
}

class FakeConnection {
  readonly #server: FakeServer;
  readonly #socket: Socket;
  #session: FakeSession | undefined;

  constructor(server: FakeServer, socket: Socket) {
    this.#server = server;
    this.#socket = socket;
  }

  receive(frame: ClientFrame): void {
    if (frame.hello !== undefined) this.#greet(frame.hello);
    const session = this.#session;
    if (session === undefined) return;
    const { sessions, faults, frameSizes } = this.#server;
    if (frame.heartbeat !== undefined && !faults.ignoreHeartbeats) {
      session.heartbeats++;
      session.lagMs = frame.heartbeat.lagMs;
      session.health = frame.heartbeat.health;
      const { number } = frame.heartbeat;
      const heartbeat = { number, partitions: [...session.partitions], expiredPartitions: [...session.expired] };
      this.#send(ServerFrame.create({ heartbeat }));
    }
    sessions.settle(session, frame.lowestUnanswered, frame.settled);
    if (frame.operations.length > 0) {
      frameSizes.push(frame.operations.length);
      this.#answer(frame.operations.map((operation) => sessions.perform(session, operation)));
    }
  }

  #greet(hello: Hello): void {
    const { sessions, faults } = this.#server;
    try {
      if (faults.closing !== undefined) throw faults.closing;
      const session = sessions.open(hello);
      this.#session = session;
      this.#send(ServerFrame.create({ welcome: sessions.welcome(session, hello) }));
      if (hello.purpose === Purpose.HEARTBEAT) return;
      this.#server.greeted++;
      session.notify = (notice) => this.#notify(notice);
    } catch (error) {
      if (!(error instanceof ForelockError)) throw error;
      this.#send(ServerFrame.create({ closing: { code: error.code, message: error.message } }));
      this.#socket.end();
    }
  }

  #answer(replies: readonly Reply[]): void {
    const { faults } = this.#server;
    if (faults.loseAnswers) return;
    const frame = ServerFrame.create({ replies: [...replies] });
    if (faults.delayMs > 0) setTimeout(() => this.#send(frame), faults.delayMs);
    else this.#send(frame);
  }

  #notify(notice: Notice): void {
    // After the answers of the frame that caused it.
    queueMicrotask(() => {
      if (!this.#server.faults.loseAnswers) this.#send(ServerFrame.create({ notices: [notice] }));
    });
  }

  #send(frame: ServerFrame): void {
    if (this.#socket.destroyed) return;
    const bytes = ServerFrame.encode(frame).finish();
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.byteLength);
    this.#socket.write(Buffer.concat([length, bytes]));
  }
}
