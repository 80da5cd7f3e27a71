// write.ts: writes a history and its side file of faults. One writer a run; every operation of every client goes through it.
//   W1. A line is written once its operation has finished; what is still open when the run ends is written as `unknown`.
//   W2. An interval is never too short: `callNs` is read before the first byte leaves, `returnNs` after the answer is parsed.
import { closeSync, openSync, writeSync } from "node:fs";
import type { Fields, HistoryHeader, HistoryOperation } from "./record.ts";

/** Lines kept in memory before they are written out together. */
const LINES_BUFFERED_MAX = 512;

export interface OpenOperation {
  readonly process: string;
  readonly op: string;
  readonly key: string;
  readonly args: Fields;
  readonly req?: string | undefined;
}

/** A call that has not returned. Exactly one of its methods is called, once. */
export interface PendingCall {
  readonly callNs: number;
  ok(result: Fields): void;
  fail(): void;
  unknown(): void;
}

export class HistoryWriter {
  readonly #file: number;
  readonly #nowNs: () => number;
  readonly #open = new Set<PendingCall>();
  readonly #counts = { ok: 0, fail: 0, unknown: 0 };
  readonly #countsByOp = new Map<string, { ok: number; fail: number; unknown: number }>();
  #lines: string[] = [];
  #closed = false;

  constructor(path: string, header: HistoryHeader, nowNs: () => number) {
    this.#file = openSync(path, "w");
    this.#nowNs = nowNs;
    this.#lines.push(JSON.stringify({ history: "history/1", ...header }));
  }

  nowNs(): number {
    return this.#nowNs();
  }

  get counts(): { readonly ok: number; readonly fail: number; readonly unknown: number } {
    return this.#counts;
  }

  /** Operations by name, for the summary. */
  get countsByOp(): ReadonlyMap<string, { readonly ok: number; readonly fail: number; readonly unknown: number }> {
    return this.#countsByOp;
  }

  /** Starts an operation now, or at `callNs` when its first byte left earlier. */
  call(open: OpenOperation, callNs: number = this.#nowNs()): PendingCall {
    const finish = (status: HistoryOperation["status"], result: Fields): void => {
      if (!this.#open.delete(pending)) throw new Error(`an operation was finished twice: ${open.op} ${open.key}`);
      const returnNs = status === "unknown" ? undefined : this.#nowNs();
      this.write({ ...open, result, callNs, returnNs, status, req: open.req });
    };
    const pending: PendingCall = {
      callNs,
      ok: (result) => finish("ok", result),
      fail: () => finish("fail", {}),
      unknown: () => finish("unknown", {}),
    };
    this.#open.add(pending);
    return pending;
  }

  /** Writes a finished operation as it is: for lines whose interval the caller knows. */
  write(operation: HistoryOperation): void {
    if (this.#closed) throw new Error("the history is closed");
    this.#counts[operation.status] += 1;
    const ofOp = this.#countsByOp.get(operation.op) ?? { ok: 0, fail: 0, unknown: 0 };
    ofOp[operation.status] += 1;
    this.#countsByOp.set(operation.op, ofOp);
    this.#lines.push(encodeOperation(operation));
    if (this.#lines.length >= LINES_BUFFERED_MAX) this.#flush();
  }

  /** Writes what is still open as `unknown` (W1), then everything to disk. Idempotent. */
  close(): void {
    if (this.#closed) return;
    for (const pending of [...this.#open]) pending.unknown();
    this.#flush();
    this.#closed = true;
    closeSync(this.#file);
  }

  #flush(): void {
    if (this.#lines.length > 0) writeSync(this.#file, `${this.#lines.join("\n")}\n`);
    this.#lines = [];
  }
}

export function encodeOperation(operation: HistoryOperation): string {
  const { process, op, key, args, result, callNs, returnNs, status, req } = operation;
  const line = { process, op, key, args, result, call_ns: callNs, return_ns: returnNs ?? null, status };
  // Tokens are 64-bit: in JSON they are strings of digits.
  return JSON.stringify(req === undefined ? line : { ...line, req }, (_name, value: unknown) =>
    typeof value === "bigint" ? value.toString() : value,
  );
}
