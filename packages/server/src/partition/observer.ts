// observer.ts: what `apply` tells the shell while it changes the tables: who is concerned, and what rests outside the state.
// The shell acts on it only when the record is durable.
import type { PreemptEvent } from "./events.ts";
import type { Element, FileRow, Grant, Operation, Wait } from "./state.ts";

export type LossWhy = "expired" | "forced" | "preempted";

export interface Observer {
  /** Something on `element` ended: those who wait for it may be next; with `below`, those who wait for something below it too. */
  freed(element: Element, below: boolean): void;
  /** A waiting operation now has its outcome. */
  ended(operation: Operation): void;
  /** A grant ended without its release. `undone` counts effects; `warning` is 0 unless its countdown ended it. */
  lost(grant: Grant, why: LossWhy, reason: string, undone: number, warning: number): void;
  /** A grant ends by its release, or with a session that closes. It is still in its tables. */
  released(grant: Grant): void;
  /** A wait was granted. It is still in its tables, and its warning with the grant already. */
  waited(wait: Wait): void;
  /** An event of pre-emption, right after what it does to the tables. */
  preempt(event: PreemptEvent): void;
  /** Bytes to be written to the bulk store. */
  appended(file: FileRow, index: number, offset: number, bytes: Uint8Array, checksum: number): void;
  /** An undo cut the file to what its row now says. */
  cut(file: FileRow): void;
}

/** For replay into a state whose bulk store needs nothing, and for tests. */
export const SILENT: Observer = {
  freed: () => {},
  ended: () => {},
  lost: () => {},
  released: () => {},
  waited: () => {},
  preempt: () => {},
  appended: () => {},
  cut: () => {},
};
