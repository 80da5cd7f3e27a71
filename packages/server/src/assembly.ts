// assembly.ts: from the settings, what every thread that serves has: a node with all that works beside it, the limits of an edge.
// Not here: where its partitions are kept (storage.ts), the port (serve.ts).
import { resolve } from "node:path";
import type { Logger } from "pino";
import { Poster } from "./compensate/poster.ts";
import type { EdgeLimits } from "./edge/options.ts";
import { ForecastWorker } from "./forecast-worker/forecast-worker.ts";
import { isNotFound, nodeFiles, readWhole, replaceWhole } from "./log/segment/files.ts";
import { realClock, realDefer, realRandom } from "./real-time.ts";
import type { Settings } from "./settings/read.ts";
import { Node, type NodeLimits } from "./shard/node.ts";
import { ProfileKeeper, type ProfileStore } from "./shard/profile-keeper.ts";
import type { Storage } from "./storage.ts";
import { VERSION } from "./version.ts";

type Values = Settings["values"];

const EFFECTS_MAX = 10_000;
const DUE_MAX = 1_000;
const LOAD_MS = 1_000;
/** Share of one core that fitting models may take, and series whose models are kept. Threads of one server share both. */
const FIT_RATIO = 0.05;
const FITTED_KEYS_MAX = 64;

export interface NodeParts {
  readonly settings: Pick<Settings, "values">;
  readonly storage: Pick<Storage, "states" | "log" | "bulk" | "placementKey" | "ownership" | "readHistory">;
  readonly logger: Logger;
  readonly address: () => string;
  /** Threads of this server that have a node of their own. */
  readonly threads: number;
  /** Of what was learned, in the data folder. Undefined: this thread learns nothing. */
  readonly profilesFile: string | undefined;
}

export interface OpenNode {
  readonly node: Node;
  /** What it took in is durable and answered when this resolves. */
  close(): Promise<void>;
}

export async function openNode(parts: NodeParts): Promise<OpenNode> {
  const { storage, logger, address, threads, profilesFile, settings } = parts;
  const { values } = settings;
  const note = (line: string, fields: Readonly<Record<string, unknown>>): void => logger.warn(fields, line);
  const poster = new Poster({
    allow: values["compensation.allow"],
    attemptsMax: values["compensation.attemptsMax"],
    timeoutMs: values["compensation.timeoutMs"],
    clock: realClock,
    version: VERSION,
    note,
  });
  const isPredicting = values.prediction === "on" && profilesFile !== undefined;
  const models = isPredicting ? startModels(logger, threads) : undefined;
  const { log, bulk, states, placementKey, ownership, readHistory } = storage;
  const node = new Node({
    ...{ states, log, bulk, placementKey, isPredicting, address, note },
    ...{ clock: realClock, random: realRandom, defer: realDefer, limits: nodeLimits(values) },
    ...(ownership === undefined ? {} : { ownership }),
    ...(readHistory === undefined ? {} : { readHistory }),
    isDurable: values.durability === "durable",
    version: VERSION,
    isCompensationAllowed: poster.allows,
    callOut: poster,
    load: loadMeter(),
    ...(models === undefined ? {} : { models }),
  });
  const keeper = isPredicting
    ? await ProfileKeeper.start({
        profiles: node.foresight.profiles,
        store: profileStore(resolve(values.data), profilesFile),
        clock: realClock,
        note,
      })
    : undefined;
  return {
    node,
    close: async () => {
      await keeper?.close();
      poster.close();
      await node.drain();
      await models?.close();
    },
  };
}

function startModels(logger: Logger, threads: number): ForecastWorker {
  const worker = new ForecastWorker({
    clock: realClock,
    budgetRatio: FIT_RATIO / threads,
    keysMax: Math.ceil(FITTED_KEYS_MAX / threads),
    seed: 1,
    note: (line, fields) => logger.warn(fields, line),
  });
  worker.start();
  return worker;
}

function profileStore(folder: string, file: string): ProfileStore {
  return {
    load: () => readWhole(nodeFiles, `${folder}/${file}`).catch(undefinedWhenMissing),
    save: (bytes) => replaceWhole(nodeFiles, folder, file, bytes),
  };
}

function undefinedWhenMissing(error: unknown): undefined {
  if (!isNotFound(error)) throw error;
}

/** Share of the time since the last call but for a second at least, in which the main thread was busy. */
function loadMeter(): () => number {
  let last = performance.eventLoopUtilization();
  let lastMs = realClock.monotonicMs();
  let load = 0;
  return () => {
    const nowMs = realClock.monotonicMs();
    if (nowMs - lastMs >= LOAD_MS) {
      const now = performance.eventLoopUtilization();
      load = performance.eventLoopUtilization(now, last).utilization;
      last = now;
      lastMs = nowMs;
    }
    return load;
  };
}

function nodeLimits(values: Values): NodeLimits {
  return {
    waitersMax: values["lock.waitersMax"],
    locksMax: values["session.locksMax"],
    sessionsMax: values["session.countMax"],
    tombstonesMax: values["session.tombstonesMax"],
    unansweredMax: values["operation.unansweredMax"],
    keptMax: values["operation.keptMax"],
    priorityStepMs: values["lock.priorityStepMs"],
    fileBytesMax: values["file.bytesMax"],
    filesMax: values["file.countMax"],
    fileCreate: values["file.create"],
    effectsMax: EFFECTS_MAX,
    dueMax: DUE_MAX,
    grantsPerTurnMax: values["lock.grantsPerTurnMax"],
    sessionTtlMs: values["session.ttlMs"],
    sessionTtlMsMax: values["session.ttlMsMax"],
    keepMs: values["operation.keepMs"],
    keepMsMax: values["operation.keepMsMax"],
    awaitsMax: values["edge.watchersMax"],
    deadlockCheckMs: values["deadlock.checkMs"],
    frameBytesMax: values["frame.bytesMax"],
    frameOperationsMax: values["frame.operationsMax"],
    requestsInFlightMax: values["edge.requestsPerConnectionMax"],
  };
}

export function edgeLimits(values: Values): EdgeLimits {
  return {
    connectionsMax: values["edge.connectionsMax"],
    connectionsPerAddressMax: values["edge.connectionsPerAddressMax"],
    connectionsPerPrincipalMax: values["edge.connectionsPerPrincipalMax"],
    requestsMax: values["edge.requestsMax"],
    requestsPerConnectionMax: values["edge.requestsPerConnectionMax"],
    writeBufferBytesMax: values["edge.writeBufferBytesMax"],
    helloMs: values["edge.helloMs"],
    frameMs: values["edge.frameMs"],
    stopMs: values["edge.stopMs"],
    watchersMax: values["edge.watchersMax"],
    watchersPerConnectionMax: values["edge.watchersPerConnectionMax"],
    frameBytesMax: values["frame.bytesMax"],
    frameOperationsMax: values["frame.operationsMax"],
    appendBytesMax: 196_608,
    waitMsMax: values["lock.waitMsMax"],
    keepMsMax: values["operation.keepMsMax"],
    ttlMsMin: 1_000,
    ttlMsMax: values["session.ttlMsMax"],
    unansweredMax: values["operation.unansweredMax"],
  };
}
