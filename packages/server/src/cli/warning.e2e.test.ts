// warning.e2e.test.ts: warnings from the real server to the real client and to commands under `forelock lock`.
import { connect, type ForelockClient, type Warning } from "@forelock/client";
import { afterAll, beforeAll, expect, test } from "vitest";
import { build, RealServer } from "./testing/real-server.ts";

const COUNTDOWN_MS = 1_500;
let server: RealServer;
let operator: ForelockClient;

beforeAll(async () => {
  await build();
  server = await RealServer.start();
  operator = await connect({ endpoints: server.address, client: "operator" });
  const set = { policy: "enforce", countdownMs: String(COUNTDOWN_MS), minimumHoldMs: "100", threshold: "0.6" };
  await operator.setPolicy("", set, { reason: "test" });
}, 180_000);

afterAll(async () => {
  await operator?.close();
  expect((await server?.stop())?.code).toBe(0);
});

const open = (client: string) => connect({ endpoints: server.address, client });
const warn = (name: string) => operator.warn(name, { reason: "deploy" });
const aborted = (signal: AbortSignal) =>
  new Promise<unknown>((resolve) => {
    if (signal.aborted) resolve(signal.reason);
    else signal.addEventListener("abort", () => resolve(signal.reason), { once: true });
  });

async function until<Found>(find: () => Promise<Found | undefined> | Found | undefined): Promise<Found> {
  for (;;) {
    const found = await find();
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

test("a holder that hangs while another waits is warned by the forecast, saves its work, and the next one is granted", async () => {
  await using worker = await open("worker");
  for (let hold = 0; hold < 150; hold += 1) await (await worker.lock("learned")).release();
  const heard: Warning[] = [];
  const saved = deferred();
  const hung = await worker.lock("learned", {
    onWarning: (warning) => {
      heard.push(warning);
      return saved.promise;
    },
  });
  await using other = await open("other");
  const operation = await other.enqueue("learned");
  const states: string[] = [];
  const progress = (async () => {
    for await (const { state, position } of operation.progress()) states.push(`${state} ${position}`);
  })();
  const [warning] = await until(() => (heard.length > 0 ? heard : undefined));
  expect(warning).toMatchObject({ name: "learned", token: hung.token, isPending: false, enforced: true });
  expect(warning?.score).toBeGreaterThanOrEqual(0.6);
  expect(warning?.reason).toContain("stuck");
  saved.resolve();
  expect(await aborted(hung.signal)).toMatchObject({ code: "preempted" });
  const next = await operation.granted();
  expect(next.token).toBeGreaterThan(hung.token);
  await progress;
  expect(states[0]).toBe("queued 1");
  expect(states.at(-1)).toBe("granted 0");
  const { entries } = await operator.history("learned", { limit: 6 });
  expect(entries.map(({ kind }) => kind)).toEqual(expect.arrayContaining(["warned", "acknowledged", "released"]));
  expect(entries.some(({ kind }) => kind === "preempted")).toBe(false);
}, 60_000);

test("one that ignores its warning is told by its signal before it is forced; afterwards its token is refused", async () => {
  await using holder = await open("deaf");
  await using other = await open("other");
  const lock = await holder.lock("ignored", { onLoss: "rollback" });
  await holder.file("ignored").append("half", { lock });
  const { token } = lock;
  const next = other.lock("ignored");
  const story: string[] = [];
  const told = aborted(lock.signal).then(async (reason) => {
    story.push("aborted");
    expect(reason).toMatchObject({ name: "ForelockError", code: "preempted", details: { reason: "deploy" } });
    expect((await operator.why("ignored")).holders[0]?.token).toBe(token); // Not forced yet.
  });
  await warn("ignored");
  const granted = next.then((given) => {
    story.push("granted");
    return given;
  });
  await told;
  const given = await granted;
  expect(story).toEqual(["aborted", "granted"]);
  await expect(holder.file("ignored").append("late", { token })).rejects.toMatchObject({ code: "stale_token" });
  expect((await operator.file("ignored").stat())?.length).toBe(0); // What it did is undone.
  await expect(lock.release()).rejects.toMatchObject({ code: "preempted" });
  await given.release();
  const { totals } = await operator.prediction();
  expect(totals.forced).toBeGreaterThanOrEqual(1);
}, 60_000);

test("one that is frozen finds its lock gone when it looks, whatever the server could tell it", async () => {
  await using holder = await open("frozen");
  await using other = await open("other");
  const lock = await holder.lock("frozen");
  const next = other.lock("frozen");
  await warn("frozen");
  await until(() => lock.warning);
  const untilMs = performance.now() + COUNTDOWN_MS;
  while (performance.now() < untilMs); // The loop is blocked: no timer, no notice.
  expect(lock.held).toBe(false);
  expect(lock.signal.reason).toMatchObject({ code: "preempted" });
  await (await next).release();
}, 60_000);

test("more time is asked of the server, which answers with what is left", async () => {
  await using holder = await open("asker");
  const answers: unknown[] = [];
  const lock = await holder.lock("asked", {
    onWarning: async (warning) => {
      answers.push(await warning.extend(2_000, "two rows left"));
      answers.push(await warning.extend(86_000_000, "the whole night"));
    },
  });
  await warn("asked");
  await until(() => (answers.length === 2 ? true : undefined));
  expect(answers[0]).toMatchObject({ granted: expect.any(Boolean), countdownMs: expect.any(Number) });
  expect(answers[1]).toMatchObject({ granted: false, reason: expect.stringContaining("86000000") });
  const isExtended = (answers[0] as { readonly granted: boolean }).granted; // Cast: extend gave it.
  if (isExtended) expect(lock.warning?.countdownMs).toBeGreaterThan(COUNTDOWN_MS);
  else expect(await aborted(lock.signal)).toMatchObject({ code: "preempted" });
}, 60_000);

test("a request that waits is warned, and its countdown begins with its grant", async () => {
  await operator.setPolicy("pending", { pendingThreshold: "0" }, { reason: "test" });
  await using holder = await open("holder");
  await using waiter = await open("waiter");
  for (let hold = 0; hold < 100; hold += 1) await (await waiter.lock("pending/a")).release(); // Known there.
  const first = await holder.lock("pending/a", { preemptible: "never" });
  const heard: boolean[] = [];
  const asked = waiter.lock("pending/a", { onWarning: ({ isPending }) => void heard.push(isPending) });
  const behind = await holder.enqueue("pending/a", { actor: "another" });
  await until(() => (heard.length > 0 ? true : undefined));
  await new Promise((resolve) => setTimeout(resolve, COUNTDOWN_MS / 2));
  await first.release();
  const lock = await asked;
  expect(heard).toEqual([true]);
  expect(lock.warning?.countdownMs).toBeGreaterThan(COUNTDOWN_MS / 2);
  expect(lock.warning?.token).toBe(lock.token);
  await lock.release();
  await behind.granted();
}, 60_000);

test("health, kind of work and name are told to operators", async () => {
  await using client = await connect({
    ...{ endpoints: server.address, client: "ill", application: "invoicing", ttlMs: 1_000 },
    health: () => "degraded",
  });
  await client.lock("ill");
  const session = await until(async () => {
    const { sessions } = await operator.listSessions();
    return sessions.find((one) => one.client === "ill" && one.health === "degraded");
  });
  expect(session.application).toBe("invoicing");
});

test("lock -- CMD: a warning brings SIGTERM, the command saves its work, and the exit code is 121", async () => {
  const script = "trap 'echo saved; exit 0' TERM; echo running; while :; do sleep 0.05; done";
  const holder = server.run(["lock", "command", "--", "sh", "-c", script]);
  await holder.until(({ out }) => out.includes("running"));
  await warn("command");
  const { code, out, err } = await holder.ended;
  expect({ code, out }).toEqual({ code: 121, out: "running\nsaved\n" });
  expect(err).toMatch(
    /The lock command is in the way of others \(risk 1\.00\): deploy\. Stopping the command: SIGTERM now, SIGKILL in /,
  );
  const { entries } = await operator.history("command");
  expect(entries.map(({ kind }) => kind)).toEqual(["granted", "warned", "acknowledged", "released"]);
}, 60_000);

test.each([["term"], ["ignore"]])(
  "lock -- CMD: one that does not stop is killed before it is forced (%s)",
  async (onWarning) => {
    const name = `stubborn-${onWarning}`;
    const script = "trap '' TERM; echo running; while :; do sleep 0.05; done";
    const holder = server.run(["lock", name, "--on-warning", onWarning, "--", "sh", "-c", script]);
    await holder.until(({ out }) => out.includes("running"));
    await warn(name);
    expect((await holder.ended).code).toBe(121);
    const { entries } = await operator.history(name);
    const acknowledged = onWarning === "term" ? ["acknowledged"] : [];
    expect(entries.map(({ kind }) => kind)).toEqual(["granted", "warned", ...acknowledged, "released"]);
  },
  60_000,
);

function deferred() {
  let resolve: () => void = () => {};
  const promise = new Promise<void>((yes) => {
    resolve = yes;
  });
  return { promise, resolve };
}
