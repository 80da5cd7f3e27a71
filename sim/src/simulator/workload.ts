// workload.ts: what the clients of a run ask for: every feature, in every order, on few names, so that they get in each other's way.
import {
  type AcquireReply,
  type Compensation,
  type ElementRequest,
  type Keep,
  Mode,
  OnLoss,
  type Operation,
  OperationState,
  Preemptible,
  type Reply,
} from "@forelock/protocol";
import { between, choose, type Random } from "../proxy/random.ts";
import { ALLOWED_URL, REFUSED_URL } from "./call-out.ts";
import type { Hold, Request, SimulatedClient } from "./client.ts";
import type { PreemptionBounds } from "./preemption.ts";
import { acknowledgeStray, lookAhead, setPolicy, warnByHand } from "./steering.ts";
import { expectRule } from "./violation.ts";

export const NAMES = ["a", "b", "c", "{t}", "{t}/x", "{t}/x/y", "{t}/z", "{u}/p", "{u}/p/q", "{u}"] as const;
export const SEMAPHORES = ["gate", "{t}/pool", "{u}/p/slots"] as const;
/** Each with the element that guards it: the first append fixes it. */
export const FILES = [
  { file: "a", element: "a" },
  { file: "b", element: "b" },
  { file: "{t}/x", element: "{t}/x" },
  { file: "{t}/journal", element: "{t}/z" },
  { file: "{u}/p", element: "{u}/p" },
] as const;

/** What the workload needs of the run. */
export interface World {
  readonly random: Random;
  readonly clients: readonly SimulatedClient[];
  /** Operations of kept and queued requests that anybody may ask about. */
  readonly references: string[];
  /** Tokens that a session other than the holder's has released, of the same principal. */
  readonly released: Set<string>;
  readonly count: (name: string) => void;
  /** What every policy that is set allows. */
  readonly bounds: PreemptionBounds;
  /** Whether every policy enforces. */
  readonly isStrict: boolean;
  /** A read must show a version that was the newest at some moment between asking and answer. */
  readonly readBegins: (file: string) => number;
  readonly readEnds: (file: string, begun: number, value: ReadValue) => void;
}

export interface ReadValue {
  readonly bytes: Uint8Array;
  readonly offset: number;
  readonly length: number;
  readonly version: number;
}

type Action = (world: World, client: SimulatedClient) => void;

const WEIGHTED: readonly (readonly [number, string, Action])[] = [
  [26, "acquire", acquire],
  [5, "acquireAll", acquireAll],
  [20, "release", release],
  [14, "append", append],
  [3, "upgrade", upgrade],
  [3, "downgrade", downgrade],
  [3, "reenter", reenter],
  [4, "cancel", cancel],
  [4, "read", read],
  [3, "ask", ask],
  [3, "retry", (_world, client) => client.retryAll()],
  [0.7, "force", force],
  [0.4, "end", endSession],
  [1, "close", close],
  [1, "look", look],
  [1.5, "set policy", setPolicy],
  [1.5, "warn", warnByHand],
  [1, "look ahead", lookAhead],
  [0.7, "acknowledge", acknowledgeStray],
];
const WEIGHT = WEIGHTED.reduce((sum, [weight]) => sum + weight, 0);

/** One action of a client that is there, but none of `without`. */
export function act(world: World, client: SimulatedClient, without: ReadonlySet<string> = new Set()): void {
  let left = world.random() * WEIGHT;
  for (const [weight, name, action] of WEIGHTED) {
    left -= weight;
    if (left >= 0) continue;
    if (without.has(name)) return acquire(world, client);
    world.count(name);
    action(world, client);
    return;
  }
}

const waitChoice = (random: Random): number | undefined => {
  const chance = random();
  if (chance < 0.2) return 0;
  return chance < 0.6 ? between(random, 1, 3_000) : undefined;
};

export function keepChoice(random: Random, ratio: number): Keep | undefined {
  if (random() >= ratio) return undefined;
  const digits = Array.from({ length: 24 }, () => Math.floor(random() * 36).toString(36));
  return { requestId: digits.join(""), keepMs: random() < 0.3 ? 0 : between(random, 20_000, 30_000) };
}

