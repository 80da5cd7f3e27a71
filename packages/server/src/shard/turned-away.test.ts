import { ForelockError } from "@forelock/protocol";
import { expect, test } from "vitest";
import { describe, World } from "./testing/world.ts";

test("what a partition was asked that this node gives up is offered to whoever forwards, once, with its outcome if there is one", async () => {
  const world = await World.open();
  const ana = world.client();
  const token = await ana.token(ana.acquire("a"));
  const shard = world.node.shardOf("a");
  const offered: string[] = [];
  world.node.turnedAway = (asked, partition, error) => {
    offered.push(`${asked.operation.sequence} ${asked.operation.body?.$case} ${error.code}`);
    expect([partition, asked.sessionId]).toEqual([shard.partition, ana.opened.session.id]);
    asked.respond({
      sequence: asked.operation.sequence,
      body: { $case: "release", value: { stillHeld: false, undone: 0 } },
    });
    return true;
  };
  const released = ana.release("a", token);
  shard.stop(new ForelockError("not_owner", "The partition was given up."));
  expect(describe(await released)).toBe("release");
  expect(describe(await ana.release("a", token))).toBe("release");
  expect(offered).toEqual(["2 release not_owner", "3 release not_owner"]);
});

test("what nobody forwards is answered as it is", async () => {
  const world = await World.open();
  const ana = world.client();
  world.node.turnedAway = () => false;
  world.node.shardOf("a").stop(new ForelockError("not_owner", "The partition was given up."));
  expect(describe(await ana.acquire("a"))).toBe("error not_owner");
});
