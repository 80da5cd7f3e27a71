// damage.ts: what cannot be: a log that says otherwise than who followed it.
import { ForelockError } from "@forelock/protocol";

interface Place {
  readonly epoch: number;
  readonly sequence: number;
}

/** A standby only ever has records that etcd has: another record there, or none, means that etcd was put back to a backup. */
export function damagedTail(partition: number, has: Place, found: Place | undefined): ForelockError {
  const there = found === undefined ? "nothing" : `record ${found.sequence} of epoch ${found.epoch}`;
  return new ForelockError(
    "log_damaged",
    `Partition ${partition} was followed to record ${has.sequence} of epoch ${has.epoch}, but etcd has ${there}.`,
  );
}
