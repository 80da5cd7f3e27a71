import { ForelockError } from "@forelock/protocol";
import { expect, test } from "vitest";
import { FakeTerminal } from "./testing/fake-io.ts";

test("status says whether answers are durable, each figure with its unit", async () => {
  const terminal = new FakeTerminal();
  expect(await terminal.run("status")).toBe(0);
  expect(terminal.out).toContain("durable      yes: acknowledged means on disk\n");
  expect(terminal.out).toContain("uptime       1 m 05 s\n");
  expect(terminal.out).toContain("log          2.0 KiB\n");
});

test("locks prints one aligned row each on stdout and their count on stderr", async () => {
  const terminal = new FakeTerminal();
  terminal.server.hold("orders/42", "ana");
  terminal.server.hold("orders/7", "bo");
  terminal.server.hold("other");
  expect(await terminal.run("locks", "orders/")).toBe(0);
  expect(terminal.out).toBe(
    [
      "LOCK       MODE       HELD BY     FOR  FREE IN  RISK  TOKEN  WAITING  FIRST WAITS",
      "orders/42  exclusive  ana      12.3 s                   101",
      "orders/7   exclusive  bo       12.3 s                   102",
      "",
    ].join("\n"),
  );
  expect(terminal.err).toBe("2 locks.\n");
});

test("a list that is cut says so, and JSON carries it", async () => {
  const terminal = new FakeTerminal();
  for (let index = 0; index < 600; index += 1) terminal.server.hold(`a${index}`);
  expect(await terminal.run("locks", "--limit", "510")).toBe(0);
  expect(terminal.out.trim().split("\n")).toHaveLength(511);
  expect(terminal.err).toBe("510 locks, and more: raise --limit.\n");
  terminal.out = "";
  expect(await terminal.run("locks", "--json")).toBe(0);
  expect(JSON.parse(terminal.out)).toMatchObject({ more: false });
  expect(JSON.parse(terminal.out).locks).toHaveLength(600);
});

test("no locks is said on stderr, and stdout stays empty for scripts", async () => {
  const terminal = new FakeTerminal();
  expect(await terminal.run("locks")).toBe(0);
  expect(terminal.out).toBe("");
  expect(terminal.err).toBe("No locks.\n");
});

test("release --force names the tokens that are dead now", async () => {
  const terminal = new FakeTerminal();
  terminal.server.hold("a");
  expect(await terminal.run("release", "--force", "a", "--reason", "it hangs")).toBe(0);
  expect(terminal.out).toBe("a: released 1 grant (token 101)\n");
  expect(await terminal.run("release", "--force", "a", "--reason", "again")).toBe(117);
});

test("cat streams a file byte for byte, from an offset too", async () => {
  const terminal = new FakeTerminal();
  terminal.server.files.set("f", [Buffer.from("hello "), Buffer.from("world\u0000\n")]);
  expect(await terminal.run("cat", "f")).toBe(0);
  expect(terminal.out).toBe("hello world\u0000\n");
  terminal.out = "";
  expect(await terminal.run("cat", "f", "--offset", "6")).toBe(0);
  expect(terminal.out).toBe("world\u0000\n");
  expect(await terminal.run("cat", "f", "--offset", "14")).toBe(110);
  expect(await terminal.run("cat", "missing")).toBe(117);
});

test("cat --records prints one line a record, with its index", async () => {
  const terminal = new FakeTerminal();
  terminal.server.files.set("f", [Buffer.from("one\n"), Buffer.from("two\nlines")]);
  expect(await terminal.run("cat", "f", "--records")).toBe(0);
  expect(terminal.out).toBe("0\tone\n1\ttwo\\u{a}lines\n");
  terminal.out = "";
  expect(await terminal.run("cat", "f", "--records", "--json", "--offset", "1")).toBe(0);
  expect(JSON.parse(terminal.out)).toEqual({
    file: "f",
    index: 1,
    bytes: Buffer.from("two\nlines").toString("base64"),
  });
});

test("operation shows where a request stands, and --wait awaits its end", async () => {
  const terminal = new FakeTerminal();
  expect(await terminal.run("operation", "r")).toBe(0);
  expect(terminal.out).toBe("queued, place 2\n");
  terminal.out = "";
  expect(await terminal.run("operation", "r", "--wait")).toBe(0);
  expect(terminal.out).toBe("granted\n  a  token 7\n");
  terminal.out = "";
  expect(await terminal.run("operation", "r", "--cancel", "--json")).toBe(0);
  expect(JSON.parse(terminal.out)).toEqual({ reference: "r", cancelled: true });
});

test("watch prints events until the count", async () => {
  const terminal = new FakeTerminal();
  const event = (kind: string) => ({
    kind,
    name: "a",
    token: 7n,
    session: "s1",
    partition: 0,
    reason: "",
    revision: 1,
  });
  terminal.server.events.push(event("queued"), event("granted"), event("released"));
  expect(await terminal.run("watch", "*", "--count", "2")).toBe(0);
  expect(terminal.out).toBe(
    "00:00:00.000  queued     a  token 7  session s1\n00:00:00.000  granted    a  token 7  session s1\n",
  );
});

test("a server that refuses is quoted with its hint", async () => {
  const terminal = new FakeTerminal();
  terminal.server.refusals.set(
    "listLocks",
    new ForelockError("permission_denied", "ana has no right `read` on orders/."),
  );
  expect(await terminal.run("locks")).toBe(115);
  expect(terminal.err).toContain("forelock: [permission_denied] ana has no right `read` on orders/. Ask whoever keeps");
});
