// serve.ts: one server from its settings: storage (storage.ts), node, port; and the way back down.
// The wiring of every part; none of their work.
//   W1. Alone, the port opens only when every partition has taken over durably. In a cluster it opens first: who asks is forwarded.
//   W2. On the way down: no new work, what was taken in is durable and answered, then files are closed.
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { type Logger, pino } from "pino";
import { edgeLimits, openNode } from "./assembly.ts";
import { type Edge, startEdge } from "./edge/edge.ts";
import type { EdgeOptions, TlsOptions } from "./edge/options.ts";
import { PAGE } from "./edge/page/page.ts";
import { realClock, realRandom } from "./real-time.ts";
import type { Settings } from "./settings/read.ts";
import type { Storage } from "./storage.ts";
import { openEmbedded } from "./storage-embedded.ts";
import { openShared } from "./storage-shared.ts";
import { openWorkers } from "./storage-workers.ts";
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

const PROFILES_FILE = "profiles.bin";

/** @throws ForelockError `data_in_use`, `bad_setting`, `log_damaged`, or the system's error when the port cannot be had */
export async function serve(settings: Settings, io: ServeIo): Promise<Served> {
  const { values } = settings;
  const logger = pino({ level: values["log.level"], base: null }, { write: (line: string) => io.log(line.trimEnd()) });
  const storage = await openStorage(settings, logger);
  const closers: (() => Promise<void>)[] = [() => storage.close()];
  const closeAll = async (): Promise<void> => {
    for (const close of closers.splice(0).reverse()) await close();
  };
  let address = "";
  try {
    const { begin } = storage;
    const { node, close } = await openNode({
      ...{ settings, storage, logger },
      address: () => address,
      threads: 1,
      profilesFile: storage.isFront ? undefined : PROFILES_FILE,
    });
    closers.push(close);
    if (begin.when === "before_port") await begin.run(node); // W1
    const edge = await startEdge(await edgeOptions(settings), storage.service(node), realClock, realRandom, logger);
    address = addressOf(edge);
    storage.listening?.(address);
    closers.push(() => edge.close());
    closers.push(() => storage.leave()); // First of all: while others take over, this node still answers and forwards.
    if (begin.when === "after_port") await begin.run(node, edge);
    logger.info(
      { host: edge.host, port: edge.port, data: resolve(values.data), durability: values.durability },
      "listening",
    );
    return { address, closed: whenStopped(io.signal, closeAll, storage.failed) };
  } catch (error) {
    await closeAll();
    throw error;
  }
}

function openStorage(settings: Settings, logger: Logger): Promise<Storage> {
  const { values } = settings;
  if (values["cluster.etcd"].length > 0) return openShared(settings, logger);
  return values.workers === 1 ? openEmbedded(settings, logger) : openWorkers(settings, logger);
}

function addressOf(edge: Edge): string {
  return `${edge.host.includes(":") ? `[${edge.host}]` : edge.host}:${edge.port}`;
}

/** W2 */
function whenStopped(
  signal: AbortSignal,
  closeAll: () => Promise<void>,
  failed: Promise<never> | undefined,
): Promise<void> {
  const stopped = new Promise<void>((done, refused) => {
    const stop = (): void => {
      closeAll().then(done, refused);
    };
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop, { once: true });
  });
  return failed === undefined ? stopped : Promise.race([stopped, failed]);
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
    limits: edgeLimits(values),
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
