// fixtures.ts: a busy service as its node would tell of it, held to the schema by types.
import type {
  GetClusterReply,
  GetHistoryReply,
  GetPredictionReply,
  GetProfileReply,
  ListPoliciesReply,
  LockInfo,
  Risk,
  SessionInfo,
  StatusReply,
  WhyReply,
} from "@forelock/protocol";
import type { ScreenMessage } from "../feed/screen.ts";
import type { Json } from "../wire/json.ts";

const status: Json<StatusReply> = {
  version: "0.1.0",
  partitions: 64,
  uptimeMs: 86_400_000,
  sessions: 3,
  grants: 3,
  waiting: 3,
  durable: true,
  logBytes: 4_194_304,
};

export const risk: Json<Risk> = {
  score: 0.87,
  parts: [
    { name: "hold", value: 0.9, weight: 1 },
    { name: "harm", value: 0.8, weight: 1 },
    { name: "suspicion", value: 0.95, weight: 4 },
    { name: "contention", value: 0.4, weight: 0.25 },
    { name: "load", weight: 0.1 },
  ],
  threshold: 0.8,
  policy: "enforce",
  state: "warned",
  countdownMs: 8_000,
  reason: "It has held for far longer than it ever did, and two wait.",
};

const holder = {
  session: "bCdmYNQuXiZoMnhqFsfAkA",
  principal: "local",
  client: "billing-1",
  token: "1099511627777",
  heldMs: 42_000,
  forecast: { p50Ms: 55_000, p90Ms: 80_000, p99Ms: 120_000, observations: 240, source: "pair" },
  risk,
};

export const locks: readonly Json<LockInfo>[] = [
  { name: "billing/nightly", holders: [holder], waiting: 2, waitedMs: 41_000, painMs: 80_000 },
  {
    name: "orders/42",
    holders: [{ client: "web-3", session: "s2", token: "7", heldMs: 900 }],
    waiting: 1,
    waitedMs: 200,
    painMs: 200,
  },
  { name: "catalog", holders: [{ client: "reader-1", session: "s3", token: "8", heldMs: 100, mode: "MODE_SHARED" }] },
];

export const why: Json<WhyReply> = {
  name: "billing/nightly",
  holders: [holder],
  waiters: [
    {
      reference: "p1.a",
      session: "s4",
      client: "billing-2",
      waitedMs: 41_000,
      position: 1,
      eta: { p50Ms: 13_000, p90Ms: 38_000 },
    },
    {
      reference: "p1.b",
      session: "s5",
      client: "billing-3",
      waitedMs: 39_000,
      position: 2,
      eta: { p50Ms: 20_000, p90Ms: 60_000 },
    },
  ],
  waiting: 2,
  partition: 3,
  sentence: "billing/nightly has been held by billing-1 for 42.0 s. 2 requests wait. The first has waited 41.0 s.",
  next: [
    "billing-1 was warned 2 s ago and has 8 s to release.",
    "Then the lock is taken from it, and billing-2 is granted.",
  ],
};

export const profile: Json<GetProfileReply> = {
  name: "billing/nightly",
  hold: {
    edgesMs: [100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 51_200],
    counts: [2, 9, 31, 64, 70, 38, 18, 6, 2],
    p50Ms: 1_400,
    p90Ms: 5_200,
    p99Ms: 21_000,
    observations: 240,
  },
  wait: { p90Ms: 2_400 },
  arrivalsPerSecond: 0.42,
  contention: 0.31,
};

export const sessions: readonly Json<SessionInfo>[] = [
  {
    session: holder.session,
    principal: "local",
    client: "billing-1",
    application: "batch",
    ttlMs: 30_000,
    grants: 1,
    silentMs: 11_000,
    jitterMs: 420,
    suspicion: 0.93,
    health: "HEALTH_DEGRADED",
    lagMs: 1_250,
    waiting: true,
    risk,
  },
  {
    session: "QJ6X0FLCczu0auDX6J4XJA",
    principal: "local",
    client: "web-3",
    ttlMs: 30_000,
    grants: 1,
    waits: 2,
    jitterMs: 12,
  },
];

