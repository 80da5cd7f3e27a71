// read.ts: the durable records of a log that is in use. Not here: finding out what is durable (recover.ts, append.ts).
//   D1. Reads what was durable at the call, once, in stream order, and checks it again.
//   D2. A segment that is read is not freed.
import type { LogRecord } from "../event-log.ts";
import type { Files } from "./files.ts";
import type { Segment } from "./recover.ts";
import { COMMITS_FROM, damaged, judgeTail, walkCommits, withFile } from "./segment.ts";

/** @param after records of a partition up to this sequence are left out */
export function readRecords(
  files: Files,
  segments: readonly Segment[],
  after: (partition: number) => number,
): AsyncIterable<readonly LogRecord[]> {
  const spans = segments.map((segment) => ({ segment, end: segment.endOffset })); // D1: taken now, not when first asked.
  return walkSpans(files, spans, after);
}

interface Span {
  readonly segment: Segment;
  readonly end: number;
}

async function* walkSpans(
  files: Files,
  spans: readonly Span[],
  after: (partition: number) => number,
): AsyncGenerator<readonly LogRecord[], void> {
  for (const { segment } of spans) segment.readers++; // D2
  try {
    for (const span of spans) {
      const isWanted = [...span.segment.lastByPartition].some(([partition, last]) => last > after(partition));
      if (isWanted) yield* walkSpan(files, span, after);
    }
  } finally {
    for (const { segment } of spans) segment.readers--;
  }
}

async function* walkSpan(
  files: Files,
  { segment, end }: Span,
  after: (partition: number) => number,
): AsyncGenerator<readonly LogRecord[], void> {
  const { generation, path, firstCommit } = segment;
  let at = { generation, path, offset: COMMITS_FROM, commit: firstCommit };
  const file = await files.open(path, "read");
  try {
    for await (const batch of walkCommits(file, at, end)) {
      at = batch.next;
      const wanted = batch.records.filter((record) => record.sequence > after(record.partition));
      if (wanted.length > 0) yield wanted;
    }
  } finally {
    await file.close();
  }
  if (at.offset === end) return;
  await withFile(files, path, (again) => judgeTail(again, at, end)); // Throws with the block that is to blame, if it can.
  throw damaged(path, at.offset, `commit ${at.commit} was whole and is not any more`);
}
