// The demo: what it may touch, how long its holds are, and that the real binary starts it and cleans up after it.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { EXIT_CODES } from "../cli/exit-codes.ts";
import { build, forelock, RealServer } from "../cli/testing/real-server.ts";
import { policyProblem } from "../preempt/policy.ts";
import { CAST, DEMO_POLICY } from "./cast.ts";
import { draw, type Shape } from "./shapes.ts";

/** Uniform, the same each time (Park and Miller, 1988). */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}

const drawMany = (shape: Shape): readonly number[] => {
  const random = seeded(7);
  return Array.from({ length: 4_000 }, () => draw(shape, random)).sort((a, b) => a - b);
};
const at = (sorted: readonly number[], level: number): number =>
  sorted[Math.floor(level * sorted.length)] ?? Number.NaN;

test("nothing but names of the demo is touched, by clients that say what they are", () => {
  expect(CAST.flatMap(({ names }) => names).filter((name) => !name.startsWith("demo/"))).toEqual([]);
  expect(CAST.map(({ client }) => client).filter((client) => !client.startsWith("demo "))).toEqual([]);
  expect(new Set(CAST.map(({ client }) => client)).size).toBe(CAST.length);
});

test("every kind of trouble is played, and each has a history to be forecast from", () => {
  const troubles = CAST.flatMap(({ trouble }) => (trouble === undefined ? [] : [trouble]));
  expect(troubles.map(({ what }) => what.kind).sort()).toEqual(["dies", "hangs", "overruns"]);
  expect(troubles.every(({ firstMs }) => firstMs >= 10_000 && firstMs <= 30_000)).toBe(true);
});

test("the policy of the demo is one that the server takes", () => {
  expect(policyProblem(DEMO_POLICY)).toBeUndefined();
});

describe("a hold", () => {
  test("around a time has it as its median", () => {
    const sorted = drawMany({ kind: "around", ms: 200, spread: 0.25 });
    expect(at(sorted, 0.5)).toBeGreaterThan(190);
    expect(at(sorted, 0.5)).toBeLessThan(210);
  });

  test("that is either short or long has nothing between", () => {
    const sorted = drawMany({ kind: "either", ms: 100, otherMs: 5_000, otherRatio: 0.25 });
    expect(at(sorted, 0.7)).toBeLessThan(200);
    expect(at(sorted, 0.8)).toBeGreaterThan(2_500);
  });

  test("with a tail is mostly short, sometimes very long, and never past its end", () => {
    const sorted = drawMany({ kind: "tail", msMin: 100, index: 1.3, msMax: 9_000 });
    expect(at(sorted, 0)).toBeGreaterThanOrEqual(100);
    expect(at(sorted, 0.5)).toBeLessThan(200);
    expect(at(sorted, 0.999)).toBe(9_000);
  });
});

describe("forelock serve --demo", () => {
  beforeAll(build, 180_000);

  test("plays on its own names, says what happens, and leaves no policy behind", async () => {
    const server = await RealServer.start("--demo");
    await server.running.until(({ out }) => out.includes("policy of the prefix demo: enforce"));
    await expect
      .poll(async () => (await server.run(["locks", "--json"]).ended).out, { timeout: 15_000 })
      .toContain('"demo/');
    const { code, err } = await server.stop();
    expect(code).toBe(0);
    expect(err).toContain('"reason":"forelock serve --demo ended"');
  });

  test("is refused where clients need a token", async () => {
    const folder = await mkdtemp(join(tmpdir(), "forelock-demo-"));
    const config = join(folder, "forelock.toml");
    await writeFile(
      config,
      '[[principals]]\nname = "ana"\ntoken = "a-token-of-sixteen-characters"\nrights = { "" = ["read"] }\n',
    );
    const argv = ["serve", "--demo", "--port", "0", "--config", config, "--data", join(folder, "data")];
    const { code, err } = await forelock(argv).ended;
    await rm(folder, { recursive: true, force: true });
    expect(err).toContain("--demo needs a server without TLS and without principals");
    expect(code).toBe(EXIT_CODES.usage.code);
  });
});