export const prediction: Json<GetPredictionReply> = {
  calibrations: [
    { of: "hold", quantile: 0.5, coverage: 0.49, observations: 1_000 },
    { of: "hold", quantile: 0.9, coverage: 0.91, observations: 1_000 },
    { of: "hold", quantile: 0.99, coverage: 0.985, observations: 1_000 },
    { of: "eta", quantile: 0.5, coverage: 0.53, observations: 412 },
    { of: "eta", quantile: 0.9, coverage: 0.88, observations: 412 },
  ],
  totals: {
    warnings: 40,
    released: 29,
    extended: 3,
    forced: 6,
    wrong: 2,
    ignored: 6,
    observed: 120,
    observedRight: 108,
    observedWrong: 12,
    observedSavedMs: 5_400_000,
  },
  decisions: [
    {
      atMs: Date.UTC(2026, 10, 21, 10, 2, 7),
      kind: "warned",
      name: "billing/nightly",
      token: holder.token,
      client: "billing-1",
      risk,
      outcome: "open",
      reason: "Its score of 0.87 passed the threshold of 0.80: mostly suspicion.",
    },
    {
      atMs: Date.UTC(2026, 10, 21, 9, 58, 1),
      kind: "forced",
      name: "orders/7",
      token: "5",
      client: "web-1",
      outcome: "forced",
      reason: "It did not release within 10 s.",
    },
    {
      atMs: Date.UTC(2026, 10, 21, 9, 40, 0),
      kind: "threshold",
      name: "orders",
      outcome: "",
      reason: "The threshold went from 0.80 to 0.78: the p99 of waits is above its target.",
    },
  ],
};

export const policies: Json<ListPoliciesReply> = {
  policies: [
    { set: {}, effective: { policy: "observe", threshold: "0.8", countdownMs: "10000" }, threshold: 0.8 },
    {
      prefix: "billing",
      set: { policy: "enforce" },
      effective: { policy: "enforce", threshold: "0.8", countdownMs: "10000" },
      threshold: 0.82,
      changedBy: "ana",
      changedMs: Date.UTC(2026, 10, 20, 8, 0, 0),
      reason: "Observed for a week: right in nine of ten.",
    },
  ],
  fields: [
    { name: "policy", range: "off | observe | warn | enforce", standard: "observe", description: "What may be done." },
    { name: "threshold", range: "0 to 1", standard: "0.8", description: "A score at or above it is acted on." },
    {
      name: "countdownMs",
      range: "100 to 3600000",
      standard: "10000",
      description: "From the warning to the forced release.",
    },
    {
      name: "coolDownMs",
      range: "0 to 86400000",
      standard: "60000",
      description: "After a wrong warning it is left alone.",
    },
  ],
};

const past = (agoMs: number, kind: string, client: string, token = "", reason = ""): object => ({
  agoMs,
  kind,
  name: "billing/nightly",
  session: `session-of-${client}`,
  client,
  token,
  reason,
});

/** As the log has it of a warning. */
const recordedRisk = { ...risk, reason: "others wait", state: "warned", countdownMs: 10_000 };

export const history: Json<GetHistoryReply> = {
  entries: [
    past(110_000, "granted", "billing-2", "11"),
    past(104_000, "queued", "billing-3"),
    past(98_000, "released", "billing-2", "11"),
    past(98_000, "granted", "billing-3", "12"),
    past(90_000, "queued", "billing-2"),
    { ...past(70_000, "warned", "billing-3", "12", "others wait"), risk: recordedRisk },
    past(60_000, "forced", "billing-3", "12", "not released in time"),
    past(60_000, "granted", "billing-2", "13"),
    past(50_000, "queued", "billing-1"),
    past(42_000, "released", "billing-2", "13"),
    { ...past(42_000, "granted", "billing-1", holder.token), session: holder.session },
    past(41_000, "queued", "billing-2"),
    past(39_000, "queued", "billing-3"),
    { ...past(2_000, "warned", "billing-1", holder.token, risk.reason), session: holder.session },
  ],
  reachMs: 120_000,
};

