// contract.ts: what every EventLog must do, as one vitest suite. Each implementation runs it from its own test file.
import { ForelockError } from "@forelock/protocol";
import { describe, expect, test } from "vitest";
import { type EventLog, type LogRecord, RECORD_BYTES_MAX, type Snapshot } from "./event-log.ts";

/** One place that logs are opened on, one after another. */
export interface LogPlace {
  /** Opens the log that the last one left. The one before must be closed. */
  open(): Promise<EventLog>;
  [Symbol.asyncDispose](): Promise<void>;
}

export function record(partition: number, sequence: number, options: Partial<LogRecord> = {}): LogRecord {
  const events = new TextEncoder().encode(`p${partition} s${sequence} ${"x".repeat(sequence % 90)}`);
  return { partition, sequence, epoch: 1, elapsedMs: sequence / 4, events, ...options };
}

export function snapshot(partition: number, sequence: number, options: Partial<Snapshot> = {}): Snapshot {
  return {
    partition,
    sequence,
    epoch: 1,
    state: new TextEncoder().encode(`state ${partition} ${sequence}`),
    ...options,
  };
}

/** All records that a log gives back, as plain values that compare well. */
export async function recordsOf(
  log: EventLog,
  after: (partition: number) => number = () => 0,
): Promise<readonly LogRecord[]> {
  const records: LogRecord[] = [];
  for await (const batch of log.read(after)) records.push(...batch);
  return records.map((one) => ({ ...one, events: new Uint8Array(one.events) }));
}

/** Appends `count` records to one partition, each after the last. */
export async function appendRun(log: EventLog, partition: number, count: number): Promise<void> {
  const last = log.lastSequence(partition);
  for (let sequence = last + 1; sequence <= last + count; sequence++) await log.append(record(partition, sequence));
}

export async function rejection(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error("expected a rejection");
}

export async function codeOf(promise: Promise<unknown>): Promise<string> {
  const error = await rejection(promise);
  return error instanceof ForelockError ? error.code : `no ForelockError: ${String(error)}`;
}

