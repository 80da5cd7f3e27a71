import { describe, expect, test } from "vitest";
import { pauseMs } from "./session/backoff.ts";
import { settingsFrom } from "./settings.ts";
import { parseEndpoint } from "./wire/endpoint.ts";

describe("endpoints", () => {
  test.each([
    ["db.example:7000", "db.example", 7_000],
    ["db.example", "db.example", 7_420],
    [":7000", "127.0.0.1", 7_000],
    ["[::1]:7000", "::1", 7_000],
    ["[::1]", "::1", 7_420],
  ])("%s is understood", (text, host, port) => {
    expect(parseEndpoint(text)).toEqual({ host, port });
  });

  test.each(["", "http://a:1", "a:0", "a:70000", "::1", "a:b"])("%j is refused", (text) => {
    expect(() => parseEndpoint(text)).toThrow(expect.objectContaining({ code: "bad_argument" }));
  });
});

describe("options", () => {
  test("have defaults", () => {
    const settings = settingsFrom({});
    expect(settings.endpoints).toEqual([{ host: "127.0.0.1", port: 7_420 }]);
    expect(settings).toMatchObject({ requestMs: 30_000, retry: { pauseMs: 50, pauseMsMax: 30_000 } });
  });

  test("out of range are refused, naming option, value and range", () => {
    expect(() => settingsFrom({ ttlMs: 10 })).toThrow(/ttlMs: 10 must be a whole number from 1000 to 300000/);
    expect(() => settingsFrom({ endpoints: [] })).toThrow(expect.objectContaining({ code: "bad_argument" }));
    expect(() => settingsFrom({ client: "x".repeat(129) })).toThrow(expect.objectContaining({ code: "bad_argument" }));
    expect(() => settingsFrom({ application: "x".repeat(65) })).toThrow(/application: must be at most 64 bytes/);
    const health = "fine" as "ok"; // Cast: as a program without types may say it.
    expect(() => settingsFrom({ health })).toThrow(/health: fine must be a function, or one of ok, degraded, failing/);
  });
});

describe("pauses", () => {
  const { retry } = settingsFrom({});

  test("double from 50 ms up to 30 s", () => {
    const bounds = [0, 1, 2, 9, 10, 1_000].map((failures) => pauseMs(failures, retry, () => 0.999_999));
    expect(bounds.map(Math.round)).toEqual([50, 100, 200, 25_600, 30_000, 30_000]);
  });

  test("are drawn from zero up, so that many clients spread", () => {
    expect(pauseMs(5, retry, () => 0)).toBe(0);
    expect(pauseMs(5, retry, () => 0.5)).toBe(800);
  });
});
