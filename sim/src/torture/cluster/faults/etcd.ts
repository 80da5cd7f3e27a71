// etcd.ts: faults of the members of etcd: killed, frozen, the leader changed, the quota reached, history compacted.
import { type Clock, pause } from "../../../proxy/clock.ts";
import { between, choose } from "../../../proxy/random.ts";
import { CALM, CALM_DIRECTION } from "../../../proxy/weather.ts";
import type { ClusterNode } from "../cluster-node.ts";
import type { EtcdMember } from "../etcd-member.ts";
import { type ClusterScene, QUOTA_BYTES } from "../scene.ts";
import { always, anyMember, anyNode, type ClusterFault } from "./aim.ts";

const lane = "etcd";
const DOWN_MS_MAX = 2_500;
/** Below and above the time in which the members elect another leader. */
const PAUSE_MS_CHOICES = [300, 900, 2_000, 3_500] as const;
const LEADER_MS_MAX = 5_000;
const LOOK_MS = 100;
const JUNK = "/junk/";
const JUNK_BYTES = 1_048_576;
const FULL_MS_MAX = 2_000;
const BEHIND_MS_CHOICES = [600, 1_500, 3_000] as const;
const TRIES_MAX = 60;
const AGAIN_MS = 500;

export const killMember: ClusterFault = {
  ...{ kind: "kill_member", lane, weight: 2, unavailable: always, aim: anyMember },
  inflict: async ({ scene, clock, random }, target) => {
    const member = scene.member(target);
    const wasLeader = (await leaderOf(scene)) === member;
    await member.kill();
    await pause(clock, between(random, 0, DOWN_MS_MAX));
    member.up();
    await member.healthy();
    return `${wasLeader ? "the leader" : "a follower"} of etcd, and started again`;
  },
};

export const pauseMember: ClusterFault = {
  ...{ kind: "pause_member", lane, weight: 2, unavailable: always, aim: anyMember },
  inflict: async ({ scene, clock, random }, target) => {
    const member = scene.member(target);
    const wasLeader = (await leaderOf(scene)) === member;
    const ms = choose(random, PAUSE_MS_CHOICES);
    member.freeze();
    await pause(clock, ms);
    member.thaw();
    return `${wasLeader ? "the leader" : "a follower"} of etcd stood still for ${ms} ms`;
  },
};

/** By order, and by a leader that stands still until there is another. */
export const leaderChange: ClusterFault = {
  ...{ kind: "leader_change", lane, weight: 2, unavailable: always },
  aim: () => "etcd",
  inflict: async ({ scene, clock, random }) => {
    const leader = await leaderOf(scene);
    if (leader === undefined) return undefined;
    const others = scene.members.filter((member) => member !== leader);
    const isOrdered = random() < 0.5;
    const heir = choose(random, others);
    if (isOrdered) {
      const { memberId } = await heir.gateway.state();
      await leader.gateway.moveLeader(memberId).catch(() => {}); // Whether it moved is seen below.
    } else leader.freeze();
    const next = await nextLeader(others, clock);
    leader.thaw();
    if (next === undefined) return undefined;
    return `${next.place.name} leads etcd after ${leader.place.name}, ${isOrdered ? "by order" : "which stood still"}`;
  },
};

export const quota: ClusterFault = {
  ...{ kind: "quota", lane, weight: 1, unavailable: always },
  aim: () => "etcd",
  inflict: async ({ scene, clock, random }) => {
    const junk = "x".repeat(JUNK_BYTES);
    const beganMs = clock.monotonicMs();
    let [puts, refusal] = [0, ""];
    for (; puts < (2 * QUOTA_BYTES) / JUNK_BYTES && !/space exceeded/.test(refusal); puts += 1) {
      refusal = await atAny(scene, (member) => member.gateway.put(`${JUNK}${puts}`, junk)).then(() => "", String);
    }
    const fullMs = clock.monotonicMs();
    await pause(clock, between(random, 0, FULL_MS_MAX));
    await untilDone(clock, async () => {
      await atAny(scene, ({ gateway }) => gateway.delete(JUNK));
      await atAny(scene, ({ gateway }) => gateway.compact());
      for (const { gateway } of scene.members) await gateway.defragment();
      await atAny(scene, ({ gateway }) => gateway.disarm());
    });
    const [filled, full] = [fullMs - beganMs, clock.monotonicMs() - fullMs].map(Math.round);
    if (!/space exceeded/.test(refusal)) return undefined;
    return `etcd was full after ${puts} MiB, put in ${filled} ms, until it was emptied ${full} ms later`;
  },
};

/** What a node watches stands still or is lost, and when it comes back to where it was, that is compacted. */
export const compaction: ClusterFault = {
  ...{ kind: "compaction", lane, weight: 2, unavailable: always, aim: anyNode },
  inflict: async ({ scene, clock, random }, target) => {
    const { gate } = scene.node(target);
    const toClient = random() < 0.5 ? { dropped: true } : { stalled: true };
    const weather = { ...CALM, toClient: { ...CALM_DIRECTION, ...toClient } };
    const before = await seenOf(gate);
    await Promise.all(gate.etcd.map((_, link) => gate.set(link, weather)));
    await pause(clock, choose(random, BEHIND_MS_CHOICES));
    const revision = await atAny(scene, (member) => member.gateway.compact()).catch(() => undefined);
    await Promise.all(gate.etcd.map((_, link) => gate.set(link, undefined)));
    const isSlow = (await seenOf(gate)) > before;
    return revision !== undefined && isSlow ? `behind, and etcd compacted to revision ${revision}` : undefined;
  },
};

async function seenOf(gate: ClusterNode["gate"]): Promise<number> {
  const counts = await Promise.all(gate.etcd.map((_, link) => gate.counts(link)));
  return counts.reduce((sum, { bytesDropped, chunksStalled }) => sum + bytesDropped + chunksStalled, 0);
}

async function leaderOf({ members }: ClusterScene): Promise<EtcdMember | undefined> {
  for (const member of members) {
    const state = await member.gateway.state().catch(() => undefined);
    if (state !== undefined && state.leaderId === state.memberId) return member;
  }
  return undefined;
}

async function nextLeader(others: readonly EtcdMember[], clock: Clock): Promise<EtcdMember | undefined> {
  const untilMs = clock.monotonicMs() + LEADER_MS_MAX;
  while (clock.monotonicMs() < untilMs) {
    for (const member of others) {
      const state = await member.gateway.state().catch(() => undefined);
      if (state !== undefined && state.leaderId === state.memberId) return member;
    }
    await pause(clock, LOOK_MS);
  }
  return undefined;
}

/** @throws the last refusal when none does it */
async function atAny<Answer>({ members }: ClusterScene, ask: (member: EtcdMember) => Promise<Answer>): Promise<Answer> {
  let failure: unknown;
  for (const member of members) {
    try {
      return await ask(member);
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}

/** Other faults may be in the way; what is broken here must be mended. @throws the last failure */
async function untilDone(clock: Clock, work: () => Promise<void>): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      await work();
      return;
    } catch (error) {
      if (tries >= TRIES_MAX) throw error;
      await pause(clock, AGAIN_MS);
    }
  }
}