function elementChoice(random: Random): ElementRequest {
  if (random() < 0.2) {
    const permits = random() < 0.8 ? 3 : 2;
    return { name: choose(random, SEMAPHORES), mode: Mode.PERMIT, permits, take: random() < 0.7 ? 1 : permits };
  }
  const mode = random() < 0.55 ? Mode.EXCLUSIVE : Mode.SHARED;
  return { name: choose(random, NAMES), mode, permits: 0, take: 0 };
}

function acquire(world: World, client: SimulatedClient): void {
  const { random } = world;
  const element = elementChoice(random);
  const body: Operation["body"] = {
    $case: "acquire",
    value: {
      ...element,
      waitMs: waitChoice(random),
      priority: random() < 0.15 ? between(random, 1, 9) : 0,
      onLoss: random() < 0.5 ? OnLoss.ROLLBACK : OnLoss.KEEP,
      actor: random() < 0.2 ? choose(random, ["one", "two"]) : "",
      reenter: 0n,
      preemptible: random() < 0.15 ? Preemptible.NEVER : Preemptible.BY_POLICY,
      compensation: compensationChoice(random),
    },
  };
  ask_(world, client, body, keepChoice(random, 0.15), [element]);
}

function compensationChoice(random: Random): Compensation | undefined {
  if (random() >= 0.12) return undefined;
  const url = random() < 0.9 ? ALLOWED_URL : REFUSED_URL;
  return { url, argument: `call ${between(random, 0, 1e9)}`, blocks: random() < 0.5 };
}

const tagOf = (name: string): string => /^\{[^}]+\}/.exec(name)?.[0] ?? name;

function acquireAll(world: World, client: SimulatedClient): void {
  const { random } = world;
  const byName = new Map<string, ElementRequest>();
  const oneTag = random() < 0.4 ? choose(random, ["{t}", "{u}"]) : undefined;
  for (let tries = between(random, 2, 8); tries > 0; tries -= 1) {
    const element = elementChoice(random);
    const tag = tagOf(element.name);
    // Over several tags one element each: of two under one tag the second can wait behind a request that the first keeps waiting.
    if (oneTag === undefined) byName.set(tag, element);
    else if (tag === oneTag) byName.set(element.name, element);
  }
  if (byName.size === 0) return acquire(world, client);
  const elements = [...byName.values()];
  const body: Operation["body"] = {
    $case: "acquireAll",
    value: {
      elements,
      waitMs: waitChoice(random),
      onLoss: random() < 0.5 ? OnLoss.ROLLBACK : OnLoss.KEEP,
      // An actor of its own: of two requests of one actor that wait for each other nobody is told.
      actor: `all.${between(random, 0, 1e9)}`,
    },
  };
  ask_(world, client, body, keepChoice(random, 0.1), elements);
}

/** Sends a request for grants, and believes in what comes of it. */
function ask_(
  world: World,
  client: SimulatedClient,
  body: NonNullable<Operation["body"]>,
  keep: Keep | undefined,
  elements: readonly ElementRequest[],
): Request {
  const request: Request = client.request(body, keep, (answer) => {
    if (answer.$case !== "acquire") return;
    const { value } = answer;
    if (value.reference !== "") world.references.push(value.reference);
    if (value.state === OperationState.GRANTED) granted(world, client, value, elements);
  });
  return request;
}

function granted(
  world: World,
  client: SimulatedClient,
  reply: AcquireReply,
  elements: readonly ElementRequest[],
): void {
  expectRule(
    reply.grants.length === elements.length,
    "granted-in-part",
    () => `${reply.reference} asked for ${elements.length} elements and got ${reply.grants.length}`,
  );
  for (const { name, token, partition } of reply.grants) {
    const mode = elements.find((element) => element.name === name)?.mode ?? Mode.EXCLUSIVE;
    const { nowMs } = client;
    client.believe({ name, token, mode, partition, knownAtMs: nowMs, entries: 1, isChanging: false });
  }
  world.count("granted");
}

function holdOf(world: World, client: SimulatedClient, fits: (hold: Hold) => boolean): Hold | undefined {
  const holds = [...client.holds.values()].filter((hold) => !hold.isChanging && fits(hold));
  return holds.length === 0 ? undefined : choose(world.random, holds);
}

