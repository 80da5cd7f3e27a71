// environment.ts: time, chance, sockets and heartbeats as arguments; the only file that makes real ones.
// Not here: what they are used for.
//   N1. `monotonicMs` is one clock for every thread of the process: safe-until is written by one thread and read by another.
import { randomBytes } from "node:crypto";
import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { TlsOptions } from "./options.ts";
import type { StartHeartbeats } from "./session/heartbeats.ts";
import type { Endpoint } from "./wire/endpoint.ts";

export interface Clock {
  /** Milliseconds since the Unix epoch. Can jump either way. */
  wallMs(): number;
  /** Milliseconds since a fixed moment, never falling. For every lease, pause and duration. */
  monotonicMs(): number;
  /** Calls `fire` once, `delayMs` from now, unless disposed first. */
  after(delayMs: number, fire: () => void): Timer;
}

/** A pending call of `Clock.after`. */
export interface Timer {
  /** Idempotent; a disposed timer never fires. */
  dispose(): void;
}

/**
 * Starts a connection: `connect` (or `secureConnect`, with TLS) is emitted once it stands.
 * @param received called with what comes, instead of the event `data`; the bytes are only valid during the call
 */
export type Dial = (endpoint: Endpoint, tls: TlsOptions | undefined, received: (chunk: Buffer) => void) => Socket;

/** What a connection needs from outside: the part that the heartbeat thread makes for itself, too. */
export interface ThreadEnvironment {
  readonly clock: Clock;
  /** Uniform in [0, 1): spreads retries. */
  readonly random: () => number;
  readonly dial: Dial;
}

export interface Environment extends ThreadEnvironment {
  /** Bytes nobody can guess: request ids. */
  readonly randomBytes: (bytes: number) => Uint8Array;
  /** Calls `fire` when everything that is ready now has run, promises too: what was issued together is sent together. */
  readonly soon: (fire: () => void) => void;
  readonly startHeartbeats: StartHeartbeats;
}

const LONGEST_TIMER_MS = 2_147_483_647; // Above this, Node fires at once.

const systemClock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => {
    // Not performance.now(): its zero differs between threads (N1).
    const [seconds, nanoseconds] = process.hrtime();
    return seconds * 1_000 + nanoseconds / 1_000_000;
  },
  after: (delayMs, fire) => {
    const timer = setTimeout(fire, Math.min(Math.max(delayMs, 0), LONGEST_TIMER_MS));
    return { dispose: () => clearTimeout(timer) };
  },
};

const READ_BYTES = 65_536;

/** What is read is dealt with before anything else is read, so one place serves all connections of a thread. */
let readBuffer: Buffer | undefined;

/** Connections of this thread. */
let connections = 0;

const dial: Dial = ({ host, port }, tls, received) => {
  const socket = tls === undefined ? dialPlain(host, port, received) : dialTls(host, port, tls, received);
  socket.setNoDelay(true);
  connections++;
  socket.once("close", () => {
    connections--;
  });
  return socket;
};

const CROWD_MIN = 32;

/**
 * With one connection, nextTick gives 1.1 to 1.6 times the cycles of setImmediate. With many it is the other way round: when each
 * writes before the next one is read, client and server wake each other for single requests instead of working through what has come.
 */
const soon = (fire: () => void): void => {
  if (connections < CROWD_MIN) process.nextTick(fire);
  else setImmediate(fire);
};

/** Reads past the stream's own buffers: with many connections those cost more than what is done with the bytes. */
function dialPlain(host: string, port: number, received: (chunk: Buffer) => void): Socket {
  readBuffer ??= Buffer.allocUnsafeSlow(READ_BYTES);
  const buffer = readBuffer;
  const callback = (bytes: number): boolean => {
    received(buffer.subarray(0, bytes));
    return true; // Goes on reading.
  };
  return connectTcp({ host, port, onread: { buffer, callback } });
}

function dialTls(host: string, port: number, tls: TlsOptions, received: (chunk: Buffer) => void): Socket {
  const servername = tls.serverName ?? serverName(host);
  return connectTls({ host, port, servername, ...certificates(tls) }).on("data", received);
}

export const threadEnvironment: ThreadEnvironment = { clock: systemClock, random: Math.random, dial };

/** @param startHeartbeats passed in, so that the heartbeat thread can use this file without starting a thread of its own. */
export function systemEnvironment(startHeartbeats: StartHeartbeats): Environment {
  // Field by field: an object made with a spread gets a hidden class of its own, and each client of a process has one of these.
  return {
    clock: systemClock,
    random: Math.random,
    dial,
    randomBytes: (bytes) => randomBytes(bytes),
    soon,
    startHeartbeats,
  };
}

/** A certificate is checked against a name; addresses are checked by `host` itself, and must not be sent as a name. */
function serverName(host: string): string {
  return /^[\d.]+$|:/.test(host) ? "" : host;
}

function certificates({ ca, cert, key }: TlsOptions) {
  return {
    ...(ca === undefined ? {} : { ca: text(ca) }),
    ...(cert === undefined ? {} : { cert: text(cert) }),
    ...(key === undefined ? {} : { key: text(key) }),
  };
}

/** Bytes that crossed to a worker thread are no longer a Buffer; PEM is text anyway. */
function text(pem: string | Uint8Array): string {
  return typeof pem === "string" ? pem : Buffer.from(pem).toString("utf8");
}
