// remote.ts: what the commands need from a server. client-remote.ts implements it with @forelock/client; tests with a fake.
//   R1. Nothing waits for ever on a server that does not answer: reads and releases fail `unavailable` after a bounded time.
//   R2. A request that is sent again keeps its request id, so nothing is done twice.
import type {
  Appended,
  ClusterChange,
  ClusterReport,
  Eta,
  FileBytes,
  FileInfo,
  History,
  LockInfo,
  OperationStatus,
  Policies,
  PolicyInfo,
  Prediction,
  ServerStatus,
  SessionInfo,
  Warning,
  WatchEvent,
  Why,
} from "@forelock/client";
import type { Page } from "./paging.ts";

export type ModeWord = "exclusive" | "shared" | "permit";

/** Where the server is and who we are. */
export interface Target {
  /** `host:port`. */
  readonly endpoint: string;
  /** Bearer token. */
  readonly token: string | undefined;
  readonly tls: TargetTls | undefined;
  /** How long to try to connect. */
  readonly connectMs: number;
  /** For people who list sessions: program and host. */
  readonly client: string;
}

/** PEM text. An empty object: TLS with the authorities that Node trusts. */
export interface TargetTls {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

export interface AcquireWish {
  readonly name: string;
  readonly mode: ModeWord;
  /** Limit of the semaphore and how much of it is taken; 0 and 0 unless the mode is `permit`. */
  readonly permits: number;
  readonly take: number;
  /** Undefined: wait without a limit. 0: try. */
  readonly waitMs: number | undefined;
  readonly rollback: boolean;
  /** Withdraws the wait. */
  readonly signal: AbortSignal | undefined;
  /** Called when queued, and again when the place changed. Undefined: the operation is not kept under its reference. */
  readonly onQueued: ((place: QueuePlace) => void) | undefined;
  /** Told of warnings of the wait and of the grant, which are acknowledged then. Absent: they are not. */
  readonly onWarning?: (warning: Warned) => void;
}

/** What a warning says; its countdown as it is when it is read. */
export type Warned = Pick<Warning, "id" | "name" | "reason" | "score" | "enforced" | "isPending" | "countdownMs">;

export interface QueuePlace {
  /** 1: next. */
  readonly position: number;
  /** The rest of the wait; undefined without a forecast. */
  readonly eta: Eta | undefined;
  readonly reference: string;
}

/** A grant of our own session. */
export interface HeldLock {
  readonly name: string;
  readonly token: bigint;
  readonly reference: string;
  /** Aborts when the grant is lost, or can no longer be proved to be held; its reason is a ForelockError. */
  readonly signal: AbortSignal;
  /**
   * For how much longer it is certain that nobody else is granted, without another answered heartbeat and by the countdown of a warning
   * that is enforced; 0 when lost.
   */
  safeMs(): number;
  /** The warning that counts down, whether or not anybody was told of it. */
  warning(): Warned | undefined;
  release(options: { readonly undo: boolean }): Promise<void>;
}

export interface AppendWish {
  readonly file: string;
  /** At most APPEND_BYTES_MAX. */
  readonly bytes: Uint8Array;
  readonly token: bigint;
  /** The guarding element. */
  readonly element: string;
}

export const APPEND_BYTES_MAX = 196_608;

export interface ListWish {
  readonly prefix: string;
  /** Names after this one; "" from the start. */
  readonly after: string;
  readonly limit: number;
}

/** A connection to one server. Its session, if it has one, is closed with it, and its grants are released. */
export interface Remote extends AsyncDisposable {
  acquire(wish: AcquireWish): Promise<HeldLock>;
  append(wish: AppendWish): Promise<Appended>;
  status(): Promise<ServerStatus>;
  /** By pain they come the worst first, as many as one page has room for. */
  listLocks(wish: ListWish & { readonly stuck: boolean; readonly byPain: boolean }): Promise<Page<LockInfo>>;
  listFiles(wish: ListWish): Promise<Page<FileInfo>>;
  listSessions(wish: Omit<ListWish, "prefix">): Promise<Page<SessionInfo>>;
  why(name: string): Promise<Why>;
  /** @param sinceMs undefined: as far as the log remembers */
  history(wish: {
    readonly name: string;
    readonly sinceMs: number | undefined;
    readonly limit: number;
  }): Promise<History>;
  /** @returns the warnings, one for each holder */
  warn(wish: WarnWish): Promise<readonly string[]>;
  policies(): Promise<Policies>;
  /** @param set an empty text takes a field back to what the shorter prefix says */
  setPolicy(wish: {
    readonly prefix: string;
    readonly set: Readonly<Record<string, string>>;
    readonly reason: string;
  }): Promise<PolicyInfo>;
  /** @param limit decisions at most */
  prediction(limit: number): Promise<Prediction>;
  cluster(movesMax: number): Promise<ClusterReport>;
  /** @returns how many partitions it concerns */
  changeCluster(change: ClusterChange, reason: string): Promise<number>;
  /** @param token undefined: all holders */
  forceRelease(wish: {
    readonly name: string;
    readonly token: bigint | undefined;
    readonly reason: string;
  }): Promise<Forced>;
  /** @param version of the read that this one continues, 0 for the first */
  readFile(wish: { readonly file: string; readonly offset: number; readonly version: number }): Promise<FileBytes>;
  records(file: string, index: number): AsyncIterable<Uint8Array>;
  /** @param waitMs answer when it ended, or after this long; 0 at once */
  operation(reference: string, waitMs: number): Promise<OperationStatus>;
  /** @returns false when it had ended before */
  cancelOperation(reference: string): Promise<boolean>;
  /** Ends without an error when `signal` aborts. */
  watch(pattern: string, signal: AbortSignal): AsyncIterable<WatchEvent>;
}

export interface WarnWish {
  readonly name: string;
  /** Undefined: all holders. */
  readonly token: bigint | undefined;
  readonly reason: string;
  /** Undefined: what the policy says. */
  readonly countdownMs: number | undefined;
}

export interface Forced {
  readonly released: readonly bigint[];
  readonly undone: number;
}

/** `none`: reads and operator commands only, nothing to heartbeat. */
export type RemoteOptions =
  | { readonly session: "none" }
  | { readonly session: "open" /** Undefined: the server's default. */; readonly ttlMs: number | undefined };

/** No server answered at the address within the time for connecting. The message names the address and the next step. */
export class ServerUnreachable extends Error {
  override readonly name = "ServerUnreachable";

  constructor(endpoint: string, why: string) {
    super(
      `No Forelock server answers at ${endpoint} (${why}). ` +
        "Start one with `npm start` or `forelock serve`, or name another with --endpoint HOST:PORT.",
    );
  }
}

/** @throws ServerUnreachable when nothing answers within `target.connectMs`; ForelockError `unauthenticated`, ... */
export type ConnectRemote = (target: Target, options: RemoteOptions) => Promise<Remote>;