export function eventLogContract(name: string, makePlace: () => Promise<LogPlace>): void {
  describe(`${name} keeps the contract of EventLog`, () => {
    const withPlace = (body: (place: LogPlace) => Promise<void>) => async () => {
      await using place = await makePlace();
      await body(place);
    };

    test(
      "a new log is empty",
      withPlace(async (place) => {
        const log = await place.open();
        expect(await recordsOf(log)).toEqual([]);
        expect([log.lastSequence(0), log.lastEpoch(), log.bytesSinceSnapshot, log.stopped]).toEqual([
          0,
          0,
          0,
          undefined,
        ]);
        expect(await log.loadSnapshots()).toEqual([]);
        await log.close();
      }),
    );

    test(
      "records come back in order, byte for byte, from the same log and from the next",
      withPlace(async (place) => {
        const first = await place.open();
        const written = [
          record(0, 1),
          record(3, 1, { epoch: 7, elapsedMs: 0.1 }),
          record(0, 2, { events: new Uint8Array(0) }),
          record(3, 2, { epoch: 9, events: Uint8Array.from({ length: 10_000 }, (_, index) => index % 251) }),
        ];
        for (const one of written) await first.append(one);
        expect(await recordsOf(first)).toEqual(written);
        await first.close();
        const second = await place.open();
        expect(await recordsOf(second)).toEqual(written);
        expect([second.lastSequence(0), second.lastSequence(3), second.lastSequence(1)]).toEqual([2, 2, 0]);
        expect(second.lastEpoch()).toBe(9);
        await second.append(record(0, 3, { epoch: 2 }));
        expect((await recordsOf(second)).length).toBe(5);
        await second.close();
      }),
    );

    test(
      "many partitions append at once, and each is read back in its order",
      withPlace(async (place) => {
        const log = await place.open();
        await Promise.all(Array.from({ length: 64 }, (_, partition) => appendRun(log, partition, 20)));
        const records = await recordsOf(log);
        for (let partition = 0; partition < 64; partition++) {
          const sequences = records.filter((one) => one.partition === partition).map((one) => one.sequence);
          expect(sequences).toEqual(Array.from({ length: 20 }, (_, index) => index + 1));
        }
        await log.close();
      }),
    );

    test(
      "a record of the largest size is kept, a larger one refused without harm",
      withPlace(async (place) => {
        const log = await place.open();
        const largest = record(1, 1, { events: new Uint8Array(RECORD_BYTES_MAX).fill(5) });
        await rejection(log.append(record(1, 1, { events: new Uint8Array(RECORD_BYTES_MAX + 1) })));
        await log.append(largest);
        expect((await recordsOf(log))[0]?.events.byteLength).toBe(RECORD_BYTES_MAX);
        await log.close();
      }),
    );

    test(
      "a record out of order is refused and changes nothing",
      withPlace(async (place) => {
        const log = await place.open();
        await log.append(record(0, 1, { epoch: 5 }));
        await rejection(log.append(record(0, 1, { epoch: 5 })));
        await rejection(log.append(record(0, 3, { epoch: 5 })));
        await rejection(log.append(record(0, 2, { epoch: 4 })));
        const inFlight = log.append(record(0, 2, { epoch: 5 }));
        await rejection(log.append(record(0, 3, { epoch: 5 })));
        await inFlight;
        expect((await recordsOf(log)).map((one) => one.sequence)).toEqual([1, 2]);
        expect(log.stopped).toBeUndefined();
        await log.close();
      }),
    );

    test(
      "reading leaves out what the caller has, and ends with what was durable at the call",
      withPlace(async (place) => {
        const log = await place.open();
        await appendRun(log, 0, 10);
        await appendRun(log, 1, 3);
        const reading = log.read((partition) => (partition === 0 ? 7 : 3));
        await appendRun(log, 0, 1);
        const seen: number[] = [];
        for await (const batch of reading) seen.push(...batch.map((one) => one.sequence));
        expect(seen).toEqual([8, 9, 10]);
        await log.close();
      }),
    );

    test(
      "bytes of a batch stay as they were when more is read and written",
      withPlace(async (place) => {
        const log = await place.open();
        await appendRun(log, 0, 500);
        const batches: (readonly LogRecord[])[] = [];
        for await (const batch of log.read(() => 0)) batches.push(batch);
        await appendRun(log, 0, 50);
        expect(batches.flat().map((one) => new Uint8Array(one.events))).toEqual(
          Array.from({ length: 500 }, (_, index) => record(0, index + 1).events),
        );
        await log.close();
      }),
    );

    test(
      "the newest generation of snapshots is loaded, also by the next log",
      withPlace(async (place) => {
        const first = await place.open();
        await appendRun(first, 0, 4);
        await appendRun(first, 1, 4);
        expect(first.bytesSinceSnapshot).toBeGreaterThan(0);
        await first.saveSnapshots([snapshot(0, 2), snapshot(1, 4)]);
        const newest = [snapshot(0, 4), snapshot(1, 4, { state: new Uint8Array(0) })];
        await first.saveSnapshots(newest);
        expect(first.bytesSinceSnapshot).toBe(0);
        expect(await first.loadSnapshots()).toEqual(newest);
        await first.close();
        const second = await place.open();
        expect(await second.loadSnapshots()).toEqual(newest);
        expect(second.bytesSinceSnapshot).toBe(0);
        await second.close();
      }),
    );

    test(
      "truncation frees at most what the older generation covers, and sequences go on",
      withPlace(async (place) => {
        const first = await place.open();
        await appendRun(first, 0, 6);
        await first.saveSnapshots([snapshot(0, 3)]);
        await first.truncate();
        expect((await recordsOf(first)).length).toBe(6);
        await first.saveSnapshots([snapshot(0, 6)]);
        await first.truncate();
        expect((await recordsOf(first, () => 3)).map((one) => one.sequence)).toEqual([4, 5, 6]);
        await first.saveSnapshots([snapshot(0, 6)]);
        await first.truncate();
        await first.close();
        const second = await place.open();
        expect(second.lastSequence(0)).toBe(6);
        await appendRun(second, 0, 1);
        expect((await recordsOf(second, () => 6)).map((one) => one.sequence)).toEqual([7]);
        await second.close();
      }),
    );

    test(
      "a new log may begin with snapshots, as a restore does; later ones may not run ahead",
      withPlace(async (place) => {
        const first = await place.open();
        await first.saveSnapshots([snapshot(2, 40, { epoch: 8 })]);
        expect([first.lastSequence(2), first.lastEpoch()]).toEqual([40, 8]);
        await rejection(first.saveSnapshots([snapshot(2, 41)]));
        await first.append(record(2, 41, { epoch: 9 }));
        await first.close();
        const second = await place.open();
        expect([second.lastSequence(2), second.lastEpoch()]).toEqual([41, 9]);
        expect(await second.loadSnapshots()).toEqual([snapshot(2, 40, { epoch: 8 })]);
        expect((await recordsOf(second, () => 40)).length).toBe(1);
        await second.close();
      }),
    );

    test(
      "a snapshot given twice is refused, and the generation before it stays",
      withPlace(async (place) => {
        const log = await place.open();
        await appendRun(log, 0, 2);
        await log.saveSnapshots([snapshot(0, 1)]);
        await rejection(log.saveSnapshots([snapshot(0, 2), snapshot(0, 2)]));
        expect(await log.loadSnapshots()).toEqual([snapshot(0, 1)]);
        await appendRun(log, 0, 1);
        await log.close();
      }),
    );

    test(
      "close waits for appends under way, and refuses what comes after",
      withPlace(async (place) => {
        const log = await place.open();
        const underWay = log.append(record(0, 1));
        const closing = log.close();
        expect(await codeOf(log.append(record(1, 1)))).toBe("log_stopped");
        await underWay;
        await closing;
        await log.close();
        const next = await place.open();
        expect((await recordsOf(next)).length).toBe(1);
        await next.close();
      }),
    );
  });
}
