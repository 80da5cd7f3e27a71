// bare/server.ts: a lock server that is nothing but a socket and a Map: the limit for any server in Node on this machine.
//   S1. Acquire and release of every request each get an answer, in order of arrival on their connection.
//   S2. With a journal, the answers of a batch leave when it is durable; what arrives while it is written forms the next.
// Not here: sessions, waiters, expiry, checksums, authorisation. A busy name is refused, not queued.

import { createServer, type Server, type Socket } from "node:net";
import { ACQUIRE, FrameReader, FrameWriter, readRequests } from "./frame.ts";
import type { Journal } from "./journal.ts";

export interface BareServer {
  readonly port: number;
  close(): Promise<void>;
}

/** Answers on a free port of the loopback address. Without a journal the answers are as volatile as the Map. */
export async function startBareServer(journal: Journal | undefined): Promise<BareServer> {
  const table = new LockTable();
  const commit = journal === undefined ? undefined : new GroupCommit(journal);
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => socket.destroy()); // A client that goes away is not this loop's concern.
    serve(socket, table, commit);
  });
  const port = await listen(server);
  return {
    port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

class LockTable {
  readonly #tokenByName = new Map<string, number>();
  #lastToken = 0;

  /** The token of the grant or of the released grant; 0 is a refusal. */
  apply(kind: number, token: number, name: string): number {
    const held = this.#tokenByName.get(name);
    if (kind === ACQUIRE) {
      if (held !== undefined) return 0;
      this.#lastToken += 1;
      this.#tokenByName.set(name, this.#lastToken);
      return this.#lastToken;
    }
    if (held !== token) return 0;
    this.#tokenByName.delete(name);
    return token;
  }
}

function serve(socket: Socket, table: LockTable, commit: GroupCommit | undefined): void {
  const reader = new FrameReader();
  const replies = new FrameWriter();
  const answer = (kind: number, sequence: number, token: number, name: string): void =>
    replies.reply(sequence, table.apply(kind, token, name));
  socket.on("data", (chunk: Buffer) => {
    reader.push(chunk, (bytes, from, to) => {
      readRequests(bytes, from, to, answer);
      commit?.add(bytes.subarray(from, to), socket, replies);
    });
    if (commit === undefined && !replies.isEmpty) socket.write(replies.take());
  });
}

/** Gathers the requests of all connections into one journal write at a time. */
class GroupCommit {
  readonly #journal: Journal;
  #requests: Buffer[] = [];
  #repliesBySocket = new Map<Socket, FrameWriter>();
  #isBusy = false;

  constructor(journal: Journal) {
    this.#journal = journal;
  }

  add(requests: Buffer, socket: Socket, replies: FrameWriter): void {
    this.#requests.push(requests);
    this.#repliesBySocket.set(socket, replies);
    if (!this.#isBusy) this.#writeSoon();
  }

  /** After every socket that is readable now was read: they share the write. */
  #writeSoon(): void {
    this.#isBusy = true;
    setImmediate(() => this.#write());
  }

  #write(): void {
    const batch = Buffer.concat(this.#requests);
    const frames = [...this.#repliesBySocket].map(([socket, replies]) => [socket, replies.take()] as const);
    this.#requests = [];
    this.#repliesBySocket = new Map();
    this.#journal.append(batch, () => {
      for (const [socket, frame] of frames) if (!socket.destroyed) socket.write(frame); // S2
      if (this.#requests.length > 0) this.#write();
      else this.#isBusy = false;
    });
  }
}

function listen(server: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      if (address === null || typeof address === "string") reject(new Error("The loopback listener has no port."));
      else resolve(address.port);
    });
  });
}
