// fake-server.ts: a lock service in memory, for tests of the commands: exclusive locks, queues, files, undo. It answers as the
// protocol says, and can be told to force, to go silent, or to refuse the next call.
import type {
  Appended,
  ClusterChange,
  ClusterReport,
  Eta,
  FileBytes,
  History,
  Holder,
  OperationStatus,
  Policies,
  PolicyInfo,
  Prediction,
  ServerStatus,
  SessionInfo,
  WatchEvent,
  Why,
} from "@forelock/client";
import { ForelockError } from "@forelock/protocol";
import type {
  AcquireWish,
  AppendWish,
  ConnectRemote,
  HeldLock,
  ListWish,
  Remote,
  RemoteOptions,
  Target,
  Warned,
  WarnWish,
} from "../remote.ts";

interface FakeGrant {
  readonly token: bigint;
  readonly client: string;
  readonly rollback: boolean;
  readonly onWarning: AcquireWish["onWarning"];
  warning: Warned | undefined;
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
  readonly events: WatchEvent[] = [];
  /** Errors that the next calls of a name meet. */
  readonly refusals = new Map<string, Error>();
  /** Laid over every answer of `why`. */
  whyFacts: Partial<Why> = {};
  sessionFacts: Partial<SessionInfo> = {};
  /** Forecast and risk of every holder. */
  holderFacts: Partial<Holder> = {};
  history: History = { entries: [], reachMs: 0, more: false };
  readonly warned: WarnWish[] = [];
  policies: Policies = { policies: [], fields: [] };
  prediction: Prediction = { calibrations: [], decisions: [], totals: NO_TOTALS };
  /** What `cluster` answers, one after the other; the last again and again. */
  clusters: readonly ClusterReport[] = [];
  readonly changes: (ClusterChange & { readonly reason: string })[] = [];
  safeMs = 28_500;
  /** Told to whoever is queued. */
  eta: Eta | undefined;
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
    const grant = this.#makeGrant({ client, rollback: false });
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
      const grant = this.#makeGrant({ ...wish, client });
      this.holders.set(wish.name, grant);
      return Promise.resolve(grant);
    }
    if (wish.waitMs === 0) return Promise.reject(new ForelockError("busy", `${wish.name} is held.`));
    return this.#queue(wish, client);
  }

  append({ file, bytes, token, element }: AppendWish): Appended {
    this.#meet("append");
    this.calls.push(`append ${file} ${bytes.length}`);
    const grant = this.holders.get(element);
    if (grant?.token !== token) throw new ForelockError("stale_token", `${token} is not the token of ${element}.`);
    const records = this.files.get(file) ?? [];
    this.files.set(file, records);
    if (!grant.before.has(file)) grant.before.set(file, records.length);
    const offset = sizeOf(records);
    records.push(Uint8Array.from(bytes));
    return {
      length: sizeOf(records),
      version: records.length,
      index: records.length - 1,
      offset,
    };
  }

  release(name: string, token: bigint, undo: boolean): void {
    this.#meet("release");
    this.calls.push(`release ${name}${undo ? " undo" : ""}`);
    const grant = this.holders.get(name);
    if (grant?.token !== token) throw new ForelockError("stale_token", `${token} is not the token of ${name}.`);
    this.#leave(name, grant, undo);
  }

  force(name: string, reason: string): bigint {
    const grant = this.holders.get(name);
    if (grant === undefined) throw new ForelockError("not_held", `${name} is held by nobody.`);
    this.#leave(name, grant, grant.rollback);
    grant.lost.abort(new ForelockError("lock_lost", `${name} was taken away by an operator: ${reason}.`));
    return grant.token;
  }

  /** Tells the holder, and the first waiter of a wait. The test turns the clock: `safeMs` is not moved by it. */
  warn(name: string, facts: Partial<Warned> = {}): void {
    const warning = { ...WARNING, name, ...facts };
    if (warning.isPending) this.queues.get(name)?.[0]?.wish.onWarning?.(warning);
    const grant = warning.isPending ? undefined : this.holders.get(name);
    if (grant === undefined) return;
    grant.warning = warning;
    if (grant.onWarning !== undefined) this.calls.push(`acknowledge ${name}`);
    grant.onWarning?.(warning);
  }

  /** The end of a countdown, as the client tells it: before the server forces. */
  preempt(name: string): void {
    const grant = this.holders.get(name);
    grant?.lost.abort(new ForelockError("preempted", `The lock ${name} was pre-empted: It hangs.`));
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
      wish.onQueued?.({ position: queue.length, eta: this.eta, reference: `ref-${wish.name}` });
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
    const granted = this.#makeGrant({ ...next.wish, client: next.client });
    this.holders.set(name, granted);
    next.grant(granted);
    return undone;
  }

  #makeGrant({
    client,
    rollback,
    onWarning,
  }: Pick<FakeGrant, "client" | "rollback"> & Pick<AcquireWish, "onWarning">): FakeGrant {
    this.#token += 1n;
    const lost = new AbortController();
    return { token: this.#token, client, rollback, onWarning, warning: undefined, lost, before: new Map() };
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
      warning: () => grant.warning,
      release: async ({ undo }) => server.release(wish.name, grant.token, undo),
    };
  }

  async append(wish: AppendWish): Promise<Appended> {
    return this.#server.append(wish);
  }

  async status(): Promise<ServerStatus> {
    this.#server.meet("status");
    return STATUS;
  }

  async listLocks(wish: ListWish & { readonly byPain: boolean }) {
    this.#server.meet("listLocks");
    const { items, more } = pageOf([...this.#server.holders.keys()], wish);
    const locks = items.map((name) => {
      const waiting = this.#server.queues.get(name)?.length ?? 0;
      const waitedMs = waiting * 1_000;
      return { name, holders: [this.#holder(name)], waiting, limit: 0, waitedMs, painMs: waiting * waitedMs };
    });
    if (wish.byPain) locks.sort((a, b) => b.painMs - a.painMs);
    return { items: locks, more };
  }

  async listFiles(wish: ListWish) {
    const { items, more } = pageOf([...this.#server.files.keys()], wish);
    const files = items.map((name) => {
      const records = this.#server.files.get(name) ?? [];
      return { name, length: sizeOf(records), records: records.length, version: records.length };
    });
    return { items: files, more };
  }

  async listSessions() {
    const ana = { session: "s1", principal: "", client: "ana", ttlMs: 30_000, grants: 1, waits: 0, silentMs: 1_200 };
    const vitals = { lagMs: 2, application: "", health: "ok" as const, jitterMs: 12.4, suspicion: 0, risk: undefined };
    const session = { ...ana, partitions: [0], waiting: false, ...vitals, ...this.#server.sessionFacts };
    return { items: [session], more: false };
  }

  async why(name: string): Promise<Why> {
    const queue = this.#server.queues.get(name) ?? [];
    const waiters = queue.map(({ client }, index) => ({
      ...NOBODY,
      client,
      mode: "exclusive" as const,
      position: index + 1,
      reference: "r",
      waitedMs: 10,
      priority: 0,
      eta: undefined,
      risk: undefined,
    }));
    const holders = this.#server.holders.has(name) ? [this.#holder(name)] : [];
    const sentence = `${holders.length} holders.`;
    const waiting = waiters.length;
    const plain = { name, holders, waiters, waiting, partition: 0, limit: 0, sentence, related: [], next: [] };
    return { ...plain, ...this.#server.whyFacts };
  }

  async history(wish: { readonly name: string; readonly sinceMs: number | undefined; readonly limit: number }) {
    this.#server.meet("history");
    const { entries, ...rest } = this.#server.history;
    const wanted = entries.filter(({ name, agoMs }) => name === wish.name && agoMs <= (wish.sinceMs ?? agoMs));
    return { ...rest, entries: wanted.slice(-wish.limit), more: rest.more || wanted.length > wish.limit };
  }

  async warn(wish: WarnWish) {
    this.#server.meet("warn");
    if (!this.#server.holders.has(wish.name)) throw new ForelockError("not_held", `${wish.name} is held by nobody.`);
    this.#server.warned.push(wish);
    return ["w1"];
  }

  async policies() {
    this.#server.meet("policies");
    return this.#server.policies;
  }

  async setPolicy(wish: {
    readonly prefix: string;
    readonly set: Readonly<Record<string, string>>;
    readonly reason: string;
  }): Promise<PolicyInfo> {
    this.#server.meet("setPolicy");
    const { policies, fields } = this.#server.policies;
    const found = policies.find(({ prefix }) => prefix === wish.prefix);
    const standard = Object.fromEntries(fields.map((field) => [field.name, field.standard]));
    const given = Object.fromEntries(
      Object.entries({ ...found?.set, ...wish.set }).filter(([, value]) => value !== ""),
    );
    const policy: PolicyInfo = {
      prefix: wish.prefix,
      set: given,
      effective: { ...standard, ...given },
      threshold: Number(given["threshold"] ?? standard["threshold"] ?? 0),
      changedBy: "ana",
      changedMs: 1,
      reason: wish.reason,
    };
    this.#server.policies = { fields, policies: [...policies.filter((each) => each !== found), policy] };
    return policy;
  }

  async prediction(limit: number): Promise<Prediction> {
    this.#server.meet("prediction");
    const { decisions, ...rest } = this.#server.prediction;
    return { ...rest, decisions: decisions.slice(0, limit) };
  }

  async cluster(): Promise<ClusterReport> {
    this.#server.meet("cluster");
    const [report, ...later] = this.#server.clusters;
    if (report === undefined) throw new ForelockError("unavailable", "no report was prepared");
    if (later.length > 0) this.#server.clusters = later;
    return report;
  }

  async changeCluster(change: ClusterChange, reason: string) {
    this.#server.meet("changeCluster");
    this.#server.changes.push({ ...change, reason });
    return 3;
  }

  async forceRelease({ name, reason }: { readonly name: string; readonly reason: string }) {
    return { released: [this.#server.force(name, reason)], undone: 0 };
  }

  async readFile({ file, offset }: { readonly file: string; readonly offset: number }): Promise<FileBytes> {
    const records = this.#server.files.get(file);
    if (records === undefined) throw new ForelockError("no_such_file", `${file} does not exist.`);
    const bytes = Buffer.concat(records);
    const PIECE = 4; // Small, so that tests see more than one.
    const { length } = bytes;
    return { bytes: bytes.subarray(offset, offset + PIECE), length, version: records.length, provisionalFrom: length };
  }

  async *records(file: string, index: number): AsyncGenerator<Uint8Array> {
    yield* (this.#server.files.get(file) ?? []).slice(index);
  }

  async operation(reference: string, waitMs: number): Promise<OperationStatus> {
    const granted = waitMs > 0;
    const grants = granted ? [{ name: "a", token: 7n }] : [];
    const state = granted ? "granted" : "queued";
    return { reference, state, position: 2, eta: undefined, grants, blockers: [], error: undefined };
  }

  async cancelOperation(): Promise<boolean> {
    return true;
  }

  async *watch(): AsyncGenerator<WatchEvent> {
    yield { kind: "gap", name: "", session: "", token: 0n, partition: 0, reason: "", revision: 0 }; // The watch stands.
    yield* this.#server.events;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.end(this.#client);
  }

  #holder(name: string): Holder {
    const { client, token } = this.#server.holders.get(name) ?? { client: "", token: 0n };
    const plain = { client, token, mode: "exclusive" as const, heldMs: 12_300, take: 0 };
    return { ...NOBODY, ...plain, forecast: undefined, risk: undefined, ...this.#server.holderFacts };
  }
}

const NOBODY = { session: "s1", principal: "", silent: false };

const NO_TOTALS = {
  warnings: 0,
  released: 0,
  extended: 0,
  forced: 0,
  wrong: 0,
  ignored: 0,
  observed: 0,
  observedRight: 0,
  observedWrong: 0,
  observedSavedMs: 0,
};

const WARNING: Omit<Warned, "name"> = {
  ...{ id: "w1.1", reason: "It hangs.", score: 0.9, enforced: true, isPending: false, countdownMs: 10_000 },
};

const STATUS: ServerStatus = {
  version: "0.1.0",
  partitions: 64,
  uptimeMs: 65_000,
  sessions: 1,
  grants: 2,
  waiting: 0,
  files: 100,
  operations: 0,
  durable: true,
  stopped: "",
  epoch: 3,
  connections: 2,
  stateHash: "abc",
  logBytes: 2_048,
};

function pageOf(names: readonly string[], { prefix, after, limit }: ListWish) {
  const found = names.filter((name) => name.startsWith(prefix) && name > after).sort();
  return { items: found.slice(0, limit), more: found.length > limit };
}

const sizeOf = (records: readonly Uint8Array[]): number => records.reduce((sum, record) => sum + record.length, 0);
