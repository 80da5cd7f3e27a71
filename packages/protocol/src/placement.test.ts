import { expect, test } from "vitest";
import { createPlacement, jump, sipHash } from "./placement.ts";

const KEY = Uint8Array.from({ length: 16 }, (_, index) => index);
const words = [0x03020100, 0x07060504, 0x0b0a0908, 0x0f0e0d0c] as const;
const MASK = (1n << 64n) - 1n;

/** SipHash-1-3 straight from the paper, on BigInt: slow, and independent of the halves. */
function sipHashReference(k0: bigint, k1: bigint, bytes: Uint8Array): bigint {
  let v0 = k0 ^ 0x736f6d6570736575n;
  let v1 = k1 ^ 0x646f72616e646f6dn;
  let v2 = k0 ^ 0x6c7967656e657261n;
  let v3 = k1 ^ 0x7465646279746573n;
  const rotate = (x: bigint, bits: bigint): bigint => ((x << bits) | (x >> (64n - bits))) & MASK;
  const round = (): void => {
    v0 = (v0 + v1) & MASK;
    v1 = rotate(v1, 13n) ^ v0;
    v0 = rotate(v0, 32n);
    v2 = (v2 + v3) & MASK;
    v3 = rotate(v3, 16n) ^ v2;
    v0 = (v0 + v3) & MASK;
    v3 = rotate(v3, 21n) ^ v0;
    v2 = (v2 + v1) & MASK;
    v1 = rotate(v1, 17n) ^ v2;
    v2 = rotate(v2, 32n);
  };
  const padded = new Uint8Array(Math.floor(bytes.length / 8) * 8 + 8);
  padded.set(bytes);
  padded[padded.length - 1] = bytes.length & 255;
  const view = new DataView(padded.buffer);
  for (let at = 0; at < padded.length; at += 8) {
    const m = view.getBigUint64(at, true);
    v3 ^= m;
    round();
    v0 ^= m;
  }
  v2 ^= 0xffn;
  round();
  round();
  round();
  return v0 ^ v1 ^ v2 ^ v3;
}

function jumpReference(hash: bigint, partitions: number): number {
  let key = hash;
  let bucket = -1;
  let next = 0;
  while (next < partitions) {
    bucket = next;
    key = (key * 2862933555777941757n + 1n) & MASK;
    next = Math.floor((bucket + 1) * (2 ** 31 / (Number(key >> 33n) + 1)));
  }
  return bucket;
}

const TEXTS = ["", "a", "orders/42", "orders/1234567", "x".repeat(63), "ünïcode/名前", "0123456789abcdef"];

test("the hash on halves is SipHash-1-3 for every length", () => {
  for (let length = 0; length < 70; length += 1) {
    const bytes = Uint8Array.from({ length }, (_, index) => (index * 37) & 255);
    const [low, high] = sipHash(words, bytes);
    const joined = (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
    expect(joined).toBe(sipHashReference(0x0706050403020100n, 0x0f0e0d0c0b0a0908n, bytes));
  }
});

test("the jump on halves is that of the paper", () => {
  for (const text of TEXTS) {
    for (const partitions of [1, 2, 7, 64, 1024]) {
      const hash = sipHashReference(5n, 9n, Buffer.from(text));
      expect(jump(Number(hash & 0xffffffffn), Number(hash >> 32n), partitions)).toBe(jumpReference(hash, partitions));
    }
  }
});

test("names with the same tag share a partition, whatever stands around it", () => {
  const partitionOf = createPlacement(KEY, 64);
  expect(partitionOf("{acct-9}/ledger")).toBe(partitionOf("{acct-9}/limit"));
  expect(partitionOf("{acct-9}/ledger")).toBe(partitionOf("acct-9"));
});

test("names spread evenly over the partitions", () => {
  const partitionOf = createPlacement(KEY, 64);
  const counts = new Array<number>(64).fill(0);
  for (let index = 0; index < 100_000; index += 1) {
    const partition = partitionOf(`orders/${index}`);
    counts[partition] = (counts[partition] ?? 0) + 1;
  }
  for (const count of counts) expect(Math.abs(count / (100_000 / 64) - 1)).toBeLessThan(0.2);
});

test("the vectors of docs/protocol.md hold", () => {
  const partitionOf = createPlacement(KEY, 64);
  expect(TEXTS.slice(1).map((text) => partitionOf(text))).toMatchInlineSnapshot(`
    [
      62,
      52,
      22,
      48,
      3,
      55,
    ]
  `);
});
