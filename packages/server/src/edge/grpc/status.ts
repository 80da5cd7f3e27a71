// status.ts: errors of the protocol as gRPC statuses. The code of our table travels in the metadata `forelock-code`.

import { ERRORS, ForelockError, type Error as WireError } from "@forelock/protocol";
import { Metadata, status as Status, type StatusObject } from "@grpc/grpc-js";
import { codeOf } from "../wire-error.ts";

export function statusOf(error: WireError): StatusObject {
  const code = codeOf(error);
  const metadata = new Metadata();
  metadata.set("forelock-code", code);
  if (error.detailsJson !== "") metadata.set("forelock-details", ascii(error.detailsJson));
  if (error.retryAfterMs > 0) metadata.set("forelock-retry-after-ms", String(error.retryAfterMs));
  return { code: Status[ERRORS[code].grpcStatus], details: new ForelockError(code, error.message).message, metadata };
}

/** Metadata is ASCII: JSON can write everything else as escapes. */
function ascii(json: string): string {
  return json.replace(/[^\x20-\x7e]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
