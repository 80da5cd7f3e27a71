// run.ts: one torture run from the first start of the server to the verdict. Not here: the command line (main.ts).
//   T1. Whatever happens, the server is killed, mounts are undone and the history is closed.
import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import { type CheckReport, checkHistory } from "../history/check.ts";
import { readHistory } from "../history/read.ts";
import type { HistoryOperation } from "../history/record.ts";
import { encodeOperation, HistoryWriter } from "../history/write.ts";
import { type Clock, pause } from "../proxy/clock.ts";
import { forkRandom } from "../proxy/random.ts";
import { Client } from "./client.ts";
import { CASTS, ELEMENTS, FILES, STRICT } from "./elements.ts";
import type { FaultRecord } from "./faults/fault.ts";
import { faultsNamed, storm } from "./faults/storm.ts";
import { readAll, rollbackLines, untilFree } from "./finish.ts";
import { LibraryClient } from "./library-client.ts";
import type { TortureOptions } from "./options.ts";
import { Preempted } from "./preempted.ts";
import { readWire } from "./reader.ts";
import { Scene } from "./scene.ts";

export interface TortureReport {
  readonly check: CheckReport;
  /** Ill-formed lines of the history: a bug of this driver. */
  readonly problems: readonly string[];
  /** What went wrong beside the history: a server that did not start, a file that could not be read. */
  readonly failures: readonly string[];
  readonly faults: readonly FaultRecord[];
  readonly skipped: readonly string[];
  readonly operationsByKey: ReadonlyMap<string, number>;
  readonly countsByOp: HistoryWriter["countsByOp"];
  /** Milliseconds of each start of the server. */
  readonly startsMs: readonly number[];
  /** Grants that the server ended by force at the end of a countdown. */
  readonly preemptions: number;
  readonly seconds: number;
}

export interface RunTools {
  readonly clock: Clock;
  /** Nanoseconds since the run began. */
  readonly nowNs: () => number;
  readonly serverScript: string;
  readonly log: (line: string) => void;
  /** Ends the run early, in order (T1). */
  readonly interrupted: AbortSignal;
}

/** The longest ttl of a client, its stretching by a restart, and some more for a slow machine. */
const FREE_WITHIN_MS = 20_000;
const LIBRARY_CLIENTS = 3;
/** Shorter runs may see none: a few clients hang every eight seconds. */
const PREEMPTED_WITHIN_S = 20;
/** The patience of a request, twice, for the one under way and the goodbye. */
const GOODBYE_MS_MAX = 45_000;

const NEVER = new Promise<undefined>(() => {});

export async function runTorture(options: TortureOptions, tools: RunTools): Promise<TortureReport> {
  const { clock, nowNs, log } = tools;
  const { seed, seconds } = options;
  const wanted = faultsNamed(options.faults);
  const kinds = wanted.map(({ kind }) => kind);
  const history = new HistoryWriter(options.history, { run: "torture", seed, nodes: 1, faults: kinds }, nowNs);
  const scene = await Scene.open({
    ...tools,
    seed,
    wantsImage: kinds.some((kind) => ["power_cut", "full_disk", "lying_power_cut"].includes(kind)),
    wantsShim: kinds.some((kind) => ["failing_sync", "lying_sync", "full_disk", "lying_power_cut"].includes(kind)),
  });
  const preempted = new Preempted(STRICT, { scene, clock, history });
  const failures: string[] = [];
  const skipped: string[] = [];
  let records: readonly FaultRecord[] = [];
  try {
    await scene.start();
    const able = wanted.filter((fault) => {
      const why = fault.unavailable(scene);
      if (why !== undefined) skipped.push(`${fault.kind}: ${why}`);
      return why === undefined;
    });
    for (const line of skipped) log(`skipped ${line}`);
    const partitions = await placesOf(scene, clock);
    await preempted.begin();
    const stop = new AbortController();
    const watching = preempted.watch(stop.signal);
    const clients = startClients({ scene, history, clock, seed, partitions, stop: stop.signal });
    const storming = storm(able, { scene, clock, random: forkRandom(seed, "storm"), history }, stop.signal);
    // A storm that failed ends the run; one that ran out of faults does not.
    const failed = storming.then(({ failure }) => (failure === undefined ? NEVER : undefined));
    await Promise.race([pause(clock, seconds * 1_000, tools.interrupted), failed]);
    stop.abort();
    await watching;
    const { records: inflicted, failure } = await storming;
    records = inflicted;
    if (failure !== undefined) failures.push(failure);
    else {
      log("healed; the clients say goodbye");
      failures.push(...(await goodbyes(clients, clock)));
      failures.push(...(await finish(scene, history, clock)));
      failures.push(...(await preempted.end()).map((name) => `the history of ${name} could not be read at the end`));
      const isLong = seconds >= PREEMPTED_WITHIN_S && !tools.interrupted.aborted;
      if (isLong && preempted.count === 0) failures.push("clients hung with their locks, and nobody was pre-empted");
    }
  } catch (error) {
    failures.push(error instanceof Error ? error.message : String(error));
  } finally {
    if (failures.length > 0) failures.push(`last words of the server:\n${scene.server.output}`);
    await scene.close(); // T1
    history.close();
  }
  writeFileSync(`${options.history}.faults.jsonl`, records.map((record) => `${JSON.stringify(record)}\n`).join(""));
  return {
    ...judge(options.history, preempted),
    failures,
    faults: records,
    skipped,
    countsByOp: history.countsByOp,
    startsMs: scene.starts,
    preemptions: preempted.count,
    seconds,
  };
}

