// web-locks/web-locks.ts: the interface of the Web Locks API, on Forelock. Not here: its steps (facade.ts).
// Source: https://w3c.github.io/web-locks/

export interface WebLock {
  readonly name: string;
  readonly mode: "exclusive" | "shared";
}

export interface WebLockOptions {
  /** Default `exclusive`. */
  readonly mode?: "exclusive" | "shared";
  /** Calls back with null instead of waiting. */
  readonly ifAvailable?: boolean;
  /** Takes it from whoever holds it, whose request rejects with AbortError. Needs the right to force a release. */
  readonly steal?: boolean;
  /** Ends the waiting, not the holding. */
  readonly signal?: AbortSignal;
}

export type WebLockCallback<Result, Given extends WebLock | null = WebLock> = (lock: Given) => Promise<Result> | Result;

export interface WebLockState extends WebLock {
  /** The session that holds it or waits. */
  readonly clientId: string;
}

export interface WebLocks {
  /**
   * Waits for the lock, calls back, and holds it until what the callback returned has settled, which it resolves with.
   * @throws DOMException `AbortError` when stolen or lost while held; `NotSupportedError` for options that exclude each other;
   *   the signal's reason; ForelockError for everything that Web Locks do not know, such as an unreachable server
   */
  request<Result>(name: string, callback: WebLockCallback<Result>): Promise<Result>;
  request<Result>(
    name: string,
    options: WebLockOptions & { readonly ifAvailable?: false },
    callback: WebLockCallback<Result>,
  ): Promise<Result>;
  request<Result>(
    name: string,
    options: WebLockOptions,
    callback: WebLockCallback<Result, WebLock | null>,
  ): Promise<Result>;
  /** A snapshot of what is held and awaited: at most 10,000 locks, and the first 100 waiters of each. */
  query(): Promise<{ readonly held: readonly WebLockState[]; readonly pending: readonly WebLockState[] }>;
}
