import { expect, test } from "vitest";
import { WorkerOwners } from "./owners.ts";

test("to the thread that has the port every worker is a peer; to a worker the others are", () => {
  const front = new WorkerOwners(2, 2, undefined);
  front.setAll([0, 1]);
  expect([front.of(0), front.of(1)].map(({ kind }) => kind)).toEqual(["peer", "peer"]);
  expect(front.peers().map(({ id }) => id)).toEqual(["worker-0", "worker-1"]);
  const worker = new WorkerOwners(2, 2, 1);
  worker.setAll([0, 1]);
  expect([worker.of(0), worker.of(1)].map(({ kind }) => kind)).toEqual(["peer", "here"]);
  expect(worker.peers().map(({ id }) => id)).toEqual(["worker-0"]);
});

test("of itself a worker knows better than what others say", () => {
  const worker = new WorkerOwners(3, 2, 1);
  worker.setAll([0, 1]);
  worker.told(1, 2); // It has not given it yet.
  worker.told(0, 1); // It has not taken it yet.
  expect([worker.of(0).kind, worker.of(1).kind]).toEqual(["peer", "here"]);
  worker.told(0, 2);
  expect(worker.of(0)).toEqual({ kind: "peer", peer: { id: "worker-2", host: "", port: 2 } });
});

test("each change is told once, and what changes nothing is not", () => {
  const owners = new WorkerOwners(2, 2, undefined);
  let told = 0;
  const end = owners.onChange(() => (told += 1));
  owners.setAll([0, 1]);
  owners.set(0, 1);
  owners.set(0, 1);
  owners.set(1, undefined);
  expect([told, owners.of(1).kind]).toEqual([3, "nobody"]);
  end();
  owners.set(1, 0);
  expect(told).toBe(3);
});
