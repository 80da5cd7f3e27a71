// lock-row.ts: one lock as a row of *Now*: who holds it, for how long, and the pain it causes. Pure.
//   W1. What grows with time is shown as of `nowMs`, whenever it was sent.
import type { Holder, LockInfo } from "@forelock/protocol";
import type { Row } from "../feed/screen.ts";
import type { Json } from "../wire/json.ts";

export interface LockRow {
  readonly name: string;
  /** Undefined when nobody holds it. */
  readonly holder: Json<Holder> | undefined;
  readonly holders: number;
  /** Of the first holder. */
  readonly heldMs: number;
  readonly waiting: number;
  /** Of the first waiter. */
  readonly waitedMs: number;
  /** Waiters x time: the waiting done so far by those who wait now. */
  readonly painMs: number;
  /** Of a semaphore; else 0. */
  readonly limit: number;
}

export type LockOrder = "pain" | "name" | "held" | "waiting";

export function lockRowOf(row: Row, nowMs: number): LockRow {
  const json = row.json as Json<LockInfo>; // The part `locks` of a screen is made of these.
  const grownMs = Math.max(0, nowMs - row.atMs); // W1
  const holder = json.holders?.[0];
  const waiting = json.waiting ?? 0;
  return {
    name: json.name ?? "",
    holder,
    holders: json.holders?.length ?? 0,
    heldMs: holder === undefined ? 0 : (holder.heldMs ?? 0) + grownMs,
    waiting,
    waitedMs: waiting === 0 ? 0 : (json.waitedMs ?? 0) + grownMs,
    painMs: waiting === 0 ? 0 : (json.painMs ?? 0) + waiting * grownMs,
    limit: json.limit ?? 0,
  };
}

/** A new list. Equal ones stay in order of name, so that rows do not dance. */
export function sortLocks(rows: readonly LockRow[], order: LockOrder): readonly LockRow[] {
  const byName = (a: LockRow, b: LockRow): number => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0);
  return [...rows].sort((a, b) => measure(b, order) - measure(a, order) || byName(a, b));
}

function measure(row: LockRow, order: LockOrder): number {
  switch (order) {
    case "pain":
      return row.painMs;
    case "held":
      return row.heldMs;
    case "waiting":
      return row.waiting;
    case "name":
      return 0;
  }
}

/** A client by the name it gives itself, else by its session. */
export function clientName({ client, session }: { readonly client?: string; readonly session?: string }): string {
  return client === undefined || client === "" ? `session ${(session ?? "").slice(0, 8)}` : client;
}

/** Of the load that `forelock serve --demo` makes, and of no real work. */
export function isDemo(name: string): boolean {
  return name.startsWith("demo/");
}

/** The same of a client. */
export function isDemoClient(client: string): boolean {
  return client.startsWith("demo ");
}
