// imports.ts: imports point one way, from the edge to the domain. The table is ARCHITECTURE.md's map; a folder that is not in it
// fails, so that a new one takes its place there on purpose.
import { dirname, join, relative } from "node:path";
import { filesBelow, type Problem, textOf } from "../workspace.ts";

interface Rule {
  /** What this folder may import besides itself: folders and files next to it. */
  readonly parts: readonly string[];
  /** Packages and `node:` modules. */
  readonly packages: RegExp;
  /** Decides and applies only: no promise may come between an event and its state. */
  readonly isPure?: true;
}

const PURE = ["lock", "session", "file", "batch", "partition", "keymap", "object", "preempt"];
const PROTOCOL = /^@forelock\/protocol$/;
const TECHNOLOGY = /^(@forelock\/protocol|node:.+)$/;
const ANY = /./;
const ANY_ABOVE_PURE = ["clock.ts", "version.ts"];
const TURN = [...PURE, "log/event-log.ts", "bulk/bulk-store.ts", "forecast-worker/job.ts", ...ANY_ABOVE_PURE];
const BELOW_CLI = [
  ...PURE,
  "shard",
  "edge",
  "etcd",
  "log",
  "bulk",
  "cluster",
  "workers",
  "compensate",
  "forecast-worker",
  "settings",
  "telemetry",
  ...ANY_ABOVE_PURE,
];

/** By folder or file; the longest that fits holds. */
const SERVER_RULES: Readonly<Record<string, Rule>> = {
  ...Object.fromEntries(PURE.map((folder) => [folder, { parts: PURE, packages: PROTOCOL, isPure: true } as const])),
  "clock.ts": { parts: [], packages: PROTOCOL },
  "version.ts": { parts: [], packages: TECHNOLOGY },
  etcd: {
    parts: ANY_ABOVE_PURE,
    packages: /^(@forelock\/protocol|@bufbuild\/protobuf(\/.+)?|@grpc\/grpc-js|node:.+)$/,
  },
  // Slices of turns: its clock and its loop are handed to it.
  "defer.ts": { parts: [], packages: PROTOCOL },
  log: { parts: ANY_ABOVE_PURE, packages: TECHNOLOGY },
  "log/etcd": { parts: ["log", "etcd", ...ANY_ABOVE_PURE], packages: TECHNOLOGY },
  bulk: { parts: ANY_ABOVE_PURE, packages: TECHNOLOGY },
  shard: { parts: TURN, packages: /^(@forelock\/(protocol|forecast)|node:.+)$/ },
  // A thread of its own, which reads the log's files: wired here, as main.ts does for the process.
  "shard/snapshot-build.ts": { parts: [...TURN, "shard", "log/segment"], packages: TECHNOLOGY },
  "shard/snapshot-worker.ts": { parts: [...TURN, "shard", "log/segment"], packages: TECHNOLOGY },
  "shard/history-files.ts": { parts: [...TURN, "shard", "log/segment"], packages: TECHNOLOGY },
  "shard/history-worker.ts": { parts: [...TURN, "shard", "log/segment"], packages: TECHNOLOGY },
  // Fits models in a thread of its own, whose entry makes the real clock.
  "forecast-worker": { parts: ["clock.ts", "real-time.ts"], packages: /^(@forelock\/(protocol|forecast)|node:.+)$/ },
  // Calls outside services over HTTP; knows nothing of partitions.
  compensate: { parts: ANY_ABOVE_PURE, packages: TECHNOLOGY },
  // Several nodes as one service. Of the carriers only how a stream is cut into frames.
  cluster: { parts: ["shard", "etcd", "edge/tcp/reader.ts", ...TURN], packages: TECHNOLOGY },
  // Several threads as one server: partitions in streams of the log, between threads.
  workers: {
    parts: [...TURN, "shard", "cluster", "log", "bulk", "settings/read.ts", "partition"],
    packages: TECHNOLOGY,
  },
  "cluster/proof.ts": { parts: [], packages: TECHNOLOGY },
  edge: { parts: ["shard", "cluster/proof.ts", ...ANY_ABOVE_PURE], packages: ANY },
  // Exports and imports: all stores at rest, and no server.
  transfer: {
    parts: [...PURE, "shard", "log", "etcd", "bulk", "cluster/records.ts", ...ANY_ABOVE_PURE],
    packages: TECHNOLOGY,
  },
  settings: { parts: ["compensate", "edge", "log", "bulk", ...ANY_ABOVE_PURE], packages: ANY },
  telemetry: { parts: [...PURE, "shard", "edge", "log", "bulk", "settings", ...ANY_ABOVE_PURE], packages: ANY },
  // A load from outside: it knows the client, and nothing of the server's parts.
  demo: { parts: ["clock.ts"], packages: /^(@forelock\/client|node:events)$/ },
  cli: { parts: [...BELOW_CLI, "demo", "replay", "transfer", "serve.ts", "real-time.ts"], packages: ANY },
  // Recorded requests through the lock core in simulated time; of the shard only how the records of a log are put in time, and how
  // a forecaster is asked about a hold.
  replay: {
    parts: [...PURE, "log/event-log.ts", "shard/service-time.ts", "shard/hold-forecasts.ts"],
    packages: /^@forelock\/(protocol|forecast)$/,
    isPure: true,
  },
  "real-time.ts": { parts: ["clock.ts", "defer.ts"], packages: TECHNOLOGY },
  // For the simulator only; nothing else may import it.
  "internal.ts": { parts: BELOW_CLI, packages: ANY },
  "storage.ts": { parts: BELOW_CLI, packages: ANY },
  "storage-embedded.ts": {
    parts: [...BELOW_CLI, "storage.ts", "storage-workers.ts", "real-time.ts"],
    packages: ANY,
  },
  "storage-workers.ts": { parts: [...BELOW_CLI, "storage.ts", "real-time.ts"], packages: ANY },
  "assembly.ts": { parts: [...BELOW_CLI, "storage.ts", "real-time.ts"], packages: ANY },
  "worker-thread.ts": { parts: [...BELOW_CLI, "assembly.ts", "storage.ts", "real-time.ts"], packages: ANY },
  "storage-shared.ts": { parts: [...BELOW_CLI, "storage.ts", "real-time.ts"], packages: ANY },
  "serve.ts": {
    parts: [
      ...BELOW_CLI,
      "assembly.ts",
      "storage.ts",
      "storage-embedded.ts",
      "storage-shared.ts",
      "storage-workers.ts",
      "real-time.ts",
    ],
    packages: ANY,
  },
  "main.ts": { parts: [...BELOW_CLI, "cli", "real-time.ts", "serve.ts"], packages: ANY },
};

