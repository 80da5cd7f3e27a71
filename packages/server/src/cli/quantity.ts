// quantity.ts: counts, bytes, tokens and names as people write and read them, and as JSON. Not here: durations (duration.ts).
import { isForelockFailure } from "./forelock-error.ts";
import { UsageError } from "./usage-error.ts";

export interface CountRange {
  readonly min: number;
  readonly max: number;
}

/** @throws UsageError naming field, value and range */
export function parseCount(field: string, text: string, { min, max }: CountRange): number {
  const count = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (!(count >= min && count <= max)) {
    throw new UsageError(`${field} is "${text}": give a whole number from ${formatCount(min)} to ${formatCount(max)}.`);
  }
  return count;
}

const TOKEN_MAX = 2n ** 63n - 1n;

/** @throws UsageError naming field and value */
export function parseToken(field: string, text: string): bigint {
  const token = /^\d{1,19}$/.test(text) ? BigInt(text) : 0n;
  if (token < 1n || token > TOKEN_MAX) {
    throw new UsageError(`${field} is "${text}": give the fencing token of a grant, a whole number below 2^63.`);
  }
  return token;
}

export function formatCount(count: number): string {
  return count.toLocaleString("en-US");
}

const BYTE_UNITS = ["KiB", "MiB", "GiB", "TiB"] as const;

export function formatBytes(bytes: number): string {
  if (bytes < 1_024) return `${bytes} B`;
  let scaled = bytes / 1_024;
  let index = 0;
  while (scaled >= 1_023.95 && index < BYTE_UNITS.length - 1) {
    scaled /= 1_024;
    index += 1;
  }
  return `${scaled < 99.95 ? scaled.toFixed(1) : Math.round(scaled)} ${BYTE_UNITS[index]}`;
}

/** "1 lock", "2 locks". */
export function plural(count: number, noun: string): string {
  return `${formatCount(count)} ${noun}${count === 1 ? "" : "s"}`;
}

/**
 * Text of others, safe for a terminal: a lock's name may hold escape sequences or direction overrides that would repaint the
 * screen of whoever lists it. Each such character is shown as \u{hex}.
 */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for.
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/gu, escaped);
}

const escaped = (character: string): string => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;

/**
 * What `--json` prints: every field always there, 64-bit tokens as decimal strings (JSON numbers stop at 2^53), bytes as base64,
 * errors as code and message.
 */
export function toJson(message: unknown): string {
  // A function with `this`: a Buffer has been turned into an object by its own toJSON before `value` is seen.
  return JSON.stringify(message, function (this: Readonly<Record<string, unknown>>, key, value: unknown) {
    const original = this[key];
    if (original instanceof Uint8Array) return Buffer.from(original).toString("base64");
    if (isForelockFailure(original)) return { code: original.code, message: original.message };
    return typeof value === "bigint" ? value.toString() : value;
  });
}
