import type { Event } from "@forelock/protocol";
import { expect, test } from "vitest";
import { eventually, Scene } from "../testing/scene.ts";
import type { WatchEvent } from "./watch.ts";

const EVENT = { session: "s", token: 1n, partition: 1, reason: "", revision: 1, missed: 0 };

async function watching(scene: Scene, seen: WatchEvent[], stopAt: string): Promise<void> {
  const client = await scene.client();
  for await (const event of client.watch("orders/*")) {
    seen.push(event);
    if (event.name === stopAt) return;
  }
}

function tell(scene: Scene, event: Partial<Event>): void {
  const watches = scene.server.sessions.executed.filter((line) => line.startsWith("watch "));
  const watch = Number(watches.at(-1)?.split(" ")[1]);
  const value = { ...EVENT, kind: "granted", name: "orders/1", watch, ...event };
  scene.server.notify(scene.server.only, { $case: "event", value });
}

test("a watch begins with a gap, gives events in order, and is ended at the server with its loop", async () => {
  await using scene = await Scene.open();
  const seen: WatchEvent[] = [];
  const loop = watching(scene, seen, "orders/2");
  await eventually(() => seen.length === 1);
  tell(scene, {});
  tell(scene, { name: "orders/2", kind: "released" });
  await loop;
  expect(seen.map(({ kind, name }) => `${kind} ${name}`)).toEqual(["gap ", "granted orders/1", "released orders/2"]);
  await eventually(() => scene.server.sessions.executed.some((line) => line.startsWith("unwatch")));
});

test("after a reconnect the watch goes on behind a gap", async () => {
  await using scene = await Scene.open();
  const seen: WatchEvent[] = [];
  const loop = watching(scene, seen, "orders/9");
  await eventually(() => seen.length === 1);
  scene.server.cut();
  await eventually(() => seen.length === 2);
  tell(scene, { name: "orders/9" });
  await loop;
  expect(seen.map(({ kind }) => kind)).toEqual(["gap", "gap", "granted"]);
});

test("what the server left out is a gap, too", async () => {
  await using scene = await Scene.open();
  const seen: WatchEvent[] = [];
  const loop = watching(scene, seen, "orders/9");
  await eventually(() => seen.length === 1);
  tell(scene, {});
  tell(scene, { name: "orders/9", missed: 3 });
  await loop;
  expect(seen.map(({ kind }) => kind)).toEqual(["gap", "granted", "gap", "granted"]);
});

test("a signal ends the loop with its reason", async () => {
  await using scene = await Scene.open();
  const client = await scene.client();
  const controller = new AbortController();
  const loop = (async () => {
    for await (const _event of client.watch("a", { signal: controller.signal })) controller.abort(new Error("enough"));
  })();
  await expect(loop).rejects.toThrow("enough");
});
