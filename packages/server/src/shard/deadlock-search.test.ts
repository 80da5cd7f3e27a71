// Cycles of waits over several nodes: found like those within one, and nothing that only looks like one.
import { Mode } from "@forelock/protocol";
import fc from "fast-check";
import { expect, test } from "vitest";
import { foundByOne, SplitNodes } from "./testing/split-nodes.ts";
import { type Client, settle, World } from "./testing/world.ts";
import { ACTORS_TOLD_MAX, WaitAnswers } from "./wait-answers.ts";

/** The world's own detector, which sees all partitions, is out of the way. */
const open = (): Promise<World> => World.open({ limits: { deadlockCheckMs: 100_000_000 } });
const IDS = ["a", "b", "c"] as const;
/** The first look, the second, and all that may be left out between them. */
const LOOKS = 12;

/** Waits that ended so. */
const refused = (clients: readonly Client[]): number =>
  clients
    .flatMap(({ notices }) => notices)
    .filter(({ body }) => {
      return body?.$case === "operation" && body.value.error?.code === "deadlock";
    }).length;

interface Pair {
  readonly world: World;
  readonly nodes: SplitNodes;
  readonly ana: Client;
  readonly bo: Client;
  readonly names: readonly [string, string];
  readonly tokens: readonly [bigint, bigint];
}

/** Ana holds at node b and waits at c, bo the other way round. */
async function pair(): Promise<Pair> {
  const world = await open();
  const nodes = new SplitNodes(world, IDS);
  const [ana, bo] = [world.client(), world.client()];
  const names = [nodes.nameAt("b"), nodes.nameAt("c")] as const;
  const tokens = [await ana.token(ana.acquire(names[0])), await bo.token(bo.acquire(names[1]))] as const;
  return { world, nodes, ana, bo, names, tokens };
}

test("a cycle over two nodes is broken by refusing one waiter, who is told the cycle", async () => {
  const { nodes, ana, bo, names } = await pair();
  await ana.acquire(names[1]);
  await bo.acquire(names[0]);
  await nodes.check(LOOKS);
  expect(refused([ana, bo])).toBe(1);
  expect(nodes.found).toBe(1);
  const [told] = [...ana.notices, ...bo.notices].flatMap(({ body }) =>
    body?.$case === "operation" && body.value.error !== undefined ? [body.value.error.message] : [],
  );
  for (const name of names) expect(told).toContain(name);
});

test("a cycle over three nodes is found, also when the first node is gone", async () => {
  const world = await open();
  const nodes = new SplitNodes(world, ["a", "b", "c", "d"]);
  nodes.dead.add("a");
  const clients = [world.client(), world.client(), world.client()];
  const names = ["b", "c", "d"].map((id) => nodes.nameAt(id));
  for (const [index, client] of clients.entries()) await client.acquire(names[index] ?? "");
  for (const [index, client] of clients.entries()) await client.acquire(names[(index + 1) % 3] ?? "");
  await nodes.check(LOOKS);
  expect(refused(clients)).toBe(1);
});

test("nothing is sent while nobody waits, and little while nobody waits who also holds", async () => {
  const { world, nodes, ana, bo, names } = await pair();
  await nodes.check(LOOKS);
  expect(nodes.asked).toEqual([]);
  const cy = world.client();
  await cy.acquire(names[0]);
  await nodes.check(LOOKS);
  // At one node only: no cycle over several can be there.
  expect(new Set(nodes.asked.map(({ ask }) => ask.$case))).toEqual(new Set(["noted"]));
  await cy.acquire(names[1]);
  await nodes.check(LOOKS);
  const kinds = nodes.asked.map(({ ask }) => ask.$case);
  expect(kinds).toContain("waiting");
  expect(kinds).not.toContain("edges"); // Ana and bo are in the way, and wait for nothing.
  expect(nodes.asked.length).toBeLessThan(LOOKS * 3);
  expect(refused([ana, bo, cy])).toBe(0);
});

test("edges of different moments make no cycle: who was waited for had let go before it waited itself", async () => {
  const { world, nodes, ana, bo, names, tokens } = await pair();
  const [cy, dan] = [world.client(), world.client()];
  await dan.acquire(nodes.nameAt("b", 1));
  await ana.acquire(names[1]); // At c, for bo;
  await cy.acquire(names[0]); // who stands at b for ana, so that she is in somebody's way,
  await bo.acquire(nodes.nameAt("b", 1)); // and bo waits there too, for somebody who goes on.
  let shown = 0;
  nodes.way = async (_from, to, ask) => {
    if (ask.$case !== "edges" || to !== "b" || shown > 0) return;
    shown += 1;
    await settle(); // C has told its edges: ana waits for bo.
    await bo.release(names[1], tokens[1]);
    await bo.acquire(names[0]); // And now bo waits for ana, as b is about to tell.
  };
  await nodes.check(LOOKS);
  expect(shown).toBe(1);
  expect(refused([ana, bo, cy, dan])).toBe(0);
});

