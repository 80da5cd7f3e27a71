// Every limit has a test that reaches it: this table says which, and the compiler asks for each. A test that is renamed is missed here.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { FIXED_LIMITS } from "./fixed-limits.ts";
import { SETTINGS, type SettingKey } from "./table.ts";

type LimitKey = {
  [Key in SettingKey]: (typeof SETTINGS)[Key] extends { readonly atLimit: string } ? Key : never;
}[SettingKey];

/** Where the limit is reached: a file below packages/server/src, and words of the test or of its row. */
type Reached = readonly [file: string, words: string];

const EDGE = "edge/limits.test.ts";

const BY_SETTING: Readonly<Record<LimitKey, Reached>> = {
  "session.ttlMsMax": ["edge/tcp/carrier.test.ts", "hello.ttl_ms: 5; allowed 1000 to 300000."],
  "session.countMax": ["session/session.test.ts", "the sessions of a partition have a limit"],
  "session.locksMax": ["lock/lock.test.ts", "the queue and the session's locks have limits"],
  "session.tombstonesMax": ["session/session.test.ts", "the expired sessions that are remembered have a limit"],
  "lock.waitersMax": ["lock/lock.test.ts", "the queue and the session's locks have limits"],
  "lock.waitMsMax": ["edge/validate.test.ts", "waitMs: 86400001; allowed 0 to 86400000."],
  "lock.grantsPerTurnMax": ["shard/shard.test.ts", "granted at most so many a turn"],
  "operation.keepMsMax": ["edge/validate.test.ts", "keepMs: 86_400_001"],
  "operation.keptMax": ["partition/operations.test.ts", "remembered operations have limits"],
  "operation.unansweredMax": ["partition/operations.test.ts", "remembered operations have limits"],
  "compensation.attemptsMax": ["compensate/poster.test.ts", "attempts are bounded"],
  "compensation.timeoutMs": ["compensate/poster.test.ts", "costs the attempt its time"],
  "cluster.logBytes": ["cluster/contents.test.ts", "appends are refused at its budget"],
  "file.bytesMax": ["file/file.test.ts", "size, number of files and number of effects have limits"],
  "file.countMax": ["file/file.test.ts", "size, number of files and number of effects have limits"],
  "frame.bytesMax": [EDGE, "a frame of exactly the limit is taken"],
  "frame.operationsMax": [EDGE, "more than 1,000 operations in a frame are refused"],
  "edge.connectionsMax": [EDGE, "connections are capped by principal, by address and in all"],
  "edge.connectionsPerAddressMax": [EDGE, "connections are capped by principal, by address and in all"],
  "edge.connectionsPerPrincipalMax": [EDGE, "connections are capped by principal, by address and in all"],
  "edge.requestsMax": [EDGE, "past the requests in flight of the node"],
  "edge.requestsPerConnectionMax": [EDGE, "past its requests in flight a connection is told overloaded"],
  "edge.writeBufferBytesMax": [EDGE, "who does not read its answers is cut"],
  "edge.helloMs": [EDGE, "bytes of no carrier, and none at all, are cut"],
  "edge.frameMs": [EDGE, "a length that lies costs what was sent"],
  "edge.stopMs": [EDGE, "a stop does not wait longer than its bound"],
  "edge.watchersMax": [EDGE, "watches and awaits are capped, and given back"],
  "edge.watchersPerConnectionMax": [EDGE, "watches are capped on each connection too"],
};

