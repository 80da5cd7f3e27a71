// sse.ts: reads a text/event-stream piece by piece. Pure. After the HTML standard, section 9.2.6; `retry` is not used here.

export interface ServerSentEvent {
  readonly event: string;
  readonly id: string;
  readonly data: string;
}

/** @returns takes the next piece of the stream, wherever it was cut, and gives the events that it completes */
export function eventReader(): (piece: string) => readonly ServerSentEvent[] {
  let rest = "";
  return (piece) => {
    const blocks = (rest + piece.replaceAll("\r", "")).split("\n\n");
    rest = blocks.pop() ?? "";
    return blocks.map(eventOf).filter((event) => event.data !== "");
  };
}

/** A comment, or a block of other fields, has no data. */
function eventOf(block: string): ServerSentEvent {
  const fields = { event: "message", id: "", data: [] as string[] };
  for (const line of block.split("\n")) {
    const [, name = "", value = ""] = /^([^:]*):? ?(.*)$/.exec(line) ?? [];
    if (name === "data") fields.data.push(value);
    else if (name === "event" || name === "id") fields[name] = value;
  }
  return { ...fields, data: fields.data.join("\n") };
}
