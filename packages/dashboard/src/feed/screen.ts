// screen.ts: what one screen knows: the parts that the node has sent, put together from what changed. Pure.
//   N1. Every row remembers when it came: ages grow from there, until it comes anew.

export interface Row {
  readonly json: unknown;
  /** On the monotonic clock of this page. */
  readonly atMs: number;
}

export type Part =
  | { readonly kind: "list"; readonly rows: ReadonlyMap<string, Row>; readonly more: boolean }
  | { readonly kind: "value"; readonly row: Row }
  | { readonly kind: "error"; readonly code: string; readonly message: string };

export type Parts = Readonly<Record<string, Part>>;

/** As GET /v1/live sends it: see docs/protocol.md. */
export interface ScreenMessage {
  /** The first, and now and then another: rows that it does not name are gone. */
  readonly whole: boolean;
  readonly parts: Readonly<Record<string, SentPart>>;
}
type SentPart =
  | { readonly list: SentList }
  | { readonly value: unknown }
  | { readonly error: { readonly code: string; readonly message: string } };
interface SentList {
  /** Keys in order, where set or order changed. */
  readonly order?: readonly string[];
  readonly rows: Readonly<Record<string, unknown>>;
  readonly more?: boolean;
}

export function take(parts: Parts, message: ScreenMessage, atMs: number): Parts {
  const next = { ...parts };
  for (const [name, sent] of Object.entries(message.parts)) next[name] = partOf(next[name], sent, atMs);
  return next;
}

function partOf(before: Part | undefined, sent: SentPart, atMs: number): Part {
  if ("error" in sent) return { kind: "error", code: sent.error.code, message: sent.error.message };
  if ("value" in sent) return { kind: "value", row: { json: sent.value, atMs } };
  return listOf(before?.kind === "list" ? before : undefined, sent.list, atMs);
}

function listOf(before: Extract<Part, { kind: "list" }> | undefined, sent: SentList, atMs: number): Part {
  const rows = new Map<string, Row>();
  for (const key of sent.order ?? before?.rows.keys() ?? []) {
    const row = Object.hasOwn(sent.rows, key) ? { json: sent.rows[key], atMs } : before?.rows.get(key); // N1
    if (row !== undefined) rows.set(key, row);
  }
  return { kind: "list", rows, more: sent.more ?? before?.more ?? false };
}
