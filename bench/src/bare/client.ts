// bare/client.ts: drives the bare server as @forelock/client does: all requests of one turn of the event loop in one frame.
//   C1. A request is sent with the others of its turn; none waits for a later turn.
//   C2. Replies settle their own request, by sequence.

import { connect, type Socket } from "node:net";
import { ACQUIRE, FrameReader, FrameWriter, RELEASE, readReplies } from "./frame.ts";

export interface BareGrant {
  readonly name: string;
  readonly token: number;
}

export class BareClient {
  readonly #socket: Socket;
  readonly #out = new FrameWriter();
  readonly #settleBySequence = new Map<number, (token: number) => void>();
  readonly #flush = (): void => {
    this.#socket.write(this.#out.take());
  };
  #sequence = 0;

  private constructor(socket: Socket) {
    this.#socket = socket;
    const reader = new FrameReader();
    const settle = (sequence: number, token: number): void => {
      const settled = this.#settleBySequence.get(sequence);
      this.#settleBySequence.delete(sequence);
      settled?.(token); // C2
    };
    socket.on("data", (chunk: Buffer) => reader.push(chunk, (bytes, from, to) => readReplies(bytes, from, to, settle)));
  }

  static open(port: number): Promise<BareClient> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host: "127.0.0.1", port, noDelay: true });
      socket.once("error", reject);
      socket.once("connect", () => resolve(new BareClient(socket)));
    });
  }

  async acquire(name: string): Promise<BareGrant> {
    const token = await this.#request(ACQUIRE, 0, name);
    if (token === 0) throw new Error(`${name} is held.`);
    return { name, token };
  }

  async release(grant: BareGrant): Promise<void> {
    const token = await this.#request(RELEASE, grant.token, grant.name);
    if (token === 0) throw new Error(`${grant.name} was not held under token ${grant.token}.`);
  }

  close(): void {
    this.#socket.destroy();
  }

  #request(kind: typeof ACQUIRE | typeof RELEASE, token: number, name: string): Promise<number> {
    this.#sequence = (this.#sequence + 1) >>> 0;
    if (this.#out.isEmpty) setImmediate(this.#flush); // After all that arrived in this turn was answered (C1).
    this.#out.request(kind, this.#sequence, token, name);
    return new Promise((resolve) => this.#settleBySequence.set(this.#sequence, resolve));
  }
}
