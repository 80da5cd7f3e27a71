// restart.ts: how long a server takes to come back when its log is full of work.
import type { Clock } from "../proxy/clock.ts";
import { readWire } from "../torture/reader.ts";
import type { Scene } from "../torture/scene.ts";
import { onLoopback } from "../torture/wire.ts";
import { acquireBody, BusySession, tokenOf } from "./busy-session.ts";
import { type Figure, figure, towards } from "./figure.ts";

export interface RestartOptions {
  readonly scene: Scene;
  readonly clock: Clock;
  readonly seconds: number;
}

const LANES = 512;
const TTL_MS = 60_000;

export async function restart({ scene, clock, seconds }: RestartOptions): Promise<readonly Figure[]> {
  if (scene.port === undefined) return [];
  const session = await BusySession.open({ port: scene.port, ttlMs: TTL_MS, client: "restart" });
  const untilMs = clock.monotonicMs() + seconds * 1_000;
  let cycles = 0;
  const lanes = Array.from({ length: LANES }, async (_, lane) => {
    const name = `restart/${lane}`;
    while (clock.monotonicMs() < untilMs) {
      const token = tokenOf(await session.ask(acquireBody(name, 0)));
      if (token === undefined) return;
      await session.ask({ $case: "release", value: { name, token, undo: false } });
      cycles += 1;
    }
  });
  await Promise.all(lanes);
  const status = await readWire(onLoopback(scene.port), { $case: "getStatus", value: {} }, clock);
  const logBytes = status?.$case === "getStatus" ? status.value.logBytes : 0;
  session.cut();
  await scene.restart();
  const tookMs = scene.starts.at(-1) ?? 0;
  return [
    figure("restart", "cycles in the log", cycles, "cycles"),
    figure("restart", "log behind the newest snapshot", logBytes / 1_048_576, "MiB"),
    towards(figure("restart", "from start to address", tookMs, "ms"), "<= 1,000 a 100 MB of log"),
  ];
}
