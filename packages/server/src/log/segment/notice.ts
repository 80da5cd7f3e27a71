// notice.ts: what the log tells its operator beside errors. The owner writes each as one line of its own log.

export interface LogNotice {
  /**
   * `tail_cut`: a write that a crash stopped was removed; it was never acknowledged.
   * `tail_healed`: the last commit was complete, but sectors of it had old tags; it was kept and written anew.
   * `snapshot_damaged`: a generation of snapshots cannot be read; the start goes on with the older one.
   * `segment_not_prepared`: most often a full disk; appends stop when the current segment is full.
   * `stopped`: the stream takes no more appends until a restart.
   */
  readonly kind: "tail_cut" | "tail_healed" | "snapshot_damaged" | "segment_not_prepared" | "stopped";
  readonly message: string;
  readonly cause?: unknown;
}
