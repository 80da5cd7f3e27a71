// cast.ts: who plays in the demo: clients, what they lock, for how long, and when they misbehave. Data only.
//   D1. Every name begins with `demo/`, every client with `demo `: nobody takes them for real work.
import type { Shape } from "./shapes.ts";

export type Trouble =
  /** Holds on for ever with its heartbeats going on, and answers no warning. */
  | { readonly kind: "hangs" }
  /** Takes far too long, but answers a warning: saves its work and releases. */
  | { readonly kind: "overruns" }
  /** Falls silent while it holds: its session expires. Comes back later. */
  | { readonly kind: "dies" };

export interface Character {
  readonly client: string;
  /** One is drawn for each turn. */
  readonly names: readonly string[];
  readonly mode: "exclusive" | "shared";
  readonly hold: Shape;
  /** Between a release and the next request. */
  readonly think: Shape;
  readonly trouble: Scheduled | undefined;
}

export interface Scheduled {
  readonly what: Trouble;
  /** After the start of the demo: there must be a history to forecast from. */
  readonly firstMs: number;
  /** From one to the next. */
  readonly everyMs: number;
}

/** Shorter than the default: a newcomer should not wait half a minute to see a dead client's lock freed. */
export const TTL_MS = 6_000;

const think = (ms: number): Shape => ({ kind: "around", ms, spread: 0.5 });
const around = (ms: number, spread = 0.25): Shape => ({ kind: "around", ms, spread });

interface Group {
  readonly team: string;
  readonly members: number;
  readonly names: readonly string[];
  readonly mode?: "shared";
  readonly hold: Shape;
  readonly think: Shape;
  /** Of the first member. */
  readonly trouble?: Scheduled;
}

const numbered = (stem: string, count: number): readonly string[] =>
  Array.from({ length: count }, (_, index) => `demo/${stem}/${index + 1}`);

const GROUPS: readonly Group[] = [
  { team: "web", members: 4, names: numbered("orders", 3), hold: around(180), think: think(500) },
  {
    team: "billing",
    members: 3,
    names: ["demo/billing"],
    hold: around(350),
    think: think(900),
    trouble: { what: { kind: "hangs" }, firstMs: 14_000, everyMs: 45_000 },
  },
  {
    team: "export",
    members: 3,
    names: ["demo/export"],
    hold: around(450),
    think: think(900),
    trouble: { what: { kind: "overruns" }, firstMs: 10_000, everyMs: 35_000 },
  },
  {
    team: "edge",
    members: 2,
    names: ["demo/lease/eu"],
    hold: around(700),
    think: think(1_000),
    trouble: { what: { kind: "dies" }, firstMs: 20_000, everyMs: 50_000 },
  },
  {
    team: "report",
    members: 2,
    names: ["demo/report/daily"],
    hold: { kind: "either", ms: 300, otherMs: 3_500, otherRatio: 0.25 },
    think: think(1_500),
  },
  {
    team: "crawler",
    members: 3,
    names: ["demo/index/a", "demo/index/b"],
    hold: { kind: "tail", msMin: 250, index: 1.3, msMax: 9_000 },
    think: think(800),
  },
  { team: "reader", members: 3, names: ["demo/catalog"], mode: "shared", hold: around(600, 0.5), think: think(1_200) },
  { team: "writer", members: 1, names: ["demo/catalog"], hold: around(250), think: think(4_000) },
  { team: "fleet", members: 4, names: numbered("fleet", 24), hold: around(6_000, 0.3), think: think(400) },
];

export const CAST: readonly Character[] = GROUPS.flatMap((group) => {
  const { team, members, names, mode = "exclusive", hold, think: pause, trouble } = group;
  return Array.from({ length: members }, (_, index) => ({
    client: members === 1 ? `demo ${team}` : `demo ${team}-${index + 1}`,
    names,
    mode,
    hold,
    think: pause,
    trouble: index === 0 ? trouble : undefined,
  }));
});

/**
 * What the prefix `demo` is set to while the demo runs: quick, so that a warning and its end are seen within a minute. The threshold is
 * lower than anyone would set it for real work: the demo has a minute of history, and suspicion grows with what was seen.
 */
export const DEMO_POLICY: Readonly<Record<string, string>> = {
  policy: "enforce",
  threshold: "0.4",
  thresholdMin: "0.35",
  thresholdMax: "0.5",
  countdownMs: "5000",
  minimumHoldMs: "2000",
  coolDownMs: "5000",
  preemptionsPerHourMax: "1000",
};
