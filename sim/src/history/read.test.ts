import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { readHistory } from "./read.ts";
import { encodeOperation, HistoryWriter } from "./write.ts";

const folders: string[] = [];

afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function written(use: (writer: HistoryWriter) => void): string {
  const folder = mkdtempSync(join(tmpdir(), "forelock-history-"));
  folders.push(folder);
  let nowNs = 0;
  const path = join(folder, "history.jsonl");
  const writer = new HistoryWriter(path, { run: "test", seed: 1, nodes: 1, faults: ["kill"] }, () => (nowNs += 10));
  use(writer);
  writer.close();
  return readFileSync(path, "utf8");
}

test("what the writer writes is read back whole", () => {
  const text = written((writer) => {
    const call = writer.call({
      process: "c1",
      op: "acquire",
      key: "x",
      args: { owner: "o", session: "s@1" },
      req: "s#1",
    });
    call.ok({ granted: true, token: 2n ** 60n });
    writer.call({ process: "s/open", op: "session_open", key: "s@1", args: { ttl_ms: 1_000 } }).ok({});
  });
  const { header, lines, problems } = readHistory(text);
  expect(problems).toEqual([]);
  expect(header).toMatchObject({ history: "history/1", seed: 1, faults: ["kill"] });
  expect(lines[0]).toMatchObject({ op: "acquire", req: "s#1", callNs: 10, returnNs: 20, status: "ok" });
  expect(lines[0]?.result["token"]).toBe("1152921504606846976");
});

test("operations in flight at the end are written as unknown", () => {
  const text = written((writer) => {
    writer.call({ process: "c1", op: "append", key: "f", args: { value: "v" } });
  });
  expect(readHistory(text).lines).toMatchObject([{ op: "append", status: "unknown", returnNs: undefined }]);
});

test("a call is finished once", () => {
  written((writer) => {
    const call = writer.call({ process: "c1", op: "release", key: "x", args: {} });
    call.fail();
    expect(() => call.unknown()).toThrow("finished twice");
  });
});

const SOUND = {
  process: "p",
  op: "keepalive",
  key: "s@0",
  args: {},
  result: { alive: true },
  callNs: 5,
  returnNs: 9,
  status: "ok",
  req: undefined,
} as const;

test.each([
  ["no JSON", "{", "is not a JSON object"],
  ["an unknown operation", encodeOperation({ ...SOUND, op: "dance" }), "`op` is not known: dance"],
  ["no key", encodeOperation({ ...SOUND, key: "" }), "`key` must be a non-empty string"],
  ["an answer before the call", encodeOperation({ ...SOUND, returnNs: 4 }), "returns before it is called"],
  ["an ok line without a return", encodeOperation({ ...SOUND, returnNs: undefined }), "an ok line needs `return_ns`"],
  ["a result that says nothing", encodeOperation({ ...SOUND, result: {} }), "needs one of alive"],
  ["a fraction of a nanosecond", encodeOperation({ ...SOUND, callNs: 0.5 }), "`call_ns` must be whole nanoseconds"],
  [
    "a grant without a token",
    encodeOperation({ ...SOUND, op: "acquire", args: { owner: "o" }, result: { granted: true } }),
    "needs a token",
  ],
  [
    "two calls of one process at once",
    [SOUND, { ...SOUND, callNs: 6 }].map(encodeOperation).join("\n"),
    "had not finished line 1",
  ],
  [
    "a lease of unknown length",
    encodeOperation({ ...SOUND, op: "acquire", args: { owner: "o", session: "s@9" }, result: { granted: false } }),
    "no session_open line",
  ],
])("%s is a problem of the document", (_title, text, problem) => {
  expect(readHistory(text).problems.join("\n")).toContain(problem);
});

test("comments and blank lines are skipped", () => {
  expect(readHistory(`# a comment\n\n${encodeOperation(SOUND)}\n`)).toMatchObject({
    lines: [{ line: 3 }],
    problems: [],
  });
});
