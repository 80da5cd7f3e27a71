// open-client.ts: the client that `connect` gives. Each method makes a request of a call, and of its answer what was asked for.
// Not here: the contract (client.ts), sessions and retries (sessions.ts, session/).
import { Caller } from "./caller.ts";
import type { EndSessionOptions, ForceReleaseOptions, ForelockClient, Held } from "./client.ts";
import { Campaign } from "./elect/campaign.ts";
import type { Election, ElectOptions } from "./elect/election.ts";
import type { Environment } from "./environment.ts";
import type { FileInfo, FileList, GuardedFile } from "./file/file.ts";
import { allFiles, listFiles, RemoteFile } from "./file/remote-file.ts";
import type { ChangeClusterOptions, ClusterChange, ClusterOptions, ClusterReport } from "./inspect/cluster.ts";
import type { LockList, ServerStatus, SessionList, Why } from "./inspect/inspect.ts";
import type {
  History,
  HistoryOptions,
  Policies,
  PolicyInfo,
  Prediction,
  PredictionOptions,
  Profile,
  SetPolicyOptions,
  WarnOptions,
} from "./inspect/prediction.ts";
import * as reads from "./inspect/reads.ts";
import { acquireAllBody, acquireBody, EXCLUSIVE_LOCK, manyLocks, SHARED_LOCK } from "./lock/acquire.ts";
import { Acquisition } from "./lock/acquisition.ts";
import { findHeld } from "./lock/found.ts";
import type {
  Lock,
  LockAllOptions,
  LockOptions,
  LockSet,
  LockTarget,
  RequestOptions,
  Semaphore,
  SemaphoreOptions,
  WarningOptions,
} from "./lock/lock.ts";
import { HeldSet } from "./lock/lock-set.ts";
import { NamedSemaphore, undefinedWhenBusy } from "./lock/named-semaphore.ts";
import type { EnqueueOptions, Operation, RemoteOperation } from "./lock/operation.ts";
import { QueuedOperation } from "./lock/queued-operation.ts";
import { ReferencedOperation } from "./lock/remote-operation.ts";
import { type Terms, termsOf } from "./lock/terms.ts";
import type { SavedSession } from "./options.ts";
import { Sessions } from "./sessions.ts";
import type { Settings } from "./settings.ts";
import type { WatchEvent } from "./watch/watch.ts";
import { Watches } from "./watch/watches.ts";
import { LocksFacade } from "./web-locks/facade.ts";
import type { WebLocks } from "./web-locks/web-locks.ts";

/** At least 128 random bits, as the protocol asks of an id that others may use. */
const REQUEST_ID_BYTES = 16;
const APPEND_BYTES_MAX = 196_608;

type Work<Result> = (lock: Lock) => Promise<Result> | Result;

export class OpenClient implements ForelockClient {
  readonly locks: WebLocks;
  readonly #environment: Environment;
  readonly #sessions: Sessions;
  readonly #caller: Caller;
  readonly #watches: Watches;
  #held: Held | undefined;
  #closing: Promise<void> | undefined;

