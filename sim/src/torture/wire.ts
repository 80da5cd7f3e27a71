// wire.ts: one connection of the native carrier, as bare as it gets: frames out, frames in, and the moment it ended.
// Not here: sessions, retries (raw-session.ts).
import { connect, type Socket } from "node:net";
import { ClientFrame, ServerFrame } from "@forelock/protocol";

const LENGTH_BYTES = 4;
/** Packets may vanish on the way to a host. */
const CONNECT_MS_MAX = 1_500;
/** Above any limit of the server: a longer frame means that the stream is out of step. */
const FRAME_BYTES_MAX = 8 * 1_048_576;

/** Where a connection goes. */
export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

/** Where the next connection goes: each may go elsewhere. */
export type Way = () => Endpoint;

export const onLoopback = (port: number): Endpoint => ({ host: "127.0.0.1", port });

export interface WireEvents {
  readonly onFrame: (frame: ServerFrame) => void;
  /** Once, whatever the reason. */
  readonly onClose: () => void;
}

export class WireConnection {
  readonly #socket: Socket;
  readonly #events: WireEvents;
  #unread: Buffer = Buffer.alloc(0);
  #isClosed = false;

  private constructor(socket: Socket, events: WireEvents) {
    this.#socket = socket;
    this.#events = events;
    socket.on("data", (bytes: Buffer) => this.#read(bytes));
    socket.on("end", () => socket.destroy());
    socket.on("close", () => this.#closed());
  }

  /** @throws when nobody listens, or nothing comes back */
  static open({ host, port }: Endpoint, events: WireEvents): Promise<WireConnection> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port, host, noDelay: true, timeout: CONNECT_MS_MAX });
      socket.once("timeout", () => socket.destroy(new Error(`${host}:${port} does not answer`)));
      socket.on("error", reject); // After the promise is settled this does nothing: `close` tells.
      socket.once("connect", () => {
        socket.setTimeout(0);
        resolve(new WireConnection(socket, events));
      });
    });
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  send(frame: Partial<ClientFrame>): void {
    if (this.#isClosed) return;
    const bytes = ClientFrame.encode(ClientFrame.fromPartial(frame)).finish();
    const framed = Buffer.allocUnsafe(LENGTH_BYTES + bytes.length);
    framed.writeUInt32BE(bytes.length, 0);
    framed.set(bytes, LENGTH_BYTES);
    this.#socket.write(framed);
  }

  /** At once, as a killed process does. */
  cut(): void {
    this.#socket.destroy();
    this.#closed();
  }

  #read(bytes: Buffer): void {
    this.#unread = this.#unread.length === 0 ? bytes : Buffer.concat([this.#unread, bytes]);
    while (this.#unread.length >= LENGTH_BYTES && !this.#isClosed) {
      const length = this.#unread.readUInt32BE(0);
      if (length > FRAME_BYTES_MAX) {
        this.cut();
        return;
      }
      if (this.#unread.length < LENGTH_BYTES + length) return;
      const frame = ServerFrame.decode(this.#unread.subarray(LENGTH_BYTES, LENGTH_BYTES + length));
      this.#unread = this.#unread.subarray(LENGTH_BYTES + length);
      this.#events.onFrame(frame);
      if (frame.closing !== undefined) this.cut();
    }
  }

  #closed(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#events.onClose();
  }
}
