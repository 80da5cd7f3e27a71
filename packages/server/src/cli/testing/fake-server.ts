// fake-server.ts: a lock service in memory, for tests of the commands: exclusive locks, queues, files, undo. It answers as the
// protocol says, and can be told to force, to go silent, or to refuse the next call.
import {
  AcquireReply,
  AppendReply,
  type Event,
  FileInfo,
  ForceReleaseReply,
  ForelockError,
  Holder,
  LockInfo,
  OperationState,
  ReadFileReply,
  ReadRecordsReply,
  ReleaseReply,
  SessionInfo,
  StatusReply,
  Waiter,
  WhyReply,
} from "@forelock/protocol";
import type { AcquireWish, AppendWish, ConnectRemote, HeldLock, Remote, RemoteOptions, Target } from "../remote.ts";

interface FakeGrant {
  readonly token: bigint;
  readonly client: string;
  readonly rollback: boolean;
  readonly lost: AbortController;
  /** Lengths, in records, of the files when they were first appended to under this grant. */
  readonly before: Map<string, number>;
}

interface FakeWait {
  readonly wish: AcquireWish;
  readonly client: string;
  readonly grant: (grant: FakeGrant) => void;
}

export class FakeServer {
  readonly files = new Map<string, Uint8Array[]>();
  readonly holders = new Map<string, FakeGrant>();
  readonly queues = new Map<string, FakeWait[]>();
  readonly targets: Target[] = [];
  readonly sessions: RemoteOptions[] = [];
  readonly calls: string[] = [];
  readonly events: Event[] = [];
  /** Errors that the next calls of a name meet. */
  readonly refusals = new Map<string, Error>();
  safeMs = 28_500;
  open = 0;
  #token = 100n;

  readonly connect: ConnectRemote = (target, options) => {
    this.#meet("connect");
    this.targets.push(target);
    this.sessions.push(options);
    this.open += 1;
    return Promise.resolve(new FakeRemote(this, target.client));
  };

  /** Lets somebody else hold a lock. */
  hold(name: string, client = "somebody"): FakeGrant {
    const grant = this.#makeGrant(client, false);
    this.holders.set(name, grant);
    return grant;
  }

  text(file: string): string {
    return Buffer.concat(this.files.get(file) ?? []).toString();
  }

  acquire(wish: AcquireWish, client: string): Promise<FakeGrant> {
    this.#meet("acquire");
    this.calls.push(`acquire ${wish.name}`);
    if (!this.holders.has(wish.name)) {
      const grant = this.#makeGrant(client, wish.rollback);
      this.holders.set(wish.name, grant);
      return Promise.resolve(grant);
    }
    if (wish.waitMs === 0) return Promise.reject(new ForelockError("busy", `${wish.name} is held.`));
    return this.#queue(wish, client);
  }

  append({ file, bytes, token, element }: AppendWish): AppendReply {
    this.#meet("append");
    this.calls.push(`append ${file} ${bytes.length}`);
    const grant = this.holders.get(element);
    if (grant?.token !== token) throw new ForelockError("stale_token", `${token} is not the token of ${element}.`);
    const records = this.files.get(file) ?? [];
    this.files.set(file, records);
    if (!grant.before.has(file)) grant.before.set(file, records.length);
    const offset = sizeOf(records);
    records.push(Uint8Array.from(bytes));
    return AppendReply.fromPartial({
      length: sizeOf(records),
      version: records.length,
      index: records.length - 1,
      offset,
    });
  }

  release(name: string, token: bigint, undo: boolean): ReleaseReply {
    this.#meet("release");
    this.calls.push(`release ${name}${undo ? " undo" : ""}`);
    const grant = this.holders.get(name);
    if (grant?.token !== token) throw new ForelockError("stale_token", `${token} is not the token of ${name}.`);
    return ReleaseReply.fromPartial({ undone: this.#leave(name, grant, undo) });
  }

  force(name: string, reason: string): bigint {
    const grant = this.holders.get(name);
    if (grant === undefined) throw new ForelockError("not_held", `${name} is held by nobody.`);
    this.#leave(name, grant, grant.rollback);
    grant.lost.abort(new ForelockError("lock_lost", `${name} was taken away by an operator: ${reason}.`));
    return grant.token;
  }

  /** Sessions end with their connection. */
  end(client: string): void {
    this.open -= 1;
    this.calls.push("close");
    for (const [name, grant] of this.holders) if (grant.client === client) this.#leave(name, grant, false);
  }

  meet(call: string): void {
    this.#meet(call);
    this.calls.push(call);
  }

  #meet(call: string): void {
    const refusal = this.refusals.get(call);
    if (refusal === undefined) return;
    this.refusals.delete(call);
    throw refusal;
  }

  #queue(wish: AcquireWish, client: string): Promise<FakeGrant> {
    const queue = this.queues.get(wish.name) ?? [];
    this.queues.set(wish.name, queue);
    return new Promise((resolve, reject) => {
      const wait: FakeWait = { wish, client, grant: resolve };
      queue.push(wait);
      wish.onQueued?.({ position: queue.length, reference: `ref-${wish.name}` });
      const leave = (error: Error): void => {
        if (!queue.includes(wait)) return;
        queue.splice(queue.indexOf(wait), 1);
        reject(error);
      };
      wish.signal?.addEventListener("abort", () => leave(new ForelockError("cancelled", `${wish.name}: withdrawn.`)));
      if (wish.waitMs !== undefined)
        setTimeout(() => leave(new ForelockError("timeout", `${wish.name} is held.`)), wish.waitMs);
    });
  }

