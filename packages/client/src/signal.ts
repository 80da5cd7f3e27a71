// signal.ts: the callers' AbortSignals. An aborted wait rejects with the signal's reason, and leaves no listener behind.

/** The result, or a rejection with the signal's reason; what is under way goes on. */
export function withSignal<Result>(result: Promise<Result>, signal: AbortSignal | undefined): Promise<Result> {
  if (signal === undefined) return result;
  return new Promise((resolve, reject) => {
    const stop = onAbort(signal, reject);
    result.then(resolve, reject).finally(stop);
  });
}

/** Has `acquisition` abandoned when `signal` aborts before it has ended. */
export function abandonOn(
  acquisition: { readonly result: Promise<unknown>; abandon(reason: unknown): void },
  signal: AbortSignal | undefined,
): void {
  if (signal === undefined) return;
  const stop = onAbort(signal, (reason) => acquisition.abandon(reason));
  acquisition.result.then(stop, stop);
}

/** Calls `aborted` once, at once when it has happened. @returns ends listening */
export function onAbort(signal: AbortSignal, aborted: (reason: unknown) => void): () => void {
  const listener = () => aborted(signal.reason);
  if (signal.aborted) listener();
  else signal.addEventListener("abort", listener, { once: true });
  return () => signal.removeEventListener("abort", listener);
}
