// play.ts: one run at a place, from its first start to the verdict: clients, faults, goodbyes, the last reads. Not here: what the
// place is (scene.ts: one server; cluster/scene.ts: several), and the command line (main.ts).
//   T1. Whatever happens, the place is closed and the history too.
import { appendFileSync, readFileSync } from "node:fs";
import { type CheckReport, checkHistory } from "../history/check.ts";
import { readHistory } from "../history/read.ts";
import type { HistoryLine, HistoryOperation } from "../history/record.ts";
import { encodeOperation, HistoryWriter } from "../history/write.ts";
import { type Clock, pause } from "../proxy/clock.ts";
import { forkRandom, type Random } from "../proxy/random.ts";
import { Client } from "./client.ts";
import { CASTS, ELEMENTS, FILES, STRICT } from "./elements.ts";
import type { Fault, FaultRecord, Lane } from "./faults/fault.ts";
import { storm } from "./faults/storm.ts";
import { readAll, rollbackLines, untilFree } from "./finish.ts";
import { LibraryClient } from "./library-client.ts";
import { Preempted } from "./preempted.ts";
import { readWire } from "./reader.ts";
import type { Way } from "./wire.ts";

/** What a run needs of the place it plays at. */
export interface Place {
  /** @throws when it does not come up: that is a failure of the run */
  start(): Promise<void>;
  /** All faults are over. @returns what did not come back by itself */
  settle(): Promise<readonly string[]>;
  close(): Promise<void>;
  /** How the client of the index connects. */
  wayOf(index: number, random: Random): Way;
  /** The same for a client of the library: where it may connect. */
  endpointsOf(index: number): readonly string[];
  /** For what the run itself asks. */
  readonly way: Way;
  /** Milliseconds of each start of a server. */
  readonly starts: readonly number[];
  /** What servers have printed last, for the report of a failure. */
  readonly lastWords: string;
}

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
  /** Milliseconds of each start of a server. */
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

export interface Play<Where extends Place> extends RunTools {
  /** Of the history. */
  readonly run: string;
  readonly nodes: number;
  readonly history: string;
  readonly seed: number;
  /** At least: the storm goes on until every kind has had its turn. */
  readonly seconds: number;
  readonly place: Where;
  readonly wanted: readonly Fault<Where>[];
  readonly lanes: readonly Lane<Where>[];
  /** Whether a fault is told of as it begins. */
  readonly tells: boolean;
  /** Clients hang with their locks; from so many seconds on one of them must have been pre-empted. */
  readonly preemptedWithinS: number;
  /** The longest ttl of a client, its stretching by restarts and take-overs, and some more for a slow machine. */
  readonly freeWithinMs: number;
}

export interface Played {
  readonly report: TortureReport;
  readonly lines: readonly HistoryLine[];
}

const LIBRARY_CLIENTS = 3;
/** The patience of a request, twice, for the one under way and the goodbye. */
const GOODBYE_MS_MAX = 45_000;
/** For the turns of kinds that have had none when the time is over. */
const TOUR_RATIO_MAX = 2;

const NEVER = new Promise<undefined>(() => {});

