// spans.ts: who held and who waited from when to when, out of what the log remembers. Pure. Times are milliseconds before the
// moment of the answer, as negative numbers: 0 is that moment.
//   S1. What began before the log's memory begins where that memory begins, and says so.
//   S2. What a grant ends with is told once: a second word about a token that is gone changes nothing.
import type { HistoryEntry, Risk } from "@forelock/protocol";
import type { Json } from "../wire/json.ts";

export interface Mark {
  readonly atMs: number;
  readonly kind: string;
  readonly reason: string;
  /** Of a warning: what it was given for. */
  readonly risk?: Json<Risk> | undefined;
}

export interface Span {
  readonly kind: "hold" | "wait";
  readonly name: string;
  readonly session: string;
  readonly client: string;
  /** Of a hold, in decimal; empty where the log does not tell. */
  readonly token: string;
  readonly fromMs: number;
  /** It had begun before the log's memory. */
  readonly isCut: boolean;
  /** 0 while it lasts. */
  readonly toMs: number;
  /** `released`, `expired`, `forced`, `preempted`; of a wait `granted` or `ended`; undefined while it lasts. */
  readonly end: string | undefined;
  /** Why it ended, in the words of the one who ended it. */
  readonly reason: string;
  /** Warnings and what came of them. */
  readonly marks: readonly Mark[];
}

type Growing = { -readonly [Key in keyof Span]: Span[Key] } & { marks: Mark[] };

const ENDS = new Set(["released", "expired", "forced", "preempted"]);
const MARKS = new Set(["warned", "acknowledged", "extended"]);

/**
 * @param entries oldest first
 * @param reachMs how far back the log remembers
 * @returns in the order in which they began
 */
export function spansOf(entries: readonly Json<HistoryEntry>[], reachMs: number): readonly Span[] {
  const book = new Book(-reachMs);
  for (const entry of entries) book.take(entry);
  return book.spans.sort((a, b) => a.fromMs - b.fromMs);
}

class Book {
  readonly spans: Growing[] = [];
  readonly #startMs: number;
  readonly #holds = new Map<string, Growing>();
  readonly #waits = new Map<string, Growing[]>();
  readonly #gone = new Set<string>();

  constructor(startMs: number) {
    this.#startMs = startMs;
  }

  take(entry: Json<HistoryEntry>): void {
    const { kind = "" } = entry;
    if (kind === "queued") this.#queue(entry);
    else if (kind === "granted") this.#grant(entry);
    else if (kind === "ended") this.#endWait(entry, "ended");
    else if (ENDS.has(kind)) this.#endHold(entry, kind);
    else if (MARKS.has(kind)) this.#mark(entry, kind);
  }

  #queue(entry: Json<HistoryEntry>): void {
    const wait = this.#begin("wait", entry);
    const key = waitKey(entry);
    this.#waits.set(key, [...(this.#waits.get(key) ?? []), wait]);
  }

  #grant(entry: Json<HistoryEntry>): void {
    if (this.#waits.has(waitKey(entry))) this.#endWait(entry, "granted");
    this.#holds.set(holdKey(entry), this.#begin("hold", entry));
  }

  #endWait(entry: Json<HistoryEntry>, end: string): void {
    const key = waitKey(entry);
    const [wait, ...rest] = this.#waits.get(key) ?? [];
    if (rest.length === 0) this.#waits.delete(key);
    else this.#waits.set(key, rest);
    close(wait ?? this.#beginCut("wait", entry), entry, end); // S1
  }

  #endHold(entry: Json<HistoryEntry>, end: string): void {
    const key = holdKey(entry);
    if (this.#gone.has(key)) return; // S2
    this.#gone.add(key);
    close(this.#holds.get(key) ?? this.#beginCut("hold", entry), entry, end); // S1
    this.#holds.delete(key);
  }

  #mark(entry: Json<HistoryEntry>, kind: string): void {
    const hold = this.#holds.get(holdKey(entry)) ?? this.#waits.get(waitKey(entry))?.[0];
    if (hold === undefined && this.#gone.has(holdKey(entry))) return;
    const { reason = "", risk } = entry;
    const mark = { atMs: atOf(entry), kind, reason };
    (hold ?? this.#beginCut("hold", entry, true)).marks.push(risk === undefined ? mark : { ...mark, risk });
  }

  #beginCut(kind: Span["kind"], entry: Json<HistoryEntry>, keep = false): Growing {
    const span = this.#begin(kind, entry);
    span.fromMs = this.#startMs;
    span.isCut = true;
    if (keep) this.#holds.set(holdKey(entry), span);
    return span;
  }

  #begin(kind: Span["kind"], entry: Json<HistoryEntry>): Growing {
    const { name = "", session = "", client = "", token = "" } = entry;
    const fields = { kind, name, session, client, token: kind === "hold" ? token : "" };
    const span: Growing = {
      ...fields,
      fromMs: atOf(entry),
      isCut: false,
      toMs: 0,
      end: undefined,
      reason: "",
      marks: [],
    };
    this.spans.push(span);
    return span;
  }
}

function close(span: Growing, entry: Json<HistoryEntry>, end: string): void {
  span.toMs = atOf(entry);
  span.end = end;
  span.reason = entry.reason ?? "";
  if (span.client === "") span.client = entry.client ?? "";
}

const atOf = ({ agoMs = 0 }: Json<HistoryEntry>): number => -agoMs;
const waitKey = ({ name = "", session = "" }: Json<HistoryEntry>): string => `${session} ${name}`;
/** A token is of one grant of one name; without it the session has to do. */
const holdKey = ({ name = "", session = "", token = "" }: Json<HistoryEntry>): string =>
  token === "" ? `s ${session} ${name}` : `t ${token} ${name}`;
