// What a writer gives away stays as it is, whatever is written behind it.
import { expect, test } from "vitest";
import { ByteReader, ByteWriter } from "./bytes.ts";

test("records that were given away stay as they are while thousands more are written", () => {
  const writer = new ByteWriter(64);
  const given: { readonly bytes: Uint8Array; readonly numbers: readonly number[] }[] = [];
  for (let record = 0; record < 2_000; record += 1) {
    const numbers = Array.from({ length: record % 50 }, (_, index) => record * 1_000 + index);
    for (const number of numbers) writer.number(number);
    given.push({ bytes: writer.give(), numbers });
    expect(writer.length).toBe(0);
  }
  for (const { bytes, numbers } of given) {
    const reader = new ByteReader(bytes);
    expect(numbers.map(() => reader.number())).toEqual(numbers);
    expect(reader.isDone).toBe(true);
  }
});

test("a copy and what is given away do not get mixed up, and a large one leaves no large writer behind", () => {
  const writer = new ByteWriter(64);
  writer.text("a");
  const first = writer.give();
  writer.text("x".repeat(100_000));
  const large = writer.take();
  writer.text("b");
  const last = writer.give();
  expect([first, large, last].map((bytes) => new ByteReader(bytes).text().slice(0, 3))).toEqual(["a", "xxx", "b"]);
  for (let record = 0; record < 20_000; record += 1) {
    writer.text("of a usual size");
    writer.give();
  }
  writer.text("c");
  expect(writer.give().buffer.byteLength).toBeLessThan(1_000);
});
