// worker-thread.ts: a worker of a server with several: a node with a log stream of its own, which answers what the thread that has the port
// sends it. Entry of a worker thread (storage-workers.ts). The wiring of its parts; none of their work.
//   T1. Its stream is opened first, and it is told what it has of it: what another stream has now is neither read nor led.
//   T2. Whatever fails here for good ends the server: threads of one process end together.
import type { Socket } from "node:net";
import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import { pino } from "pino";
import { edgeLimits, openNode } from "./assembly.ts";
import { DiskBulkStore } from "./bulk/disk.ts";
import { nodeFiles as bulkFiles } from "./bulk/files.ts";
import { Router } from "./cluster/router.ts";
import { acceptNative } from "./edge/edge.ts";
import { nodeFiles } from "./log/segment/files.ts";
import { openSegmentEventLog, type SegmentEventLog } from "./log/segment/segment-event-log.ts";
import { realClock } from "./real-time.ts";
import { historyInWorker } from "./shard/history.ts";
import type { Node } from "./shard/node.ts";
import type { PolicyTable } from "./shard/policies.ts";
import { recover } from "./shard/recovery.ts";
import { Snapshots } from "./shard/snapshots.ts";
import { OPEN_FILES_MAX } from "./storage.ts";
import { VERSION } from "./version.ts";
import { Channel } from "./workers/channel.ts";
import { threadCpuMs } from "./workers/cpu.ts";
import { PartitionHost } from "./workers/host.ts";
import {
  type FromWorker,
  failureOf,
  type Question,
  type Sample,
  type ToWorker,
  type WorkerStart,
} from "./workers/messages.ts";
import { FRONT, HOLD_MS, WORKER_OWNERSHIP, WORKER_SAN, WorkerOwners, workerId } from "./workers/owners.ts";

const start = workerData as WorkerStart; // What storage-workers.ts starts the Worker with.
const port = parentPort as MessagePort; // A worker thread has one.
const { worker, workers, settings, logFolder } = start;
const { values, principals, fileNames } = settings;
const post = (message: FromWorker): void => port.postMessage(message);
const logger = pino(
  { level: values["log.level"], base: null },
  { write: (line: string) => post({ kind: "log", line }) },
);
const note = (line: string, fields: Readonly<Record<string, unknown>>): void => logger.warn(fields, line);
let address = "";

interface Running {
  readonly node: Node;
  readonly host: PartitionHost;
  readonly owners: WorkerOwners;
  close(): Promise<void>;
}

let running: Running | undefined;
/** As told last, which may be before this worker has begun. */
let policies: PolicyTable | undefined;

/** Whoever leads partition 0 knows better. */
function followPolicies(): void {
  if (policies !== undefined && running?.node.leads(0) === false) running.node.foresight.policies.follow(policies);
}

async function begin(log: SegmentEventLog, question: Extract<Question, { kind: "begin" }>): Promise<Running> {
  const { holders, epoch } = question;
  const isMine = (partition: number): boolean => holders[partition] === worker;
  for (const partition of holders.keys()) if (!isMine(partition)) log.leave(partition); // T1
  const bulk = await DiskBulkStore.open({
    folder: `${values.data}/bulk`,
    files: bulkFiles,
    openFilesMax: Math.max(2, Math.floor(OPEN_FILES_MAX / workers)),
  });
  const beganMs = realClock.monotonicMs();
  const { states, events, records } = await recover(log, values.partitions, bulk);
  logger.info({ events, records, ms: Math.round(realClock.monotonicMs() - beganMs) }, "replayed");
  const { node, close: closeNode } = await openNode({
    storage: {
      ...{ states, log, bulk, ownership: WORKER_OWNERSHIP },
      placementKey: Buffer.from(start.placementKey, "hex"),
      readHistory: historyInWorker(logFolder, realClock),
    },
    ...{ settings, logger, address: () => address, threads: workers },
    profilesFile: worker === 0 ? "profiles.bin" : `profiles-${worker}.bin`,
  });
  const owners = new WorkerOwners(workers, values.partitions, worker);
  owners.setAll(holders);
  const router = openRouter(node, owners);
  node.foresight.policies.onChanged = () => {
    if (node.leads(0)) post({ kind: "policies", rows: { policies: node.foresight.policies.rows } });
  };
  await lead(
    node,
    states.filter(({ partition }) => isMine(partition)),
    epoch,
  );
  const snapshots = new Snapshots({
    ...{ log, bulk, clock: realClock, logFolder, partitions: values.partitions },
    snapshotBytes: values["log.snapshotBytes"],
    has: (partition) => !log.hasLeft(partition),
    note: (line, fields) => logger.info(fields, line),
  });
  const changed = (partition: number, holder: number | undefined): void => owners.set(partition, holder);
  return {
    ...{ node, owners, host: new PartitionHost({ worker, node, log, bulk, changed }) },
    close: async () => {
      await snapshots.close();
      router.close();
      await closeNode();
      await bulk.close();
      await log.close();
    },
  };
}

