// wire/reference.ts: what the client reads from an operation's reference: `p<partition>.…`, as docs/protocol.md says.
import { assert } from "@forelock/protocol";

export function partitionOf(reference: string): number {
  const digits = /^p(\d{1,4})\./.exec(reference)?.[1];
  assert(digits !== undefined, `a reference begins with its partition: ${reference}`);
  return Number(digits);
}
