// reason.ts: why an operator does what he does: kept in the log, told to those concerned. Required where something is taken away.
import { option } from "./command.ts";
import { UsageError } from "./usage-error.ts";

const REASON_BYTES_MAX = 256;

export const reasonOption = () => option("--reason <text>", "Required: why, 1 to 256 bytes; kept in the log");

/** @throws UsageError without one, or for a longer one */
export function parseReason(text: string | undefined): string {
  const bytes = Buffer.byteLength(text ?? "");
  if (text === undefined || bytes < 1 || bytes > REASON_BYTES_MAX)
    throw new UsageError(`--reason has ${bytes} bytes: say why in 1 to 256 bytes; it is kept in the log.`);
  return text;
}
