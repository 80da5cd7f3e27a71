// network.ts: what nodes say to each other, carried in memory through sockets that are none: in order, late, or not before a cut is
// mended. Not here: what they say (cluster/link.ts and edge/tcp of the server, which run as they are).
//   T1. Bytes of one direction arrive in order or not at all. A cut holds them back, as a sender that tries again would: they come late.
//   T2. Nothing of a process that has ended is sent any more; its peers learn of its end only where the way to them is open.
import { Duplex } from "node:stream";
import type { Random } from "../proxy/random.ts";
import type { Process, SimulatedTime } from "../simulator/time.ts";

/** One end, as the server's code sees it: the part of a socket that it uses. */
export class SocketEnd extends Duplex {
  readonly #carry: (what: Buffer | "end" | "reset") => void;

  constructor(carry: (what: Buffer | "end" | "reset") => void) {
    super({ allowHalfOpen: false });
    this.#carry = carry;
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

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#carry(Buffer.from(chunk)); // The writer's buffer is used again.
    done();
  }

  override _final(done: () => void): void {
    this.#carry("end");
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#carry("reset");
    done(error);
  }
}

export interface Place {
  readonly id: string;
  readonly process: Process;
}

/** One direction between two processes. */
interface Lane {
  readonly from: Place;
  readonly to: Place;
  lastAtMs: number;
  readonly held: (() => void)[];
}

interface Connection {
  readonly lanes: readonly [Lane, Lane];
  readonly ends: readonly [SocketEnd, SocketEnd];
}

const DELAY_MS_MAX = 3;

export class PeerNetwork {
  readonly #time: SimulatedTime;
  readonly #random: Random;
  readonly #cut = new Set<string>();
  readonly #connections = new Set<Connection>();
  carried = 0;

  constructor(time: SimulatedTime, random: Random) {
    this.#time = time;
    this.#random = random;
  }

  isOpen(from: string, to: string): boolean {
    return !this.#cut.has(`${from}>${to}`);
  }

  cut(from: string, to: string): void {
    this.#cut.add(`${from}>${to}`);
  }

  mend(from: string, to: string): void {
    if (!this.#cut.delete(`${from}>${to}`)) return;
    for (const { lanes } of this.#connections) {
      for (const lane of lanes) {
        if (lane.from.id !== from || lane.to.id !== to) continue;
        for (const send of lane.held.splice(0)) send(); // T1
      }
    }
  }

  mendAll(): void {
    for (const way of [...this.#cut]) {
      const [from = "", to = ""] = way.split(">");
      this.mend(from, to);
    }
  }

  /** @param accept takes the other end; undefined when nobody listens there at that moment */
  dial(from: Place, to: Place, accept: () => ((socket: SocketEnd) => void) | undefined): SocketEnd {
    const there: Lane = { from, to, lastAtMs: 0, held: [] };
    const back: Lane = { from: to, to: from, lastAtMs: 0, held: [] };
    const dialled = new SocketEnd((what) => this.#send(there, () => deliver(answering, what)));
    const answering = new SocketEnd((what) => this.#send(back, () => deliver(dialled, what)));
    const connection: Connection = { lanes: [there, back], ends: [dialled, answering] };
    this.#connections.add(connection);
    for (const end of connection.ends) {
      end.once("close", () => this.#connections.delete(connection));
      end.on("error", () => {}); // Who is not accepted yet hears of its end as the kernel does: nobody else does.
    }
    this.#send(there, () => {
      const take = accept();
      if (take === undefined) this.#send(back, () => dialled.destroy(new Error("connection refused")));
      else if (!answering.destroyed) take(answering);
    });
    return dialled;
  }

  /** T2: the process at `place` has ended. */
  ended(place: Place): void {
    for (const connection of [...this.#connections]) {
      const index = connection.lanes.findIndex(({ from }) => from.process === place.process);
      const lane = connection.lanes[index];
      const other = connection.ends[1 - index];
      if (lane === undefined || other === undefined) continue;
      lane.held.length = 0;
      if (this.isOpen(lane.from.id, lane.to.id))
        this.#time.after(lane.to.process, this.#delayMs(), () => other.destroy(new Error("connection reset")));
    }
  }

  #send(lane: Lane, arrive: () => void): void {
    if (!lane.from.process.isAlive) return;
    const send = (): void => {
      this.carried += 1;
      const { nowMs } = this.#time;
      lane.lastAtMs = Math.max(lane.lastAtMs, nowMs + this.#delayMs());
      this.#time.after(lane.to.process, lane.lastAtMs - nowMs, arrive);
    };
    if (this.isOpen(lane.from.id, lane.to.id)) send();
    else lane.held.push(send);
  }

  #delayMs(): number {
    const chance = this.#random();
    return chance * chance * DELAY_MS_MAX;
  }
}

function deliver(end: SocketEnd, what: Buffer | "end" | "reset"): void {
  if (end.destroyed) return;
  if (what === "reset") end.destroy();
  else if (what === "end") end.push(null);
  else end.push(what);
}
