// busy-session.ts: a session with many requests on their way at once, as bare as possible, for loads that no one client makes.
// Not here: retries (the loads count refusals instead), history (torture/ has it).
import {
  type AcquireReply,
  OperationState,
  Purpose,
  type Reply,
  type ServerFrame,
  type Welcome,
} from "@forelock/protocol";
import type { Body } from "../torture/raw-session.ts";
import { onLoopback, WireConnection } from "../torture/wire.ts";

export type Answer = { readonly code: string; readonly body: Reply["body"] };

export interface BusySessionOptions {
  readonly port: number;
  readonly ttlMs: number;
  readonly client: string;
}

const NO_HELLO = {
  version: 1,
  purpose: Purpose.OPERATIONS,
  token: "",
  ttlMs: 0,
  open: [] as bigint[],
  application: "",
  forwarded: undefined,
  direct: false,
};
/** Frames take at most 1,000 operations. */
const FRAME_OPERATIONS_MAX = 500;

export class BusySession {
  readonly #connection: WireConnection;
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  #unsent: { readonly sequence: number; readonly keep: undefined; readonly body: Body }[] = [];
  #settled: bigint[] = [];
  #sequence = 0;
  readonly welcome: Welcome;

  private constructor(connection: WireConnection, welcome: Welcome) {
    this.#connection = connection;
    this.welcome = welcome;
  }

  /** Opens a session, or resumes `resumed`. @throws when the server ends the connection instead */
  static open({ port, ttlMs, client }: BusySessionOptions, resumed?: Welcome): Promise<BusySession> {
    return new Promise((resolve, reject) => {
      let session: BusySession | undefined;
      const opening = WireConnection.open(onLoopback(port), {
        onFrame: (frame) => {
          if (frame.closing !== undefined) reject(new Error(`the server refused: ${frame.closing.code}`));
          if (frame.welcome !== undefined) {
            const { welcome } = frame;
            // The frame may be read before the promise of its connection is looked at: what came with it is for later.
            void opening.then((connection) => {
              session = new BusySession(connection, welcome);
              resolve(session);
            });
          }
          if (session !== undefined) session.#take(frame);
        },
        onClose: () => {
          reject(new Error("the connection ended before the welcome"));
          if (session !== undefined) session.#closed();
        },
      });
      opening.then((connection) => {
        const { sessionId = Buffer.alloc(0), sessionSecret = Buffer.alloc(0) } = resumed ?? {};
        connection.send({
          hello: { ...NO_HELLO, client, sessionId, sessionSecret, ttlMs: resumed === undefined ? ttlMs : 0 },
        });
      }, reject);
    });
  }

  get inFlight(): number {
    return this.#waiting.size;
  }

  /** Resolves with the end of the request: for a queued acquire, its grant or refusal. */
  ask(body: Body): Promise<Answer> {
    this.#sequence += 1;
    const sequence = this.#sequence;
    this.#unsent.push({ sequence, keep: undefined, body });
    if (this.#unsent.length === 1) queueMicrotask(() => this.#send());
    return new Promise((resolve) => this.#waiting.set(sequence, resolve));
  }

  /** Without a goodbye. */
  cut(): void {
    this.#connection.cut();
  }

  #send(): void {
    while (this.#unsent.length > 0) {
      const operations = this.#unsent.splice(0, FRAME_OPERATIONS_MAX);
      const [oldest = this.#sequence] = this.#waiting.keys();
      this.#connection.send({ lowestUnanswered: oldest, settled: this.#settled.splice(0), operations });
    }
  }

  #take(frame: ServerFrame): void {
    for (const { sequence, body } of frame.replies) {
      if (body?.$case === "acquire" && body.value.state === OperationState.QUEUED) continue;
      this.#answer(sequence, body);
    }
    for (const { body } of frame.notices) {
      if (body?.$case !== "operation") continue;
      this.#settled.push(BigInt(body.value.sequence));
      this.#answer(body.value.sequence, { $case: "acquire", value: body.value });
    }
  }

  #answer(sequence: number, body: Reply["body"]): void {
    const settle = this.#waiting.get(sequence);
    this.#waiting.delete(sequence);
    settle?.({ code: codeOf(body), body });
  }

  #closed(): void {
    for (const settle of this.#waiting.values()) settle({ code: "closed", body: undefined });
    this.#waiting.clear();
  }
}

/** Empty for a success. */
function codeOf(body: Reply["body"]): string {
  if (body?.$case === "error") return body.value.code;
  return body?.$case === "acquire" && body.value.state === OperationState.ENDED
    ? (body.value.error?.code ?? "internal")
    : "";
}

export function acquireBody(name: string, waitMs: number | undefined): Body {
  const value = {
    name,
    mode: 0,
    permits: 0,
    take: 0,
    priority: 0,
    onLoss: 0,
    actor: "",
    reenter: 0n,
    preemptible: 0,
    compensation: undefined,
  } as const;
  return { $case: "acquire", value: waitMs === undefined ? { ...value } : { ...value, waitMs } };
}

export function tokenOf(answer: Answer): bigint | undefined {
  const grant = answer.body?.$case === "acquire" ? (answer.body.value satisfies AcquireReply).grants[0] : undefined;
  return grant?.token;
}
