import { expect, test } from "vitest";
import { Answers } from "./answers.ts";

function answersAt(...times: readonly number[]): Answers {
  const answers = new Answers();
  for (const atMs of times) answers.add(atMs);
  return answers;
}

test("the longest gap is the longest between two answers that follow one another", () => {
  expect(answersAt(0, 10, 40, 45, 60).longestGapMs(5, 50, 60)).toBe(30);
});

test("a gap that began before the time asked about counts whole", () => {
  expect(answersAt(0, 100, 101, 102).longestGapMs(90, 102, 102)).toBe(100);
});

test("a gap that ends after the time asked about counts whole", () => {
  expect(answersAt(0, 10, 11, 200).longestGapMs(5, 20, 200)).toBe(189);
});

test("a gap that has not ended counts until now", () => {
  expect(answersAt(0, 10).longestGapMs(5, 20, 500)).toBe(490);
});

test("what is asked about no more can be forgotten without changing what is", () => {
  const answers = answersAt(0, 10, 100, 130, 140);
  answers.forget(110);
  expect(answers.longestGapMs(110, 140, 140)).toBe(30);
});
