import { expect, test } from "vitest";
import { eventReader } from "./sse.ts";

const STREAM =
  'retry: 1000\n\nevent: screen\nid: 1\ndata: {"a":1}\n\n: still here\n\nevent: screen\nid: 2\ndata: one\ndata: two\n\n';
const EVENTS = [
  { event: "screen", id: "1", data: '{"a":1}' },
  { event: "screen", id: "2", data: "one\ntwo" },
];

test("events are read wherever the stream is cut", () => {
  for (let cut = 0; cut <= STREAM.length; cut += 1) {
    const read = eventReader();
    expect([...read(STREAM.slice(0, cut)), ...read(STREAM.slice(cut))]).toEqual(EVENTS);
  }
});

test("carriage returns are no part of a line, and an unfinished event waits", () => {
  const read = eventReader();
  expect(read("data: a\r\n\r\ndata: b")).toEqual([{ event: "message", id: "", data: "a" }]);
  expect(read("\n\n")).toEqual([{ event: "message", id: "", data: "b" }]);
});
