// file/file.ts: append-only files as users see them. Not here: how they are asked for (remote-file.ts).
import type { Lock, RequestOptions } from "../lock/lock.ts";

/** The grant that allows the append: its lock, or its token (from any session of the same principal). */
export type AppendGuard = { readonly lock: Lock } | { readonly token: bigint; readonly element?: string };

export type AppendOptions = RequestOptions &
  AppendGuard & {
    /** Appends what is above the limit of one record (192 KiB) as several, one after the other. Default: refused. */
    readonly split?: boolean;
  };

export interface Appended {
  /** Of the file, in bytes, after the append. */
  readonly length: number;
  readonly version: number;
  /** Of the (last) record, from 0. */
  readonly index: number;
  /** Where the (first) record starts, in bytes. */
  readonly offset: number;
}

export interface ReadOptions extends RequestOptions {
  /** In bytes. Default 0. */
  readonly offset?: number;
  /** Default: as many as fit one answer. */
  readonly bytesMax?: number;
  /** Of the read that this one continues: `rolled_back` when an undo cut the file below `offset` since. */
  readonly version?: number;
}

export interface FileBytes {
  readonly bytes: Uint8Array;
  /** Of the whole file. */
  readonly length: number;
  readonly version: number;
  /** Bytes from here on may still be undone, with the grant they were appended under; equals length when there are none. */
  readonly provisionalFrom: number;
}

export interface FileInfo {
  readonly name: string;
  readonly length: number;
  readonly version: number;
  readonly records: number;
}

export interface FileList extends RequestOptions {
  readonly prefix?: string;
  /** Names after this one, in byte order. */
  readonly after?: string;
  readonly limit?: number;
}

export interface GuardedFile {
  readonly name: string;
  /**
   * Adds one record, exactly once however often it had to be sent.
   * @throws ForelockError `stale_token` when the grant is not the current one, `lock_lost` when that is known here already
   */
  append(content: string | Uint8Array, options: AppendOptions): Promise<Appended>;
  /** A part of the file. */
  read(options?: ReadOptions): Promise<FileBytes>;
  /** From `offset` to the end it has by then. @throws ForelockError `rolled_back` when an undo cut what was read already */
  readAll(options?: { readonly offset?: number } & RequestOptions): AsyncIterable<Uint8Array>;
  /** Record by record, from `index`. */
  records(options?: { readonly index?: number } & RequestOptions): AsyncIterable<Uint8Array>;
  /** Undefined when there is no such file. */
  stat(options?: RequestOptions): Promise<FileInfo | undefined>;
}
