// stream.ts: the gRPC carrier: the frames of the native carrier as messages of the stream `Session`. Not here: what is
// said (connection.ts).

import type { Error as WireError } from "@forelock/protocol";
import type { ServerDuplexStream } from "@grpc/grpc-js";
import type { Peer } from "../authenticate.ts";
import { type Carrier, Connection, type ConnectionParts } from "../connection.ts";
import { HEADER_BYTES } from "../frame/write.ts";
import { statusOf } from "./status.ts";

export class StreamCarrier implements Carrier {
  readonly peer: Peer;
  readonly #call: ServerDuplexStream<Buffer, Buffer>;
  readonly #connection: Connection;
  #unsentBytes = 0;
  #ending: WireError | undefined;

  constructor(call: ServerDuplexStream<Buffer, Buffer>, peer: Peer, parts: ConnectionParts) {
    this.peer = peer;
    this.#call = call;
    this.#connection = new Connection(this, parts);
    call.on("data", (frame: Buffer) => {
      if (!this.#connection.take(frame)) call.pause();
    });
    call.on("end", () => this.#left());
    call.on("cancelled", () => this.#connection.closed());
    call.on("error", () => this.#connection.closed()); // Also how a status is sent: see #sendStatus.
  }

  get unsentBytes(): number {
    return this.#unsentBytes;
  }

  write(frames: readonly Uint8Array[]): void {
    for (const frame of frames) {
      // The length in front is the native carrier's; gRPC has its own.
      const message = Buffer.from(frame.buffer, frame.byteOffset + HEADER_BYTES, frame.length - HEADER_BYTES);
      this.#unsentBytes += message.length;
      this.#call.write(message, () => this.#sent(message.length));
    }
  }

  resume(): void {
    this.#call.resume();
  }

  finish(error: WireError): void {
    this.#ending = error;
    if (this.#unsentBytes === 0) this.#sendStatus(error);
  }

  destroy(): void {
    this.#call.destroy();
  }

  #sent(bytes: number): void {
    this.#unsentBytes -= bytes;
    if (this.#unsentBytes > 0) return;
    if (this.#ending === undefined) this.#connection.drained();
    else this.#sendStatus(this.#ending);
  }

  /** grpc-js sends the status that it finds in an emitted error, and drops what was not yet written: so only after all was. */
  #sendStatus(error: WireError): void {
    this.#call.emit("error", statusOf(error));
  }

  #left(): void {
    this.#connection.closed();
    this.#call.end();
  }
}
