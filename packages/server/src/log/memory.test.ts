import { expect, test } from "vitest";
import { appendRun, codeOf, eventLogContract, record, recordsOf } from "./contract.ts";
import { MemoryEventLog, MemoryLogDisk } from "./memory.ts";

eventLogContract("MemoryEventLog", async () => {
  const disk = new MemoryLogDisk();
  return { open: async () => new MemoryEventLog({ disk }), [Symbol.asyncDispose]: async () => undefined };
});

test("a lost append stops the stream, and the next log does not have it", async () => {
  const disk = new MemoryLogDisk();
  const log = new MemoryEventLog({ disk, fault: (appendsBefore) => (appendsBefore === 2 ? "lost" : undefined) });
  await appendRun(log, 0, 2);
  const inFlight = [log.append(record(0, 3)), log.append(record(1, 1))].map(codeOf);
  expect(await Promise.all(inFlight)).toEqual(["log_stopped", "log_stopped"]);
  expect(await codeOf(log.append(record(2, 1)))).toBe("log_stopped");
  expect((await recordsOf(new MemoryEventLog({ disk }))).length).toBe(2);
});

test("an append that landed without an answer is there after a restart", async () => {
  const disk = new MemoryLogDisk();
  const log = new MemoryEventLog({ disk, fault: () => "landed" });
  expect(await codeOf(log.append(record(0, 1)))).toBe("log_stopped");
  expect(new MemoryEventLog({ disk }).lastSequence(0)).toBe(1);
});

test("a crash loses what was not durable yet", async () => {
  const disk = new MemoryLogDisk();
  let finish = (): void => undefined;
  const log = new MemoryEventLog({ disk, pause: () => new Promise((resolve) => (finish = resolve)) });
  let isSettled = false;
  log.append(record(0, 1)).finally(() => (isSettled = true));
  await new Promise((resolve) => setImmediate(resolve));
  log.crash();
  finish();
  await new Promise((resolve) => setImmediate(resolve));
  expect([isSettled, disk.records.length]).toEqual([false, 0]);
});
