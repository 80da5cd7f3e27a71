// cli.e2e.test.ts: the real binary against a real server: what no fake can tell.
import { createServer } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { build, forelock, RealServer } from "./testing/real-server.ts";

let server: RealServer;

beforeAll(async () => {
  await build();
  server = await RealServer.start("--files", "file_{0..9}", "--session-ttl-ms", "6s");
}, 180_000);

afterAll(async () => {
  const ended = await server?.stop();
  expect(ended?.code).toBe(0); // A server that is asked to stop has not failed.
});

const run = (argv: readonly string[], input = "") => server.run(argv, input).ended;
const json = async (...argv: readonly string[]) => {
  const { code, out, err } = await run([...argv, "--json"]);
  if (out === "") throw new Error(`forelock ${argv.join(" ")} gave ${code}: ${err}`);
  return JSON.parse(out);
};

test("the greeting names address, data folder and durability, and three commands that work", () => {
  const { out } = server.running;
  expect(out).toContain(`Forelock is serving on ${server.address}\n`);
  expect(out).toContain(`data        ${join(server.folder, "data")}\n`);
  expect(out).toContain("durable: what is acknowledged is on disk");
  expect(out.match(/npx forelock \w+ .*--endpoint/g)).toHaveLength(3);
});

test("lock, append inside it with the inherited token, cat", async () => {
  const append = `echo hello | '${process.execPath}' packages/server/bin/forelock.js append file_0`;
  const { code, err } = await run(["lock", "file_0", "--", "sh", "-c", append]);
  expect({ code, err }).toEqual({ code: 0, err: "" });
  expect((await run(["cat", "file_0"])).out).toBe("hello\n");
});

test("append, files, cat --records", async () => {
  expect((await run(["append", "notes"], "one\n")).out).toBe("notes: appended 4 B; length 4 bytes, version 1\n");
  expect((await run(["append", "notes"], "two\n")).code).toBe(0);
  expect((await run(["cat", "notes", "--records"])).out).toBe("0\tone\n1\ttwo\n");
  expect((await json("files", "notes")).files).toEqual([{ name: "notes", length: 8, version: 2, records: 2 }]);
});

test("a large append is split, and comes back byte for byte", async () => {
  const input = Array.from({ length: 60_000 }, (_, index) => `line ${index}`).join("\n");
  const { out } = await run(["append", "large", "--json"], input);
  expect(JSON.parse(out)).toMatchObject({ appendedBytes: input.length, records: Math.ceil(input.length / 196_608) });
  expect((await run(["cat", "large"])).out).toBe(input);
}, 120_000);

test.each([
  [["true"], 0],
  [["sh", "-c", "exit 7"], 7],
  [["sh", "-c", "kill -9 $$"], 137],
  [["/no/such/command"], 127],
  [["/etc/passwd"], 126],
])("lock -- %j gives %d", async (command, code) => {
  expect((await run(["lock", "codes", "--", ...command])).code).toBe(code);
  expect((await json("why", "codes")).holders).toEqual([]);
});

test("busy gives 111, a wait that ends 112, and why names holder and waiter", async () => {
  const holder = server.run(["lock", "held", "--", "sleep", "60"]);
  await untilGranted("held");
  expect((await run(["lock", "held", "--no-wait", "--", "true"])).code).toBe(111);
  const waiter = server.run(["lock", "held", "--wait", "3s", "--", "true"]);
  await waiter.until(({ err }) => err.includes("place 1"));
  expect(await json("why", "held")).toMatchObject({ name: "held", holders: [{ mode: "exclusive" }], waiting: 1 });
  expect((await waiter.ended).code).toBe(112);
  holder.kill("SIGTERM");
  expect((await holder.ended).code).toBe(143);
  expect((await json("why", "held")).holders).toEqual([]); // Released at once, not by expiry.
});

test("shared locks are held together, and a semaphore up to its limit", async () => {
  for (const flags of [["--shared"], ["--permits", "2"]]) {
    const name = `together${flags[0]}`;
    const first = server.run(["lock", name, ...flags, "--", "sleep", "60"]);
    await untilGranted(name);
    expect((await run(["lock", name, ...flags, "--no-wait", "--", "true"])).code).toBe(0);
    first.kill("SIGTERM");
    await first.ended;
  }
});

