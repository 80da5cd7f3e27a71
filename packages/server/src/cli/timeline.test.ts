import type { HistoryEntry } from "@forelock/client";
import { expect, test } from "vitest";
import { displayWidth } from "./table.ts";
import { timelineLines } from "./timeline.ts";

/** `100 granted ana 7`: how long ago, what, who, with which token. */
function entries(...texts: readonly string[]): readonly HistoryEntry[] {
  return texts.map((text) => {
    const [agoMs = "", kind = "", client = "", token = "0"] = text.split(" ");
    return { agoMs: Number(agoMs), kind, name: "a", session: `s-${client}`, client, token: BigInt(token), reason: "" };
  });
}

const draw = (spanMs: number, width: number, ...texts: readonly string[]): readonly string[] =>
  timelineLines({ entries: entries(...texts), spanMs, width });

test("a lane for each session: waited, held, and the scale below", () => {
  const lines = draw(
    1_000,
    45,
    "1000 granted ana 7",
    "750 queued bo",
    "500 released ana 7",
    "500 granted bo 8",
    "250 released bo 8",
  );
  expect(lines).toEqual([
    "ana  █████████████████████···················",
    "bo   ··········░░░░░░░░░░███████████·········",
    "     1.00 s ago     500 ms ago            now",
  ]);
});

test("marks cover what they happened in, the gravest wins its column, and a hold goes on until now", () => {
  const [ana, bo] = draw(
    1_000,
    24,
    "1000 granted ana 7",
    "900 queued bo",
    "700 warned ana 7",
    "500 acknowledged ana 7",
    "490 extended ana 7",
    "100 preempted ana 7",
    "100 warned ana 7",
    "100 granted bo 8",
  );
  expect(ana).toBe("ana  ██████!███+███████P·");
  expect(bo).toBe("bo   ··░░░░░░░░░░░░░░░░██");
});

test("what began before the history reaches from the left edge, and what ended before the chart is left out", () => {
  expect(draw(100, 24, "900 released old 3", "50 released ana 7", "20 ended bo").slice(0, 2)).toEqual([
    "ana  ███████████·········",
    "bo   ░░░░░░░░░░░░░░░░░···",
  ]);
  expect(draw(100, 24, "900 granted old 3")[0]).toBe("old  ████████████████████");
});

test("a hold shorter than a column is seen all the same", () => {
  expect(draw(1_000_000, 25, "1000000 queued x", "1000000 ended x", "500 granted ana 1", "499 released ana 1")[1]).toBe(
    "ana  ···················█",
  );
});

test("lines keep to the width, also of long names, and lanes of one client are told apart", () => {
  const session = (id: string) => ({ session: id, client: "c".repeat(60), kind: "granted", name: "a", reason: "" });
  const lines = timelineLines({
    entries: [
      { ...session("abcdefgh"), agoMs: 10, token: 1n },
      { ...session("zyxwvuts"), agoMs: 5, token: 2n },
    ],
    spanMs: 10,
    width: 80,
  });
  for (const line of lines) expect(displayWidth(line)).toBeLessThanOrEqual(80);
  const two = timelineLines({
    entries: [
      { ...session("abcdefgh"), client: "w", agoMs: 10, token: 1n },
      { ...session("zyxwvuts"), client: "w", agoMs: 5, token: 2n },
    ],
    spanMs: 10,
    width: 40,
  });
  expect(two.map((line) => line.split("  ")[0])).toEqual(["w abcdef", "w zyxwvu", ""]);
});

test("a name that could steer the terminal is drawn harmlessly, and nothing is drawn of nothing", () => {
  expect(draw(10, 40, "10 granted \u001b[2J 1")[0]).toContain("\\u{1b}[2J");
  expect(draw(10, 40)).toEqual([]);
});
