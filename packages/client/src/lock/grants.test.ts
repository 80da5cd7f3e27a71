import { expect, test } from "vitest";
import { Scene } from "../testing/scene.ts";
import { Grant } from "./grant.ts";
import { Grants } from "./grants.ts";
import type { HeldLock } from "./held-lock.ts";

/** Only asked whether its lease has passed, which it has not. */
const session = { checkLease: () => {} } as unknown as Grant["session"];

function grantOf(name: string, partition: number, grantedAtMs: number, token = 7n): Grant {
  return new Grant({
    session,
    name,
    token,
    mode: "exclusive",
    partition,
    reference: "r",
    grantedAtMs,
    terms: undefined,
  });
}

test("a grant that is younger than a heartbeat is not judged by its answer", () => {
  const grants = new Grants();
  const [older, younger] = [grantOf("a", 1, 100), grantOf("b", 1, 300)];
  grants.add(older);
  grants.add(younger);
  grants.loseMissing(200, [], []);
  expect([older.lost?.code, younger.lost?.code]).toEqual(["lock_lost", undefined]);
  grants.loseMissing(400, [1], []);
  expect(younger.lost).toBeUndefined();
});

test("a grant is lost when its partition expired, and only then", () => {
  const grants = new Grants();
  const [lost, kept] = [grantOf("a", 2, 100), grantOf("b", 1, 100)];
  grants.add(lost);
  grants.add(kept);
  grants.loseMissing(300, [1], [2]);
  expect([lost.lost?.code, kept.lost?.code]).toEqual(["lock_lost", undefined]);
});

test("equal tokens of different names are different grants", () => {
  const grants = new Grants();
  const [first, second] = [grantOf("a", 1, 0), grantOf("b", 2, 0)];
  grants.add(first);
  grants.add(second);
  expect(grants.find("b", 7n)).toBe(second);
  grants.drop(first);
  expect(grants.size).toBe(1);
});

test("grants of one name are told apart by their tokens", () => {
  const grants = new Grants();
  const [first, second, third] = [grantOf("a", 1, 0, 1n), grantOf("a", 1, 0, 2n), grantOf("a", 1, 0, 3n)];
  for (const grant of [first, second, third]) grants.add(grant);
  expect([...grants]).toEqual([first, second, third]);
  grants.drop(second);
  grants.drop(second); // Twice changes nothing.
  expect([grants.find("a", 1n), grants.find("a", 2n), grants.find("a", 3n)]).toEqual([first, undefined, third]);
  grants.rekey(third, 4n);
  expect([grants.find("a", 3n), grants.find("a", 4n), grants.size]).toEqual([undefined, third, 2]);
  expect(grants.reconcile([])).toEqual([]);
  expect([first.lost?.code, second.lost?.code, third.lost?.code]).toEqual(["lock_lost", undefined, "lock_lost"]);
  expect([grants.size, ...grants]).toEqual([0]);
  grants.add(second);
  grants.loseMissing(100, [1], []);
  expect([...grants]).toEqual([second]);
});

test("a change under way is not judged by a resumed session: its answer tells", async () => {
  await using scene = await Scene.open();
  const client = await scene.client();
  const lock = (await client.lock("a", { mode: "shared" })) as HeldLock;
  scene.server.faults.loseAnswers = true;
  const upgraded = lock.upgrade();
  await new Promise((resolve) => setTimeout(resolve, 20));
  scene.server.faults.loseAnswers = false;
  scene.server.cut(); // The server holds it under the new token already.
  await upgraded;
  expect(lock).toMatchObject({ mode: "exclusive", held: true });
  expect(scene.server.sessions.elements.holdersOf(scene.server.only.id)).toMatchObject([{ token: lock.token }]);
});
