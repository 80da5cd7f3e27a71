// forecasts.test.ts: the commands that show and steer predictions: why, history, warn, policy, prediction, and their columns in lists.
import type { HistoryEntry, Policies, Risk, Waiter } from "@forelock/client";
import { expect, test } from "vitest";
import { FakeTerminal } from "./testing/fake-io.ts";

const RISK: Risk = {
  score: 0.82,
  parts: [{ name: "hold", value: 0.9, weight: 1 }],
  threshold: 0.7,
  policy: "enforce",
  state: "warned",
  countdownMs: 8_200,
  reason: "it holds longer than it ever did",
};
const FORECAST = { p50Ms: 15_000, p90Ms: 40_000, p99Ms: 60_000, observations: 120, source: "pair" };

const waiter = (position: number, more: Partial<Waiter> = {}): Waiter => ({
  reference: `r${position}`,
  session: `w${position}`,
  principal: "",
  mode: "exclusive",
  waitedMs: 4_100,
  position,
  priority: 0,
  silent: false,
  client: position === 1 ? "bo" : "cy",
  eta: { p50Ms: 2_700 * position, p90Ms: 27_700 * position },
  risk: undefined,
  ...more,
});

test("why tells holder, forecast, risk, waiters and what comes next in sentences, then in tables", async () => {
  const terminal = new FakeTerminal();
  terminal.server.hold("a", "ana");
  terminal.server.holderFacts = { forecast: FORECAST, risk: RISK };
  terminal.server.whyFacts = {
    sentence: "a has been held by ana for 12.3 s. Two requests wait.",
    waiters: [waiter(1), waiter(2, { risk: { ...RISK, state: "passed_over", countdownMs: -1, reason: "" } })],
    waiting: 2,
  };
  expect(await terminal.run("why", "a")).toBe(0);
  const [sentences = "", holders = "", waiters = ""] = terminal.out.split("\n\n");
  expect(sentences.split("\n")).toEqual([
    "a",
    "  a has been held by ana for 12.3 s. Two requests wait.",
    "  ana has held it (exclusive) since 23:59:47 UTC. Half of such holds end within 2.70 s more, nine of ten within 27.7 s (from 120 holds of this client on this lock). Its risk score is 0.82 (hold 0.90), at or above the threshold of 0.70; the policy is enforce. It was warned: unless it releases, the release is forced in 8.20 s. The reason: it holds longer than it ever did",
    "  bo is next, after 4.10 s; half of such waits end within 2.70 s more, nine of ten within 27.7 s.",
    "  cy waits at place 2, after 4.10 s; half of such waits end within 5.40 s more, nine of ten within 55.4 s. Its risk score is 0.82 (hold 0.90), at or above the threshold of 0.70; the policy is enforce. It is passed over: the other waiters go first, and it keeps its place behind them.",
  ]);
  expect(holders).toMatch(
    /HELD BY +MODE +FOR +FREE IN +RISK +TOKEN +SESSION\n.*ana .*2\.70 s to 27\.7 s +0\.82 warned +101/,
  );
  expect(waiters).toMatch(
    /PLACE +WAITS.*GRANT IN +RISK.*\n +1 +bo .*2\.70 s to 27\.7 s .*r1\n +2 +cy .*0\.82 passed_over/,
  );
});

test("what the server says about what comes next is told once", async () => {
  const terminal = new FakeTerminal();
  terminal.server.hold("a", "ana");
  terminal.server.holderFacts = { forecast: FORECAST, risk: RISK };
  terminal.server.whyFacts = {
    next: ["ana is expected to release within 2.7 s.", "It is released by force in 8.2 s."],
  };
  expect(await terminal.run("why", "a")).toBe(0);
  expect(terminal.out.split("\n\n")[0]?.split("\n").slice(2)).toEqual([
    "  ana has held it (exclusive) since 23:59:47 UTC.",
    "  Next: ana is expected to release within 2.7 s. It is released by force in 8.2 s.",
  ]);
});

