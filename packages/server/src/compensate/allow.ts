// allow.ts: where calls may go: the allow-list of the setting `compensation.allow`. Pure. A request names the URL, and the server
// posts to it from inside: without a list, whoever may lock could make the server call anything that it can reach.
//   A1. Scheme, host and port are the same, and the path is the entry's or lies below it, in whole parts.
//   A2. What is compared is what will be called: both are parsed by the same rules, dot segments and all.
//   A3. No user and password in a URL: they would end up in logs of others.

/** Undefined: the entry of the list is sound. Else what is wrong with it; without the entry, which may hold a password. */
export function allowProblem(entry: string): string | undefined {
  const url = parse(entry);
  if (url === undefined) return "is no http or https URL without user and password.";
  if (url.search !== "" || url.hash !== "") return "has a query or a fragment; only its path is compared.";
  return undefined;
}

/** @returns tells whether a URL may be called. An unsound entry allows nothing. */
export function allowedBy(allow: readonly string[]): (url: string) => boolean {
  const entries = allow.map(parse).filter((entry) => entry !== undefined);
  return (text) => {
    const url = parse(text);
    return url !== undefined && entries.some((entry) => covers(entry, url));
  };
}

/** A1 */
function covers(entry: URL, url: URL): boolean {
  if (entry.origin !== url.origin) return false;
  const below = entry.pathname.endsWith("/") ? entry.pathname : `${entry.pathname}/`;
  return url.pathname === entry.pathname || url.pathname.startsWith(below);
}

/** A2, A3 */
function parse(text: string): URL | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isHttp = url?.protocol === "http:" || url?.protocol === "https:";
  if (url === undefined || !isHttp || url.username !== "" || url.password !== "") return undefined;
  // Encoded slashes and backslashes: receivers disagree on whether they part a path, and so on what lies below an entry.
  return /%2f|%5c/i.test(url.pathname) ? undefined : url;
}
