// fuzz.ts: broken frames against the real server, with the fuzzer of the edge when it is built.
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Clock } from "../proxy/clock.ts";
import type { Scene } from "../torture/scene.ts";
import { type Figure, figure, judged, towards } from "./figure.ts";

export interface FuzzOptions {
  readonly scene: Scene;
  readonly clock: Clock;
  readonly seed: number;
  readonly frames: number;
}

const HANG_MS_MAX = 1_000;

interface FuzzModule {
  fuzzFrames(options: Readonly<Record<string, unknown>>): Promise<Readonly<Record<string, number>>>;
}

/** @returns a word instead, when the edge does not offer a fuzzer */
export async function fuzz({ scene, clock, seed, frames }: FuzzOptions): Promise<readonly Figure[] | string> {
  const path = fileURLToPath(new URL("../../../packages/server/dist/edge/fuzz/fuzz.js", import.meta.url));
  if (!existsSync(path)) return "the edge has no fuzzer in its build";
  const module = (await import(path)) as Partial<FuzzModule>; // Cast: checked on the next line.
  if (typeof module.fuzzFrames !== "function") return "the edge's fuzzer has another name now";
  const { pid } = scene.server;
  const after = (delayMs: number, fire: () => void) => ({ dispose: clock.after(delayMs, fire) });
  const edgeClock = { wallMs: () => 0, monotonicMs: () => clock.monotonicMs(), after };
  const report = await module.fuzzFrames({ frames, seed, port: scene.port, clock: edgeClock });
  const isUp = scene.server.pid === pid && (await scene.health()).kind === "works";
  const slowestMs = report["slowestMs"] ?? 0;
  return [
    towards(figure("bad input", "mutated frames sent", report["frames"] ?? 0, "frames"), "1,000,000 a night"),
    figure("bad input", "connections ended by the server for them", report["refused"] ?? 0, "connections"),
    judged(
      figure("bad input", "slowest answer or end", slowestMs, "ms"),
      `<= ${HANG_MS_MAX}`,
      slowestMs <= HANG_MS_MAX,
    ),
    judged(figure("bad input", "crashes", isUp ? 0 : 1, "servers"), "0", isUp),
  ];
}