test("who lets go between the looks, or after the last of them, is refused nothing", async () => {
  for (const when of ["waiting", "standing", "breakCycle"] as const) {
    const { nodes, ana, bo, names, tokens } = await pair();
    await ana.acquire(names[1]);
    await bo.acquire(names[0]);
    let met = 0;
    nodes.way = async (_from, _to, ask) => {
      if (ask.$case !== when) return;
      met += 1;
      if (met === (when === "waiting" ? 4 : 1)) await ana.release(names[0], tokens[0]);
    };
    await nodes.check(LOOKS);
    expect(met, when).toBeGreaterThan(0);
    expect(bo.ended(), when).toBe("granted 1");
    expect(refused([ana, bo]), when).toBe(0);
  }
});

test("a word that comes late refuses nobody: the cycle is looked at again, and within a time", async () => {
  const { world, nodes, ana, bo, names } = await pair();
  await ana.acquire(names[1]);
  await bo.acquire(names[0]);
  let isHeld = true;
  nodes.way = async (_from, _to, ask) => {
    if (ask.$case === "standing" && isHeld)
      await new Promise<void>((resolve) => void world.clock.after(3_000, resolve));
  };
  await nodes.check(80);
  expect(refused([ana, bo])).toBe(0);
  isHeld = false;
  await nodes.check(50); // Whoever was late answers again, and the cycle is still there.
  expect(refused([ana, bo])).toBe(1);
});

test("a node that does not answer keeps nobody from finding what the others tell", async () => {
  const world = await open();
  const nodes = new SplitNodes(world, ["a", "b", "c"]);
  const clients = [world.client(), world.client(), world.client()];
  const [ana, bo, cy] = clients as [Client, Client, Client];
  const [left, right] = [nodes.nameAt("a"), nodes.nameAt("b")];
  await ana.acquire(left);
  await bo.acquire(right);
  await ana.acquire(right);
  await bo.acquire(left);
  await cy.acquire(nodes.nameAt("c"));
  nodes.way = (_from, to) => (to === "c" ? new Promise<void>(() => {}) : Promise.resolve());
  await nodes.check(LOOKS * 3);
  expect(refused(clients)).toBe(1);
});

const SHARED = { mode: Mode.SHARED };
const POOL = { mode: Mode.PERMIT, permits: 2, take: 1 };
const step = fc.record({
  who: fc.nat(4),
  what: fc.constantFrom("x0", "x1", "x2", "x3", "x4", "{t}/a", "{t}/a/b", "{t}", "pool"),
  shared: fc.boolean(),
  gives: fc.integer({ min: 0, max: 9 }),
});

test("several nodes find a cycle exactly when one node with all partitions would, and leave none", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 8, maxLength: 40 }),
      fc.integer({ min: 2, max: 4 }),
      async (steps, count) => {
        const world = await open();
        const nodes = new SplitNodes(world, ["a", "b", "c", "d"].slice(0, count));
        const clients = Array.from({ length: 5 }, () => world.client());
        const held: { readonly client: Client; readonly name: string; readonly token: bigint }[] = [];
        for (const { who, what, shared, gives } of steps) {
          const client = clients[who] as Client; // There are five.
          const given = gives === 0 ? held.pop() : undefined;
          if (given !== undefined) await given.client.release(given.name, given.token);
          const { body } = await client.acquire(what, what === "pool" ? POOL : shared ? SHARED : {});
          if (body?.$case !== "acquire") continue;
          for (const { name, token } of body.value.grants) held.push({ client, name, token });
        }
        const before = foundByOne(world);
        await nodes.check(LOOKS);
        expect(nodes.found > 0).toBe(before.length > 0);
        await nodes.check(LOOKS * 4);
        expect(foundByOne(world)).toEqual([]);
        expect(refused(clients) > 0).toBe(before.length > 0);
      },
    ),
    { numRuns: 40 },
  );
});

test("where there are more actors or edges than one answer holds, others are told in turn", async () => {
  const many = 1_500;
  const limits = { deadlockCheckMs: 100_000_000, locksMax: 5_000, unansweredMax: 5_000 };
  const world = await World.open({ limits });
  const [ana, bo] = [world.client(), world.client()];
  const actors = Array.from({ length: many }, (_, index) => `${index}`.padStart(60, "x"));
  await Promise.all(actors.map((actor) => ana.acquire("a", { ...SHARED, actor })));
  await bo.acquire("b");
  await bo.acquire("a");
  const answers = new WaitAnswers({
    ...{ shards: world.node.shards, clock: world.clock, waitAt: () => 0 },
    standingAt: () => Promise.resolve(false),
  });
  const told = new Set<string>();
  for (let time = 0; time < 20; time += 1) {
    const answer = answers.blockers();
    expect(answer.actors.length).toBeLessThanOrEqual(ACTORS_TOLD_MAX);
    for (const actor of answer.actors) told.add(actor);
  }
  expect(told.size).toBe(many);
  const among = [...told, bo.opened.session.id];
  const edges = new Set<string>();
  for (let time = 0; time < 20; time += 1) {
    const { edges: some } = await answers.edges(among);
    expect(some.length).toBeLessThan(many);
    for (const { blocker } of some) edges.add(blocker);
  }
  expect(edges.size).toBe(many);
});
