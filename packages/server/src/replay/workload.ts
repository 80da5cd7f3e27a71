// workload.ts: what is replayed: who asked for what, when, and how long he held it; and the same at a bearable utilisation. Not
// here: where it comes from (durations-file.ts, recorded.ts), what happens to it (simulation.ts).

/** One request and its hold. */
export interface Row {
  /** Whole milliseconds from any moment, the same for all rows. */
  readonly requestMs: number;
  /** Whole milliseconds, 0 or more. */
  readonly durationMs: number;
  readonly client: string;
  readonly element: string;
  /** It did not release: its session ended, or it was forced, `durationMs` after its grant. */
  readonly isLost: boolean;
  /** How its holder answers a warning; undefined: not at all. */
  readonly answer?: Answer | undefined;
}

/** What was recorded of a holder that had been warned. Times in milliseconds from its warning. */
export interface Answer {
  /** In order; an `extensionMs` of 0: none was asked for, or given. */
  readonly acknowledgements: readonly { readonly afterMs: number; readonly extensionMs: number }[];
  /** Undefined: it did not release by itself. */
  readonly releasedMs: number | undefined;
}

export interface Workload {
  /** In order of request. */
  readonly rows: readonly Row[];
  readonly elements: number;
  /** Elements whose gaps were stretched, and the largest factor among them; 1 when none was. */
  readonly stretched: number;
  readonly stretchMax: number;
}

/**
 * Stretches the gaps between the requests of each element until the element is held for at most `utilisationMax` of the time from
 * its first request to its last. An element keeps its first request, and its requests keep their order. Requests that came at one
 * moment stay together: they are a batch, and no stretching makes them anything else.
 * @param utilisationMax above 0
 */
export function stretch(rows: readonly Row[], utilisationMax: number): Workload {
  const byElement = new Map<string, Row[]>();
  for (const row of rows) {
    const found = byElement.get(row.element);
    if (found === undefined) byElement.set(row.element, [row]);
    else found.push(row);
  }
  const stretchedRows: Row[] = [];
  let stretched = 0;
  let stretchMax = 1;
  for (const requests of byElement.values()) {
    const sorted = requests.toSorted((a, b) => a.requestMs - b.requestMs);
    const firstMs = sorted[0]?.requestMs ?? 0;
    const spanMs = (sorted.at(-1)?.requestMs ?? 0) - firstMs;
    const heldMs = sorted.reduce((sum, { durationMs }) => sum + durationMs, 0);
    const factor = spanMs === 0 ? 1 : Math.max(1, heldMs / (utilisationMax * spanMs));
    if (factor > 1) stretched += 1;
    stretchMax = Math.max(stretchMax, factor);
    for (const row of sorted)
      stretchedRows.push({ ...row, requestMs: Math.round(firstMs + (row.requestMs - firstMs) * factor) });
  }
  const originMs = stretchedRows.reduce((least, { requestMs }) => Math.min(least, requestMs), Number.POSITIVE_INFINITY);
  const inOrder = stretchedRows
    .map((row) => ({ ...row, requestMs: row.requestMs - originMs }))
    .sort((a, b) => a.requestMs - b.requestMs);
  return { rows: inOrder, elements: byElement.size, stretched, stretchMax };
}