/** By `what` of the row. */
const BY_FIXED_LIMIT: Readonly<Record<string, Reached>> = {
  "Length of a name": ["edge/validate.test.ts", "513 bytes long; allowed 1 to 512"],
  "Depth of a name with a tag": ["edge/validate.test.ts", "17 parts deep; allowed 1 to 16"],
  "One append": ["edge/validate.test.ts", "bytes: 196609 bytes; allowed 0 to 196608."],
  "Effects under one undoable grant": ["file/file.test.ts", "size, number of files and number of effects have limits"],
  "Elements in one lockAll": ["edge/validate.test.ts", "elements: 0; allowed 1 to 256."],
  "Permits of a semaphore": ["edge/validate.test.ts", "permits: 0; allowed 1 to 1000000."],
  "Priority of a waiter": ["edge/validate.test.ts", "priority: 10; allowed 0 to 9."],
  "Shortest ttl of a session": ["edge/tcp/carrier.test.ts", "hello.ttl_ms: 5; allowed 1000 to 300000."],
  "One record of the log": ["shard/operators.test.ts", "more holders than one record has room for"],
  "Files expanded from the setting `files`": ["settings/file-names.test.ts", "as many names as allowed are taken"],
  "File contents kept open": ["bulk/disk.test.ts", "no more files are open than allowed"],
  "Operations on file contents in flight": ["bulk/disk.test.ts", "at most two file operations are in flight"],
  "File contents that one peer sends another at once": ["cluster/bulk-asks.test.ts", "no more than 256 KiB"],
  "Peers that are served file contents at once": ["cluster/bulk-asks.test.ts", "a node serves two peers at once"],
  "Requests for the history that wait for one another": ["shard/history.test.ts", "and the next is told overloaded"],
  "Answer to a request for the history": ["shard/history.test.ts", "a history fits half a frame"],
  "Calls for lost grants under way": ["compensate/poster.test.ts", "a few calls are under way"],
  "Requests of a partition with terms of their own, and calls owed": [
    "shard/models.test.ts",
    "too many requests with terms of their own are refused",
  ],
  "Pairs of client and element with a history": ["shard/models.test.ts", "a pair that was used longest ago makes room"],
  "Series that wait to be fitted": ["forecast-worker/forecast-worker.test.ts", '"full"'],
  "Decisions remembered for GetPrediction": ["shard/models.test.ts", "the oldest first"],
  "Idle elements kept ready in a partition": ["lock/elements.test.ts", "only the last are kept"],
  "Elements below a waited-for one that a look passes": ["lock/below.test.ts", "after as many elements as it may pass"],
  "Outcomes of warnings that a partition keeps for budgets and cool-downs": [
    "preempt/preempt.test.ts",
    "beyond the last thousand",
  ],
  "Names kept in mind while a log is read": ["partition/texts.test.ts", "more names than are kept in mind"],
  "Live screens of the dashboard": ["edge/http/live.test.ts", "live screens are capped, and given back"],
  "Rows of a live screen": ["edge/http/live.test.ts", "is refused before the stream begins"],
  "Looks that a live screen may be behind": ["edge/http/live.test.ts", "a reader that does not keep up is cut"],
  "One transaction of appends at etcd": ["log/etcd/append.test.ts", "a transaction holds at most what etcd takes"],
  "Requests to etcd under way": ["etcd/failover.test.ts", "requests past the limits wait their turn"],
  "Epochs of a partition": ["log/etcd/ownership.test.ts", "the last epoch that a token can hold"],
  "One chunk of a snapshot in etcd": ["log/etcd/snapshot.test.ts", "a large state is kept in chunks"],
  "Requests that wait for an owner of their partition": ["cluster/moves.test.ts", "no more requests wait for an owner"],
  "Waits that a node gives the threshold controller at once, and the time that it has for it": [
    "preempt/evidence.test.ts",
    "no more is given at once than an answer holds",
  ],
  "Actors, and edges between them, of one answer about who waits for whom": [
    "shard/deadlock-search.test.ts",
    "where there are more actors or edges than one answer holds",
  ],
  "Time of a node to tell who waits for whom there, and to check a cycle again": [
    "shard/deadlock-search.test.ts",
    "a word that comes late refuses nobody",
  ],
  "Reads that wait for an owner of their partition": ["cluster/reads.test.ts", "no more reads wait for an owner"],
  "Bytes that wait for another node on one connection": ["cluster/link.test.ts", "a peer that does not read"],
  "Direct connections of a client": ["cluster/direct-client.test.ts", "at `directMax` connections"],
  "Maps of owners told to a client": ["cluster/direct.test.ts", "changes are told, many of a moment as one"],
  "Age of a proof between nodes, and how far their clocks may differ": ["edge/forwarding.test.ts", '"too old"'],
  "Moves of partitions between workers that wait": ["workers/mover.test.ts", "no more moves wait than there may be"],
  "Bytes between two threads on one connection that are not read yet": [
    "workers/channel.test.ts",
    "a writer waits when its reader does not read",
  ],
  "Forwarded connections that a node takes within two minutes": [
    "edge/forwarding.test.ts",
    "no more forwarded connections are taken than can be remembered",
  ],
};

const textOf = (file: string): string => readFileSync(new URL(`../${file}`, import.meta.url), "utf8");

test("every setting that limits something names a test that reaches it", () => {
  for (const [key, [file, words]] of Object.entries(BY_SETTING)) {
    expect(
      textOf(file).includes(words),
      `${key}: ${file} has no test of "${words}". Write one, or name another here.`,
    ).toBe(true);
  }
  const limits = Object.entries(SETTINGS).filter(([, setting]) => "atLimit" in setting);
  expect(Object.keys(BY_SETTING).sort()).toEqual(limits.map(([key]) => key).sort());
});

test("every fixed limit names a test that reaches it", () => {
  for (const { what } of FIXED_LIMITS) {
    const [file, words] = BY_FIXED_LIMIT[what] ?? ["settings/limits.test.ts", `no row for ${what}`];
    expect(
      textOf(file).includes(words) && words !== `no row for ${what}`,
      `${what}: name a test that reaches it here.`,
    ).toBe(true);
  }
});
