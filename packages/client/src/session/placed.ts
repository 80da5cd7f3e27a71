// session/placed.ts: which partition a request belongs to, when it has one that its owner alone can serve. Not here: owners (routes.ts).
import type { Placement } from "@forelock/protocol";
import { partitionOf } from "../wire/reference.ts";
import type { RequestBody } from "./request.ts";

/** Any node takes it. */
export const ANYWHERE = -1;

/** @returns the partition, or ANYWHERE */
export function partitionOfRequest(body: RequestBody, placement: Placement): number {
  switch (body.$case) {
    case "acquire":
    case "release":
    case "upgrade":
    case "downgrade":
    case "acknowledge":
      return placement(body.value.name);
    case "append":
      return placement(body.value.file);
    case "acquireAll":
      return commonPartition(body.value.elements, placement);
    case "cancel":
      return body.value.reference === "" ? ANYWHERE : partitionOf(body.value.reference);
    default:
      return ANYWHERE;
  }
}

function commonPartition(elements: readonly { readonly name: string }[], placement: Placement): number {
  const [first, ...others] = elements.map(({ name }) => placement(name));
  return first !== undefined && others.every((partition) => partition === first) ? first : ANYWHERE;
}