test("why without forecasts is as short as the truth", async () => {
  const terminal = new FakeTerminal();
  terminal.server.hold("a", "ana");
  expect(await terminal.run("why", "a")).toBe(0);
  expect(terminal.out).toMatch(
    /^a\n {2}1 holders\.\n {2}ana has held it \(exclusive\) since 23:59:47 UTC\.\n\n {2}HELD BY .*\n {2}ana .*12\.3 s +101 +s1\n$/,
  );
});

test("why keeps to the width of a terminal", async () => {
  const terminal = new FakeTerminal();
  terminal.server.hold("a", "ana");
  terminal.server.holderFacts = { forecast: FORECAST, risk: RISK };
  terminal.isTerminal = true;
  terminal.columns = 60;
  terminal.env["NO_COLOR"] = "1";
  expect(await terminal.run("why", "a")).toBe(0);
  const [sentences = ""] = terminal.out.split("\n\n");
  expect(sentences.split("\n").length).toBeGreaterThan(5);
  for (const line of sentences.split("\n")) expect(line.length).toBeLessThanOrEqual(60);
});

test("locks shows forecast and risk, and the most pain first when asked", async () => {
  const terminal = new FakeTerminal();
  terminal.server.hold("a", "ana");
  terminal.server.hold("b", "bo");
  terminal.server.holderFacts = { forecast: FORECAST, risk: RISK };
  void terminal.run("lock", "b", "--", "true");
  await terminal.settle();
  expect(await terminal.run("locks", "--by-pain")).toBe(0);
  expect(terminal.out.split("\n").map((line) => line.replace(/ +/g, " "))).toEqual([
    "LOCK MODE HELD BY FOR FREE IN RISK TOKEN WAITING FIRST WAITS PAIN",
    "b exclusive bo 12.3 s 2.70 s to 27.7 s 0.82 warned 102 1 1.00 s 1.00 s",
    "a exclusive ana 12.3 s 2.70 s to 27.7 s 0.82 warned 101",
    "",
  ]);
});

test("sessions shows health, jitter, how likely the client is gone, and risk", async () => {
  const terminal = new FakeTerminal();
  terminal.server.sessionFacts = { health: "degraded", suspicion: 0.126, risk: RISK, application: "import" };
  expect(await terminal.run("sessions")).toBe(0);
  expect(terminal.out).toMatch(/LAG +HEALTH +JITTER +GONE +RISK\n/);
  expect(terminal.out).toMatch(/ana \[import\] .* 2 ms +degraded +12 ms +13 % +0\.82 warned\n/);
});

const entry = (agoMs: number, kind: string, more: Partial<HistoryEntry> = {}): HistoryEntry => ({
  agoMs,
  kind,
  name: "a",
  session: "s1",
  client: "ana",
  token: 7n,
  reason: "",
  ...more,
});

test("history draws lanes, lists what was notable, and says how far the log reaches", async () => {
  const terminal = new FakeTerminal();
  const bo = { session: "s2", client: "bo", token: 8n };
  terminal.server.history = {
    entries: [
      entry(60_000, "granted"),
      entry(30_000, "queued", { ...bo, token: 0n }),
      entry(20_000, "warned", { reason: "it hangs" }),
      entry(10_000, "preempted", { reason: "not released in time" }),
      entry(10_000, "granted", bo),
    ],
    reachMs: 3_600_000,
    more: false,
  };
  expect(await terminal.run("history", "a")).toBe(0);
  const lines = terminal.out.split("\n");
  expect(lines[0]).toBe("a");
  expect(lines[1]).toMatch(/^ana {2}█{63}!█{15,16}P·+$/);
  expect(lines[2]).toMatch(/^bo {3}·{47}░{31,32}█+$/);
  expect(lines[3]).toMatch(/^ {5}1 m 00 s ago +30\.0 s ago +now$/);
  expect(terminal.out).toContain("20.0 s  warned     ana      7  it hangs\n");
  expect(terminal.out).toContain("10.0 s  preempted  ana      7  not released in time\n");
  expect(terminal.err).toBe("5 events; the log reaches back 1 h 00 m.\n");
});

