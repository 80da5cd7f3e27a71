// placement.ts: which partition a name belongs to: jump consistent hash of the SipHash-1-3 of its tag, or of the whole name.
// The key is drawn when the data folder is created, so that nobody can aim names at one partition without it.
//   Sources: Aumasson and Bernstein (2012), "SipHash"; Lamping and Veach (2014), "A fast, minimal memory, consistent hash algorithm".
// Done on 32-bit halves: BigInt costs ten times as much. Test vectors stand in docs/protocol.md and in the test beside this file.
// In this package because clients that go to owners directly find them by it, too.

/** Names are looked up again and again; a cached partition costs a quarter of a computed one. Emptied when full. */
const CACHE_MAX = 65_536;

export type Placement = (name: string) => number;

/** @param key 16 bytes. @param partitions 1 or more. */
export function createPlacement(key: Uint8Array, partitions: number): Placement {
  const halves = new DataView(key.buffer, key.byteOffset, 16);
  const words: Key = [
    halves.getInt32(0, true),
    halves.getInt32(4, true),
    halves.getInt32(8, true),
    halves.getInt32(12, true),
  ];
  const cache = new Map<string, number>();
  return (name) => {
    const cached = cache.get(name);
    if (cached !== undefined) return cached;
    const [low, high] = sipHash(words, Buffer.from(tagOf(name) ?? name, "utf8"));
    const partition = jump(low, high, partitions);
    if (cache.size >= CACHE_MAX) cache.clear();
    cache.set(name, partition);
    return partition;
  };
}

/** What stands in the first braces, or undefined when there is no pair or nothing inside. */
export function tagOf(name: string): string | undefined {
  const open = name.indexOf("{");
  if (open < 0) return undefined;
  const close = name.indexOf("}", open + 1);
  return close > open + 1 ? name.slice(open + 1, close) : undefined;
}

type Key = readonly [k0Low: number, k0High: number, k1Low: number, k1High: number];

/** SipHash-1-3, as its low and high 32 bits, signed. */
export function sipHash(key: Key, bytes: Uint8Array): readonly [low: number, high: number] {
  const v = new Int32Array([
    key[0] ^ 0x70736575,
    key[1] ^ 0x736f6d65,
    key[2] ^ 0x6e646f6d,
    key[3] ^ 0x646f7261,
    key[0] ^ 0x6e657261,
    key[1] ^ 0x6c796765,
    key[2] ^ 0x79746573,
    key[3] ^ 0x74656462,
  ]);
  const whole = bytes.length - (bytes.length % 8);
  for (let at = 0; at < whole; at += 8) compress(v, word(bytes, at, 4), word(bytes, at + 4, 4));
  const rest = bytes.length - whole;
  const low = word(bytes, whole, Math.min(4, rest));
  const high = word(bytes, whole + 4, Math.max(0, rest - 4)) | (bytes.length << 24);
  compress(v, low, high);
  v[4] = at(v, 4) ^ 0xff;
  round(v);
  round(v);
  round(v);
  return [at(v, 0) ^ at(v, 2) ^ at(v, 4) ^ at(v, 6), at(v, 1) ^ at(v, 3) ^ at(v, 5) ^ at(v, 7)];
}

/** Up to four bytes, little-endian. */
function word(bytes: Uint8Array, start: number, count: number): number {
  let value = 0;
  for (let index = 0; index < count; index += 1) value |= (bytes[start + index] ?? 0) << (index * 8);
  return value;
}

function compress(v: Int32Array, low: number, high: number): void {
  v[6] = at(v, 6) ^ low;
  v[7] = at(v, 7) ^ high;
  round(v);
  v[0] = at(v, 0) ^ low;
  v[1] = at(v, 1) ^ high;
}

const at = (v: Int32Array, index: number): number => v[index] ?? 0;

function round(v: Int32Array): void {
  add(v, 0, 2);
  rotate(v, 2, 13);
  xor(v, 2, 0);
  swap(v, 0);
  add(v, 4, 6);
  rotate(v, 6, 16);
  xor(v, 6, 4);
  add(v, 0, 6);
  rotate(v, 6, 21);
  xor(v, 6, 0);
  add(v, 4, 2);
  rotate(v, 2, 17);
  xor(v, 2, 4);
  swap(v, 4);
}

/** v[a] += v[b], as 64 bits. */
function add(v: Int32Array, a: number, b: number): void {
  const low = (at(v, a) >>> 0) + (at(v, b) >>> 0);
  v[a + 1] = at(v, a + 1) + at(v, b + 1) + (low > 0xffffffff ? 1 : 0);
  v[a] = low;
}

function xor(v: Int32Array, a: number, b: number): void {
  v[a] = at(v, a) ^ at(v, b);
  v[a + 1] = at(v, a + 1) ^ at(v, b + 1);
}

/** Rotates left by less than 32 bits. */
function rotate(v: Int32Array, a: number, bits: number): void {
  const low = at(v, a);
  const high = at(v, a + 1);
  v[a] = (low << bits) | (high >>> (32 - bits));
  v[a + 1] = (high << bits) | (low >>> (32 - bits));
}

/** Rotates left by 32 bits. */
function swap(v: Int32Array, a: number): void {
  const low = at(v, a);
  v[a] = at(v, a + 1);
  v[a + 1] = low;
}

/** Jump consistent hash of a 64-bit key given as halves. */
export function jump(low: number, high: number, partitions: number): number {
  let keyLow = low >>> 0;
  let keyHigh = high >>> 0;
  let bucket = -1;
  let next = 0;
  while (next < partitions) {
    bucket = next;
    // key = key * 2862933555777941757 + 1 modulo 2^64; the multiplier is 0x27BB2EE687B0B0FD.
    const product = multiplyLow(keyLow, 0x87b0b0fd);
    keyHigh = (product.high + Math.imul(keyLow, 0x27bb2ee6) + Math.imul(keyHigh, 0x87b0b0fd)) >>> 0;
    keyLow = product.low + 1;
    if (keyLow > 0xffffffff) {
      keyLow = 0;
      keyHigh = (keyHigh + 1) >>> 0;
    }
    next = Math.floor((bucket + 1) * (2_147_483_648 / ((keyHigh >>> 1) + 1)));
  }
  return bucket;
}

/** The 64-bit product of two unsigned 32-bit numbers, as halves. */
function multiplyLow(a: number, b: number): { readonly low: number; readonly high: number } {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16);
  const carry = aLow * bHigh + (middle & 0xffff);
  return { low: Math.imul(a, b) >>> 0, high: aHigh * bHigh + Math.floor(middle / 65_536) + Math.floor(carry / 65_536) };
}