function release(world: World, client: SimulatedClient): void {
  const { random } = world;
  const hold = holdOf(world, client, () => true);
  if (hold === undefined) return acquire(world, client);
  const undo = random() < 0.2;
  const body: Operation["body"] = { $case: "release", value: { name: hold.name, token: hold.token, undo } };
  const others = world.clients.filter(
    (other) => other !== client && other.options.principal === client.options.principal && other.isConnected,
  );
  if (others.length > 0 && random() < 0.05) {
    // The token goes to another session of the principal, which releases with it.
    world.released.add(`${hold.name} ${hold.token}`);
    client.drop(hold);
    releaseWhole(choose(random, others), body, undefined);
    return;
  }
  if (hold.entries > 1) {
    hold.entries -= 1;
    client.request(body, undefined, () => {});
    return;
  }
  client.drop(hold);
  releaseWhole(client, body, keepChoice(random, 0.1));
}

/** The server may count an entry whose answer never came. */
export function releaseWhole(
  client: SimulatedClient,
  body: NonNullable<Operation["body"]>,
  keep: Keep | undefined,
  done: () => void = () => {},
): void {
  client.request(body, keep, (answer) => {
    if (answer.$case !== "release") return;
    if (answer.value.stillHeld) releaseWhole(client, body, undefined, done);
    else done();
  });
}

function append(world: World, client: SimulatedClient): void {
  const { random } = world;
  const guarded = (hold: Hold): boolean =>
    hold.mode === Mode.EXCLUSIVE && FILES.some((each) => each.element === hold.name);
  const hold = holdOf(world, client, guarded);
  const target = choose(random, FILES);
  const { file, element } = FILES.find((each) => each.element === hold?.name) ?? target;
  // Now and then with a token that is not current, of another element, or of somebody else.
  const foreign = [...choose(random, world.clients).holds.values()].find((each) => each.name === element)?.token;
  const any = random() < 0.5 ? foreign : holdOf(world, client, () => true)?.token;
  const token = hold === undefined || random() < 0.08 ? any : hold.token;
  if (token === undefined) return acquire(world, client);
  const text = `${client.options.name}.${client.sessionId.slice(0, 4)}.${between(random, 0, 999_999)};`;
  const bytes = Buffer.from(random() < 0.1 ? "" : text.repeat(between(random, 1, 3)));
  const body: Operation["body"] = {
    $case: "append",
    value: { file, element: file === element ? "" : element, token, bytes },
  };
  const others = world.clients.filter(
    (other) => other !== client && other.options.principal === client.options.principal && other.isConnected,
  );
  const sender = others.length > 0 && random() < 0.1 ? choose(random, others) : client;
  sender.request(body, keepChoice(random, 0.1), (answer) => {
    if (answer.$case === "append") world.count("appended");
  });
}

function upgrade(world: World, client: SimulatedClient): void {
  const hold = holdOf(world, client, (each) => each.mode === Mode.SHARED);
  if (hold === undefined) return acquire(world, client);
  const { name, token } = hold;
  hold.isChanging = true;
  const waitMs = waitChoice(world.random);
  const settle = (answer: NonNullable<Reply["body"]>): void => {
    if (answer.$case === "acquire" && answer.value.state === OperationState.QUEUED) {
      if (answer.value.reference !== "") world.references.push(answer.value.reference);
      return;
    }
    hold.isChanging = false;
    const grant = answer.$case === "acquire" ? answer.value.grants[0] : undefined;
    if (grant === undefined || !client.holds.has(`${name} ${token}`)) return;
    client.drop(hold);
    client.believe({ ...hold, token: grant.token, mode: Mode.EXCLUSIVE, isChanging: false });
  };
  client.request({ $case: "upgrade", value: { name, token, waitMs } }, keepChoice(world.random, 0.1), settle);
}

function downgrade(world: World, client: SimulatedClient): void {
  const hold = holdOf(world, client, (each) => each.mode === Mode.EXCLUSIVE);
  if (hold === undefined) return acquire(world, client);
  hold.isChanging = true;
  hold.mode = Mode.SHARED; // Believed less from now on, whatever the answer.
  client.request({ $case: "downgrade", value: { name: hold.name, token: hold.token } }, undefined, (answer) => {
    hold.isChanging = false;
    if (answer.$case === "error") client.drop(hold);
  });
}

