// fuzz.ts: broken frames against a whole edge on real sockets, and what must hold however broken they are. Run with 20,000
// frames in the tests and with a million by the soak. Not here: which operations are right (validate.test.ts).
//   Z1. Each connection gets an answer or an end in time; the node neither crashes nor hangs.
//   Z2. Afterwards a well-behaved client is served as before, and nothing is left open, in flight or watched.
import { connect, type Socket } from "node:net";
import type { Operation } from "@forelock/protocol";
import type { Clock } from "../../clock.ts";
import type { OperationCase } from "../authorize.ts";
import { clientFrame } from "../testing/edge-scene.ts";
import { bodyOf, EXAMPLES } from "../testing/examples.ts";

export interface FuzzOptions {
  /** How many mutated frames are sent. */
  readonly frames: number;
  readonly seed: number;
  /** Of an edge on loopback without principals. */
  readonly port: number;
  readonly clock: Clock;
}

export interface FuzzReport {
  readonly frames: number;
  readonly connections: number;
  /** Connections that the node ended because of what was sent. */
  readonly refused: number;
  /** Longest time from the last byte of a connection to its end, in milliseconds. */
  readonly slowestMs: number;
}

/** Uniform in [0, 1). */
type Random = () => number;

const FRAMES_PER_CONNECTION = 20;
const CONNECTIONS_AT_ONCE = 16;
/** Z1 */
const ANSWER_MS = 5_000;

/** @throws Error naming seed and connection when something hangs */
export async function fuzzFrames(options: FuzzOptions): Promise<FuzzReport> {
  const report = { frames: 0, connections: 0, refused: 0, slowestMs: 0 };
  let next = 0;
  const work = async (): Promise<void> => {
    while (next * FRAMES_PER_CONNECTION < options.frames) {
      const index = next++;
      const random = seeded(options.seed + index * 7_919);
      const frames = Array.from({ length: FRAMES_PER_CONNECTION }, () => mutatedFrame(random));
      const told = await converse(options, frames, random, index);
      report.frames += frames.length;
      report.connections++;
      report.refused += told.isRefused ? 1 : 0;
      report.slowestMs = Math.max(report.slowestMs, told.ms);
    }
  };
  await Promise.all(Array.from({ length: CONNECTIONS_AT_ONCE }, work));
  return report;
}

/** A valid frame of a few operations, then broken in its structure or its bytes. */
export function mutatedFrame(random: Random): Buffer {
  const cases = Object.keys(EXAMPLES) as OperationCase[]; // Its keys are the cases.
  const operations: Operation[] = Array.from({ length: 1 + below(random, 4) }, (_, index) => ({
    sequence: 1 + index + below(random, 1_000),
    keep: random() < 0.1 ? { requestId: "abcdefghijklmnopqrstuv", keepMs: 0 } : undefined,
    body: bodyOf(pick(random, cases), pick(random, ["a", "a/b", "{t}/a", "é", "a//b", "\u0000", "x".repeat(600)])),
  }));
  const frame = clientFrame({
    operations: operations.filter(({ body }) => body?.$case !== "closeSession"),
    lowestUnanswered: below(random, 3),
    ...(random() < 0.05 ? { hello: {} } : {}),
    ...(random() < 0.05 ? { heartbeat: { number: 1, lagMs: 0, health: 0 } } : {}),
  });
  return mutate(frame, random);
}

function mutate(frame: Buffer, random: Random): Buffer {
  const copy = Buffer.from(frame);
  switch (below(random, 7)) {
    case 0: // Unchanged: the valid ones keep the connection going.
      return copy;
    case 1: // Bits.
      for (let flips = 1 + below(random, 8); flips > 0; flips--) {
        const at = 4 + below(random, copy.length - 4);
        copy[at] = (copy[at] ?? 0) ^ (1 << below(random, 8));
      }
      return copy;
    case 2: // Bytes that are lengths and tags more often than not.
      copy[4 + below(random, copy.length - 4)] = pick(random, [0, 1, 0x7f, 0x80, 0xff, 0x1a, 0x0a]);
      return copy;
    case 3: // Cut, with a length that says so.
      return relabel(copy.subarray(0, 5 + below(random, copy.length - 5)));
    case 4: // One part twice.
      return relabel(Buffer.concat([copy, copy.subarray(4 + below(random, copy.length - 4))]));
    case 5: // Nonsense behind it.
      return relabel(
        Buffer.concat([copy, Buffer.from(Array.from({ length: below(random, 64) }, () => below(random, 256)))]),
      );
    default: // A length that lies.
      copy.writeUInt32BE(pick(random, [0, 1, copy.length, 1_048_576, 1_048_577, 2 ** 31, 2 ** 32 - 1]));
      return copy;
  }
}

function relabel(frame: Buffer): Buffer {
  frame.writeUInt32BE(frame.length - 4);
  return frame;
}

interface Told {
  readonly isRefused: boolean;
  readonly ms: number;
}

function converse(
  { port, clock, seed }: FuzzOptions,
  frames: readonly Buffer[],
  random: Random,
  index: number,
): Promise<Told> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1");
    let isRefused = false;
    let sentMs = clock.monotonicMs();
    const timer = clock.after(ANSWER_MS * 2, () => {
      socket.destroy();
      reject(new Error(`no end after ${ANSWER_MS * 2} ms: seed ${seed}, connection ${index}`));
    });
    socket.on("error", () => socket.destroy()); // The node may end a broken connection while we still write.
    socket.on("end", () => {
      isRefused = true;
    });
    socket.on("close", () => {
      timer.dispose();
      resolve({ isRefused, ms: clock.monotonicMs() - sentMs });
    });
    socket.on("connect", () => {
      socket.resume();
      const bytes = Buffer.concat([clientFrame({ hello: {} }), ...frames]);
      for (const chunk of chunks(bytes, random)) socket.write(chunk);
      sentMs = clock.monotonicMs();
      endSoon(socket, clock);
    });
  });
}

/** Ends our side once the node has had time to answer. */
function endSoon(socket: Socket, clock: Clock): void {
  const timer = clock.after(20, () => socket.end());
  socket.on("close", () => timer.dispose());
}

function chunks(bytes: Buffer, random: Random): readonly Buffer[] {
  const cuts = [0, ...Array.from({ length: below(random, 4) }, () => below(random, bytes.length)), bytes.length].sort(
    (a, b) => a - b,
  );
  return cuts.slice(1).map((end, at) => bytes.subarray(cuts[at], end));
}

function below(random: Random, bound: number): number {
  return Math.floor(random() * Math.max(1, bound));
}

function pick<Item>(random: Random, items: readonly Item[]): Item {
  return items[below(random, items.length)]!; // Lists here are never empty.
}

/** mulberry32 */
function seeded(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
