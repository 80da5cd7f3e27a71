// edge-scene.ts: an edge on a real socket with a fake service behind it, and a plain client of the native carrier, for tests.

import { connect, type Socket } from "node:net";
import {
  ClientFrame,
  type HeartbeatRequest,
  type Hello,
  type Operation,
  Purpose,
  ServerFrame,
} from "@forelock/protocol";
import type { Clock, RandomBytes } from "../../clock.ts";
import type { OperationBody } from "../authorize.ts";
import { type Edge, startEdge } from "../edge.ts";
import type { EdgeLog } from "../log.ts";
import type { EdgeLimits, EdgeOptions } from "../options.ts";
import { createFakeService, type FakeService } from "./fake-service.ts";

export const TEST_LIMITS: EdgeLimits = {
  connectionsMax: 1_000,
  connectionsPerAddressMax: 1_000,
  connectionsPerPrincipalMax: 1_000,
  requestsMax: 10_000,
  requestsPerConnectionMax: 4_096,
  writeBufferBytesMax: 1_048_576,
  helloMs: 5_000,
  frameMs: 10_000,
  stopMs: 500,
  watchersMax: 1_000,
  watchersPerConnectionMax: 100,
  frameBytesMax: 1_048_576,
  frameOperationsMax: 1_000,
  appendBytesMax: 196_608,
  waitMsMax: 86_400_000,
  keepMsMax: 86_400_000,
  ttlMsMin: 1_000,
  ttlMsMax: 300_000,
  unansweredMax: 65_536,
};

export const TEST_OPTIONS: EdgeOptions = {
  host: "127.0.0.1",
  port: 0,
  allowInsecure: false,
  hostNames: [],
  tls: undefined,
  principals: [],
  limits: TEST_LIMITS,
  pages: new Map([["/", { type: "text/html; charset=utf-8", body: "<!doctype html><title>Forelock</title>" }]]),
  version: "0.0.0-test",
};

/** Real time: these tests wait for sockets, not for clocks. */
export const realClock: Clock = {
  wallMs: () => performance.timeOrigin + performance.now(),
  monotonicMs: () => performance.now(),
  after: (delayMs, fire) => {
    const timer = setTimeout(fire, delayMs);
    return { dispose: () => clearTimeout(timer) };
  },
};

/** The same bytes for one seed (xorshift32). */
export function seededBytes(seed: number): RandomBytes {
  let state = seed | 1;
  return (bytes) =>
    Uint8Array.from({ length: bytes }, () => {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      return state & 0xff;
    });
}

export interface LogLine {
  readonly level: "info" | "warn" | "error";
  readonly fields: Readonly<Record<string, unknown>>;
  readonly message: string;
}

export interface EdgeScene extends AsyncDisposable {
  readonly edge: Edge;
  readonly service: FakeService;
  readonly log: readonly LogLine[];
  connect(): Promise<NativeClient>;
  /** Connects and says Hello, by default for a new session. */
  open(hello?: Partial<Hello>): Promise<NativeClient>;
}

export async function edgeScene(
  options: Partial<Omit<EdgeOptions, "limits">> & { readonly limits?: Partial<EdgeLimits> } = {},
): Promise<EdgeScene> {
  const random = seededBytes(7);
  const service = createFakeService(random);
  const lines: LogLine[] = [];
  const log: EdgeLog = {
    info: (fields, message) => lines.push({ level: "info", fields, message }),
    warn: (fields, message) => lines.push({ level: "warn", fields, message }),
    error: (fields, message) => lines.push({ level: "error", fields, message }),
  };
  const all = { ...TEST_OPTIONS, ...options, limits: { ...TEST_LIMITS, ...options.limits } };
  const edge = await startEdge(all, service, realClock, random, log);
  const clients: NativeClient[] = [];
  const join = async (): Promise<NativeClient> => {
    const client = await NativeClient.connect(edge.port);
    clients.push(client);
    return client;
  };
  return {
    edge,
    service,
    log: lines,
    connect: join,
    async open(hello = {}) {
      const client = await join();
      await client.hello(hello);
      return client;
    },
    async [Symbol.asyncDispose]() {
      for (const client of clients) client.socket.destroy();
      await edge.close();
    },
  };
}

const HELLO: Hello = {
  version: 1,
  purpose: Purpose.OPERATIONS,
  token: "",
  sessionId: Buffer.alloc(0),
  sessionSecret: Buffer.alloc(0),
  ttlMs: 0,
  open: [],
  client: "test",
  application: "",
  forwarded: undefined,
  direct: false,
};