function reenter(world: World, client: SimulatedClient): void {
  const hold = holdOf(world, client, () => true);
  if (hold === undefined) return acquire(world, client);
  const isPermit = hold.mode === Mode.PERMIT;
  const body: Operation["body"] = {
    $case: "acquire",
    value: {
      name: hold.name,
      mode: hold.mode,
      permits: isPermit ? 3 : 0,
      take: isPermit ? 1 : 0,
      waitMs: 0,
      priority: 0,
      onLoss: OnLoss.KEEP,
      actor: "",
      reenter: hold.token,
      preemptible: 0,
      compensation: undefined,
    },
  };
  hold.isChanging = true;
  client.request(body, keepChoice(world.random, 0.1), (answer) => {
    hold.isChanging = false;
    if (answer.$case === "acquire" && answer.value.state === OperationState.GRANTED) hold.entries += 1;
  });
}

/** An upgrade waits for the other shared grants of its own session too, which is nobody's fault but the client's. */
export function cancelUpgrades(client: SimulatedClient): void {
  for (const { sequence, body } of client.waiting.values()) {
    if (body.$case !== "upgrade") continue;
    client.request({ $case: "cancel", value: { reference: "", sequence } }, undefined, () => {});
  }
}

function cancel(world: World, client: SimulatedClient): void {
  const { random } = world;
  const waiting = [...client.waiting.values()];
  const { references } = world;
  if (waiting.length > 0 && random() < 0.7) {
    const { sequence } = choose(random, waiting);
    client.request({ $case: "cancel", value: { reference: "", sequence } }, keepChoice(random, 0.1), () => {});
  } else if (references.length > 0) {
    const reference = choose(random, references.slice(-12));
    client.request({ $case: "cancel", value: { reference, sequence: 0 } }, undefined, () => {});
  }
}

function read(world: World, client: SimulatedClient): void {
  const { random } = world;
  const { file } = choose(random, FILES);
  const offset = random() < 0.8 ? 0 : between(random, 0, 200);
  const begun = world.readBegins(file);
  const bytesMax = random() < 0.5 ? 0 : between(random, 1, 300);
  client.request({ $case: "readFile", value: { file, offset, bytesMax, version: 0 } }, undefined, (answer) => {
    if (answer.$case === "readFile") world.readEnds(file, begun, { ...answer.value, offset });
  });
}

/** Asks how an operation stands that somebody else may have started. */
function ask(world: World, client: SimulatedClient): void {
  const { random, references } = world;
  if (references.length === 0) return;
  const reference = choose(random, references.slice(-20));
  const waitMs = random() < 0.5 ? 0 : between(random, 1, 2_000);
  const value = { reference, requestId: "", name: "", waitMs };
  client.request({ $case: "getOperation", value }, undefined, (answer) => {
    if (answer.$case === "acquire") client.options.answers.byReference(answer.value);
  });
}

function force(world: World, client: SimulatedClient): void {
  const holders = world.clients.flatMap((each) => [...each.holds.values()]);
  const name = holders.length > 0 ? choose(world.random, holders).name : choose(world.random, NAMES);
  client.request({ $case: "forceRelease", value: { name, token: 0n, reason: "simulated" } }, undefined, () => {});
}

function endSession(world: World, client: SimulatedClient): void {
  const others = world.clients.filter((each) => each.sessionId !== "");
  if (others.length === 0) return;
  const session = choose(world.random, others).sessionId;
  client.request({ $case: "endSession", value: { session, reason: "simulated" } }, undefined, () => {});
}

/** Closes its session, sometimes while other requests are under way. */
function close(_world: World, client: SimulatedClient): void {
  client.holds.clear();
  client.isClosing = true;
  client.request({ $case: "closeSession", value: {} }, undefined, () => client.end("closed"));
}

function look(world: World, client: SimulatedClient): void {
  const { random } = world;
  const name = choose(random, NAMES);
  const page = { prefix: "", after: "", limit: 5 };
  const bodies: readonly NonNullable<Operation["body"]>[] = [
    { $case: "why", value: { name } },
    { $case: "listLocks", value: { ...page, stuck: random() < 0.5, heldMsMin: 0, byPain: random() < 0.5 } },
    { $case: "listFiles", value: page },
    { $case: "listSessions", value: { after: "", limit: 5 } },
    { $case: "getStatus", value: {} },
  ];
  client.request(choose(random, bodies), undefined, () => {});
}
