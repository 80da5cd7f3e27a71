// usage-error.ts: a command line that cannot be carried out as written. Refusals by a server are ForelockErrors.

/** The message names the field, the value and the allowed form. Nothing was sent. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}