const listOf = (rows: readonly object[], key: string): ScreenMessage["parts"][string] => {
  const named = rows.map((row) => [String((row as Record<string, unknown>)[key]), row] as const); // A message is a record.
  return { list: { order: named.map(([name]) => name), rows: Object.fromEntries(named), more: false } };
};

const clusterNode = { address: "10.0.0.1:7420", version: "0.1.0", live: true, answered: true };
/** Three nodes, one of them draining, a fourth that is gone; and a member of etcd that does not answer. */
export const cluster: Json<GetClusterReply> = {
  node: "a",
  cluster: "prod",
  nodes: [
    { ...clusterNode, id: "a", owned: 7, standingBy: 8, silentMs: 120 },
    { ...clusterNode, id: "b", owned: 7, standingBy: 7, silentMs: 300 },
    { ...clusterNode, id: "c", owned: 1, standingBy: 1, silentMs: 90, draining: true },
    { id: "d", address: "10.0.0.4:7420", version: "0.1.0", silentMs: 75_000 },
  ],
  partitions: Array.from({ length: 16 }, (_, partition) => {
    const owner = partition === 15 ? "" : partition === 14 ? "c" : partition % 2 === 0 ? "a" : "b";
    const standby = owner === "a" ? "b" : "a";
    return {
      partition,
      owner,
      epoch: 3 + (partition % 3),
      sequence: 1_200 + partition,
      standbys: [{ node: standby, sequence: 1_200, lag: partition === 3 ? 12 : 0 }],
      wishedOwner: partition === 14 ? "b" : owner,
      wishedStandbys: [standby],
      pinned: partition === 2 ? "a" : "",
      role: owner === "a" ? "leading" : "following",
    };
  }),
  etcd: {
    members: [
      {
        ...{ endpoint: "10.0.0.1:2379", answered: true, version: "3.5.21", leader: true, hasLeader: true },
        ...{ fileBytes: 20_971_520, inUseBytes: 10_485_760, quotaBytes: 2_147_483_648 },
      },
      {
        ...{ endpoint: "10.0.0.2:2379", answered: true, version: "3.5.21", hasLeader: true, alarms: ["no_space"] },
        ...{ fileBytes: 20_971_520, inUseBytes: 10_485_760, quotaBytes: 2_147_483_648 },
      },
      { endpoint: "10.0.0.3:2379" },
    ],
    admission: "growth_refused",
    admissionReason: "80 % of etcd's quota are in use",
  },
  moves: [
    { atMs: 1_767_225_900_000, node: "a", kind: "received", partition: 4, epoch: 4, tookMs: 3.2 },
    { atMs: 1_767_225_899_990, node: "c", kind: "gave", partition: 4, other: "a", epoch: 4, tookMs: 6.1 },
    { atMs: 1_767_225_840_000, node: "b", kind: "took_over", partition: 7, other: "d", epoch: 3, tookMs: 60 },
    { atMs: 1_767_225_600_000, node: "a", kind: "lost", partition: 9, other: "b", epoch: 3 },
  ],
  replicas: 2,
  leaseMs: 2_000,
};

/** A server that runs alone. */
export const alone: Json<GetClusterReply> = {
  node: "local",
  nodes: [{ ...clusterNode, id: "local", owned: 2 }],
  partitions: [0, 1].map((partition) => ({
    partition,
    owner: "local",
    epoch: 1,
    wishedOwner: "local",
    role: "leading",
  })),
  replicas: 1,
};

/** All parts at once: each screen takes its own. */
export const PARTS: ScreenMessage["parts"] = {
  status: { value: status },
  locks: listOf(locks, "name"),
  why: { value: why },
  profile: { value: profile },
  sessions: listOf(sessions, "session"),
  prediction: { value: prediction },
  policies: { value: policies },
  cluster: { value: cluster },
  files: listOf([{ name: "file_0", length: 1_536, records: 2, version: "2" }], "name"),
};