test("history --since draws what has been held all along, and adapts to the terminal", async () => {
  const terminal = new FakeTerminal();
  terminal.isTerminal = true;
  terminal.columns = 50;
  terminal.env["NO_COLOR"] = "1";
  terminal.server.history = { entries: [entry(3_600_000, "granted")], reachMs: 3_600_000, more: true };
  expect(await terminal.run("history", "a", "--since", "10s")).toBe(0);
  expect(terminal.out.split("\n")[1]).toBe(`ana  ${"█".repeat(45)}`);
  expect(terminal.err).toContain("0 events, and older ones: raise --limit; ");
});

test("history of a name that nothing is known of says so, and --json gives the answer as it is", async () => {
  const terminal = new FakeTerminal();
  expect(await terminal.run("history", "a")).toBe(0);
  expect(terminal.out).toBe("a\n  Nothing is remembered of it.\n");
  terminal.out = "";
  expect(await terminal.run("history", "a", "--since", "10s")).toBe(0);
  expect(terminal.out).toBe("a\n  Nothing is remembered of it, of the last 10.0 s.\n");
  terminal.out = "";
  terminal.server.history = { entries: [entry(50, "granted"), entry(20, "released")], reachMs: 60, more: false };
  expect(await terminal.run("history", "a", "--json", "--since", "30ms")).toBe(0);
  expect(JSON.parse(terminal.out)).toEqual({
    entries: [{ ...entry(20, "released"), token: "7" }],
    reachMs: 60,
    more: false,
  });
});

test("warn says who is warned, and passes token, countdown and reason on", async () => {
  const terminal = new FakeTerminal();
  terminal.server.hold("a");
  expect(await terminal.run("warn", "a", "--reason", "deploy", "--token", "101", "--countdown", "30s")).toBe(0);
  expect(terminal.out).toBe("a: warned 1 holder (warning w1)\n");
  expect(terminal.server.warned).toEqual([{ name: "a", token: 101n, reason: "deploy", countdownMs: 30_000 }]);
  terminal.out = "";
  expect(await terminal.run("warn", "a", "--reason", "deploy", "--json")).toBe(0);
  expect(JSON.parse(terminal.out)).toEqual({ warnings: ["w1"] });
  expect(terminal.server.warned[1]).toEqual({ name: "a", token: undefined, reason: "deploy", countdownMs: undefined });
  expect(await terminal.run("warn", "b", "--reason", "deploy")).toBe(117);
});

const POLICIES: Policies = {
  policies: [
    {
      prefix: "orders",
      set: { threshold: "0.7" },
      effective: { policy: "observe", threshold: "0.7", countdownMs: "10000" },
      threshold: 0.75,
      changedBy: "ana",
      changedMs: Date.UTC(2026, 0, 1),
      reason: "try it",
    },
    {
      prefix: "",
      set: {},
      effective: { policy: "observe", threshold: "0.8", countdownMs: "10000" },
      threshold: 0.8,
      changedBy: "",
      changedMs: 0,
      reason: "",
    },
  ],
  fields: [
    { name: "policy", range: "off | observe", standard: "observe", description: "What is done." },
    { name: "threshold", range: "0 to 1", standard: "0.8", description: "From where on." },
    { name: "countdownMs", range: "100 to 3600000", standard: "10000", description: "How long." },
  ],
};

test("policy lists the prefixes that set something", async () => {
  const terminal = new FakeTerminal();
  terminal.server.policies = POLICIES;
  expect(await terminal.run("policy")).toBe(0);
  expect(terminal.out.split("\n").map((line) => line.replace(/ +/g, " "))).toEqual([
    "PREFIX POLICY THRESHOLD SET HERE BY REASON",
    "(everything) observe 0.80",
    "orders observe 0.75 threshold=0.7 ana try it",
    "",
  ]);
});

