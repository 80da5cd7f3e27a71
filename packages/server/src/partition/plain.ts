// plain.ts: the two events that nearly all work is made of: one whole element is granted to a request of a session, and released.
// The log has short forms of them, and a replay takes them field by field, so that no object is made of what is used once.
//   E1. What is done for them is what is done for the events themselves: lock/apply.ts has one way for both.
import type { LockEvent } from "./events.ts";

/** Where the fields of plain events go. `low` and `high` are halves of a token, as signed 32 bits. */
export interface PlainEvents {
  granted(session: number, sequence: number, digest: number, name: string): void;
  released(session: number, sequence: number, digest: number, name: string, low: number, high: number): void;
}

/** Exclusive, and nothing else was asked for. The request may be a kept one. */
export function isPlainGrant(event: LockEvent & { readonly kind: "granted" }): boolean {
  const part = event.parts[0];
  return (
    event.parts.length === 1 &&
    part?.mode === 0 &&
    !event.rollback &&
    !event.reserve &&
    event.actor === "" &&
    event.upgradeOf === 0n
  );
}
