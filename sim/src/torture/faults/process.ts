// process.ts: faults of the server's process: killed, frozen, stopped by an operator.
import { pause } from "../../proxy/clock.ts";
import { between, choose } from "../../proxy/random.ts";
import type { Fault } from "./fault.ts";

const always = (): undefined => undefined;
/** Shares and multiples of the sessions' ttl (1.5 to 3 s): some outlive the freeze, some do not. */
const FREEZE_MS_CHOICES = [200, 600, 1_400, 2_200, 4_500] as const;

export const kill: Fault = {
  kind: "kill",
  lane: "process",
  weight: 4,
  unavailable: always,
  inflict: async ({ scene, clock, random }) => {
    const { pid } = scene.server;
    await scene.down();
    await pause(clock, between(random, 0, 400));
    await scene.start();
    return pid === undefined ? undefined : `killed ${pid}`;
  },
};

/** Two kills in a row: the second one hits a server that still replays. */
export const killTwice: Fault = {
  kind: "kill_twice",
  lane: "process",
  weight: 1,
  unavailable: always,
  inflict: async ({ scene, clock, random }) => {
    await scene.down();
    const starting = scene.start().then(
      () => "up",
      () => "killed while it started",
    );
    await pause(clock, between(random, 50, 500));
    await scene.down();
    const seen = await starting;
    await scene.start();
    return seen;
  },
};

export const freeze: Fault = {
  kind: "freeze",
  lane: "process",
  weight: 2,
  unavailable: always,
  inflict: async ({ scene, clock, random }) => {
    const before = clock.monotonicMs();
    scene.server.freeze();
    const answers = await Promise.all([scene.health(), pause(clock, choose(random, FREEZE_MS_CHOICES))]);
    scene.server.thaw();
    return answers[0].kind === "silent" || clock.monotonicMs() - before > FREEZE_MS_CHOICES[0]
      ? "stood still"
      : undefined;
  },
};

export const terminate: Fault = {
  kind: "terminate",
  lane: "process",
  weight: 1,
  unavailable: always,
  inflict: async ({ scene }) => {
    for (const proxy of scene.proxies) proxy.targetPort = undefined;
    const isGraceful = await scene.server.stop();
    await scene.restart();
    return isGraceful ? "stopped gracefully" : "had to be killed: SIGTERM was not obeyed in time";
  },
};
