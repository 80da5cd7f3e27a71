// client-remote.ts: Remote over @forelock/client. Loaded only by commands that talk to a server.
import {
  type ClusterChange,
  type ConnectOptions,
  connect,
  type Eta,
  type ForelockClient,
  type Lock,
  type LockOptions,
  type Warning,
} from "@forelock/client";
import { formatDuration } from "./duration.ts";
import { isForelockFailure } from "./forelock-error.ts";
import {
  type AcquireWish,
  type AppendWish,
  type HeldLock,
  type ListWish,
  type QueuePlace,
  type Remote,
  type RemoteOptions,
  ServerUnreachable,
  type Target,
  type WarnWish,
} from "./remote.ts";

/** R1: how long a command that only asks goes on through an outage, once it was connected. A holder's session goes on longer. */
const READ_OUTAGE_MS = 10_000;

export async function connectRemote(target: Target, options: RemoteOptions): Promise<Remote> {
  const { endpoint, connectMs } = target;
  try {
    return new ClientRemote(await connect(optionsFor(target, options)));
  } catch (error) {
    const tried = `tried for ${formatDuration(connectMs)}`;
    if (isTimeout(error)) throw new ServerUnreachable(endpoint, tried);
    if (isForelockFailure(error) && error.code === "unavailable")
      throw new ServerUnreachable(endpoint, reasonOf(error, tried));
    throw error;
  }
}

function optionsFor(target: Target, options: RemoteOptions): ConnectOptions {
  const common: ConnectOptions = {
    endpoints: target.endpoint,
    client: target.client,
    signal: AbortSignal.timeout(target.connectMs),
    ...(target.token !== undefined && { token: target.token }),
    ...(target.tls !== undefined && { tls: target.tls }),
  };
  if (options.session === "none") return { ...common, session: "none", retry: { totalMs: READ_OUTAGE_MS } };
  return { ...common, ...(options.ttlMs !== undefined && { ttlMs: options.ttlMs }) };
}

const isTimeout = (error: unknown): boolean => error instanceof Error && error.name === "TimeoutError";

/** The system's word for it, such as ECONNREFUSED, where there is one. */
function reasonOf(error: Error, otherwise: string): string {
  const code = /\bE[A-Z]{4,}\b/.exec(`${error.message} ${String(error.cause)}`)?.[0];
  return code === undefined ? otherwise : `${code}, ${otherwise}`;
}

class ClientRemote implements Remote {
  readonly #client: ForelockClient;

  constructor(client: ForelockClient) {
    this.#client = client;
  }

  async acquire(wish: AcquireWish): Promise<HeldLock> {
    const { name, mode, permits, take, waitMs, rollback, signal, onQueued, onWarning } = wish;
    const waiting = {
      ...(waitMs !== undefined && { waitMs }),
      ...(signal !== undefined && { signal }),
      // Told and no more: the command's end releases.
      ...(onWarning !== undefined && { onWarning: (warning: Warning): void => onWarning(warning) }),
    };
    if (mode === "permit")
      return heldLock(await this.#client.semaphore(name, { permits }).acquire({ take, ...waiting }));
    const options: LockOptions = { mode, onLoss: rollback ? "rollback" : "keep", ...waiting };
    // What nobody asks about is not kept: a benchmark would fill the server's memory of operations.
    if (onQueued === undefined) return heldLock(await this.#client.lock(name, options));
    return heldLock(await this.#enqueue(name, options, onQueued));
  }

  /** A kept operation: its reference can be looked up, awaited and cancelled by others while we wait. */
  async #enqueue(name: string, options: LockOptions, onQueued: (place: QueuePlace) => void): Promise<Lock> {
    let reference = "";
    const onMoved = (position: number, eta: Eta | undefined): void => onQueued({ position, eta, reference });
    const operation = await this.#client.enqueue(name, { ...options, onMoved });
    reference = operation.reference;
    if (operation.state === "queued") onQueued({ position: operation.position, eta: operation.eta, reference });
    return operation.granted();
  }

  append({ file, bytes, token, element }: AppendWish) {
    return this.#client.file(file).append(bytes, { token, element });
  }

  status() {
    return this.#client.status();
  }

  async listLocks(wish: ListWish & { readonly stuck: boolean; readonly byPain: boolean }) {
    const { locks, more } = await this.#client.listLocks(wish);
    return { items: locks, more };
  }

  async listFiles(wish: ListWish) {
    const { files, more } = await this.#client.listFiles(wish);
    return { items: files, more };
  }

  async listSessions(wish: Omit<ListWish, "prefix">) {
    const { sessions, more } = await this.#client.listSessions(wish);
    return { items: sessions, more };
  }

  why(name: string) {
    return this.#client.why(name);
  }

  history({
    name,
    sinceMs,
    limit,
  }: {
    readonly name: string;
    readonly sinceMs: number | undefined;
    readonly limit: number;
  }) {
    return this.#client.history(name, { limit, ...(sinceMs !== undefined && { sinceMs }) });
  }

  async warn({ name, token, reason, countdownMs }: WarnWish) {
    const { warnings } = await this.#client.warn(name, {
      reason,
      ...(token !== undefined && { token }),
      ...(countdownMs !== undefined && { countdownMs }),
    });
    return warnings;
  }

  policies() {
    return this.#client.policies();
  }

  setPolicy({
    prefix,
    set,
    reason,
  }: {
    readonly prefix: string;
    readonly set: Readonly<Record<string, string>>;
    readonly reason: string;
  }) {
    return this.#client.setPolicy(prefix, set, { reason });
  }

  prediction(limit: number) {
    return this.#client.prediction({ limit });
  }

  cluster(movesMax: number) {
    return this.#client.cluster({ movesMax });
  }

  async changeCluster(change: ClusterChange, reason: string) {
    return (await this.#client.changeCluster(change, { reason })).partitions;
  }

  forceRelease({
    name,
    token,
    reason,
  }: {
    readonly name: string;
    readonly token: bigint | undefined;
    readonly reason: string;
  }) {
    return this.#client.forceRelease(name, { reason, ...(token !== undefined && { token }) });
  }

  readFile({ file, offset, version }: { readonly file: string; readonly offset: number; readonly version: number }) {
    return this.#client.file(file).read({ offset, ...(version > 0 && { version }) });
  }

  records(file: string, index: number) {
    return this.#client.file(file).records({ index });
  }

  operation(reference: string, waitMs: number) {
    const operation = this.#client.operation(reference);
    return waitMs > 0 ? operation.wait({ waitMs }) : operation.status();
  }

  cancelOperation(reference: string) {
    return this.#client.operation(reference).cancel();
  }

  async *watch(pattern: string, signal: AbortSignal) {
    try {
      yield* this.#client.watch(pattern, { signal });
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client.close();
  }
}

function heldLock(lock: Lock): HeldLock {
  return {
    name: lock.name,
    token: lock.token,
    reference: lock.reference,
    signal: lock.signal,
    safeMs: () => lock.safeMs,
    warning: () => lock.warning,
    release: async ({ undo }) => {
      await lock.release({ undo });
    },
  };
}