const PACKAGE_RULES: Readonly<Record<string, RegExp>> = {
  // In a browser: the schema's types only, which the compiler takes out again.
  dashboard: /^(@forelock\/protocol|preact(\/hooks)?|uplot(\/dist\/uPlot\.min\.css)?)$/,
  protocol: /^@bufbuild\/protobuf(\/.+)?$/,
  forecast: /^$/,
  // The codec's runtime is bundled into the client, which so has no dependency.
  client: /^(@forelock\/protocol|@bufbuild\/protobuf(\/.+)?|node:.+)$/,
};

/** Tests, and suites that tests share, may use whatever they need. */
const isForTests = (path: string): boolean =>
  /\.test\.ts$|\/contract\.ts$|\/testing\/|\/rolldown\.config\.ts$/.test(path);

export function importProblems(): readonly Problem[] {
  return filesBelow("packages")
    .filter((path) => /^packages\/[^/]+\/src\/.*\.tsx?$/.test(path) && !isForTests(path))
    .flatMap((path) => {
      const [, name = "", inside = ""] = /^packages\/([^/]+)\/src\/(.*)$/.exec(path) ?? [];
      return problemsOf({ path, name, inside, text: textOf(path) });
    });
}

interface Source {
  readonly path: string;
  /** Folder of the package. */
  readonly name: string;
  /** Path below src. */
  readonly inside: string;
  readonly text: string;
}

/** Exported for its test. */
export function problemsOf(source: Source): readonly Problem[] {
  const { path, name, inside, text } = source;
  const problem = (message: string): Problem => ({ path, message });
  if (name !== "server") {
    const packages = PACKAGE_RULES[name];
    if (packages === undefined) return [];
    return importsOf(text)
      .filter((target) => !target.startsWith(".") && !packages.test(target))
      .map((target) => problem(`imports "${target}"; the package ${name} may not. Move what needs it to the server.`));
  }
  const part = partOf(inside);
  const rule = SERVER_RULES[part];
  if (rule === undefined)
    return [problem(`${part} is not in the table of scripts/check/imports.ts. Give it a place there.`)];
  const problems = importsOf(text).flatMap((target) => {
    if (!target.startsWith("."))
      return rule.packages.test(target) ? [] : [problem(`imports "${target}"; ${part} may not. ${adviceFor(rule)}`)];
    const to = relative("/src", join("/src", dirname(inside), target));
    const isAllowed = [part, ...rule.parts].some((each) => to === each || to.startsWith(`${each}/`));
    return isAllowed ? [] : [problem(`imports ${to}; imports of ${part} may not point there. ${adviceFor(rule)}`)];
  });
  const waits = rule.isPure && /^(?!\s*(\/\/|\*)).*\b(await|async)\b(?=\s)/m.test(text);
  return waits ? [...problems, problem(`waits; ${part} decides and applies only. Wait in shard/.`)] : problems;
}

/** The longest folder or file of the table that `inside` belongs to; its first part where there is none. */
function partOf(inside: string): string {
  const parts = inside.split("/");
  const fitting = parts.map((_, index) => parts.slice(0, parts.length - index).join("/"));
  return fitting.find((part) => Object.hasOwn(SERVER_RULES, part)) ?? parts[0] ?? "";
}

function adviceFor(rule: Rule): string {
  return rule.isPure
    ? "It decides and applies only: take what is needed as an argument."
    : "Pass it in from main.ts, or ask by an interface of its own.";
}

function importsOf(text: string): readonly string[] {
  const statements = text.matchAll(/^(?:import|export)\s(?:[\w\s{},*$]*?\sfrom\s+)?"([^"]+)"/gm);
  const calls = text.matchAll(/\bimport\(\s*"([^"]+)"/g);
  return [...statements, ...calls].map(([, target = ""]) => target);
}
