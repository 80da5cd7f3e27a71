// format.ts: numbers as people read them. Pure. Every figure of the dashboard goes through here: one way to write a duration.

/** Two units at most, the larger first. @param ms may be fractional; below 0 is 0 */
export function duration(ms: number): string {
  if (!Number.isFinite(ms)) return "–";
  if (ms < 0.5) return "0 ms";
  if (ms < 999.5) return `${ms < 10 ? trim(ms, 1) : Math.round(ms)} ms`;
  if (ms < 59_950) return `${trim(ms / 1_000, ms < 9_950 ? 1 : 0)} s`;
  const seconds = Math.round(ms / 1_000);
  for (const [size, name, next, nextName] of SCALES) {
    if (seconds < size) continue;
    const rest = Math.floor((seconds % size) / next);
    return rest === 0
      ? `${Math.floor(seconds / size)} ${name}`
      : `${Math.floor(seconds / size)} ${name} ${rest} ${nextName}`;
  }
  return `${seconds} s`;
}

const SCALES = [
  [86_400, "d", 3_600, "h"],
  [3_600, "h", 60, "min"],
  [60, "min", 1, "s"],
] as const;

/** As `duration`, in whole seconds above one: for ages that tick. */
export function age(ms: number): string {
  return ms < 1_000 ? "< 1 s" : duration(Math.floor(ms / 1_000) * 1_000);
}

export function count(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}

/** @param value in [0, 1] */
export function percent(value: number): string {
  if (!Number.isFinite(value)) return "–";
  return `${trim(value * 100, value > 0 && value < 0.1 ? 1 : 0)} %`;
}

/** @param score in [0, 1] */
export function score(value: number): string {
  return value.toFixed(2);
}

export function bytes(value: number): string {
  if (value < 1_024) return `${count(value)} B`;
  const units = ["KiB", "MiB", "GiB", "TiB"];
  let scaled = value / 1_024;
  let index = 0;
  for (; scaled >= 1_024 && index < units.length - 1; index += 1) scaled /= 1_024;
  return `${trim(scaled, 1)} ${units[index]}`;
}

export function plural(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

/** "3 s to 8 s", or one of them where they read the same. */
export function durations(fromMs: number, toMs: number): string {
  const [from, to] = [duration(fromMs), duration(toMs)];
  return from === to ? from : `${from} to ${to}`;
}

/** Enough of an id to tell it from its neighbours. */
export function shortId(id: string): string {
  return id.length <= 10 ? id : `${id.slice(0, 8)}…`;
}

function trim(value: number, digits: number): string {
  return value.toFixed(digits).replace(/\.0+$/, "");
}
