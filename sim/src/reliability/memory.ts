// memory.ts: whether what clients pile up stays within bounds: waits on one element, past its cap, and given back afterwards.
import { readFileSync } from "node:fs";
import { type Clock, pause } from "../proxy/clock.ts";
import type { Scene } from "../torture/scene.ts";
import { acquireBody, BusySession } from "./busy-session.ts";
import { type Figure, figure, judged } from "./figure.ts";

export interface MemoryOptions {
  readonly scene: Scene;
  readonly clock: Clock;
  /** Offered in all; most are above some cap, and refused. */
  readonly waits: number;
}

const SESSIONS = 8;
const TTL_MS = 60_000;
const SETTLE_MS = 3_000;
/** Above this an offer of waits has made the server grow without a bound. */
const GROWTH_BYTES_MAX = 512 * 1_048_576;
/** Requests offered by one connection at a time: the server answers what it takes at once with a place in the queue. */
const OFFERED_AT_ONCE = 1_000;

/** @returns no figures where the system does not tell a process's memory */
export async function memory({ scene, clock, waits }: MemoryOptions): Promise<readonly Figure[]> {
  const { pid } = scene.server;
  const before = pid === undefined ? undefined : residentBytes(pid);
  if (pid === undefined || before === undefined || scene.port === undefined) return [];
  const codes = new Map<string, number>();
  const sessions: BusySession[] = [];
  for (let index = 0; index < SESSIONS; index += 1)
    sessions.push(await BusySession.open({ port: scene.port, ttlMs: TTL_MS, client: "memory" }));
  await sessions[0]?.ask(acquireBody("memory", 0));
  for (let offered = 0; offered < waits; offered += OFFERED_AT_ONCE) {
    const session = sessions[(offered / OFFERED_AT_ONCE) % SESSIONS];
    for (let index = 0; index < OFFERED_AT_ONCE; index += 1) {
      void session
        ?.ask(acquireBody("memory", undefined))
        .then(({ code }) => codes.set(code, (codes.get(code) ?? 0) + 1));
    }
    await pause(clock, 1);
  }
  await pause(clock, SETTLE_MS);
  const full = residentBytes(pid) ?? 0;
  const waiting = sessions.reduce((sum, session) => sum + session.inFlight, 0);
  const refused = [...codes].filter(([code]) => code !== "closed").reduce((sum, [, count]) => sum + count, 0);
  for (const session of sessions) {
    await Promise.race([session.ask({ $case: "closeSession", value: {} }), pause(clock, SETTLE_MS)]);
    session.cut();
  }
  await pause(clock, SETTLE_MS);
  const grown = full - before;
  return [
    figure("memory", "waits offered on one element", waits, "requests"),
    figure("memory", "kept waiting", waiting, "requests"),
    figure("memory", "refused with a code", refused, "requests"),
    judged(figure("memory", "growth while they wait", grown / 1_048_576, "MiB"), "<= 512", grown <= GROWTH_BYTES_MAX),
    figure("memory", "growth left after they are gone", ((residentBytes(pid) ?? 0) - before) / 1_048_576, "MiB"),
  ];
}

function residentBytes(pid: number): number | undefined {
  try {
    const kilobytes = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
    return kilobytes === undefined ? undefined : Number(kilobytes) * 1_024;
  } catch {
    return undefined; // Not Linux.
  }
}
