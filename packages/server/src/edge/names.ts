// names.ts: which names are canonical. Not here: where a name is placed, who may use it (authorize.ts).
//   N1. Two byte strings that look equal to Unicode are never two names: NFC or refused.
//   N2. A name has no empty, "." or ".." part, so that a prefix of whole parts covers what it seems to cover.

export const NAME_BYTES_MAX = 512;
const DEPTH_MAX = 16;
/** Also U+FFFD, which is what malformed UTF-8 is decoded to: two malformed names would become one. */
const FORBIDDEN = /[\p{Cc}\p{Cs}\uFFFD]/u;
const SLASH = 0x2f;
const DOT = 0x2e;
const BRACE = 0x7b;

/** Says why `name` is not canonical, with the value; `undefined` when it is. About 20 ns for short ASCII names. */
export function nameProblem(name: string): string | undefined {
  const { length } = name;
  if (length === 0) return "is empty; allowed 1 to 512 bytes.";
  if (length > NAME_BYTES_MAX) return tooLong(name);
  let partStart = 0;
  let parts = 1;
  let braces = false;
  for (let at = 0; at < length; at++) {
    const unit = name.charCodeAt(at);
    if (unit < 0x20 || unit > 0x7e) return slowProblem(name);
    if (unit === BRACE) braces = true;
    if (unit !== SLASH) continue;
    if (isBadPart(name, partStart, at)) return badPart(name); // N2
    partStart = at + 1;
    parts++;
  }
  if (isBadPart(name, partStart, length)) return badPart(name);
  return parts > DEPTH_MAX && braces && hasTag(name) ? tooDeep(name) : undefined;
}

/** As `nameProblem`, for the start of names: may be empty, and may end inside or after a part. */
export function prefixProblem(prefix: string): string | undefined {
  if (prefix === "") return undefined;
  // Completed to a name: a prefix that ends in "." may be the start of ".env".
  const name = prefix.length < NAME_BYTES_MAX ? `${prefix}x` : prefix;
  return nameProblem(name)?.replace(shown(name), () => shown(prefix));
}

/** A value as error messages show it: quoted, at most 64 characters. */
export function shown(value: string): string {
  return JSON.stringify(value.length > 64 ? `${value.slice(0, 64)}...` : value);
}

function slowProblem(name: string): string | undefined {
  if (FORBIDDEN.test(name)) return `${shown(name)} holds a control character or is not UTF-8.`;
  if (Buffer.byteLength(name) > NAME_BYTES_MAX) return tooLong(name);
  if (name.normalize("NFC") !== name) return `${shown(name)} is not in Unicode normal form NFC.`; // N1
  const parts = name.split("/");
  if (parts.some((part) => part === "" || part === "." || part === "..")) return badPart(name); // N2
  return parts.length > DEPTH_MAX && hasTag(name) ? tooDeep(name) : undefined;
}

function isBadPart(name: string, start: number, end: number): boolean {
  const length = end - start;
  if (length > 2) return false;
  if (length === 0) return true;
  return name.charCodeAt(start) === DOT && (length === 1 || name.charCodeAt(start + 1) === DOT);
}

/** A tag is what stands in the first braces, when that is not empty: only there `/` makes a tree. */
function hasTag(name: string): boolean {
  const open = name.indexOf("{");
  return open >= 0 && name.indexOf("}", open) > open + 1;
}

function tooLong(name: string): string {
  return `${shown(name)} is ${Buffer.byteLength(name)} bytes long; allowed 1 to ${NAME_BYTES_MAX}.`;
}

function badPart(name: string): string {
  return `${shown(name)} has an empty, "." or ".." part.`;
}

function tooDeep(name: string): string {
  return `${shown(name)} is ${name.split("/").length} parts deep; allowed 1 to ${DEPTH_MAX} in a name with a tag.`;
}
