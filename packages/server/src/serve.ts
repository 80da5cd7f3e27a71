// serve.ts: one server from its settings: storage (storage.ts), node, port; and the way back down.
// The wiring of every part; none of their work.
//   W1. Alone, the port opens only when every partition has taken over durably. In a cluster it opens first: who asks is forwarded.
//   W2. On the way down: no new work, what was taken in is durable and answered, then files are closed.
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { type Logger, pino } from "pino";
import { Poster } from "./compensate/poster.ts";
import { type Edge, startEdge } from "./edge/edge.ts";
import type { EdgeOptions, TlsOptions } from "./edge/options.ts";
import { PAGE } from "./edge/page/page.ts";
import { ForecastWorker } from "./forecast-worker/forecast-worker.ts";
import { isNotFound, nodeFiles, readWhole, replaceWhole } from "./log/segment/files.ts";
import { realClock, realDefer, realRandom } from "./real-time.ts";
import type { Settings } from "./settings/read.ts";
import { Node, type NodeLimits } from "./shard/node.ts";
import { ProfileKeeper, type ProfileStore } from "./shard/profile-keeper.ts";
import { openEmbedded } from "./storage-embedded.ts";
import { openShared } from "./storage-shared.ts";
import { VERSION } from "./version.ts";

export interface ServeIo {
  /** One line of the operator's log. */
  log(line: string): void;
  /** Aborted to stop gracefully. */
  readonly signal: AbortSignal;
}

export interface Served {
  /** As in `127.0.0.1:7420`. */
  readonly address: string;
  /** Resolves when everything is closed; rejects when the server stopped because it could not go on. */
  readonly closed: Promise<void>;
}

const EFFECTS_MAX = 10_000;
const DUE_MAX = 1_000;
const PROFILES_FILE = "profiles.bin";
const LOAD_MS = 1_000;
/** Share of one core that fitting models may take, and series whose models are kept. */
const FIT_RATIO = 0.05;
const FITTED_KEYS_MAX = 64;

/** @throws ForelockError `data_in_use`, `bad_setting`, `log_damaged`, or the system's error when the port cannot be had */
export async function serve(settings: Settings, io: ServeIo): Promise<Served> {
  const { values } = settings;
  const logger = pino({ level: values["log.level"], base: null }, { write: (line: string) => io.log(line.trimEnd()) });
  const storage = await (values["cluster.etcd"].length > 0 ? openShared : openEmbedded)(settings, logger);
  const closers: (() => Promise<void>)[] = [() => storage.close()];
  const closeAll = async (): Promise<void> => {
    for (const close of closers.splice(0).reverse()) await close();
  };
  let address = "";
  try {
    const poster = new Poster({
      allow: values["compensation.allow"],
      attemptsMax: values["compensation.attemptsMax"],
      timeoutMs: values["compensation.timeoutMs"],
      clock: realClock,
      version: VERSION,
      note: (line, fields) => logger.warn(fields, line),
    });
    const models = values.prediction === "on" ? startModels(logger) : undefined;
    if (models !== undefined) closers.push(() => models.close());
    const { log, bulk, states, placementKey, ownership, readHistory, begin } = storage;
    const node = new Node({
      states,
      log,
      bulk,
      clock: realClock,
      random: realRandom,
      defer: realDefer,
      limits: nodeLimits(settings),
      placementKey,
      ...(ownership === undefined ? {} : { ownership }),
      ...(readHistory === undefined ? {} : { readHistory }),
      isDurable: values.durability === "durable",
      version: VERSION,
      address: () => address,
      isCompensationAllowed: poster.allows,
      callOut: poster,
      isPredicting: values.prediction === "on",
      load: loadMeter(),
      ...(models === undefined ? {} : { models }),
      note: (line, fields) => logger.warn(fields, line),
    });
    closers.push(() => node.drain());
    closers.push(async () => poster.close());
    if (values.prediction === "on") {
      const keeper = await ProfileKeeper.start({
        profiles: node.foresight.profiles,
        store: profileStore(resolve(values.data)),
        clock: realClock,
        note: (line, fields) => logger.warn(fields, line),
      });
      closers.push(() => keeper.close());
    }
    if (begin.when === "before_port") await begin.run(node); // W1
    const edge = await startEdge(await edgeOptions(settings), storage.service(node), realClock, realRandom, logger);
    address = addressOf(edge);
    closers.push(() => edge.close());
    closers.push(() => storage.leave()); // First of all: while others take over, this node still answers and forwards.
    if (begin.when === "after_port") await begin.run(node, edge);
    logger.info(
      { host: edge.host, port: edge.port, data: resolve(values.data), durability: values.durability },
      "listening",
    );
    return { address, closed: whenStopped(io.signal, closeAll) };
  } catch (error) {
    await closeAll();
    throw error;
  }
}

function startModels(logger: Logger): ForecastWorker {
  const worker = new ForecastWorker({
    clock: realClock,
    budgetRatio: FIT_RATIO,
    keysMax: FITTED_KEYS_MAX,
    seed: 1,
    note: (line, fields) => logger.warn(fields, line),
  });
  worker.start();
  return worker;
}

function profileStore(folder: string): ProfileStore {
  return {
    load: () => readWhole(nodeFiles, `${folder}/${PROFILES_FILE}`).catch(undefinedWhenMissing),
    save: (bytes) => replaceWhole(nodeFiles, folder, PROFILES_FILE, bytes),
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

function addressOf(edge: Edge): string {
  return `${edge.host.includes(":") ? `[${edge.host}]` : edge.host}:${edge.port}`;
}

/** W2 */
function whenStopped(signal: AbortSignal, closeAll: () => Promise<void>): Promise<void> {
  return new Promise((done, failed) => {
    const stop = (): void => {
      closeAll().then(done, failed);
    };
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop, { once: true });
  });
}

export function nodeLimits({ values }: Settings): NodeLimits {
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

async function edgeOptions({ values, principals }: Settings): Promise<EdgeOptions> {
  return {
    host: values.host,
    port: values.port,
    allowInsecure: values.allowInsecure,
    hostNames: values.hostNames,
    tls: await tlsOptions(values),
    principals,
    ...clusterOptions(values),
    pages: PAGE,
    version: VERSION,
    limits: {
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
    },
  };
}

function clusterOptions(values: Settings["values"]): Pick<EdgeOptions, "cluster"> {
  const nodeId = values["cluster.nodeId"];
  return nodeId === "" ? {} : { cluster: { nodeId, secret: values["cluster.secret"], san: values["cluster.san"] } };
}

async function tlsOptions(values: Settings["values"]): Promise<TlsOptions | undefined> {
  if (values["tls.cert"] === "") return undefined;
  return {
    cert: await readFile(values["tls.cert"], "utf8"),
    key: await readFile(values["tls.key"], "utf8"),
    clientCa: values["tls.clientCert"] === "none" ? undefined : await readFile(values["tls.ca"], "utf8"),
    clientRequired: values["tls.clientCert"] === "required",
  };
}
