// merge.ts: the records of many partitions in the order in which they became durable, from the pages of each.
//   Each partition has one page in memory at a time, of about 1 MiB.
import type { FoundRecord } from "./record.ts";

interface Source {
  readonly pages: AsyncIterator<readonly FoundRecord[]>;
  page: readonly FoundRecord[];
  at: number;
}

const BATCH_RECORDS_MAX = 256;

/** Batches; of records that became durable together, in the order of `pages`. */
export async function* inOrder(
  pages: readonly AsyncIterator<readonly FoundRecord[]>[],
): AsyncGenerator<readonly FoundRecord[], void> {
  const sources = pages.map((one): Source => ({ pages: one, page: [], at: 0 }));
  await Promise.all(sources.map(nextPage));
  let left = sources.filter(hasRecord);
  let batch: FoundRecord[] = [];
  while (left.length > 0) {
    const source = left.reduce((first, one) => (revisionOf(one) < revisionOf(first) ? one : first));
    batch.push(...takeWhileFirst(source, left));
    if (batch.length >= BATCH_RECORDS_MAX) {
      yield batch;
      batch = [];
    }
    if (hasRecord(source)) continue;
    await nextPage(source);
    if (!hasRecord(source)) left = left.filter((one) => one !== source);
  }
  if (batch.length > 0) yield batch;
}

/** Everything of a source before the next record of any other. */
function takeWhileFirst(source: Source, all: readonly Source[]): readonly FoundRecord[] {
  const others = all.filter((one) => one !== source).map(revisionOf);
  const until = Math.min(...others, Number.MAX_SAFE_INTEGER);
  const from = source.at;
  do source.at += 1;
  while (hasRecord(source) && revisionOf(source) < until);
  return source.page.slice(from, source.at);
}

async function nextPage(source: Source): Promise<void> {
  const { value, done } = await source.pages.next();
  source.page = done ? [] : value;
  source.at = 0;
}

function hasRecord({ page, at }: Source): boolean {
  return at < page.length;
}

function revisionOf({ page, at }: Source): number {
  return page[at]?.revision ?? Number.MAX_SAFE_INTEGER;
}
