// client-scenarios.ts: what users do with the client, told once, and true against one server and against any cluster, also while partitions
// move. Not here: the servers (client-anywhere.test.ts).
import { type ConnectOptions, connect, type ForelockClient, ForelockError, type Lock } from "@forelock/client";
import { expect } from "vitest";

/** Something that can be connected to. */
export interface Place {
  readonly endpoints: readonly string[];
}

export type Scenario = (people: People, name: (text: string) => string) => Promise<void>;

/** Clients of one scenario, each at another endpoint first, closed at its end. */
export class People implements AsyncDisposable {
  readonly #place: Place;
  readonly #clients: ForelockClient[] = [];

  constructor(place: Place) {
    this.#place = place;
  }

  async client(options: ConnectOptions = {}): Promise<ForelockClient> {
    const { endpoints } = this.#place;
    const first = this.#clients.length % endpoints.length;
    const turned = [...endpoints.slice(first), ...endpoints.slice(0, first)];
    const client = await connect({ endpoints: turned, ...options });
    this.#clients.push(client);
    return client;
  }

  clients(count: number): Promise<readonly ForelockClient[]> {
    return Promise.all(Array.from({ length: count }, () => this.client()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.close()));
  }
}

const ROUNDS = 15;

export const SCENARIOS: Readonly<Record<string, Scenario>> = {
  "a lock is given from one to the next in order, with rising tokens": async (people, name) => {
    const [ana, bo, cy] = await people.clients(3);
    const held = await ana!.lock(name("orders/42"));
    const order: string[] = [];
    const first = bo!.enqueue(name("orders/42")).then((operation) => ({ operation, lock: operation.granted() }));
    const { operation, lock } = await first;
    expect(operation.state).toBe("queued");
    const second = await cy!.enqueue(name("orders/42"));
    const later = [lock, second.granted()].map(async (granted, index) => {
      const got = await granted;
      order.push(`${index}`);
      await got.release();
      return got.token;
    });
    await held.release();
    const tokens = await Promise.all(later);
    expect(order).toEqual(["0", "1"]);
    expect(tokens[0]).toBeGreaterThan(held.token);
    expect(tokens[1]).toBeGreaterThan(tokens[0]!);
  },

  "a try gives the lock, or nothing": async (people, name) => {
    const [ana, bo] = await people.clients(2);
    for (let round = 0; round < ROUNDS; round += 1) {
      const held = await ana!.lock(name(`n${round}`));
      expect(await bo!.tryLock(name(`n${round}`))).toBeUndefined();
      await held.release();
      const got = await bo!.tryLock(name(`n${round}`));
      expect(got?.held).toBe(true);
      await got?.release();
    }
  },

  "work under a lock is done by one at a time": async (people, name) => {
    const clients = await people.clients(3);
    const names = Array.from({ length: 8 }, (_, index) => name(`n${index}`));
    const inside = new Set<string>();
    let done = 0;
    const one = (client: ForelockClient, element: string): Promise<void> =>
      client.withLock(element, async (lock) => {
        expect(inside.has(element)).toBe(false);
        inside.add(element);
        await new Promise((resolve) => setImmediate(resolve));
        expect(lock.signal.aborted).toBe(false);
        inside.delete(element);
        done += 1;
      });
    const all = clients.flatMap((client) =>
      names.flatMap((element) => Array.from({ length: ROUNDS }, () => one(client, element))),
    );
    await Promise.all(all);
    expect(done).toBe(3 * 8 * ROUNDS);
  },

  "locks are taken and given back without end, and none is lost": async (people, name) => {
    const clients = await people.clients(3);
    const names = Array.from({ length: 12 }, (_, index) => name(`n${index}`));
    const loops = clients.flatMap((client, at) =>
      names.map(async (element) => {
        for (let round = 0; round < 2 * ROUNDS; round += 1) {
          const lock = await client.lock(element + at);
          await new Promise((resolve) => setTimeout(resolve, 5));
          expect(lock.held).toBe(true);
          expect(lock.safeMs).toBeGreaterThan(0);
          await lock.release();
        }
      }),
    );
    await Promise.all(loops);
  },

  "readers share, and one of them becomes the writer when the others have left": async (people, name) => {
    const [ana, bo] = await people.clients(2);
    for (let round = 0; round < ROUNDS; round += 1) {
      const [first, second] = await Promise.all([
        ana!.lock(name("catalogue"), { mode: "shared" }),
        bo!.lock(name("catalogue"), { mode: "shared" }),
      ]);
      const before = first.token;
      const upgrading = first.upgrade();
      await second.release();
      await upgrading;
      expect(first.token).toBeGreaterThan(before);
      expect(await bo!.tryLock(name("catalogue"), { mode: "shared" })).toBeUndefined();
      await first.downgrade();
      await (await bo!.lock(name("catalogue"), { mode: "shared" })).release();
      await first.release();
    }
  },

  "a semaphore lets as many in as it has permits": async (people, name) => {
    const clients = await people.clients(3);
    let inside = 0;
    let most = 0;
    const loops = clients.map(async (client) => {
      const gpus = client.semaphore(name("gpus"), { permits: 2 });
      for (let round = 0; round < ROUNDS; round += 1) {
        const permit = await gpus.acquire();
        inside += 1;
        most = Math.max(most, inside);
        await new Promise((resolve) => setImmediate(resolve));
        inside -= 1;
        await permit.release();
      }
    });
    await Promise.all(loops);
    expect(most).toBeLessThanOrEqual(2);
  },

  "several locks of one tag are taken together": async (people, name) => {
    const clients = await people.clients(3);
    const [from, to] = [`{${name("acct")}}/a`, `{${name("acct")}}/b`];
    let inside = 0;
    const loops = clients.map(async (client, index) => {
      for (let round = 0; round < ROUNDS; round += 1) {
        const set = await client.lockAll(index % 2 === 0 ? [from, to] : [to, from]);
        expect(++inside).toBe(1);
        expect(set.locks.map((lock) => lock.held)).toEqual([true, true]);
        inside -= 1;
        await set.release();
      }
    });
    await Promise.all(loops);
  },

  // A cluster refuses what several nodes own: all or nothing is kept in any case.
  "several locks of several tags are taken together, or none of them": async (people, name) => {
    const [ana, bo] = await people.clients(2);
    for (let round = 0; round < ROUNDS; round += 1) {
      const names = [name(`x${round}`), name(`y${round}`), name(`z${round}`)];
      const set = await ana!.lockAll(names).catch(notSupported);
      for (const element of names) {
        const got = await bo!.tryLock(element);
        expect(got === undefined).toBe(set !== undefined);
        await got?.release();
      }
      await set?.release();
    }
  },

  "a place in a queue has a name, by which others ask about it": async (people, name) => {
    const [ana, bo, cy] = await people.clients(3);
    for (let round = 0; round < ROUNDS; round += 1) {
      const held = await ana!.lock(name("nightly"));
      const operation = await bo!.enqueue(name("nightly"));
      expect((await cy!.operation(operation.reference).status()).state).toBe("queued");
      const ended = cy!.operation(operation.reference).wait();
      await held.release();
      const lock = await operation.granted();
      expect((await ended).grants).toEqual([{ name: name("nightly"), token: lock.token }]);
      const left = await ana!.enqueue(name("nightly"));
      expect(await cy!.operation(left.reference).cancel()).toBe(true);
      await expect(left.granted()).rejects.toThrow("cancelled");
      await lock.release();
    }
  },

  "records that are appended under a lock are in the file once each, in order": async (people, name) => {
    const clients = await people.clients(3);
    const file = name("journal");
    const written: string[] = [];
    const loops = clients.map(async (client, index) => {
      for (let round = 0; round < ROUNDS; round += 1) {
        await client.withLock(file, async (lock) => {
          const record = `${index}.${round}\n`;
          const { index: at } = await client.file(file).append(record, { lock });
          expect(at).toBe(written.length);
          written.push(record);
        });
      }
    });
    await Promise.all(loops);
    for (const client of clients) {
      const chunks: Uint8Array[] = [];
      for await (const chunk of client.file(file).readAll()) chunks.push(chunk);
      expect(Buffer.concat(chunks).toString()).toBe(written.join(""));
    }
  },

  "a warned holder ends its work, and the next one gets the lock": async (people, name) => {
    const [ana, bo] = await people.clients(2);
    for (let round = 0; round < 3; round += 1) {
      const element = name(`report${round}`);
      const told: string[] = [];
      const held = await ana!.lock(element, {
        onWarning: async (warning) => {
          told.push(warning.reason); // All of its work: the lock is given back when it has settled.
        },
      });
      const waiting = bo!.lock(element);
      await bo!.warn(element, { reason: "for the test", countdownMs: 60_000 });
      const next = await waiting;
      expect(held.held).toBe(false);
      expect(told).toEqual([expect.stringContaining("for the test")]);
      await next.release();
    }
  },

  "a watch tells what happens to a name, or that something may be missing": async (people, name) => {
    const [ana, bo] = await people.clients(2);
    const stop = new AbortController();
    const seen: string[] = [];
    const watching = (async () => {
      for await (const { kind } of bo!.watch(name("seen/*"), { signal: stop.signal })) {
        seen.push(kind);
        if (kind === "released" || kind === "gap") break;
      }
    })();
    let isSeen = false;
    void watching.finally(() => {
      isSeen = true;
    });
    for (let round = 0; !isSeen; round += 1) {
      await (await ana!.lock(name(`seen/${round}`))).release();
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    await watching;
    expect(seen.length).toBeGreaterThan(0);
  },

  "leaders follow one another, one at a time": async (people, name) => {
    const clients = await people.clients(3);
    let leading = 0;
    const tokens: bigint[] = [];
    const terms = clients.map(async (client) => {
      let count = 0;
      for await (const term of client.elect(name("leader"))) {
        expect(++leading).toBe(1);
        tokens.push(term.token);
        await new Promise((resolve) => setImmediate(resolve));
        leading -= 1;
        if (++count === 4) break;
      }
    });
    await Promise.all(terms);
    expect(tokens).toEqual(tokens.toSorted((a, b) => (a < b ? -1 : 1)));
    expect(new Set(tokens).size).toBe(12);
  },

  "a saved session is resumed with what it holds and waits for": async (people, name) => {
    const ana = await people.client();
    let client = await people.client();
    let held: Lock = await client.lock(name("kept"));
    const other = await ana.lock(name("awaited"));
    await client.enqueue(name("awaited"));
    const { token } = held;
    for (let round = 0; round < 4; round += 1) {
      const session = await client.detach();
      client = await people.client({ session: session! });
      const found = client.held();
      expect(found.locks.map((lock) => lock.name)).toEqual([name("kept")]);
      expect(found.operations).toHaveLength(1);
      held = found.locks[0]!;
      expect(held.token).toBe(token);
      expect(held.held).toBe(true);
      expect(await ana.tryLock(name("kept"))).toBeUndefined();
    }
    const waiting = client.held().operations[0]!.granted();
    await other.release();
    await (await waiting).release();
    await held.release();
    expect((await ana.tryLock(name("kept")))?.held).toBe(true);
  },

  "what a closed client held is free": async (people, name) => {
    const [ana, bo] = await people.clients(2);
    const names = Array.from({ length: 10 }, (_, index) => name(`n${index}`));
    await Promise.all(names.map(async (element) => (await ana!.lock(element)).release()));
    await Promise.all(names.map((element) => ana!.lock(element)));
    await ana!.close();
    const locks = await Promise.all(names.map((element) => bo!.lock(element, { waitMs: 5_000 })));
    for (const lock of locks) await lock.release();
  },
};

function notSupported(error: unknown): undefined {
  if (error instanceof ForelockError && error.code === "not_supported") return undefined;
  throw error;
}
