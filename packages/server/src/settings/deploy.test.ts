// The files that people deploy from name settings, metrics and flags that exist.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { createCounters } from "../edge/counters.ts";
import { World } from "../shard/testing/world.ts";
import { environmentName } from "./setting.ts";
import { SETTINGS } from "./table.ts";

const textOf = (file: string): string => readFileSync(new URL(`../../../../deploy/${file}`, import.meta.url), "utf8");

test("the dashboard for Grafana asks for metrics that a node tells", async () => {
  const world = await World.open();
  const told = new Set([...Object.keys(world.node.counters()), ...Object.keys(createCounters())]);
  const asked = new Set(
    [...textOf("grafana/forelock.json").matchAll(/forelock_([a-z_]+)/g)].map(([, name]) => name ?? ""),
  );
  expect(asked.size).toBeGreaterThan(10);
  expect([...asked].filter((name) => !told.has(name))).toEqual([]);
});

test.each(["docker/Dockerfile", "docker/compose.yaml", "kubernetes/forelock.yaml", "systemd/forelock.service"])(
  "%s names settings that there are",
  (file) => {
    const known = new Set(Object.keys(SETTINGS).map((key) => environmentName(key)));
    const named = [...textOf(file).matchAll(/FORELOCK_[A-Z_]+/g)].map(([name]) => name);
    expect(named.length).toBeGreaterThan(0);
    expect(named.filter((name) => !known.has(name))).toEqual([]);
  },
);
