// token.ts: fencing tokens as bytes and as halves. Arithmetic on bigints makes a new one at each step; a shared word does not.
// Not here: how a token is made (state.ts), and which is next (lock/apply.ts).
import type { FencingToken } from "./state.ts";

const word = new BigUint64Array(1);
const bytes = new Uint8Array(word.buffer);
const halves = new Uint32Array(word.buffer);
const IS_LITTLE_ENDIAN = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;
const LOW = IS_LITTLE_ENDIAN ? 0 : 1;

/** Lower 32 bits of a token, unsigned. */
export function tokenLow(token: FencingToken): number {
  word[0] = token;
  return halves[LOW] ?? 0; // There are two.
}

/** Upper 32 bits, unsigned. */
export function tokenHigh(token: FencingToken): number {
  word[0] = token;
  return halves[1 - LOW] ?? 0; // There are two.
}

/** The token of two halves of 32 bits, signed or not. */
export function joinToken(low: number, high: number): FencingToken {
  halves[LOW] = low;
  halves[1 - LOW] = high;
  return word[0] ?? 0n; // There is one.
}

/** Writes 8 bytes, little-endian, for which there must be room. */
export function writeToken(into: Uint8Array, at: number, token: FencingToken): void {
  word[0] = token;
  for (let index = 0; index < 8; index += 1) into[at + index] = bytes[IS_LITTLE_ENDIAN ? index : 7 - index] ?? 0;
}

/** Reads 8 bytes, little-endian, which must be there. */
export function readToken(from: Uint8Array, at: number): FencingToken {
  for (let index = 0; index < 8; index += 1) bytes[IS_LITTLE_ENDIAN ? index : 7 - index] = from[at + index] ?? 0;
  return word[0] ?? 0n; // There is one.
}
