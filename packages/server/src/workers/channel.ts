// channel.ts: many connections between two threads over one message port. Each end of one looks like a socket to who speaks the native
// protocol on it. Not here: what is said (cluster/link.ts, edge/tcp/).
//   C1. What is written on all connections in one turn of the event loop goes in one message, whose bytes are handed over, not copied.
//   C2. Of one connection at most WINDOW_BYTES, and the write that goes past it, are on their way or unread: then its writer waits.
//   C3. In order, and never lost: threads of one process end together.
import type { Socket } from "node:net";
import { Duplex } from "node:stream";
import type { MessagePort } from "node:worker_threads";

const WINDOW_BYTES = 1024 * 1024;
const GRANT_BYTES = WINDOW_BYTES / 4;
const GATHERED_BYTES = 64 * 1024;
/** connection u32 | kind u8 | length u32 */
const HEADER_BYTES = 9;

const KIND = { open: 0, bytes: 1, grant: 2, end: 3, reset: 4 } as const;
type Kind = (typeof KIND)[keyof typeof KIND];

/** Which end of the port this is: connections that either end opens have numbers of their own. */
export type ChannelEnd = "first" | "second";

export class Channel {
  readonly #port: MessagePort;
  readonly #sockets = new Map<number, ChannelSocket>();
  readonly #accept: (socket: Socket) => void;
  #gathered = new Gathered(GATHERED_BYTES);
  #next: number;
  #isFlushing = false;

  /** @param accept is given what the other end opens */
  constructor(port: MessagePort, end: ChannelEnd, accept: (socket: Socket) => void) {
    this.#port = port;
    this.#accept = accept;
    this.#next = end === "first" ? 1 : 2;
    port.on("message", (bytes: Uint8Array) => this.#receive(bytes));
  }

  /** Connections that stand. */
  get size(): number {
    return this.#sockets.size;
  }

  dial(): Socket {
    const id = this.#next;
    this.#next = (id + 2) >>> 0;
    const socket = this.#add(id);
    this.send(id, KIND.open, 0, undefined);
    return asSocket(socket);
  }

  close(): void {
    for (const socket of this.#sockets.values()) socket.destroy();
    this.#flush();
    this.#port.close();
  }

  /** For its connections. C1 */
  send(id: number, kind: Kind, length: number, bytes: Uint8Array | undefined): void {
    this.#gathered.add(id, kind, length, bytes);
    if (this.#isFlushing) return;
    this.#isFlushing = true;
    setImmediate(this.#flush);
  }

  forget(id: number): void {
    this.#sockets.delete(id);
  }

  readonly #flush = (): void => {
    this.#isFlushing = false;
    const bytes = this.#gathered.take();
    if (bytes.length > 0) this.#port.postMessage(bytes, [bytes.buffer as ArrayBuffer]); // `take` made it its own buffer.
  };

  #add(id: number): ChannelSocket {
    const socket = new ChannelSocket(this, id);
    this.#sockets.set(id, socket);
    return socket;
  }

  #receive(message: Uint8Array): void {
    const bytes = Buffer.from(message.buffer, message.byteOffset, message.byteLength);
    for (let at = 0; at < bytes.length; ) {
      const id = bytes.readUInt32LE(at);
      const kind = bytes[at + 4];
      const length = bytes.readUInt32LE(at + 5);
      at += HEADER_BYTES;
      if (kind === KIND.open) this.#accept(asSocket(this.#add(id)));
      else if (kind === KIND.bytes) {
        this.#sockets.get(id)?.received(bytes.subarray(at, at + length));
        at += length;
      } else if (kind === KIND.grant) this.#sockets.get(id)?.granted(length);
      else if (kind === KIND.end) this.#sockets.get(id)?.push(null);
      else this.#sockets.get(id)?.destroy();
    }
  }
}

/** What was written, one behind the other. */
class Gathered {
  readonly #bytesMin: number;
  #bytes: Buffer;
  #at = 0;

