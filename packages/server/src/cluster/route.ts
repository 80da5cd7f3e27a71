// route.ts: which partition the plain operations of a session belong to: those of one element or file, by its name. They are nearly all that
// a node is asked, so this is a look at the kind and one at the name. Not here: the others (router.ts).
import type { Operation, Placement } from "@forelock/protocol";

/** It is no operation of a session on one name. */
export const ELSEWHERE = -1;

/** @returns the partition, or ELSEWHERE */
export function destinationOf({ body }: Operation, partitionOf: Placement): number {
  switch (body?.$case) {
    case "acquire":
    case "release":
    case "upgrade":
    case "downgrade":
    case "acknowledge":
      return partitionOf(body.value.name);
    case "append":
      return partitionOf(body.value.file);
    default:
      return ELSEWHERE;
  }
}
