import { expect, test } from "vitest";
import { tokenOf } from "./state.ts";
import { readToken, tokenHigh, tokenLow, writeToken } from "./token.ts";

const TOKENS = [
  0n,
  1n,
  2n ** 31n,
  2n ** 32n - 1n,
  2n ** 32n,
  2n ** 53n - 1n,
  2n ** 53n,
  2n ** 53n + 1n,
  2n ** 63n - 1n,
];

test("a token is epoch times 2^40 plus the counter, also where a number would not be exact", () => {
  for (const epoch of [0, 1, 2 ** 13 - 1, 2 ** 13, 2 ** 22 - 1]) {
    for (const counter of [0, 1, 2 ** 32, 2 ** 40 - 1]) {
      expect(tokenOf(epoch, counter)).toBe((BigInt(epoch) << 40n) + BigInt(counter));
    }
  }
});

test.each(TOKENS)("the halves of %s are those of its 64 bits", (token) => {
  expect([tokenLow(token), tokenHigh(token)]).toEqual([Number(token & 0xffff_ffffn), Number(token >> 32n)]);
});

test.each(TOKENS)("the bytes of %s are little-endian, and give it back", (token) => {
  const bytes = Buffer.alloc(10, 7);
  writeToken(bytes, 1, token);
  expect([bytes.readBigUInt64LE(1), readToken(bytes, 1), bytes[0], bytes[9]]).toEqual([token, token, 7, 7]);
});
