// ready.ts: waits until etcd answers, and until every partition has its owner and its standbys.
import { setTimeout as delay } from "node:timers/promises";
import { connect } from "@forelock/client";

const LOOK_MS = 200;
const WAIT_MS_MAX = 60_000;

/** @throws Error when that takes too long; the signal's reason */
export async function etcdServes(urls: readonly string[], signal: AbortSignal): Promise<void> {
  await until(signal, "etcd did not answer", async () => {
    const answers = await Promise.all(
      urls.map((url) => fetch(`${url}/health`, { signal }).then((each) => each.json())),
    );
    return answers.every((answer) => (answer as { readonly health?: unknown }).health === "true"); // Compared here.
  });
}

/** @throws Error when that takes too long; the signal's reason */
export async function everythingServed(endpoint: string, nodes: number, signal: AbortSignal): Promise<void> {
  await until(signal, "not every partition was served", async () => {
    const deadline = AbortSignal.any([signal, AbortSignal.timeout(2_000)]);
    await using client = await connect({ endpoints: endpoint, session: "none", signal: deadline });
    const report = await client.cluster({ movesMax: 1, signal: deadline });
    const live = report.nodes.filter(({ live, answered }) => live && answered).length;
    const isWhole = ({ owner, wishedOwner, standbys }: (typeof report.partitions)[number]): boolean =>
      owner !== "" && owner === wishedOwner && standbys.length + 1 >= Math.min(report.replicas, nodes);
    return live === nodes && report.partitions.every(isWhole);
  });
}

/** Failures of a look count as not yet. */
async function until(signal: AbortSignal, otherwise: string, look: () => Promise<boolean>): Promise<void> {
  const untilMs = performance.now() + WAIT_MS_MAX;
  for (;;) {
    signal.throwIfAborted();
    if (await look().catch(() => false)) return;
    if (performance.now() > untilMs) throw new Error(`After ${WAIT_MS_MAX / 1_000} s ${otherwise}.`);
    await delay(LOOK_MS, undefined, { signal });
  }
}
