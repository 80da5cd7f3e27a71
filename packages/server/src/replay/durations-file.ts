// durations-file.ts: a recorded workload as text: a line of column names, then a line for each request. Not here: reading the file.
import { ForelockError } from "@forelock/protocol";
import type { Row } from "./workload.ts";

export const COLUMNS = ["start_ts", "client", "element", "duration"] as const;
type Column = (typeof COLUMNS)[number];

/** Seconds up to which times are exact in whole milliseconds; far beyond any calendar. */
const SECONDS_MAX = 1e11;
const NAME_LENGTH_MAX = 512;

/**
 * @param text comma-separated, without quotes; other columns than the four are skipped, and order does not matter
 * @param file for the messages
 * @throws ForelockError `bad_argument` that names file, line, field and value
 */
export function parseDurations(text: string, file: string, rowsMax = Number.POSITIVE_INFINITY): readonly Row[] {
  const lines = text.split("\n");
  const header = (lines[0] ?? "").trim().split(",");
  const placeOf = (column: Column): number => {
    const place = header.indexOf(column);
    if (place < 0) throw bad(`${file}, line 1: there is no column ${column}; it must name ${COLUMNS.join(", ")}.`);
    return place;
  };
  const places = {
    start_ts: placeOf("start_ts"),
    client: placeOf("client"),
    element: placeOf("element"),
    duration: placeOf("duration"),
  };
  const rows: Row[] = [];
  for (let index = 1; index < lines.length && rows.length < rowsMax; index += 1) {
    const line = (lines[index] ?? "").trim();
    if (line === "") continue;
    const fields = line.split(",");
    const place = `${file}, line ${index + 1}`;
    if (fields.length !== header.length)
      throw bad(`${place}: it has ${fields.length} fields; line 1 names ${header.length}.`);
    const text = (column: Column): string => fields[places[column]] ?? "";
    rows.push({
      requestMs: milliseconds(text("start_ts"), { place, column: "start_ts" }),
      durationMs: milliseconds(text("duration"), { place, column: "duration" }),
      client: name(text("client"), { place, column: "client" }),
      element: name(text("element"), { place, column: "element" }),
      isLost: false,
    });
  }
  if (rows.length === 0)
    throw bad(`${file} holds no request: there must be at least one line behind the column names.`);
  return rows;
}

interface Where {
  readonly place: string;
  readonly column: Column;
}

function milliseconds(text: string, { place, column }: Where): number {
  const seconds = /^\d{1,12}(\.\d{1,9})?$/.test(text) ? Number(text) : Number.NaN;
  if (seconds <= SECONDS_MAX) return Math.round(seconds * 1_000);
  throw bad(`${place}: ${column} is ${quoted(text)}; it must be seconds, a number from 0 to ${SECONDS_MAX}.`);
}

function name(text: string, { place, column }: Where): string {
  if (text.length > 0 && text.length <= NAME_LENGTH_MAX) return text;
  throw bad(`${place}: ${column} is ${quoted(text)}; it must be a name of 1 to ${NAME_LENGTH_MAX} characters.`);
}

const quoted = (text: string): string => JSON.stringify(text.slice(0, 64));

const bad = (message: string): ForelockError => new ForelockError("bad_argument", message);
