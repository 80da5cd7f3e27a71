import { GetHistoryReply, GetPredictionReply, SessionInfo, StatusReply } from "@forelock/protocol";
import { expect, test } from "vitest";
import { mergeHistory, mergePrediction, mergeSessions, mergeStatus } from "./merge.ts";

test("how often forecasts were right is weighed by how many each node has seen; totals are sums; the newest decisions come first", () => {
  const part = (coverage: number, observations: number, atMs: number): GetPredictionReply =>
    GetPredictionReply.fromPartial({
      calibrations: [{ of: "hold", quantile: 0.9, coverage, observations }],
      decisions: [{ atMs, name: `n${atMs}` }],
      totals: { warnings: 2, observedSavedMs: 1.5 },
    });
  const merged = mergePrediction([part(0.8, 100, 5), part(1, 300, 9), part(0, 0, 7)], 2);
  expect(merged.calibrations).toEqual([{ of: "hold", quantile: 0.9, coverage: 0.95, observations: 400 }]);
  expect(merged.decisions.map(({ name }) => name)).toEqual(["n9", "n7"]);
  expect(merged.totals).toMatchObject({ warnings: 6, observedSavedMs: 4.5 });
});

test("merged history keeps the newest, and reaches as far back as every node does", () => {
  const part = (reachMs: number, ...agos: number[]): GetHistoryReply =>
    GetHistoryReply.fromPartial({ entries: agos.map((agoMs) => ({ agoMs })), reachMs });
  const merged = mergeHistory([part(900, 800, 20), part(500, 400, 10)], 3);
  expect(merged.entries.map(({ agoMs }) => agoMs)).toEqual([400, 20, 10]);
  expect([merged.reachMs, merged.more]).toEqual([500, true]);
  expect(mergeHistory([part(900, 20), part(500, 10)], 3).more).toBe(false);
});

test("the node that heard of a session last says how it is, and all say what it holds", () => {
  const at = (silentMs: number, more: Partial<SessionInfo>): SessionInfo => ({
    ...SessionInfo.fromPartial({ session: "s", silentMs }),
    ...more,
  });
  const a = at(10, { grants: 1, lagMs: 7, partitions: [3], waiting: false });
  const b = at(900, { grants: 2, lagMs: 1, partitions: [1, 3], waiting: true, application: "batch" });
  const { sessions } = mergeSessions(
    [
      { sessions: [a], more: false, ledPartitions: [] },
      { sessions: [b], more: false, ledPartitions: [] },
    ],
    0,
  );
  const joined = { silentMs: 10, lagMs: 7, grants: 3, partitions: [1, 3], waiting: true, application: "batch" };
  expect(sessions).toHaveLength(1);
  expect(sessions[0]).toMatchObject(joined);
});

test("a cluster is durable when all of its nodes are, and stopped when one is", () => {
  const own = StatusReply.fromPartial({ durable: true, grants: 1, epoch: 4, stateHash: "1" });
  const other = StatusReply.fromPartial({ durable: false, grants: 2, epoch: 3, stopped: "The disk.", stateHash: "2" });
  const merged = mergeStatus([own, other], []);
  expect(merged).toMatchObject({ durable: false, grants: 3, epoch: 4, stopped: "The disk." });
  expect(mergeStatus([own, other], []).stateHash).toBe(merged.stateHash);
  expect(mergeStatus([own], ["b"]).stopped).toContain("b");
});