test("with --rollback what the command appended is undone unless it gives 0", async () => {
  const binary = `'${process.execPath}' packages/server/bin/forelock.js`;
  const append = (end: string) => ["sh", "-c", `echo x | ${binary} append undone; ${end}`];
  expect((await run(["lock", "undone", "--rollback", "--", ...append("exit 3")])).code).toBe(3);
  expect((await run(["cat", "undone"])).out).toBe("");
  expect((await run(["lock", "undone", "--rollback", "--", ...append("exit 0")])).code).toBe(0);
  expect((await run(["cat", "undone"])).out).toBe("x\n");
});

test("a forced release stops the command that ran under the lock: 113", async () => {
  const holder = server.run(["lock", "forced", "--", "sleep", "60"]);
  await untilGranted("forced");
  const { out, code } = await run(["release", "--force", "forced", "--reason", "the test says so"]);
  expect(code).toBe(0);
  expect(out).toMatch(/^forced: released 1 grant \(token \d+\)\n$/);
  const { code: ended, err } = await holder.ended;
  expect(ended).toBe(113);
  expect(err).toContain("SIGTERM now");
});

test("a command that ignores SIGTERM is killed, before anybody else is granted, when the server dies", async () => {
  const ttlMs = 6_000;
  const doomed = await RealServer.start("--session-ttl-ms", `${ttlMs / 1_000}s`);
  const script = "trap '' TERM; echo running; while :; do date +%s%3N; sleep 0.1; done";
  const holder = doomed.run(["lock", "a", "--", "sh", "-c", script]);
  await holder.until(({ out }) => out.includes("running"));
  const killedMs = Date.now();
  doomed.running.kill("SIGKILL");
  const { code, err, out } = await holder.ended;
  expect({ code, err }).toMatchObject({ code: 113, err: expect.stringContaining("SIGKILL") });
  expect(Number(out.trim().split("\n").at(-1))).toBeLessThan(killedMs + ttlMs); // As it has told itself, however late we hear of it.
  await doomed.stop();
});

test("wrong flags and values name field, value and form: 110", async () => {
  const { code, err } = await run(["lock", "a", "--wait", "5", "--", "true"]);
  expect(code).toBe(110);
  expect(err).toBe('forelock: --wait is "5": give a number and a unit, ms, s, m or h, as in 250ms, 5s, 2m or 1h.\n');
  expect((await run(["lock", "a//b", "--", "true"])).code).toBe(110); // The server's own check of names.
});

test("an unreachable server is told within its bound, with the next step: 114", async () => {
  const port = await freePort();
  const beganMs = Date.now();
  const { code, err } = await forelock(["status", "--endpoint", `127.0.0.1:${port}`]).ended;
  expect(code).toBe(114);
  expect(err).toContain(`No Forelock server answers at 127.0.0.1:${port} (tried for 2.00 s)`);
  expect(err).toContain("npm start");
  expect(Date.now() - beganMs).toBeLessThan(10_000);
});

test("the shell is driven from a pipe", async () => {
  const { code, out } = await run(
    ["shell"],
    "acquire file_1\nappend file_1 hello there\ncat file_1\nrelease\nwhy file_1\nquit\n",
  );
  expect(code).toBe(0);
  expect(out).toMatch(
    /^granted file_1, token \d+\nappended to file_1: length 12 bytes, version 1\nhello there\nreleased file_1\n/,
  );
});

test("a wait is found by its reference, awaited and cancelled from elsewhere", async () => {
  const holder = server.run(["lock", "waited", "--", "sleep", "60"]);
  await untilGranted("waited");
  const waiter = server.run(["lock", "waited", "--json", "--", "true"]);
  const reference = await waiter.until(({ err }) => /"reference":"([^"]+)"/.exec(err)?.[1]);
  expect(await json("operation", reference)).toMatchObject({ reference, state: "queued", position: 1 });
  expect(await json("operation", reference, "--cancel")).toEqual({ reference, cancelled: true });
  expect((await waiter.ended).code).toBe(116);
  holder.kill("SIGINT");
  expect((await holder.ended).code).toBe(130);
});

test("watch prints what happens, and ends with Ctrl-C", async () => {
  const watch = server.run(["watch", "watched/*", "--json"]);
  await watch.until(({ err }) => err.includes('"watching"'));
  await run(["lock", "watched/a", "--", "true"]);
  await run(["lock", "elsewhere", "--", "true"]);
  const lines = await watch.until(({ out }) => out.split("\n").length > 2 && out.trim().split("\n"));
  expect(lines.map((line) => JSON.parse(line))).toMatchObject([
    { kind: "granted", name: "watched/a" },
    { kind: "released", name: "watched/a" },
  ]);
  watch.kill("SIGINT");
  expect((await watch.ended).code).toBe(130);
});