  #leave(name: string, grant: FakeGrant, undo: boolean): number {
    let undone = 0;
    for (const [file, length] of undo ? grant.before : []) undone += this.files.get(file)?.splice(length).length ?? 0;
    this.holders.delete(name);
    const next = this.queues.get(name)?.shift();
    if (next === undefined) return undone;
    const granted = this.#makeGrant(next.client, next.wish.rollback);
    this.holders.set(name, granted);
    next.grant(granted);
    return undone;
  }

  #makeGrant(client: string, rollback: boolean): FakeGrant {
    this.#token += 1n;
    return { token: this.#token, client, rollback, lost: new AbortController(), before: new Map() };
  }
}

class FakeRemote implements Remote {
  readonly #server: FakeServer;
  readonly #client: string;

  constructor(server: FakeServer, client: string) {
    this.#server = server;
    this.#client = client;
  }

  async acquire(wish: AcquireWish): Promise<HeldLock> {
    const server = this.#server;
    const grant = await server.acquire(wish, this.#client);
    return {
      name: wish.name,
      token: grant.token,
      reference: `ref-${wish.name}`,
      signal: grant.lost.signal,
      safeMs: () => (grant.lost.signal.aborted ? 0 : server.safeMs),
      release: async ({ undo }) => server.release(wish.name, grant.token, undo),
    };
  }

  async append(wish: AppendWish): Promise<AppendReply> {
    return this.#server.append(wish);
  }

  async status(): Promise<StatusReply> {
    this.#server.meet("status");
    return StatusReply.fromPartial({
      version: "0.1.0",
      partitions: 64,
      uptimeMs: 65_000,
      durable: true,
      epoch: 3,
      logBytes: 2_048,
    });
  }

  async listLocks({ prefix, after, limit }: { prefix: string; after: string; limit: number }) {
    this.#server.meet("listLocks");
    const names = [...this.#server.holders.keys()].filter((name) => name.startsWith(prefix) && name > after).sort();
    const locks = names.slice(0, limit).map((name) =>
      LockInfo.fromPartial({
        name,
        holders: [this.#holder(name)],
        waiting: this.#server.queues.get(name)?.length ?? 0,
      }),
    );
    return { locks, more: names.length > limit };
  }

  async listFiles({ prefix, after, limit }: { prefix: string; after: string; limit: number }) {
    const names = [...this.#server.files.keys()].filter((name) => name.startsWith(prefix) && name > after).sort();
    const files = names.slice(0, limit).map((name) => {
      const records = this.#server.files.get(name) ?? [];
      return FileInfo.fromPartial({ name, length: sizeOf(records), records: records.length, version: records.length });
    });
    return { files, more: names.length > limit };
  }

  async listSessions() {
    const sessions = [
      SessionInfo.fromPartial({ session: "s1", client: "ana", ttlMs: 30_000, grants: 1, silentMs: 1_200 }),
    ];
    return { sessions, more: false };
  }

  async why(name: string): Promise<WhyReply> {
    const queue = this.#server.queues.get(name) ?? [];
    const waiters = queue.map(({ client }, index) =>
      Waiter.fromPartial({ client, position: index + 1, reference: "r", waitedMs: 10 }),
    );
    const holders = this.#server.holders.has(name) ? [this.#holder(name)] : [];
    return WhyReply.fromPartial({
      name,
      holders,
      waiters,
      waiting: waiters.length,
      sentence: `${holders.length} holders.`,
    });
  }

  async forceRelease({ name, reason }: { name: string; reason: string }) {
    return ForceReleaseReply.fromPartial({ released: [this.#server.force(name, reason)], undone: 0 });
  }

  async readFile({ file, offset }: { file: string; offset: number }): Promise<ReadFileReply> {
    const records = this.#server.files.get(file);
    if (records === undefined) throw new ForelockError("no_such_file", `${file} does not exist.`);
    const bytes = Buffer.concat(records);
    const PIECE = 4; // Small, so that tests see more than one.
    const length = bytes.length;
    return ReadFileReply.fromPartial({
      bytes: bytes.subarray(offset, offset + PIECE),
      length,
      version: records.length,
      provisionalFrom: length,
    });
  }

  async readRecords({ file, index }: { file: string; index: number }): Promise<ReadRecordsReply> {
    const records = this.#server.files.get(file) ?? [];
    return ReadRecordsReply.fromPartial({
      records: records.slice(index, index + 1).map((record) => Buffer.from(record)),
      count: records.length,
      version: records.length,
    });
  }

  async getOperation(reference: string, waitMs: number): Promise<AcquireReply> {
    this.#server.meet(`getOperation ${waitMs > 0 ? "wait" : "now"}`);
    const state = waitMs > 0 ? OperationState.GRANTED : OperationState.QUEUED;
    const grants = waitMs > 0 ? [{ name: "a", token: 7n, partition: 0 }] : [];
    return AcquireReply.fromPartial({ reference, state, position: 2, grants });
  }

  async cancelOperation(): Promise<boolean> {
    return true;
  }

  async *watch(): AsyncGenerator<Event> {
    yield* this.#server.events;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.end(this.#client);
  }

  #holder(name: string): Holder {
    const { client, token } = this.#server.holders.get(name) ?? { client: "", token: 0n };
    return Holder.fromPartial({ client, token, heldMs: 12_300, session: "s1" });
  }
}

const sizeOf = (records: readonly Uint8Array[]): number => records.reduce((sum, record) => sum + record.length, 0);
