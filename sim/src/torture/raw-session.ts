// raw-session.ts: a session over the bare protocol: reconnects, resumes, and asks again with the same sequence until it is told.
// Not here: heartbeats (heart.ts), what is asked (client.ts), what is written down (also client.ts).
//   S1. A request keeps its sequence over retries, reconnects and restarts of the server.
//   S2. Only what the server answered is believed; silence is never taken for a refusal.
import type { AcquireReply, Operation, Reply, ServerFrame, Welcome } from "@forelock/protocol";
import { OperationState, Purpose } from "@forelock/protocol";
import { type Clock, pause } from "../proxy/clock.ts";
import { between, type Random } from "../proxy/random.ts";
import { mayAskAgain, verdictOf } from "./outcome.ts";
import { type Way, WireConnection } from "./wire.ts";

export type Body = NonNullable<Operation["body"]>;
type ReplyBody = NonNullable<Reply["body"]>;

export type Told =
  | { readonly kind: "answered"; readonly body: ReplyBody }
  | { readonly kind: "refused"; readonly code: string }
  /** No answer, or none that decides. `wasSent`: it may still take effect (S2). */
  | { readonly kind: "silent"; readonly wasSent: boolean; readonly code: string | undefined };

export interface Ask {
  readonly body: Body;
  /** Stops asking after this long. */
  readonly patienceMs: number;
  /** Asks again what was asked under this sequence before, instead of something new. */
  readonly again?: number;
}

export interface RawSessionOptions {
  readonly way: Way;
  readonly ttlMs: number;
  readonly client: string;
  readonly clock: Clock;
  readonly random: Random;
}

/** Without any sign of an answer for this long, a connection is taken for dead. */
const SILENCE_MS = 1_500;
const WELCOME_MS = 2_500;
const RETRY_MS_MIN = 30;
const RETRY_MS_MAX = 250;

type Attempt =
  | { readonly kind: "reply"; readonly body: ReplyBody }
  | { readonly kind: "closed" }
  | { readonly kind: "late" };

export class RawSession {
  readonly #options: RawSessionOptions;
  #id: Buffer = Buffer.alloc(0);
  #secret: Buffer = Buffer.alloc(0);
  #connection: WireConnection | undefined;
  #sequence = 0;
  #asking: { readonly sequence: number; readonly settle: (attempt: Attempt) => void } | undefined;
  #settled: bigint[] = [];
  #gone: { readonly code: string; readonly isWhole: boolean } | undefined;
  #isKilled = false;
  /** Grants that the server reported lost: `name token`. */
  readonly lost = new Set<string>();
  reconnects = 0;

  private constructor(options: RawSessionOptions) {
    this.#options = options;
  }