test("sessions and locks list what is there", async () => {
  const holder = server.run(["lock", "listed/a", "--", "sleep", "60"]);
  await untilGranted("listed/a");
  expect((await json("locks", "listed/")).locks).toMatchObject([{ name: "listed/a", waiting: 0 }]);
  const { sessions } = await json("sessions");
  expect(sessions.some(({ client }: { client: string }) => client.startsWith("forelock-cli@"))).toBe(true);
  holder.kill("SIGTERM");
  await holder.ended;
});

test("a policy is set, a holder warned, pre-empted at the end of the countdown, and all of it is history", async () => {
  const set = "policy=enforce,countdownMs=500ms,minimumHoldMs=0";
  expect((await run(["policy", "steered", "--set", set, "--reason", "the test says so"])).code).toBe(0);
  expect((await json("policy", "steered/a")).policy.effective).toMatchObject({ policy: "enforce", countdownMs: "500" });
  const holder = server.run(["lock", "steered/a", "--", "sleep", "60"]);
  await untilGranted("steered/a");
  const waiter = server.run(["lock", "steered/a", "--", "true"]);
  await waiter.until(({ err }) => err.includes("place 1"));
  const warned = await run(["warn", "steered/a", "--reason", "deploy"]);
  expect(warned.out).toMatch(/^steered\/a: warned 1 holder \(warning .+\)\n$/);
  expect((await holder.ended).code).toBe(121);
  expect((await waiter.ended).code).toBe(0);
  const { entries } = await json("history", "steered/a");
  expect(entries.map(({ kind }: { kind: string }) => kind)).toEqual(
    expect.arrayContaining(["granted", "queued", "warned", "released"]),
  );
  const drawn = await run(["history", "steered/a"]);
  expect(drawn.out).toMatch(/█/);
  expect(drawn.out).toMatch(/warned +forelock-cli@.* +deploy\n/);
  expect(drawn.err).toMatch(/^\d+ events; the log reaches back /);
  expect((await run(["policy", "steered", "--unset", "policy", "--reason", "done"])).out).toContain(
    "not set here any more",
  );
  expect((await run(["policy", "steered", "--set", "threshold=2", "--reason", "wrong"])).code).toBe(110);
  expect((await json("prediction")).totals.warnings).toBeGreaterThan(0);
});

test("bench measures and leaves nothing behind", async () => {
  const before = (await json("status")).operations;
  const result = await json("bench", "--seconds", "1", "--in-flight", "8");
  expect(result).toMatchObject({ durable: true, clients: 1 });
  expect(result.cyclesPerSecond).toBeGreaterThan(10);
  expect((await json("status")).operations - before).toBeLessThan(50);
});

test("a closed pipe ends a command quietly, as SIGPIPE would", async () => {
  const cat = server.run(["cat", "large"]);
  cat.process.stdout?.destroy();
  const { code, err } = await cat.ended;
  expect({ code, err }).toEqual({ code: 141, err: "" });
});

test("a second server on the same data is refused, and serve names what is wrong in its settings", async () => {
  const data = join(server.folder, "data");
  const second = await forelock(["serve", "--port", "0", "--data", data]).ended;
  expect(second.code).toBe(116);
  expect(second.err).toContain("[data_in_use]");
  const wrong = await forelock(["serve", "--port", "99999", "--durability", "maybe"]).ended;
  expect(wrong.code).toBe(110);
  expect(wrong.err).toContain("port (--port)");
  expect(wrong.err).toContain("durability (--durability)");
});

test("log verify and dump read the log beside the server", async () => {
  const data = join(server.folder, "data");
  const verified = await run(["log", "verify", data]);
  expect(verified.code).toBe(0);
  expect(verified.err).toMatch(/Sound: [\d,]+ records\./);
  const dumped = await run(["log", "dump", data, "--limit", "3", "--json"]);
  const [record] = dumped.out.split("\n");
  expect(JSON.parse(record ?? "")).toMatchObject({
    offset: expect.any(Number),
    partition: expect.any(Number),
    events: expect.any(Array),
  });
  expect((await run(["log", "verify", "/no/such/folder"])).code).toBe(110);
});

async function untilGranted(name: string): Promise<void> {
  while ((await json("why", name)).holders.length === 0);
}

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, "127.0.0.1", resolve));
  const address = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  return typeof address === "object" && address !== null ? address.port : 0;
}
