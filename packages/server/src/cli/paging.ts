// paging.ts: lists come in pages; commands ask for as many as the reader wants, never for all of an unbounded list.

export interface Page<Item> {
  readonly items: readonly Item[];
  readonly more: boolean;
}

/** What `--limit` is without the option: more rows than anyone reads, few enough to hold. */
export const LIST_LIMIT_DEFAULT = 1_000;
export const LIST_LIMIT_MAX = 1_000_000;
/** The server cuts a page at its own limit; a smaller page keeps frames small. */
const PAGE_SIZE = 500;

/** Follows `more` until `limit` items are there. A page without items ends the list, whatever it says. */
export async function collect<Item>(
  limit: number,
  fetchPage: (page: { readonly after: string; readonly limit: number }) => Promise<Page<Item>>,
  keyOf: (item: Item) => string,
): Promise<Page<Item>> {
  const items: Item[] = [];
  let after = "";
  for (;;) {
    const page = await fetchPage({ after, limit: Math.min(PAGE_SIZE, limit - items.length) });
    items.push(...page.items);
    const last = page.items.at(-1);
    if (!page.more || last === undefined) return { items, more: false };
    if (items.length >= limit) return { items: items.slice(0, limit), more: true };
    after = keyOf(last);
  }
}
