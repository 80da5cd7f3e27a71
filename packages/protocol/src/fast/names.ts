// fast/names.ts: texts from bytes. Names of locks come again and again: the text made for one is kept and used for the next, which saves
// making it, and saves every table that is keyed by it from hashing it anew.
//   N1. What is kept is bounded: SLOTS texts of at most TEXT_BYTES_MAX bytes. A newer name replaces an older one in the same slot.

const SLOTS = 4_096;
const TEXT_BYTES_MAX = 64;

const textBySlot: string[] = new Array<string>(SLOTS).fill("");
const textDecoder = new TextDecoder("utf-8", { ignoreBOM: true }); // As the generated code has it.

/** @param from,end within `bytes` */
export function nameAt(bytes: Buffer, from: number, end: number): string {
  if (end - from > TEXT_BYTES_MAX) return textAt(bytes, from, end);
  let hash = 0x811c9dc5; // FNV-1a.
  let highest = 0;
  for (let at = from; at < end; at++) {
    const byte = bytes[at] ?? 0; // Within.
    highest |= byte;
    hash = Math.imul(hash ^ byte, 0x01000193);
  }
  if (highest > 0x7f) return textDecoder.decode(bytes.subarray(from, end));
  const slot = (hash ^ (hash >>> 15)) & (SLOTS - 1);
  const kept = textBySlot[slot] ?? ""; // Every slot is filled.
  if (isSame(kept, bytes, from, end)) return kept;
  const name = bytes.toString("latin1", from, end);
  textBySlot[slot] = name;
  return name;
}

/** @param from,end within `bytes` */
export function textAt(bytes: Buffer, from: number, end: number): string {
  let highest = 0;
  for (let at = from; at < end; at++) highest |= bytes[at] ?? 0; // Within.
  return highest > 0x7f ? textDecoder.decode(bytes.subarray(from, end)) : bytes.toString("latin1", from, end);
}

function isSame(text: string, bytes: Buffer, from: number, end: number): boolean {
  if (text.length !== end - from) return false;
  for (let index = 0; index < text.length; index++) if (text.charCodeAt(index) !== bytes[from + index]) return false;
  return true;
}