export function clientFrame(parts: Partial<Omit<ClientFrame, "hello">> & { readonly hello?: Partial<Hello> }): Buffer {
  const { hello, ...rest } = parts;
  const whole = hello === undefined ? undefined : { ...HELLO, ...hello };
  const frame: ClientFrame = {
    lowestUnanswered: 0,
    operations: [],
    settled: [],
    heartbeat: undefined,
    ...rest,
    hello: whole,
  };
  return framed(ClientFrame.encode(frame).finish());
}

export function framed(bytes: Uint8Array): Buffer {
  const frame = Buffer.alloc(bytes.length + 4);
  frame.writeUInt32BE(bytes.length);
  frame.set(bytes, 4);
  return frame;
}

/** A client that keeps what it was sent. */
export class NativeClient {
  readonly socket: Socket;
  readonly frames: ServerFrame[] = [];
  #bytes: Buffer = Buffer.alloc(0);
  #isEnded = false;
  #sequence = 0;
  readonly #looks = new Set<() => void>();

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on("data", (chunk: Buffer) => this.#read(chunk));
    socket.on("error", () => socket.destroy()); // Tests cut connections on purpose.
    socket.on("close", () => {
      this.#isEnded = true;
      for (const look of [...this.#looks]) look();
    });
  }

  static connect(port: number): Promise<NativeClient> {
    return new Promise((resolve, reject) => {
      const socket = connect(port, "127.0.0.1", () => resolve(new NativeClient(socket)));
      socket.once("error", reject);
    });
  }

  get isEnded(): boolean {
    return this.#isEnded;
  }

  async hello(hello: Partial<Hello> = {}): Promise<ServerFrame> {
    this.socket.write(clientFrame({ hello }));
    return this.until((frame) => frame.welcome !== undefined || frame.closing !== undefined);
  }

  /** Sends one operation of each body in one frame. @returns their sequences */
  send(...bodies: readonly OperationBody[]): readonly number[] {
    const operations: Operation[] = bodies.map((body) => {
      this.#sequence++;
      return { sequence: this.#sequence, keep: undefined, body };
    });
    this.socket.write(clientFrame({ operations }));
    return operations.map((operation) => operation.sequence);
  }

  beat(heartbeat: HeartbeatRequest): void {
    this.socket.write(clientFrame({ heartbeat }));
  }

  /** The answers, in the order of the sequences. */
  async replies(sequences: readonly number[]): Promise<readonly NonNullable<ServerFrame["replies"][number]["body"]>[]> {
    const found = () =>
      sequences.map((sequence) => this.frames.flatMap((f) => f.replies).find((r) => r.sequence === sequence));
    await this.look(() => found().every((reply) => reply !== undefined));
    return found().map((reply) => reply!.body!); // `look` saw them all.
  }

  async ask(body: OperationBody): Promise<NonNullable<ServerFrame["replies"][number]["body"]>> {
    const [reply] = await this.replies(this.send(body));
    return reply!; // One was asked.
  }

  async until(matches: (frame: ServerFrame) => boolean): Promise<ServerFrame> {
    await this.look(() => this.frames.some(matches));
    return this.frames.find(matches)!; // `look` saw it.
  }

  ended(): Promise<void> {
    return this.look(() => this.#isEnded);
  }

  /** Resolves when `holds`; rejects after 5 s, or when the connection ends before. */
  look(holds: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => done(new Error(`waited 5 s; last frame ${describe(this.frames.at(-1))}`)), 5_000);
      const done = (error?: Error): void => {
        clearTimeout(timer);
        this.#looks.delete(look);
        if (error === undefined) resolve();
        else reject(error);
      };
      const look = (): void => {
        if (holds()) done();
        else if (this.#isEnded) done(new Error(`the connection ended; last frame ${describe(this.frames.at(-1))}`));
      };
      this.#looks.add(look);
      look();
    });
  }

  #read(chunk: Buffer): void {
    this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk]);
    while (this.#bytes.length >= 4) {
      const end = 4 + this.#bytes.readUInt32BE(0);
      if (this.#bytes.length < end) break;
      this.frames.push(ServerFrame.decode(this.#bytes.subarray(4, end)));
      this.#bytes = this.#bytes.subarray(end);
    }
    for (const look of [...this.#looks]) look();
  }
}

export function acquireBody(name: string, waitMs?: number): OperationBody {
  const value = {
    name,
    mode: 0,
    permits: 0,
    take: 0,
    waitMs,
    priority: 0,
    onLoss: 0,
    actor: "",
    reenter: 0n,
    preemptible: 0,
    compensation: undefined,
  } as const;
  return { $case: "acquire", value };
}

export function releaseBody(name: string, token: bigint): OperationBody {
  return { $case: "release", value: { name, token, undo: false } };
}

function describe(frame: ServerFrame | undefined): string {
  return JSON.stringify(frame === undefined ? undefined : ServerFrame.toJSON(frame));
}
