// watch/watch.ts: what a watch tells. Not here: the stream (watcher.ts).

export interface WatchEvent {
  /**
   * queued, granted, released, ended, expired, forced, appended, undone; or `gap`: events may be missing here, because the
   * connection was lost or the watcher was slow. Read the state again.
   */
  readonly kind: string;
  /** "" for a gap. */
  readonly name: string;
  readonly session: string;
  /** 0n when the event has none. */
  readonly token: bigint;
  readonly partition: number;
  readonly reason: string;
  /** Rises within a partition. */
  readonly revision: number;
}
