// contract.ts: what every Etcd must do, as one vitest suite. Each implementation runs it from its own test file.
import { describe, expect, test } from "vitest";
import {
  type Compare,
  type Etcd,
  type EtcdErrorKind,
  isEtcdError,
  NO_LEASE,
  prefixEnd,
  type TxnOperation,
  type WatchBatch,
} from "./etcd.ts";

export interface EtcdPlace {
  /** A client of the one store of this place. */
  open(): Etcd;
  /** Lets `ms` pass for leases. */
  pass(ms: number): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
export const text = (value: Uint8Array): string => new TextDecoder().decode(value);

export const put = (key: string, value = "v"): TxnOperation => ({ kind: "put", key, value: bytes(value) });

export async function putOne(etcd: Etcd, key: string, value = "v"): Promise<number> {
  return (await etcd.txn({ compare: [], success: [put(key, value)] })).revision;
}

export async function kindOf(promise: Promise<unknown>): Promise<EtcdErrorKind | "none"> {
  try {
    await promise;
    return "none";
  } catch (error) {
    if (isEtcdError(error)) return error.kind;
    throw error;
  }
}

/** Batches until `events` events have come. */
async function watched(batches: AsyncIterable<WatchBatch>, events: number): Promise<readonly WatchBatch[]> {
  const seen: WatchBatch[] = [];
  let count = 0;
  for await (const batch of batches) {
    seen.push(batch);
    count += batch.events.length;
    if (count >= events) break;
  }
  return seen;
}

const storyOf = (batches: readonly WatchBatch[]): readonly string[] =>
  batches.flatMap(({ events }) =>
    events.map((event) =>
      event.kind === "put"
        ? `${event.entry.modRevision} ${event.entry.key}=${text(event.entry.value)}`
        : `${event.modRevision} ${event.key} deleted`,
    ),
  );

/** @param makePlace each call a place of its own, or one with nothing under the prefix that is asked for */
export function etcdContract(name: string, makePlace: () => Promise<EtcdPlace>): void {
  describe(`${name} keeps the contract of Etcd`, () => {
    let prefixes = 0;
    const withPlace = (body: (place: EtcdPlace, prefix: string) => Promise<void>) => async () => {
      await using place = await makePlace();
      prefixes += 1;
      await body(place, `/t${prefixes}/`);
    };

    test(
      "keys are read back in order of their bytes, with where they come from",
      withPlace(async (place, prefix) => {
        const etcd = place.open();
        const first = await putOne(etcd, `${prefix}b`, "1");
        await putOne(etcd, `${prefix}\u{1f512}`, "lock"); // Above U+FF01 in bytes, below in UTF-16.
        await putOne(etcd, `${prefix}\uff01`, "wide");
        const second = await putOne(etcd, `${prefix}b`, "2");
        const all = await etcd.range({ key: prefix, end: prefixEnd(prefix) });
        expect(all.entries.map(({ key }) => key)).toEqual([`${prefix}b`, `${prefix}\uff01`, `${prefix}\u{1f512}`]);
        const entry = all.entries[0];
        expect({ ...entry, value: text(entry?.value ?? bytes("")) }).toEqual({
          key: `${prefix}b`,
          value: "2",
          createRevision: first,
          modRevision: second,
          version: 2,
          lease: NO_LEASE,
        });
        expect([all.revision >= second, all.more, all.count]).toEqual([true, false, 3]);
        await etcd.close();
      }),
    );

    test(
      "a range can be limited, turned round, counted, without values, and of an earlier revision",
      withPlace(async (place, prefix) => {
        const etcd = place.open();
        const range = { key: prefix, end: prefixEnd(prefix) };
        await putOne(etcd, `${prefix}a`);
        const then = await putOne(etcd, `${prefix}b`);
        await putOne(etcd, `${prefix}c`);
        const limited = await etcd.range({ ...range, limit: 2 });
        expect([limited.entries.length, limited.more, limited.count]).toEqual([2, true, 3]);
        const last = await etcd.range({ ...range, limit: 1, isDescending: true });
        expect(last.entries.map(({ key }) => key)).toEqual([`${prefix}c`]);
        const counted = await etcd.range({ ...range, countOnly: true });
        expect([counted.entries.length, counted.count]).toEqual([0, 3]);
        const keys = await etcd.range({ ...range, keysOnly: true });
        expect(keys.entries.map(({ value }) => value.byteLength)).toEqual([0, 0, 0]);
        expect((await etcd.range({ ...range, revision: then })).count).toBe(2);
        expect(await kindOf(etcd.range({ ...range, revision: then + 1_000_000 }))).toBe("refused");
        expect((await etcd.range({ ...range, stale: true })).revision).toBeGreaterThan(0);
        expect((await etcd.range({ key: `${prefix}none` })).entries).toEqual([]);
        await etcd.close();
      }),
    );

    test(
      "every compare looks at what its name says, and an absent key has zeros",
      withPlace(async (place, prefix) => {
        const etcd = place.open();
        const [key, absent] = [`${prefix}k`, `${prefix}absent`];
        const created = await putOne(etcd, key, "m");
        const modified = await putOne(etcd, key, "n");
        const holds: readonly Compare[] = [
          { key, target: "version", is: "equal", to: 2 },
          { key, target: "create", is: "equal", to: created },
          { key, target: "mod", is: "equal", to: modified },
          { key, target: "mod", is: "greater", to: created },
          { key, target: "mod", is: "less", to: modified + 1 },
          { key, target: "mod", is: "not_equal", to: created },
          { key, target: "value", is: "equal", to: bytes("n") },
          { key, target: "value", is: "greater", to: bytes("m") },
          { key, target: "lease", is: "equal", to: NO_LEASE },
          { key: absent, target: "version", is: "equal", to: 0 },
          { key: absent, target: "create", is: "equal", to: 0 },
          { key: absent, target: "mod", is: "equal", to: 0 },
        ];
        const fails: readonly Compare[] = [
          { key, target: "version", is: "greater", to: 2 },
          { key, target: "create", is: "not_equal", to: created },
          { key, target: "mod", is: "less", to: modified },
          { key, target: "value", is: "equal", to: bytes("m") },
          { key: absent, target: "value", is: "equal", to: bytes("") },
          { key: absent, target: "value", is: "not_equal", to: bytes("x") },
          { key: absent, target: "create", is: "greater", to: 0 },
        ];
        const succeeds = async (compare: Compare): Promise<boolean> =>
          (await etcd.txn({ compare: [compare], success: [] })).succeeded;
        for (const compare of holds) expect([compare, await succeeds(compare)]).toEqual([compare, true]);
        for (const compare of fails) expect([compare, await succeeds(compare)]).toEqual([compare, false]);
        await etcd.close();
      }),
    );

    test(
      "a transaction happens at one revision, whole or not at all",
      withPlace(async (place, prefix) => {
        const etcd = place.open();
        const free: Compare = { key: `${prefix}a`, target: "create", is: "equal", to: 0 };
        const request = {
          compare: [free],
          success: [put(`${prefix}a`), put(`${prefix}b`), { kind: "range", key: `${prefix}a` } as const],
          failure: [{ kind: "range", key: prefix, end: prefixEnd(prefix) } as const],
        };
        const done = await etcd.txn(request);
        expect([done.succeeded, done.answers.map(({ kind }) => kind)]).toEqual([true, ["put", "put", "range"]]);
        const seen = done.answers[2];
        expect(seen?.kind === "range" && seen.entries[0]?.modRevision).toBe(done.revision); // Sees its own put.
        const again = await etcd.txn(request);
        const found = again.answers[0];
        expect([again.succeeded, found?.kind === "range" && found.entries.length]).toEqual([false, 2]);
        const { entries } = await etcd.range({ key: prefix, end: prefixEnd(prefix) });
        expect(entries.map(({ modRevision }) => modRevision)).toEqual([done.revision, done.revision]);
        const deleted = await etcd.txn({
          compare: [],
          success: [{ kind: "delete", key: prefix, end: prefixEnd(prefix) }],
        });
        expect(deleted.answers).toEqual([{ kind: "delete", deleted: 2 }]);
        expect((await etcd.range({ key: `${prefix}a` })).entries).toEqual([]);
        await etcd.close();
      }),
    );

    test(
      "what a member would refuse is refused, and changes nothing",
      withPlace(async (place, prefix) => {
        const etcd = place.open();
        const before = await putOne(etcd, `${prefix}a`);
        const twice = etcd.txn({ compare: [], success: [put(`${prefix}b`), put(`${prefix}b`)] });
        expect(await kindOf(twice)).toBe("refused");
        const overlapping: TxnOperation[] = [
          put(`${prefix}b`),
          { kind: "delete", key: prefix, end: prefixEnd(prefix) },
        ];
        expect(await kindOf(etcd.txn({ compare: [], success: overlapping }))).toBe("refused");
        const many = Array.from({ length: 129 }, (_, index) => put(`${prefix}m${index}`));
        expect(await kindOf(etcd.txn({ compare: [], success: many }))).toBe("refused");
        const large = { kind: "put", key: `${prefix}l`, value: new Uint8Array(1_600_000) } as const;
        expect(await kindOf(etcd.txn({ compare: [], success: [large] }))).toBe("refused");
        const leased = { ...large, value: bytes("v"), lease: 12_345n };
        expect(await kindOf(etcd.txn({ compare: [], success: [put(`${prefix}c`), leased] }))).toBe("refused");
        expect(await kindOf(etcd.txn({ compare: [], success: [put("")] }))).toBe("refused");
        const { entries } = await etcd.range({ key: prefix, end: prefixEnd(prefix) });
        expect(entries.map(({ modRevision }) => modRevision)).toEqual([before]);
        await etcd.close();
      }),
    );

    test(
      "128 operations, and a request of four slots, are taken",
      withPlace(async (place, prefix) => {
        const etcd = place.open();
        const many = Array.from({ length: 128 }, (_, index) => put(`${prefix}m${index}`));
        expect((await etcd.txn({ compare: [], success: many })).succeeded).toBe(true);
        const slot = new Uint8Array(262_144).fill(7);
        const slots = [0, 1, 2, 3].map((index) => ({ kind: "put", key: `${prefix}s${index}`, value: slot }) as const);
        expect((await etcd.txn({ compare: [], success: slots })).succeeded).toBe(true);
        const { entries } = await etcd.range({ key: `${prefix}s`, end: `${prefix}t` });
        expect(entries.map(({ value }) => Buffer.compare(value, slot))).toEqual([0, 0, 0, 0]);
        await etcd.close();
      }),
    );

    test(
      "a watch tells what was and what comes, in order, a revision never split",
      withPlace(async (place, prefix) => {
        const [etcd, other] = [place.open(), place.open()];
        const first = await putOne(etcd, `${prefix}a`, "1");
        await putOne(etcd, "/elsewhere", "x");
        await putOne(etcd, `${prefix}a`, "2");
        const watching = watched(
          etcd.watch({ key: prefix, end: prefixEnd(prefix), from: first }, new AbortController().signal),
          5,
        );
        await other.txn({ compare: [], success: [put(`${prefix}b`, "3"), put(`${prefix}c`, "4")] });
        await other.txn({ compare: [], success: [{ kind: "delete", key: `${prefix}a` }] });
        const batches = await watching;
        expect(storyOf(batches).map((line) => line.replace(/^\d+ /, "").replace(prefix, ""))).toEqual([
          "a=1",
          "a=2",
          "b=3",
          "c=4",
          "a deleted",
        ]);
        const both = batches.filter(({ events }) =>
          storyOf([{ revision: 0, events }]).some((line) => /=3$/.test(line)),
        );
        expect(storyOf(both).some((line) => /=4$/.test(line))).toBe(true);
        const revisions = batches.map(({ revision }) => revision);
        expect(revisions).toEqual([...revisions].sort((a, b) => a - b));
        await Promise.all([etcd.close(), other.close()]);
      }),
    );

    test(
      "a watch far behind gets everything, also what is larger than a request",
      withPlace(async (place, prefix) => {
        const etcd = place.open();
        const value = new Uint8Array(400_000).fill(1);
        const slots = (index: number): TxnOperation[] =>
          [0, 1, 2].map((slot) => ({ kind: "put", key: `${prefix}${index}/${slot}`, value }));
        const { revision } = await etcd.txn({ compare: [], success: slots(0) });
        for (let index = 1; index < 5; index++) await etcd.txn({ compare: [], success: slots(index) });
        const batches = await watched(
          etcd.watch({ key: prefix, end: prefixEnd(prefix), from: revision }, new AbortController().signal),
          15,
        );
        const keys = batches.flatMap(({ events }) => events.map((one) => (one.kind === "put" ? one.entry.key : "")));
        expect(keys.length).toBe(15);
        expect(new Set(keys).size).toBe(15);
        for (const { events } of batches) expect(events.length % 3).toBe(0);
        await etcd.close();
      }),
    );

    test(
      "a watch ends when it is asked to, and when its client is closed",
      withPlace(async (place, prefix) => {
        const etcd = place.open();
        const from = await putOne(etcd, `${prefix}a`);
        const stopping = new AbortController();
        const seen: WatchBatch[] = [];
        for await (const batch of etcd.watch({ key: prefix, end: prefixEnd(prefix), from }, stopping.signal)) {
          seen.push(batch);
          stopping.abort();
        }
        expect(seen.length).toBe(1);
        const second = watched(etcd.watch({ key: prefix, from: from + 1 }, new AbortController().signal), 1);
        const ended = kindOf(second);
        await etcd.close();
        expect(await ended).toBe("closed");
        expect(await kindOf(etcd.range({ key: prefix }))).toBe("closed");
        await etcd.close();
      }),
    );

    test(
      "what was compacted is told, to ranges, to watches and to who compacts again",
      withPlace(async (place, prefix) => {
        const etcd = place.open();
        const first = await putOne(etcd, `${prefix}a`, "1");
        const second = await putOne(etcd, `${prefix}a`, "2");
        const third = await putOne(etcd, `${prefix}a`, "3");
        await etcd.compact(second);
        expect(await kindOf(etcd.range({ key: `${prefix}a`, revision: first }))).toBe("compacted");
        expect((await etcd.range({ key: `${prefix}a`, revision: second })).entries.length).toBe(1);
        const watching = watched(etcd.watch({ key: `${prefix}a`, from: first }, new AbortController().signal), 1);
        expect(await kindOf(watching)).toBe("compacted");
        const later = await watched(
          etcd.watch({ key: `${prefix}a`, from: second + 1 }, new AbortController().signal),
          1,
        );
        expect(storyOf(later)).toEqual([`${third} ${prefix}a=3`]);
        expect(await kindOf(etcd.compact(second))).toBe("compacted");
        expect(await kindOf(etcd.compact(third + 1_000_000))).toBe("refused");
        await etcd.close();
      }),
    );

    test(
      "keys of a lease go with it: when revoked, and when nobody kept it alive",
      withPlace(async (place, prefix) => {
        const etcd = place.open();
        const long = await etcd.leaseGrant({ ttlSeconds: 60 });
        const short = await etcd.leaseGrant({ ttlSeconds: 1 });
        for (const { id } of [long, short])
          await etcd.txn({
            compare: [],
            success: [{ kind: "put", key: `${prefix}${id}`, value: bytes("n"), lease: id }],
          });
        expect((await etcd.leaseKeepAlive(long.id)).ttlSeconds).toBeGreaterThanOrEqual(60);
        const { entries } = await etcd.range({ key: `${prefix}${long.id}` });
        expect(entries[0]?.lease).toBe(long.id);
        for (let turn = 0; turn < 100 && (await etcd.range({ key: `${prefix}${short.id}` })).count > 0; turn++)
          await place.pass(500);
        expect((await etcd.range({ key: `${prefix}${short.id}` })).count).toBe(0);
        expect((await etcd.range({ key: `${prefix}${long.id}` })).count).toBe(1);
        expect((await etcd.leaseKeepAlive(short.id)).ttlSeconds).toBe(0);
        await etcd.leaseRevoke(long.id);
        await etcd.leaseRevoke(long.id);
        expect((await etcd.range({ key: prefix, end: prefixEnd(prefix) })).count).toBe(0);
        await etcd.close();
      }),
    );

    test(
      "members tell their health",
      withPlace(async (place) => {
        const etcd = place.open();
        const [member] = await etcd.status();
        expect(member?.version).toMatch(/^\d+\.\d+\.\d+/);
        expect([member?.hasLeader, member?.isLearner]).toEqual([true, false]);
        expect(await etcd.alarms()).toEqual([]);
        await etcd.close();
      }),
    );
  });
}
