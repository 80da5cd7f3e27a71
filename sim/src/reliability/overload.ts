// overload.ts: what is left of the goodput when far more is asked than the server can do, and whether anyone alive is lost.
import { type Clock, pause } from "../proxy/clock.ts";
import { beatingSession } from "./beating-session.ts";
import { acquireBody, BusySession, tokenOf } from "./busy-session.ts";
import { type Figure, figure, judged, towards } from "./figure.ts";

export interface OverloadOptions {
  readonly port: number;
  readonly clock: Clock;
  readonly secondsEach: number;
  /** Whether the goodput is judged by its goal: seconds on a shared machine are too few for that. */
  readonly isJudged: boolean;
}

const CONNECTIONS = 4;
/** Requests in flight on each connection at which the server is saturated, but refuses nothing: more only makes them wait. */
const BUSY_IN_FLIGHT = 512;
const FACTORS = [3, 10] as const;
const GOODPUT_MIN = 0.9;
const TTL_MS = 30_000;
const BYSTANDERS = 5;
const BYSTANDER_TTL_MS = 3_000;
const RETRY_MS = 20;

interface Load {
  readonly cyclesPerSecond: number;
  readonly refused: number;
  readonly failedReleases: number;
}

export async function overload({ port, clock, secondsEach, isJudged }: OverloadOptions): Promise<readonly Figure[]> {
  const bystanders: (() => void)[] = [];
  let expired = 0;
  for (let index = 0; index < BYSTANDERS; index += 1) {
    const onExpired = (): void => {
      expired += 1;
    };
    bystanders.push(
      await beatingSession({ port, clock, ttlMs: BYSTANDER_TTL_MS, name: `bystander-${index}`, onExpired }),
    );
  }
  await load({ port, clock, seconds: secondsEach / 2, inFlight: BUSY_IN_FLIGHT }); // Its code is compiled while it is slow.
  const busy = await load({ port, clock, seconds: secondsEach, inFlight: BUSY_IN_FLIGHT });
  const figures: Figure[] = [figure("overload", "goodput at saturation", busy.cyclesPerSecond, "cycles/s")];
  let failedReleases = busy.failedReleases;
  for (const factor of FACTORS) {
    const over = await load({ port, clock, seconds: secondsEach, inFlight: BUSY_IN_FLIGHT * factor });
    const ratio = over.cyclesPerSecond / busy.cyclesPerSecond;
    const goodput = figure("overload", `goodput at ${factor}x saturation`, ratio, "of that");
    const goal = `>= ${GOODPUT_MIN}`;
    figures.push(isJudged ? judged(goodput, goal, ratio >= GOODPUT_MIN) : towards(goodput, goal));
    figures.push(figure("overload", `refused at ${factor}x`, over.refused, "requests"));
    failedReleases += over.failedReleases;
  }
  for (const end of bystanders) end();
  figures.push(judged(figure("overload", "live sessions expired", expired, "sessions"), "0", expired === 0));
  figures.push(
    judged(figure("overload", "releases that failed", failedReleases, "requests"), "0", failedReleases === 0),
  );
  return figures;
}

async function load({
  port,
  clock,
  seconds,
  inFlight,
}: {
  readonly port: number;
  readonly clock: Clock;
  readonly seconds: number;
  readonly inFlight: number;
}): Promise<Load> {
  const sessions: BusySession[] = [];
  for (let index = 0; index < CONNECTIONS; index += 1)
    sessions.push(await BusySession.open({ port, ttlMs: TTL_MS, client: "overload" }));
  let cycles = 0;
  let refused = 0;
  let failedReleases = 0;
  const untilMs = clock.monotonicMs() + seconds * 1_000;
  const work = async (session: BusySession, name: string): Promise<void> => {
    while (clock.monotonicMs() < untilMs) {
      const answer = await session.ask(acquireBody(name, 0));
      const token = tokenOf(answer);
      if (token === undefined) {
        refused += 1;
        await pause(clock, RETRY_MS);
        continue;
      }
      let released = await session.ask({ $case: "release", value: { name, token, undo: false } });
      // What frees has room of its own: a refusal here is a failure, but the lock must not be left behind.
      if (released.code !== "") failedReleases += 1;
      while (released.code === "overloaded")
        released = await session.ask({ $case: "release", value: { name, token, undo: false } });
      cycles += 1;
    }
  };
  const startedMs = clock.monotonicMs();
  await Promise.all(
    sessions.flatMap((session, index) =>
      Array.from({ length: inFlight }, (_, lane) => work(session, `overload/${index}/${lane}`)),
    ),
  );
  const elapsedSeconds = (clock.monotonicMs() - startedMs) / 1_000;
  for (const session of sessions) {
    await session.ask({ $case: "closeSession", value: {} });
    session.cut();
  }
  return { cyclesPerSecond: cycles / elapsedSeconds, refused, failedReleases };
}
