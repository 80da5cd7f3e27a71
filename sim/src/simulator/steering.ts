// steering.ts: what operators of a run do: set policies, warn by hand, look ahead. Not here: locks and files (workload.ts).
import type { Operation } from "@forelock/protocol";
import { between, choose, type Random } from "../proxy/random.ts";
import type { SimulatedClient } from "./client.ts";
import type { PreemptionBounds } from "./preemption.ts";
import type { World } from "./workload.ts";

type Body = NonNullable<Operation["body"]>;

const PREFIXES = ["", "", "", "a", "{t}", "{t}/x", "{u}/p", "gate"] as const;
const MODES = ["enforce", "enforce", "enforce", "enforce", "warn", "observe", "off"] as const;
const THRESHOLDS = ["0", "0", "0.2", "0.6", "0.8"] as const;

const STRICT = {
  policy: "enforce",
  threshold: "0",
  thresholdMax: "0",
  pendingThreshold: "0",
  minimumHoldMs: "0",
  never: "allow",
} as const;

/** Much is to be pre-empted: short countdowns, low thresholds. */
export function policyChoice(random: Random, bounds: PreemptionBounds): Record<string, string> {
  const set: Record<string, string> = {
    policy: choose(random, MODES),
    threshold: choose(random, THRESHOLDS),
    thresholdMin: "0",
    pendingThreshold: choose(random, ["0", "0.5", "0.95"]),
    countdownMs: String(between(random, 300, choose(random, [400, 2_000, 5_000]))),
    minimumHoldMs: choose(random, ["0", "0", "200", "1000"]),
    never: choose(random, ["allow", "allow", "refuse"]),
    ...Object.fromEntries(Object.entries(bounds).map(([name, value]) => [name, String(value)])),
  };
  if (random() < 0.3) set["weights"] = choose(random, ["hold:1/suspicion:0", "harm:1/suspicion:0/hold:0", "load:100"]);
  if (random() < 0.3) set["waitMsTarget"] = String(between(random, 50, 2_000)); // The controller has something to do.
  return set;
}

export function setPolicy(world: World, client: SimulatedClient): void {
  const { random } = world;
  const prefix = choose(random, PREFIXES);
  const isCleared = random() < 0.1 && prefix !== "";
  const chosen = isCleared ? { policy: "", countdownMs: "" } : policyChoice(random, world.bounds);
  const set = world.isStrict ? { ...chosen, ...STRICT } : chosen;
  client.request({ $case: "setPolicy", value: { prefix, set, reason: "simulated" } }, undefined, () => {});
}

/** Warns the holders of an element, or one of them. */
export function warnByHand(world: World, client: SimulatedClient): void {
  const { random } = world;
  const holds = world.clients.flatMap((each) => [...each.holds.values()]);
  const hold = holds.length === 0 ? undefined : choose(random, holds);
  const name = hold?.name ?? "a";
  const token = random() < 0.5 ? (hold?.token ?? 0n) : 0n;
  const countdownMs = random() < 0.6 ? between(random, 100, 3_000) : undefined;
  client.request({ $case: "warn", value: { name, token, reason: "simulated", countdownMs } }, undefined, () => {});
}

export function lookAhead(world: World, client: SimulatedClient): void {
  const { random } = world;
  const name = choose(random, ["a", "{t}/x", "gate"]);
  const bodies: readonly Body[] = [
    { $case: "why", value: { name } },
    { $case: "listPolicies", value: {} },
    { $case: "getProfile", value: { name } },
    { $case: "getPrediction", value: { limit: between(random, 0, 20) } },
  ];
  client.request(choose(random, bodies), undefined, () => {});
}

/** Somebody else's warning, or one of long ago. */
export function acknowledgeStray(world: World, client: SimulatedClient): void {
  const { random } = world;
  const warning = choose(random, world.clients).lastWarning ?? client.lastWarning;
  if (warning === undefined) return;
  const extensionMs = random() < 0.5 ? undefined : between(random, 1, 500);
  const value = { warning: warning.warning, name: warning.name, extensionMs, reason: "stray" };
  client.request({ $case: "acknowledge", value }, undefined, () => {});
}