export async function play<Where extends Place>(order: Play<Where>): Promise<Played> {
  const { clock, nowNs, log, place, seed, seconds, wanted } = order;
  const faults = wanted.map(({ kind }) => kind);
  const history = new HistoryWriter(order.history, { run: order.run, seed, nodes: order.nodes, faults }, nowNs);
  const preempted = new Preempted(STRICT, { way: () => place.way(), clock, history });
  const failures: string[] = [];
  const skipped: string[] = [];
  let records: readonly FaultRecord[] = [];
  try {
    await place.start();
    const able = wanted.filter((fault) => {
      const why = fault.unavailable(place);
      if (why !== undefined) skipped.push(`${fault.kind}: ${why}`);
      return why === undefined;
    });
    for (const line of skipped) log(`skipped ${line}`);
    const partitions = await placesOf(place.way, clock);
    await preempted.begin();
    const stop = new AbortController();
    const watching = preempted.watch(stop.signal);
    const clients = startClients(order, history, partitions, stop.signal);
    const storming = storm({
      faults: able,
      lanes: order.lanes,
      context: { scene: place, clock, random: forkRandom(seed, "storm"), history },
      signal: stop.signal,
      ...(order.tells ? { onFault: (kind, target) => log(`${kind} ${target}`) } : {}),
    });
    // A storm that failed ends the run; one that ran out of faults does not.
    const failed = storming.report.then(({ failure }) => (failure === undefined ? NEVER : undefined));
    await Promise.race([pause(clock, seconds * 1_000, order.interrupted), failed]);
    const late = pause(clock, seconds * 1_000 * (TOUR_RATIO_MAX - 1), order.interrupted);
    await Promise.race([storming.toured, late, failed]);
    stop.abort();
    await watching;
    const { records: inflicted, failure } = await storming.report;
    records = inflicted;
    if (failure !== undefined) failures.push(failure);
    else {
      log("healed; the clients say goodbye");
      failures.push(...(await place.settle()));
      failures.push(...(await goodbyes(clients, clock)));
      failures.push(...(await finish(order, history)));
      failures.push(...(await preempted.end()).map((name) => `the history of ${name} could not be read at the end`));
      const isLong = seconds >= order.preemptedWithinS && !order.interrupted.aborted;
      if (isLong && preempted.count === 0) failures.push("clients hung with their locks, and nobody was pre-empted");
    }
  } catch (error) {
    failures.push(error instanceof Error ? error.message : String(error));
  } finally {
    if (failures.length > 0) failures.push(`last words of the servers:\n${place.lastWords}`);
    await place.close(); // T1
    history.close();
  }
  const { lines, problems, operationsByKey } = complete(order.history, preempted);
  const report = {
    check: checkHistory(lines),
    problems,
    operationsByKey,
    failures,
    faults: records,
    skipped,
    countsByOp: history.countsByOp,
    startsMs: place.starts,
    preemptions: preempted.count,
    seconds,
  };
  return { report, lines };
}

/** The partition of each element, as the server tells it. */
async function placesOf(way: Way, clock: Clock): Promise<ReadonlyMap<string, number>> {
  const partitions = new Map<string, number>();
  for (const name of ELEMENTS) {
    const why = await readWire(way(), { $case: "why", value: { name } }, clock);
    if (why?.$case !== "why") throw new Error(`the server does not answer \`why ${name}\`: ${JSON.stringify(why)}`);
    partitions.set(name, why.value.partition);
  }
  return partitions;
}

interface StartedClient {
  readonly name: string;
  readonly ended: Promise<void>;
}

function startClients<Where extends Place>(
  { place, clock, seed }: Play<Where>,
  history: HistoryWriter,
  partitions: ReadonlyMap<string, number>,
  stop: AbortSignal,
): readonly StartedClient[] {
  const partitionOf = (element: string): number => {
    const partition = partitions.get(element);
    if (partition === undefined) throw new Error(`not an element of this run: ${element}`);
    return partition;
  };
  const roles = CASTS.flatMap(({ role, clients: count }) => Array.from({ length: count }, () => role));
  const clients = roles.map((role, index) => {
    const name = `c${index}`;
    const way = place.wayOf(index, forkRandom(seed, `way of ${name}`));
    return new Client({ name, role, way, history, clock, random: forkRandom(seed, name), partitionOf, stop });
  });
  const libraryClients = Array.from({ length: LIBRARY_CLIENTS }, (_, index) => {
    const name = `lib${index}`;
    const random = forkRandom(seed, name);
    return new LibraryClient({
      ...{ name, element: "hot-0", endpoints: place.endpointsOf(index), history, clock, random, stop },
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

async function finish<Where extends Place>(
  { place, clock, freeWithinMs }: Play<Where>,
  history: HistoryWriter,
): Promise<readonly string[]> {
  const context = { way: () => place.way(), clock, history };
  const held = await untilFree(ELEMENTS, freeWithinMs, context);
  const unread = await readAll(FILES, ELEMENTS, context);
  return [
    ...held.map((name) => `held or waited for although every session is closed or dead: ${name}`),
    ...unread.map((name) => `${name} could not be read at the end`),
  ];
}

interface Complete {
  readonly lines: readonly HistoryLine[];
  readonly problems: readonly string[];
  readonly operationsByKey: ReadonlyMap<string, number>;
}

/** Adds what follows from the whole: the verdict is from the file alone. */
function complete(path: string, preempted: Preempted): Complete {
  const append = (lines: readonly HistoryOperation[]): void =>
    appendFileSync(path, lines.map((line) => `${encodeOperation(line)}\n`).join(""));
  append(preempted.lines(readHistory(readFileSync(path, "utf8")).lines));
  append(rollbackLines(readHistory(readFileSync(path, "utf8")).lines));
  const { lines, problems } = readHistory(readFileSync(path, "utf8"));
  const operationsByKey = new Map<string, number>();
  for (const { key } of lines) operationsByKey.set(key, (operationsByKey.get(key) ?? 0) + 1);
  return { lines, problems, operationsByKey };
}
