import { describe, expect, test } from "vitest";
import { eventually, Scene } from "../testing/scene.ts";

describe("an election", () => {
  test("has one leader; when it leaves, the next candidate leads with a higher token", async () => {
    await using scene = await Scene.open();
    const [ana, bo] = [await scene.client(), await scene.client()];
    const story: string[] = [];
    const tokens: bigint[] = [];
    const stand = async (name: string, client: typeof ana) => {
      for await (const term of client.elect("leader")) {
        story.push(name);
        tokens.push(term.token);
        return;
      }
    };
    await Promise.all([stand("ana", ana), stand("bo", bo)]);
    expect(story.toSorted()).toEqual(["ana", "bo"]);
    expect(tokens[1]).toBeGreaterThan(tokens[0]!);
    expect(scene.server.sessions.elements.elementByName.get("leader")?.holders).toEqual([]);
  });

  test("a leader that lost its lock is told, and stands again", async () => {
    await using scene = await Scene.open();
    const client = await scene.client();
    let terms = 0;
    const election = client.elect("leader", {
      onElected: async ({ signal }) => {
        if (++terms === 2) return;
        await client.forceRelease("leader", { reason: "test" });
        await eventually(() => signal.aborted);
        throw new Error("broken off");
      },
    });
    await election.done;
    expect(terms).toBe(2);
  });

  test("work that fails while leading ends the election, and is told by `done`", async () => {
    await using scene = await Scene.open();
    const client = await scene.client();
    const election = client.elect("leader", {
      onElected: () => {
        throw new Error("cannot lead");
      },
    });
    await expect(election.done).rejects.toThrow("cannot lead");
    expect(scene.server.sessions.elements.elementByName.get("leader")?.holders).toEqual([]);
  });

  test("who resigns stops leading and waits no more", async () => {
    await using scene = await Scene.open();
    const [ana, bo] = [await scene.client(), await scene.client()];
    const leader = ana.elect("leader");
    const { value: term } = await leader[Symbol.asyncIterator]().next();
    const candidate = bo.elect("leader", { onElected: () => {} });
    await eventually(() => scene.server.sessions.elements.elementByName.get("leader")?.queue.length === 1);
    await candidate.resign();
    await candidate.done;
    await leader.resign();
    expect(term.signal.aborted).toBe(true);
    await eventually(() => scene.server.sessions.elements.elementByName.get("leader")?.holders.length === 0);
  });
});
