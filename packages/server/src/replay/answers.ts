// answers.ts: how holders answered the warnings that a log tells of, and how the others would answer. Not here: reading the log
// (recorded.ts), what follows from an answer (simulation.ts).
//   N1. A hold that was warned answers as it did.
//   N2. One that was not answers as those of its client did, in turn; where its client was never warned, not at all.
//   N3. One that never released answers for itself alone: why it got stuck, nobody knows.
import type { Answer, Row } from "./workload.ts";

/** Of one hold: the core remembers so many answers of a session. */
const ACKNOWLEDGEMENTS_MAX = 8;

/** The warning of a hold that goes on. */
export class Warned {
  readonly #atMs: number;
  readonly #acknowledgements: { readonly afterMs: number; readonly extensionMs: number }[] = [];

  constructor(atMs: number) {
    this.#atMs = atMs;
  }

  acknowledged(nowMs: number, extensionMs: number): void {
    if (this.#acknowledgements.length === ACKNOWLEDGEMENTS_MAX) return;
    this.#acknowledgements.push({ afterMs: this.#since(nowMs), extensionMs });
  }

  /** At the hold's end. @returns undefined when it never answered */
  answer(isReleased: boolean, nowMs: number): Answer | undefined {
    if (this.#acknowledgements.length === 0) return undefined;
    return { acknowledgements: this.#acknowledgements, releasedMs: isReleased ? this.#since(nowMs) : undefined };
  }

  #since(nowMs: number): number {
    return Math.max(0, Math.round(nowMs - this.#atMs));
  }
}

/** A row, and whether it was warned. */
export interface AnsweringRow {
  readonly row: Row;
  readonly isWarned: boolean;
}

/** Rows in order, each with the answer that it has or would have. */
export function withAnswers(rows: readonly AnsweringRow[]): readonly Row[] {
  const answersByClient = new Map<string, (Answer | undefined)[]>();
  for (const { row, isWarned } of rows) {
    if (!isWarned) continue; // N1
    const answers = answersByClient.get(row.client);
    if (answers === undefined) answersByClient.set(row.client, [row.answer]);
    else answers.push(row.answer);
  }
  const turns = new Map<string, number>();
  return rows.map(({ row, isWarned }) => {
    const answers = answersByClient.get(row.client);
    if (isWarned || row.isLost || answers === undefined) return row; // N3
    const turn = turns.get(row.client) ?? 0;
    turns.set(row.client, turn + 1);
    return { ...row, answer: answers[turn % answers.length] }; // N2
  });
}
