// use-history.ts: what the log remembers, asked for when someone looks back. A look reads the log: so never by itself.
import type { HistoryEntry } from "@forelock/protocol";
import { useCallback, useEffect, useState } from "preact/hooks";
import { ask } from "../wire/ask.ts";
import type { Json } from "../wire/json.ts";
import { type Span, spansOf } from "./spans.ts";

export interface History {
  readonly entries: readonly Json<HistoryEntry>[];
  readonly spans: readonly Span[];
  /** How far back entries are told of: less than the log's memory where there were too many. */
  readonly reachMs: number;
  /** Wall clock at the answer: the moment 0 of the spans. */
  readonly takenMs: number;
  /** Monotonic clock of the page, at the same moment. */
  readonly takenAtMs: number;
}

export type HistoryState =
  | { readonly kind: "unasked" }
  | { readonly kind: "asking" }
  | { readonly kind: "failed"; readonly why: string }
  | { readonly kind: "there"; readonly history: History };

const ENTRIES_MAX = 10_000;

/** @param name of one lock; empty: of all. Another name forgets what was asked. */
export function useHistory(name: string): { readonly state: HistoryState; load(): void; forget(): void } {
  const [state, setState] = useState<HistoryState>({ kind: "unasked" });
  useEffect(() => setState({ kind: "unasked" }), [name]);
  const load = useCallback((): void => {
    setState((before) => (before.kind === "there" ? before : { kind: "asking" }));
    ask("get-history", { name, limit: ENTRIES_MAX }).then(
      (reply) =>
        setState({ kind: "there", history: historyOf(reply.entries ?? [], reply.reachMs ?? 0, reply.more === true) }),
      (error: Error) => setState({ kind: "failed", why: error.message }),
    );
  }, [name]);
  const forget = useCallback((): void => setState({ kind: "unasked" }), []);
  return { state, load, forget };
}

function historyOf(entries: readonly Json<HistoryEntry>[], reachMs: number, more: boolean): History {
  const oldestMs = entries[0]?.agoMs ?? 0;
  const toldMs = more ? oldestMs : Math.max(reachMs, oldestMs);
  return {
    entries,
    spans: spansOf(entries, toldMs),
    reachMs: toldMs,
    takenMs: Date.now(),
    takenAtMs: performance.now(),
  };
}