test.each([
  ["orders", "0.7", "here", true],
  ["orders/42", "0.7", "above", true],
  ["orders2", "0.8", "standard", false],
])(
  "policy %s shows every field, its value, where it comes from and what it means",
  async (prefix, value, from, moved) => {
    const terminal = new FakeTerminal();
    terminal.server.policies = POLICIES;
    expect(await terminal.run("policy", prefix)).toBe(0);
    expect(terminal.out).toMatch(new RegExp(`^${prefix}\n`));
    expect(terminal.out).toMatch(new RegExp(`\nthreshold +${value} +${from} +0 to 1 +From where on\\.\n`));
    expect(terminal.out.includes("The controller has moved the threshold to 0.75.")).toBe(moved);
    expect(terminal.out.includes("Changed by ana at 2026-01-01T00:00:00.000Z: try it")).toBe(prefix === "orders");
  },
);

test("policy --set and --unset change fields, with durations and parts of values", async () => {
  const terminal = new FakeTerminal();
  terminal.server.policies = POLICIES;
  const set = ["--set", "policy=enforce, weights=hold:2/harm:1", "--set", "countdownMs=10s,threshold=0.9"];
  expect(await terminal.run("policy", "orders", ...set, "--reason", "step 3", "--json")).toBe(0);
  expect(JSON.parse(terminal.out)).toMatchObject({
    prefix: "orders",
    set: { policy: "enforce", weights: "hold:2/harm:1", countdownMs: "10000", threshold: "0.9" },
    reason: "step 3",
  });
  terminal.out = "";
  expect(await terminal.run("policy", "orders", "--unset", "threshold", "--reason", "back")).toBe(0);
  expect(terminal.out).toBe("orders:\n  threshold = 0.8 (not set here any more)\n");
  expect(terminal.server.calls.filter((call) => call === "close")).toHaveLength(2);
});

test("prediction shows calibration, totals and the last decisions", async () => {
  const terminal = new FakeTerminal();
  terminal.server.prediction = {
    calibrations: [{ of: "hold", quantile: 0.9, coverage: 0.884, observations: 1_000 }],
    totals: {
      warnings: 5,
      released: 3,
      extended: 1,
      forced: 1,
      wrong: 1,
      ignored: 1,
      observed: 7,
      observedRight: 6,
      observedWrong: 1,
      observedSavedMs: 90_000,
    },
    decisions: [
      {
        atMs: Date.UTC(2026, 0, 1, 10, 2),
        kind: "warned",
        name: "a",
        token: 7n,
        client: "ana",
        risk: RISK,
        outcome: "released",
        reason: "it hangs",
      },
    ],
  };
  expect(await terminal.run("prediction")).toBe(0);
  expect(terminal.out.split("\n").map((line) => line.replace(/ +/g, " "))).toEqual([
    "FORECAST OF QUANTILE WERE BELOW OBSERVATIONS",
    "hold p90 88 % 1,000",
    "",
    "5 warned: 3 released in time, 1 extended, 1 forced, 1 ignored; 1 would have released without being asked.",
    "7 observed only: 6 would have been right, 1 wrong; acting would have saved 1 m 30 s of waiting.",
    "",
    "WHEN WHAT LOCK CLIENT RISK OUTCOME WHY",
    "2026-01-01 10:02:00 warned a ana 0.82 warned released it hangs",
    "",
  ]);
});

test("prediction of a fresh server says that there is nothing yet", async () => {
  const terminal = new FakeTerminal();
  expect(await terminal.run("prediction")).toBe(0);
  expect(terminal.out).toBe("No forecast has been compared with the truth yet.\n\nNo holder was warned.\n");
});
