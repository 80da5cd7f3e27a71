// lock/found.ts: what a session resumed from an earlier process still holds and waits for, as locks and operations.
import { AcquireRequest } from "@forelock/protocol";
import type { Held } from "../client.ts";
import type { Session } from "../session/session.ts";
import { partitionOf } from "../wire/reference.ts";
import { oneLock } from "./acquire.ts";
import { Acquisition } from "./acquisition.ts";
import { Grant } from "./grant.ts";
import { HeldLock } from "./held-lock.ts";
import type { Lock, WarningOptions } from "./lock.ts";
import { modeFromWire } from "./modes.ts";
import { QueuedOperation } from "./queued-operation.ts";
import { termsOf } from "./terms.ts";

/** To be called once for a session: each call would make handles of its own. */
export function findHeld(session: Session, options: WarningOptions): Held {
  const { grants, waits } = session.found;
  const terms = termsOf(options);
  const locks = grants.map(({ name, token, mode, reference }) => {
    const fields = { session, name, token, mode: modeFromWire(mode), partition: partitionOf(reference), reference };
    const grant = new Grant({ ...fields, grantedAtMs: session.nowMs(), terms });
    session.grants.add(grant);
    return new HeldLock(grant);
  });
  const operations = waits
    .filter(({ sequence }) => sequence > 0) // Those of unary calls are asked about by their reference.
    .map(({ sequence, reference, position }) => {
      const body = { $case: "acquire", value: AcquireRequest.create({}) } as const;
      const acquisition = new Acquisition<Lock>(body, undefined, oneLock("exclusive"), terms);
      Object.assign(acquisition, { sequence, reference, position, state: "queued" });
      session.adoptWait(acquisition);
      return new QueuedOperation(acquisition);
    });
  return { locks, operations };
}