async function lead(node: Node, states: Parameters<Node["lead"]>[0][], epoch: number): Promise<void> {
  await Promise.all(states.map((state) => node.lead(state, epoch)));
  node.open();
  const names = fileNames.filter((name) => node.leads(node.partitionOf(name)));
  await Promise.all(names.map((name) => node.createFile(name)));
}

/** Reaches the other workers by their channels, and is reached by all threads. */
function openRouter(node: Node, owners: WorkerOwners): Router {
  let accept: (socket: Socket) => void = (socket) => socket.destroy();
  const [front, ...others] = start.channels;
  const open = (each: MessagePort | undefined, isFirst: boolean): Channel | undefined =>
    each === undefined ? undefined : new Channel(each, isFirst ? "first" : "second", (socket) => accept(socket));
  open(front, false);
  const byWorker = others.map((each, other) => open(each, worker < other));
  const router = new Router({
    ...{ node, owners, secret: "", holdMs: HOLD_MS, linksMax: values["edge.connectionsMax"] },
    isMapTold: false,
    dial: (peer) => {
      const channel = byWorker[peer.port];
      if (channel === undefined) throw new Error(`there is no way to ${peer.id}`);
      return channel.dial();
    },
  });
  const options = {
    ...{ host: "127.0.0.1", port: 0, allowInsecure: false, hostNames: [], tls: undefined, pages: new Map() },
    ...{ principals, version: VERSION, limits: edgeLimits(values) },
    cluster: { nodeId: workerId(worker), secret: "", san: [WORKER_SAN] },
  };
  const take = acceptNative(options, router, realClock, logger);
  accept = (socket) => take(socket, { address: FRONT, san: [WORKER_SAN], bearer: "" });
  return router;
}

function sampleOf(node: Node): Sample {
  const events = node.led.map((partition) => [partition, node.shardAt(partition).events] as const);
  return { cpuMs: threadCpuMs(), counters: node.counters(), events, unavailable: node.unavailable };
}

async function answer(log: SegmentEventLog, question: Question): Promise<unknown> {
  if (question.kind === "begin") {
    running = await begin(log, question);
    followPolicies();
    return undefined;
  }
  if (question.kind === "close") {
    await (running?.close() ?? log.close());
    return undefined;
  }
  if (running === undefined) throw new Error("the worker has not begun");
  const { host, node } = running;
  switch (question.kind) {
    case "give":
      return host.give(question.partition);
    case "take":
      return host.take(question.given);
    case "gave":
      return host.gave(question.partition, question.to);
    case "keep":
    case "lose":
      return host[question.kind](question.partition);
    case "sample":
      return sampleOf(node);
  }
}

function hear(log: SegmentEventLog, message: ToWorker): void {
  if ("question" in message) {
    const { id, question } = message;
    answer(log, question).then(
      (value) => post({ kind: "answer", id, value }),
      (error: unknown) => post({ kind: "failed", id, error: failureOf(error) }),
    );
    return;
  }
  const { told } = message;
  if (told.kind === "address") address = told.address;
  else if (told.kind === "moved") running?.owners.told(told.partition, told.worker);
  else {
    policies = told.rows;
    followPolicies();
  }
}

try {
  const log = await openSegmentEventLog({
    folder: logFolder,
    files: nodeFiles,
    segmentBytes: values["log.segmentBytes"],
    notice: (notice) => note(notice.message, { kind: notice.kind, cause: String(notice.cause ?? "") }),
  });
  port.on("message", (message: ToWorker) => hear(log, message));
  post({ kind: "opened", tails: log.tails(), lastEpoch: log.lastEpoch() });
} catch (error) {
  post({ kind: "refused", error: failureOf(error) });
}