  constructor(environment: Environment, settings: Settings) {
    this.#environment = environment;
    this.#sessions = new Sessions(environment, settings, {
      reconnected: () => this.#watches.reconnected(),
      event: (event) => this.#watches.event(event),
    });
    this.#caller = new Caller(this.#sessions);
    this.#watches = new Watches(this.#sessions);
    this.locks = new LocksFacade(this, () => this.#id());
  }

  connect(): Promise<void> {
    return this.#sessions.connect();
  }

  /** Not async: that would be a second promise, and three turns of the microtasks, for each lock. */
  lock(name: string, options?: LockOptions): Promise<Lock> {
    return this.#lock(name, options, termsOf(options));
  }

  #lock(name: string, options: LockOptions | undefined, terms: Terms | undefined): Promise<Lock> {
    const outcome = options?.mode === "shared" ? SHARED_LOCK : EXCLUSIVE_LOCK;
    try {
      const acquisition = new Acquisition<Lock>(acquireBody(name, options), undefined, outcome, terms);
      return this.#caller.acquire(acquisition, options?.signal);
    } catch (error) {
      return Promise.reject(error); // Options out of range.
    }
  }

  tryLock(name: string, options: Omit<LockOptions, "waitMs"> = {}): Promise<Lock | undefined> {
    return undefinedWhenBusy(this.lock(name, { ...options, waitMs: 0 }));
  }

  withLock<Result>(name: string, ...rest: [Work<Result>] | [LockOptions, Work<Result>]): Promise<Result> {
    return rest.length === 1 ? this.#withLock(name, {}, rest[0]) : this.#withLock(name, ...rest);
  }

  async lockAll(targets: readonly LockTarget[], options: LockAllOptions = {}): Promise<LockSet> {
    const outcome = manyLocks(targets);
    const acquisition = new Acquisition(acquireAllBody(targets, options), undefined, outcome, termsOf(options));
    return new HeldSet(await this.#caller.acquire(acquisition, options.signal));
  }

  semaphore(name: string, { permits }: SemaphoreOptions): Semaphore {
    return new NamedSemaphore(this.#caller, name, permits);
  }

  async enqueue(name: string, options: EnqueueOptions = {}): Promise<Operation> {
    const keep = { requestId: this.#id(), keepMs: options.keepMs ?? 0 };
    const outcome = options.mode === "shared" ? SHARED_LOCK : EXCLUSIVE_LOCK;
    const acquisition = new Acquisition<Lock>(acquireBody(name, options), keep, outcome, termsOf(options));
    const operation = new QueuedOperation(acquisition, options.onMoved);
    this.#caller.acquire(acquisition, options.signal).catch(() => {}); // Told by the operation.
    await operation.answered;
    if (operation.reference === "") await operation.granted(); // Refused before it became an operation: rejects.
    return operation;
  }

  operation(reference: string): RemoteOperation {
    return new ReferencedOperation(this.#caller, () => this.#environment.clock.monotonicMs(), reference);
  }

  elect(name: string, options: ElectOptions = {}): Election {
    return new Campaign(this, name, options);
  }

  file(name: string): GuardedFile {
    return new RemoteFile(this.#caller, () => this.#sessions.current?.appendBytesMax ?? APPEND_BYTES_MAX, name);
  }

  files(options: { readonly prefix?: string } & RequestOptions = {}): AsyncIterable<FileInfo> {
    return allFiles(this.#caller, options);
  }

  listFiles(options: FileList = {}): ReturnType<ForelockClient["listFiles"]> {
    return listFiles(this.#caller, options);
  }

  why(name: string, options: RequestOptions = {}): Promise<Why> {
    return reads.why(this.#caller, name, options);
  }

  status(options: RequestOptions = {}): Promise<ServerStatus> {
    return reads.status(this.#caller, options);
  }

  listLocks(options: LockList = {}): ReturnType<ForelockClient["listLocks"]> {
    return reads.listLocks(this.#caller, options);
  }

  listSessions(options: SessionList = {}): ReturnType<ForelockClient["listSessions"]> {
    return reads.listSessions(this.#caller, options);
  }

  forceRelease(name: string, options: ForceReleaseOptions): ReturnType<ForelockClient["forceRelease"]> {
    return reads.forceRelease(this.#caller, name, options);
  }

  endSession(session: string, options: EndSessionOptions): ReturnType<ForelockClient["endSession"]> {
    return reads.endSession(this.#caller, session, options);
  }

  history(name: string, options: HistoryOptions = {}): Promise<History> {
    return reads.history(this.#caller, name, options);
  }

  warn(name: string, options: WarnOptions): ReturnType<ForelockClient["warn"]> {
    return reads.warn(this.#caller, name, options);
  }

  setPolicy(prefix: string, set: Readonly<Record<string, string>>, options: SetPolicyOptions): Promise<PolicyInfo> {
    return reads.setPolicy(this.#caller, prefix, set, options);
  }

  policies(options: RequestOptions = {}): Promise<Policies> {
    return reads.policies(this.#caller, options);
  }

  profile(name: string, options: RequestOptions = {}): Promise<Profile> {
    return reads.profile(this.#caller, name, options);
  }

  prediction(options: PredictionOptions = {}): Promise<Prediction> {
    return reads.prediction(this.#caller, options);
  }

  cluster(options: ClusterOptions = {}): Promise<ClusterReport> {
    return reads.cluster(this.#caller, options);
  }

  changeCluster(change: ClusterChange, options: ChangeClusterOptions): ReturnType<ForelockClient["changeCluster"]> {
    return reads.changeCluster(this.#caller, change, options);
  }

  watch(pattern: string, options: RequestOptions = {}): AsyncIterable<WatchEvent> {
    return this.#watches.watch(pattern, options.signal);
  }

  get session(): SavedSession | undefined {
    return this.#sessions.current?.saved;
  }

  held(options: WarningOptions = {}): Held {
    const { current } = this.#sessions;
    this.#held ??= current === undefined ? { locks: [], operations: [] } : findHeld(current, options);
    return this.#held;
  }

  close(): Promise<void> {
    this.#closing ??= this.#sessions.close();
    return this.#closing;
  }

  async detach(): Promise<SavedSession | undefined> {
    return this.#sessions.detach();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #withLock<Result>(name: string, options: LockOptions, work: Work<Result>): Promise<Result> {
    const lock = await this.#lock(name, options, termsOf(options, true));
    let result: Result;
    try {
      result = await work(lock);
    } catch (error) {
      // What the work says went wrong matters more than a release that fails after it.
      await lock.release({ undo: options.onLoss === "rollback" }).catch(() => {});
      throw error;
    }
    await lock.release();
    return result;
  }

  #id(): string {
    return Buffer.from(this.#environment.randomBytes(REQUEST_ID_BYTES)).toString("base64url");
  }
}

/** For connect.ts and tests. @throws what `connect` throws */
export async function openClient(
  environment: Environment,
  settings: Settings,
  signal?: AbortSignal,
): Promise<OpenClient> {
  signal?.throwIfAborted();
  const client = new OpenClient(environment, settings);
  const abort = () => void client.detach();
  signal?.addEventListener("abort", abort, { once: true });
  try {
    await client.connect();
    return client;
  } catch (error) {
    await client.detach();
    throw signal?.aborted ? signal.reason : error;
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}