  /** Opens a session, or gives up. */
  static async open(options: RawSessionOptions, patienceMs: number): Promise<RawSession | undefined> {
    const session = new RawSession(options);
    const untilMs = options.clock.monotonicMs() + patienceMs;
    while (options.clock.monotonicMs() < untilMs) {
      if ((await session.#connect()) !== undefined) return session;
      await session.#rest();
    }
    session.kill();
    return undefined;
  }

  /** base64url, shortened: enough to tell the sessions of a run apart. */
  get name(): string {
    return this.#id.toString("base64url").slice(0, 12);
  }

  /** A node that hears of the session by these words first must know its ttl too. */
  get identity(): { readonly sessionId: Buffer; readonly sessionSecret: Buffer; readonly ttlMs: number } {
    return { sessionId: this.#id, sessionSecret: this.#secret, ttlMs: this.#options.ttlMs };
  }

  /** Of the request asked last. */
  get sequence(): number {
    return this.#sequence;
  }

  /** Undefined while it may live. `isWhole`: the session was refused as such, not only in the partition last asked. */
  get gone(): { readonly code: string; readonly isWhole: boolean } | undefined {
    return this.#gone;
  }

  /** As a killed client: no goodbye, nothing more is sent. */
  kill(): void {
    this.#isKilled = true;
    this.#connection?.cut();
    this.#asking?.settle({ kind: "closed" });
  }

  /** Drops the connection, as a client that reconnects. */
  reconnect(): void {
    this.#connection?.cut();
  }

  /** One request at a time. @param onSend called before the bytes of each attempt leave */
  async ask({ body, patienceMs, again }: Ask, onSend: () => void): Promise<Told> {
    const { clock } = this.#options;
    const untilMs = clock.monotonicMs() + patienceMs;
    if (again === undefined) this.#sequence += 1;
    const sequence = again ?? this.#sequence;
    let isSent = false; // Whether an attempt has left of which nothing certain is known.
    let code: string | undefined;
    while (!this.#isKilled && this.#gone === undefined && clock.monotonicMs() < untilMs) {
      const connection = this.#connection ?? (await this.#connect(sequence));
      if (connection === undefined || connection.isClosed) {
        await this.#rest();
        continue;
      }
      const attempt = await this.#attempt({ connection, sequence, body, untilMs, onSend });
      if (attempt.kind !== "reply") {
        isSent = true;
        if (attempt.kind === "late") connection.cut();
        continue;
      }
      const error = errorOf(attempt.body);
      if (error === undefined) return { kind: "answered", body: attempt.body };
      code = error;
      const verdict = verdictOf(error);
      if (verdict === "decided") return { kind: "answered", body: attempt.body };
      if (verdict === "session_gone") this.#gone = { code: error, isWhole: false };
      if (verdict === "unsure") isSent = true;
      if (!mayAskAgain(error))
        return isSent ? { kind: "silent", wasSent: true, code } : { kind: "refused", code: error };
      await this.#rest();
    }
    return isSent || code === undefined ? { kind: "silent", wasSent: isSent, code } : { kind: "refused", code };
  }

  async #attempt({
    connection,
    sequence,
    body,
    untilMs,
    onSend,
  }: {
    readonly connection: WireConnection;
    readonly sequence: number;
    readonly body: Body;
    readonly untilMs: number;
    readonly onSend: () => void;
  }): Promise<Attempt> {
    const { clock } = this.#options;
    const waitMs = body.$case === "acquire" || body.$case === "acquireAll" ? (body.value.waitMs ?? 0) : 0;
    const lateMs = Math.min(SILENCE_MS + waitMs, Math.max(1, untilMs - clock.monotonicMs()));
    return new Promise((resolve) => {
      const settle = (attempt: Attempt): void => {
        cancel();
        this.#asking = undefined;
        resolve(attempt);
      };
      const cancel = clock.after(lateMs, () => settle({ kind: "late" }));
      this.#asking = { sequence, settle };
      const settled = this.#settled.splice(0);
      onSend();
      connection.send({ lowestUnanswered: sequence, settled, operations: [{ sequence, keep: undefined, body }] });
    });
  }

  /** Opens or resumes. Sets `gone` when the server says that the session is. */
  async #connect(asking?: number): Promise<WireConnection | undefined> {
    const { way, client, clock } = this.#options;
    const isNew = this.#id.length === 0;
    let greet: (welcome: Welcome | undefined) => void = () => {};
    const greeting = new Promise<Welcome | undefined>((resolve) => {
      greet = resolve;
    });
    let connection: WireConnection;
    try {
      connection = await WireConnection.open(way(), {
        onFrame: (frame) => {
          if (this.#connection !== undefined && this.#connection !== connection) return;
          if (frame.closing !== undefined && frame.welcome === undefined) this.#refusedBy(frame.closing.code);
          if (frame.welcome !== undefined) greet(frame.welcome);
          this.#take(frame);
        },
        onClose: () => {
          greet(undefined);
          if (this.#connection !== connection) return;
          this.#connection = undefined;
          this.#asking?.settle({ kind: "closed" });
        },
      });
    } catch {
      return undefined; // Nobody listens now: the caller tries again for as long as it is patient.
    }
    const open = asking === undefined ? [] : [BigInt(asking)];
    const identity = isNew ? { ttlMs: this.#options.ttlMs } : { ...this.identity, open };
    connection.send({ hello: { ...NO_HELLO, ...identity, client } });
    const cancel = clock.after(WELCOME_MS, () => connection.cut());
    const welcome = await greeting;
    cancel();
    if (welcome === undefined || this.#isKilled || connection.isClosed) {
      connection.cut();
      return undefined;
    }
    if (isNew) {
      this.#id = welcome.sessionId;
      this.#secret = welcome.sessionSecret;
    } else this.reconnects += 1;
    this.#connection = connection;
    return connection;
  }

  #refusedBy(code: string): void {
    if (verdictOf(code) === "session_gone" && this.#id.length > 0) this.#gone = { code, isWhole: true };
  }

  #take(frame: ServerFrame): void {
    for (const reply of frame.replies) this.#answer(reply.sequence, reply.body);
    for (const { body } of frame.notices) {
      if (body?.$case === "operation") this.#answer(body.value.sequence, { $case: "acquire", value: body.value });
      if (body?.$case === "lost") this.lost.add(`${body.value.name} ${body.value.token}`);
    }
  }

  #answer(sequence: number, body: Reply["body"]): void {
    if (body === undefined || this.#asking?.sequence !== sequence) return;
    const isQueued = body.$case === "acquire" && body.value.state === OperationState.QUEUED;
    if (isQueued) {
      this.#settled.push(BigInt(sequence)); // Sent once its end has come, with the next request.
      return;
    }
    this.#asking.settle({ kind: "reply", body });
  }

  #rest(): Promise<void> {
    const { clock, random } = this.#options;
    return pause(clock, between(random, RETRY_MS_MIN, RETRY_MS_MAX));
  }
}

const NO_HELLO = {
  version: 1,
  purpose: Purpose.OPERATIONS,
  token: "",
  sessionId: Buffer.alloc(0),
  sessionSecret: Buffer.alloc(0),
  ttlMs: 0,
  open: [] as bigint[],
  client: "",
  application: "",
  forwarded: undefined,
  direct: false,
};

/** The code in an answer, wherever it stands. */
export function errorOf(body: ReplyBody): string | undefined {
  if (body.$case === "error") return body.value.code;
  const ended = body.$case === "acquire" && body.value.state === OperationState.ENDED;
  return ended ? (body.value.error?.code ?? "internal") : undefined;
}

export function isGranted(body: ReplyBody): body is { readonly $case: "acquire"; readonly value: AcquireReply } {
  return body.$case === "acquire" && body.value.state === OperationState.GRANTED;
}
