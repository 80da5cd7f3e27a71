import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";

const source = (path: string): string => new URL(path, import.meta.url).pathname;

export default defineConfig({
  resolve: {
    // Tests run on the sources of every package, so that no test can pass on a stale build.
    alias: [
      { find: "@forelock/forecast", replacement: source("packages/forecast/src/index.ts") },
      { find: "@forelock/protocol", replacement: source("packages/protocol/src/index.ts") },
      { find: "forelock/internal", replacement: source("packages/server/src/internal.ts") },
      { find: "@forelock/client", replacement: source("packages/client/src/index.ts") },
    ],
  },
  test: {
    include: ["packages/*/src/**/*.test.ts", "sim/src/**/*.test.ts", "bench/src/**/*.test.ts", "scripts/**/*.test.ts"],
    // Two on two cores: much of the time is spent waiting for servers that tests have started.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
