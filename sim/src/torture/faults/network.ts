// network.ts: faults of the network between clients and server, made by one of the proxies: the others stay calm.
import { pause } from "../../proxy/clock.ts";
import { between, choose } from "../../proxy/random.ts";
import { CALM, CALM_DIRECTION, type Direction, type WeatherCounts } from "../../proxy/weather.ts";
import type { Fault, FaultContext } from "./fault.ts";

interface Storm {
  readonly kind: string;
  readonly weight: number;
  readonly lastsMs: readonly [number, number];
  readonly weather: (context: FaultContext) => {
    readonly toServer?: Partial<Direction>;
    readonly toClient?: Partial<Direction>;
  };
  /** What must have grown for it to have happened. */
  readonly trace: (counts: WeatherCounts) => number;
}

const STORMS: readonly Storm[] = [
  {
    kind: "delay",
    weight: 2,
    lastsMs: [500, 2_000],
    weather: ({ random }) => {
      const direction = { delayMs: between(random, 5, 200), jitterMs: between(random, 0, 300) };
      return { toServer: direction, toClient: direction };
    },
    trace: ({ chunksDelayed }) => chunksDelayed,
  },
  {
    kind: "lost_answers",
    weight: 4,
    lastsMs: [300, 1_500],
    weather: () => ({ toClient: { dropped: true } }),
    trace: ({ bytesDropped }) => bytesDropped,
  },
  {
    kind: "lost_requests",
    weight: 2,
    lastsMs: [300, 1_500],
    weather: () => ({ toServer: { dropped: true } }),
    trace: ({ bytesDropped }) => bytesDropped,
  },
  {
    kind: "stall",
    weight: 2,
    lastsMs: [300, 2_500],
    weather: ({ random }) => (random() < 0.5 ? { toClient: { stalled: true } } : { toServer: { stalled: true } }),
    trace: ({ chunksStalled }) => chunksStalled,
  },
  {
    kind: "cut",
    weight: 3,
    lastsMs: [500, 1_500],
    weather: ({ random }) => {
      const direction = { cutAfterBytes: between(random, 1, 4_000) };
      return random() < 0.6 ? { toClient: direction } : { toServer: direction };
    },
    trace: ({ cuts }) => cuts,
  },
  {
    kind: "slow_reader",
    weight: 1,
    lastsMs: [500, 2_000],
    weather: ({ random }) => ({ toClient: { bytesPerSecond: between(random, 200, 4_000) } }),
    trace: ({ chunksSlowed }) => chunksSlowed,
  },
];

const always = (): undefined => undefined;

export const storms: readonly Fault[] = STORMS.map(({ kind, weight, lastsMs, weather, trace }) => ({
  kind,
  lane: "network",
  weight,
  unavailable: always,
  inflict: async (context) => {
    const { scene, random, clock } = context;
    const proxy = choose(random, scene.proxies);
    const before = trace(proxy.counts);
    const { toServer, toClient } = weather(context);
    proxy.weather = { toServer: { ...CALM_DIRECTION, ...toServer }, toClient: { ...CALM_DIRECTION, ...toClient } };
    await pause(clock, between(random, ...lastsMs));
    proxy.weather = CALM;
    const grown = trace(proxy.counts) - before;
    return grown > 0 ? `${grown} of it` : undefined;
  },
}));

export const reset: Fault = {
  kind: "reset",
  lane: "network",
  weight: 2,
  unavailable: always,
  inflict: async ({ scene, random }) => {
    const count = choose(random, scene.proxies).resetAll();
    return count > 0 ? `${count} connections` : undefined;
  },
};

export const halfClose: Fault = {
  kind: "half_close",
  lane: "network",
  weight: 1,
  unavailable: always,
  inflict: async ({ scene, random, clock }) => {
    const proxy = choose(random, scene.proxies);
    const count = proxy.halfCloseAll();
    await pause(clock, between(random, 50, 800));
    proxy.resetAll();
    return count > 0 ? `${count} connections` : undefined;
  },
};