  constructor(bytesMin: number) {
    this.#bytesMin = bytesMin;
    this.#bytes = Buffer.allocUnsafeSlow(bytesMin);
  }

  add(id: number, kind: Kind, length: number, bytes: Uint8Array | undefined): void {
    const needed = this.#at + HEADER_BYTES + (bytes?.length ?? 0);
    if (needed > this.#bytes.length) this.#grow(needed);
    this.#bytes.writeUInt32LE(id, this.#at);
    this.#bytes[this.#at + 4] = kind;
    this.#bytes.writeUInt32LE(length, this.#at + 5);
    if (bytes !== undefined) this.#bytes.set(bytes, this.#at + HEADER_BYTES);
    this.#at = needed;
  }

  /** In a buffer of their own. */
  take(): Uint8Array {
    const taken = new Uint8Array(this.#at);
    taken.set(this.#bytes.subarray(0, this.#at));
    this.#at = 0;
    if (this.#bytes.length > this.#bytesMin * 16) this.#bytes = Buffer.allocUnsafeSlow(this.#bytesMin);
    return taken;
  }

  #grow(needed: number): void {
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.#bytes.length * 2));
    grown.set(this.#bytes.subarray(0, this.#at));
    this.#bytes = grown;
  }
}

/** One end of a connection: the part of a socket that links and carriers use. */
class ChannelSocket extends Duplex {
  readonly #channel: Channel;
  readonly #id: number;
  #credit = WINDOW_BYTES;
  #unread = 0;
  #waiting: (() => void) | undefined;

  constructor(channel: Channel, id: number) {
    super({ allowHalfOpen: false });
    this.#channel = channel;
    this.#id = id;
    this.on("error", () => {}); // None is ever made here; a reader that fails destroys it.
  }

  setNoDelay(): this {
    return this;
  }

  setKeepAlive(): this {
    return this;
  }

  destroySoon(): void {
    if (this.writable) this.end();
    if (this.writableFinished) this.destroy();
    else this.once("finish", () => this.destroy());
  }

  received(chunk: Buffer): void {
    if (this.destroyed) return;
    this.#unread += chunk.length;
    if (this.readableFlowing === true && this.readableLength === 0) {
      this.emit("data", chunk); // Without a stay in the stream, which would cost as much as a frame: nothing waits before it.
      this.#grant();
    } else if (this.push(chunk)) this.#grant();
  }

  /** The same for what is written, while its reader reads. */
  override write(chunk: Uint8Array | string): boolean {
    const isDirect = this.#credit > 0 && this.writableLength === 0 && this.writableCorked === 0 && this.writable;
    if (!isDirect || typeof chunk === "string") return super.write(chunk);
    this.#credit -= chunk.length;
    this.#channel.send(this.#id, KIND.bytes, chunk.length, chunk);
    return true;
  }

  granted(bytes: number): void {
    this.#credit += bytes;
    if (this.#credit <= 0) return;
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.();
  }

  override _read(): void {
    this.#grant();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#channel.send(this.#id, KIND.bytes, chunk.length, chunk);
    this.#credit -= chunk.length;
    if (this.#credit > 0) done();
    else this.#waiting = done; // C2
  }

  override _final(done: () => void): void {
    this.#channel.send(this.#id, KIND.end, 0, undefined);
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#channel.forget(this.#id);
    this.#channel.send(this.#id, KIND.reset, 0, undefined);
    done(error);
  }

  /** C2 */
  #grant(): void {
    if (this.#unread < GRANT_BYTES || this.destroyed) return;
    this.#channel.send(this.#id, KIND.grant, this.#unread, undefined);
    this.#unread = 0;
  }
}

/** It has what links and carriers use of a socket, and nothing else of one is used. */
function asSocket(socket: ChannelSocket): Socket {
  return socket as unknown as Socket;
}
