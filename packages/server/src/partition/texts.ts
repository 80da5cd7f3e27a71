// texts.ts: texts out of bytes, for names that come again and again. Not here: where texts lie in a record (bytes.ts).
//   X1. What a text is depends on its bytes alone: the table of known ones only saves making it anew.
//   X2. Texts are flat: those built up character by character are chains, which cost more to keep and to look up.

/** As a release follows its grant within a few thousand events, its name is mostly still there. */
const KNOWN_TEXTS = 8_192;
/** Longer ones are made anew: comparing costs as much. */
const KNOWN_BYTES_MAX = 64;

/** A buffer is dearer to make than a short text is to copy. */
const scratch = Buffer.alloc(KNOWN_BYTES_MAX);

const known: string[] = new Array<string>(KNOWN_TEXTS).fill("");

/** @param end first byte after the text; there are that many bytes */
export function textAt(buffer: Uint8Array, start: number, end: number): string {
  const bytes = end - start;
  if (bytes === 0) return "";
  if (bytes > KNOWN_BYTES_MAX) return utf8At(buffer, start, end);
  let hash = bytes;
  for (let at = start; at < end; at += 1) {
    const code = buffer[at] ?? 0;
    if (code > 127) return utf8At(buffer, start, end);
    hash = Math.imul(hash ^ code, 0x5bd1e995) ^ (hash >>> 13);
  }
  const slot = (hash ^ (hash >>> 16)) & (KNOWN_TEXTS - 1);
  const candidate = known[slot] ?? "";
  if (candidate.length === bytes && isSame(candidate, buffer, start)) return candidate;
  for (let at = 0; at < bytes; at += 1) scratch[at] = buffer[start + at] ?? 0;
  const text = scratch.toString("latin1", 0, bytes); // ASCII, and flat (X2).
  known[slot] = text;
  return text;
}

function utf8At(buffer: Uint8Array, start: number, end: number): string {
  return Buffer.from(buffer.buffer, buffer.byteOffset, buffer.byteLength).toString("utf8", start, end);
}

function isSame(text: string, buffer: Uint8Array, start: number): boolean {
  for (let index = 0; index < text.length; index += 1) {
    if (text.charCodeAt(index) !== buffer[start + index]) return false;
  }
  return true;
}
