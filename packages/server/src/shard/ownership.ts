// ownership.ts: what a node needs to know of who owns what it leads, where it shares its partitions with others. cluster/ownership.ts tells.

/** Of a node that shares its partitions with others. */
export interface Ownership {
  /** Whether this node is known to be the owner of what it leads, at this moment. */
  mayAnswer(): boolean;
  /**
   * False where it may answer at this moment. Else `run` waits until it may, unless this node gives up a partition first, or the next of
   * this key comes.
   */
  holds(key: string, run: () => void): boolean;
  /** Why nothing that makes the log's store larger for good is taken now; undefined while it is. */
  growthRefused(): string | undefined;
  /** Why nothing is appended to files; undefined while it is. */
  appendRefused(): string | undefined;
  /** Another owner took the partition: the log refused a record. It is no longer led here. */
  fenced(partition: number): void;
}
