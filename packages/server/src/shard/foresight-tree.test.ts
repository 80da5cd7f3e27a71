// Holders below an element that somebody waits for: they are assessed, warned and named as if they stood in the queue's own way.
import { Mode, type Notice, type Reply } from "@forelock/protocol";
import { describe, expect, test } from "vitest";
import { type Client, World, type WorldOptions } from "./testing/world.ts";

const ENFORCE = { policy: "enforce", countdownMs: "2000", minimumHoldMs: "100" };

const setPolicy = (client: Client, prefix: string, set: Record<string, string>): Promise<Reply> =>
  client.submit({ $case: "setPolicy", value: { prefix, set, reason: "test" } });

async function pass(world: World, seconds: number, ...alive: readonly Client[]): Promise<void> {
  for (let second = 0; second < seconds; second += 1) {
    for (const client of alive) client.beat();
    await world.clock.advance(1_000);
  }
}

type Body = NonNullable<Notice["body"]>;

const bodies = <Case extends Body["$case"]>(client: Client, kind: Case) =>
  client.notices.flatMap(({ body }) => (body?.$case === kind ? [body.value as never] : [])) as readonly Extract<
    Body,
    { $case: Case }
  >["value"][];

const LEAF = "{shop}/orders/42";
const ROOT = "{shop}";

/** `worker` holds the leaf for 50 ms, again and again. */
async function learned(options: WorldOptions = {}): Promise<{ world: World; ana: Client; bo: Client }> {
  const world = await World.open({ isPredicting: true, limits: { unansweredMax: 10_000 }, ...options });
  const ana = world.client(undefined, "worker");
  const bo = world.client(undefined, "other");
  for (let hold = 0; hold < 200; hold += 1) {
    const token = await ana.token(ana.acquire(LEAF));
    await world.clock.advance(50);
    await ana.release(LEAF, token);
  }
  return { world, ana, bo };
}

describe("a holder below an element that somebody waits for", () => {
  test("is warned, forced, and who waits above is granted", async () => {
    const { world, ana, bo } = await learned();
    await setPolicy(ana, "", ENFORCE);
    const token = await ana.token(ana.acquire(LEAF));
    await bo.acquire(ROOT);
    await pass(world, 8, ana, bo);
    expect(bodies(ana, "warning")[0]).toMatchObject({ name: LEAF, token, enforced: true });
    expect(bodies(ana, "failure")).toMatchObject([{ token, name: LEAF }]);
    expect(bodies(bo, "operation")).toMatchObject([{ grants: [{ name: ROOT }] }]);
  });

  test("is left alone by the policy of its own name, whatever that of the name above says", async () => {
    const { world, ana, bo } = await learned();
    await setPolicy(ana, "", ENFORCE);
    await setPolicy(ana, "{shop}/orders", { policy: "off" });
    const token = await ana.token(ana.acquire(LEAF));
    await bo.acquire(ROOT);
    await pass(world, 20, ana, bo);
    expect(bodies(ana, "warning")).toEqual([]);
    expect((await ana.release(LEAF, token)).body?.$case).toBe("release");
  });

  test("is noted under observe with who waits above, and judged at its end", async () => {
    const { world, ana, bo } = await learned();
    const token = await ana.token(ana.acquire(LEAF));
    await bo.acquire(ROOT);
    await pass(world, 30, ana, bo);
    await ana.release(LEAF, token);
    const [decision] = world.node.foresight.ledger.decisions(1);
    expect(decision).toMatchObject({ kind: "observed", name: LEAF, outcome: "right", waiters: 1 });
  });

  test("is left alone by who shares what it shares, and by who asks for permits", async () => {
    for (const wanted of [{ mode: Mode.SHARED }, { mode: Mode.PERMIT, permits: 1 }]) {
      const { world, ana, bo } = await learned();
      await setPolicy(ana, "", { ...ENFORCE, threshold: "0" });
      const cy = world.client(undefined, "third");
      await ana.acquire(LEAF, { mode: Mode.SHARED });
      await cy.acquire(ROOT, { mode: Mode.SHARED });
      await cy.acquire("{shop}/x", { mode: Mode.SHARED });
      const queued = await bo.acquire("{shop}/y");
      expect(queued.body).toMatchObject({ value: { state: 0 } });
      await bo.acquire(ROOT, wanted); // Behind the intent of the one before, not for the sake of the leaf.
      await pass(world, 6, ana, bo, cy);
      expect(bodies(ana, "warning")).toEqual([]);
    }
  });

  test("makes the estimate of who waits above, and of who waits behind that one for something else below", async () => {
    const { world, ana, bo } = await learned();
    const cy = world.client(undefined, "third");
    const hold = async (ms: number): Promise<void> => {
      const token = await ana.token(ana.acquire(LEAF));
      await world.clock.advance(ms);
      ana.beat();
      await ana.release(LEAF, token);
    };
    for (let round = 0; round < 40; round += 1) await hold(5_000);
    await ana.acquire(LEAF);
    await bo.acquire(ROOT);
    await cy.acquire("{shop}/carts/1");
    await pass(world, 1, ana, bo, cy);
    const etaOf = (client: Client): number =>
      bodies(client, "moved").find(({ eta }) => eta !== undefined)?.eta?.p50Ms ?? 0;
    expect(etaOf(bo)).toBeGreaterThan(500);
    expect(etaOf(cy)).toBeGreaterThan(etaOf(bo));
  });

  test("is named by why, by what comes next, and by the answer to who must wait", async () => {
    const { world, ana, bo } = await learned();
    const token = await ana.token(ana.acquire(LEAF));
    const queued = await bo.acquire(ROOT);
    expect(queued.body).toMatchObject({ value: { blockers: [{ token, client: "worker" }] } });
    const busy = await bo.acquire(ROOT, { waitMs: 0 });
    expect(busy.body?.$case === "error" && busy.body.value.detailsJson).toContain(`"element":"${LEAF}"`);
    await pass(world, 3, ana, bo);
    const { body } = await bo.submit({ $case: "why", value: { name: ROOT } });
    if (body?.$case !== "why") throw new Error("expected why");
    expect(body.value.sentence).toContain(`{shop}/orders/42 below it has been held by worker`);
    expect(body.value.sentence).not.toContain("is free");
    expect(body.value.related).toEqual([LEAF]);
    expect(body.value.next.join(" ")).toMatch(
      /worker is expected to release \{shop\}\/orders\/42 within .* Its risk score is 0\.\d\d .* other is next, in about/,
    );
    const leaf = await bo.submit({ $case: "why", value: { name: LEAF } });
    expect(leaf.body).toMatchObject({ value: { holders: [{ risk: { state: "held", policy: "observe" } }] } });
  });

  test("is named to nobody who may not read it", async () => {
    const { world, ana } = await learned();
    const narrow = { principal: "eve", may: (_: string, name: string) => name === ROOT, remoteAddress: "test" };
    const eve = world.client(narrow, "eve");
    await ana.acquire(LEAF);
    await eve.acquire(ROOT);
    await pass(world, 2, ana, eve);
    const { body } = await eve.submit({ $case: "why", value: { name: ROOT } });
    if (body?.$case !== "why") throw new Error("expected why");
    expect([body.value.sentence, ...body.value.next].join(" ")).not.toContain("worker");
  });
});
