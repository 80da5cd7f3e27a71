// chart.test.ts: the chart is honest (one scale from zero) and safe to put on a page.

import { expect, test } from "vitest";
import { chartSvg } from "./chart.ts";

const svg = chartSvg({
  title: "Acquire + release",
  note: "a < b & c",
  panels: [
    {
      title: "256 in flight",
      bars: [
        { label: "forelock", value: 400, shown: "400", kind: "ours" },
        { label: "redlock", value: 100, shown: "100", kind: "durable_peer" },
      ],
    },
  ],
});

test("lengths of bars compare as their values do", () => {
  const widths = [...svg.matchAll(/x="210" y="\d+" width="(\d+)"/g)].map((match) => Number(match[1]));
  expect(widths).toEqual([440, 110]);
});

test("text is escaped, both colour schemes are there, and only used kinds are in the legend", () => {
  expect(svg).toContain("a &lt; b &amp; c");
  expect(svg).toContain("prefers-color-scheme:dark");
  expect(svg).toContain(">durable</text>");
  expect(svg).not.toContain(">in memory</text>");
});
