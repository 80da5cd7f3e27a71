// story.ts: small histories for tests, written in milliseconds: `[call, return]`, with `null` where no answer came.
import type { Fields, HistoryLine } from "./record.ts";

export type Times = readonly [callMs: number, returnMs: number | null];
export type Telling = Omit<HistoryLine, "line">;

const NS_PER_MS = 1_000_000;

/** One line; without a return it is `unknown`. */
export function tell(
  process: string,
  op: string,
  key: string,
  times: Times,
  rest: { args?: Fields; result?: Fields; req?: string } = {},
): Telling {
  const [callMs, returnMs] = times;
  return {
    process,
    op,
    key,
    args: rest.args ?? {},
    result: returnMs === null ? {} : (rest.result ?? {}),
    callNs: callMs * NS_PER_MS,
    returnNs: returnMs === null ? undefined : returnMs * NS_PER_MS,
    status: returnMs === null ? "unknown" : "ok",
    req: rest.req,
  };
}

/** A session of that name with a ttl of 1,000 ms, opened at 0. */
export function open(name: string): Telling {
  return tell(`${name}/open`, "session_open", `${name}@0`, [0, 1], { args: { ttl_ms: 1_000 } });
}

export function beat(name: string, times: Times, alive = true): Telling {
  return tell(`${name}/beat`, "keepalive", `${name}@0`, times, { result: { alive } });
}

export function close(name: string, times: Times): Telling {
  return tell(name, "session_close", `${name}@0`, times);
}

export function acquire(name: string, key: string, token: number, times: Times, args: Fields = {}): Telling {
  const owner = `${name}/${token}`;
  return tell(name, "acquire", key, times, {
    args: { owner, session: `${name}@0`, ...args },
    result: { granted: true, token },
  });
}

export function release(
  name: string,
  key: string,
  token: number,
  times: Times,
  released = true,
  args: Fields = {},
): Telling {
  const result = released ? { released } : { released, reason: "stale_token" };
  return tell(name, "release", key, times, { args: { token, ...args }, result });
}

export function append(name: string, key: string, value: string, token: number, times: Times, index?: number): Telling {
  const result = index === undefined ? { applied: false, reason: "stale_token" } : { index };
  return tell(name, "append", key, times, { args: { value, token, lock: key }, result, req: value });
}

export function read(name: string, key: string, entries: readonly string[], times: Times): Telling {
  return tell(name, "read", key, times, { result: { entries } });
}

/** Numbers the lines as a file would. */
export function history(...lines: readonly Telling[]): readonly HistoryLine[] {
  return lines.map((line, index) => ({ ...line, line: index + 1 }));
}