/** The partition of each element, as the server tells it. */
async function placesOf(scene: Scene, clock: Clock): Promise<ReadonlyMap<string, number>> {
  const partitions = new Map<string, number>();
  for (const name of ELEMENTS) {
    const why = await readWire(scene.port ?? 0, { $case: "why", value: { name } }, clock);
    if (why?.$case !== "why") throw new Error(`the server does not answer \`why ${name}\`: ${JSON.stringify(why)}`);
    partitions.set(name, why.value.partition);
  }
  return partitions;
}

interface Stage {
  readonly scene: Scene;
  readonly history: HistoryWriter;
  readonly clock: Clock;
  readonly seed: number;
  readonly partitions: ReadonlyMap<string, number>;
  readonly stop: AbortSignal;
}

interface StartedClient {
  readonly name: string;
  readonly ended: Promise<void>;
}

function startClients({ scene, history, clock, seed, partitions, stop }: Stage): readonly StartedClient[] {
  const partitionOf = (element: string): number => {
    const partition = partitions.get(element);
    if (partition === undefined) throw new Error(`not an element of this run: ${element}`);
    return partition;
  };
  const portOf = (index: number): number => {
    const proxy = scene.proxies[index % scene.proxies.length];
    if (proxy === undefined) throw new Error("a scene has proxies");
    return proxy.port;
  };
  const clients = CASTS.flatMap(({ role, clients: count }) => Array.from({ length: count }, () => role)).map(
    (role, index) => {
      const name = `c${index}`;
      return new Client({
        name,
        role,
        port: portOf(index),
        history,
        clock,
        random: forkRandom(seed, name),
        partitionOf,
        stop,
      });
    },
  );
  const libraryClients = Array.from({ length: LIBRARY_CLIENTS }, (_, index) => {
    const name = `lib${index}`;
    return new LibraryClient({
      name,
      element: "hot-0",
      port: portOf(index),
      history,
      clock,
      random: forkRandom(seed, name),
      stop,
    });
  });
  return [...clients, ...libraryClients].map((client) => ({ name: client.name, ended: client.run() }));
}

/** @returns who did not come to an end: a request that is never answered, whatever its deadline */
async function goodbyes(clients: readonly StartedClient[], clock: Clock): Promise<readonly string[]> {
  const left = new Set(clients.map(({ name }) => name));
  const all = Promise.all(clients.map(({ name, ended }) => ended.then(() => left.delete(name))));
  await Promise.race([all, pause(clock, GOODBYE_MS_MAX)]);
  return [...left].map((name) => `client ${name} did not end within ${GOODBYE_MS_MAX} ms of the healing`);
}

async function finish(scene: Scene, history: HistoryWriter, clock: Clock): Promise<readonly string[]> {
  const { port } = scene;
  if (port === undefined) return ["the server is down at the end"];
  const context = { port, clock, history };
  const held = await untilFree(ELEMENTS, FREE_WITHIN_MS, context);
  const unread = await readAll(FILES, ELEMENTS, context);
  return [
    ...held.map((name) => `held or waited for although every session is closed or dead: ${name}`),
    ...unread.map((name) => `${name} could not be read at the end`),
  ];
}

/** Adds what follows from the whole, then decides from the file alone. */
function judge(path: string, preempted: Preempted): Pick<TortureReport, "check" | "problems" | "operationsByKey"> {
  const append = (lines: readonly HistoryOperation[]): void =>
    appendFileSync(path, lines.map((line) => `${encodeOperation(line)}\n`).join(""));
  append(preempted.lines(readHistory(readFileSync(path, "utf8")).lines));
  append(rollbackLines(readHistory(readFileSync(path, "utf8")).lines));
  const { lines, problems } = readHistory(readFileSync(path, "utf8"));
  const operationsByKey = new Map<string, number>();
  for (const { key } of lines) operationsByKey.set(key, (operationsByKey.get(key) ?? 0) + 1);
  return { check: checkHistory(lines), problems, operationsByKey };
}
