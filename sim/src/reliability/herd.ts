// herd.ts: everybody reconnects at once after a kill: how long until all are back, and whether anybody lost what it held.
import { type Clock, pause } from "../proxy/clock.ts";
import type { Scene } from "../torture/scene.ts";
import { acquireBody, BusySession, tokenOf } from "./busy-session.ts";
import { type Figure, figure, judged, towards } from "./figure.ts";

export interface HerdOptions {
  readonly scene: Scene;
  readonly clock: Clock;
  readonly sessions: number;
}

const TTL_MS = 60_000;
const WITHIN_MS = 30_000;
const RETRY_MS = 50;
/** Opening them is not what is measured. */
const OPENED_AT_ONCE = 50;

export async function herd({ scene, clock, sessions: count }: HerdOptions): Promise<readonly Figure[]> {
  const held: { readonly session: BusySession; readonly name: string; readonly token: bigint }[] = [];
  for (let from = 0; from < count; from += OPENED_AT_ONCE) {
    const batch = Array.from({ length: Math.min(OPENED_AT_ONCE, count - from) }, async (_, index) => {
      const name = `herd/${from + index}`;
      const session = await BusySession.open({ port: portOf(scene), ttlMs: TTL_MS, client: name });
      const token = tokenOf(await session.ask(acquireBody(name, 0)));
      if (token === undefined) throw new Error(`${name} was not granted on an idle server`);
      held.push({ session, name, token });
    });
    await Promise.all(batch);
  }
  await scene.restart();
  const startedMs = clock.monotonicMs();
  let lost = 0;
  const back = held.map(async ({ session, name, token }) => {
    const resumed = await resume(scene, clock, session);
    if (resumed === undefined || !resumed.welcome.grants.some((grant) => grant.name === name && grant.token === token))
      lost += 1;
    resumed?.cut();
  });
  await Promise.all(back);
  const tookMs = clock.monotonicMs() - startedMs;
  for (const { session } of held) session.cut();
  return [
    towards(figure("herd", "sessions reconnecting at once after a kill", count, "sessions"), "10,000 a release"),
    towards(figure("herd", "all resumed after", tookMs, "ms"), "<= 10,000"),
    judged(figure("herd", "holders lost", lost, "sessions"), "0", lost === 0),
  ];
}

async function resume(scene: Scene, clock: Clock, session: BusySession): Promise<BusySession | undefined> {
  const untilMs = clock.monotonicMs() + WITHIN_MS;
  while (clock.monotonicMs() < untilMs) {
    try {
      return await BusySession.open({ port: portOf(scene), ttlMs: TTL_MS, client: "herd" }, session.welcome);
    } catch {
      await pause(clock, RETRY_MS); // Refused for now, as `connections_full` or while the server starts.
    }
  }
  return undefined;
}

function portOf(scene: Scene): number {
  if (scene.port === undefined) throw new Error("the server is down");
  return scene.port;
}
