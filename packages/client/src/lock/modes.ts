// lock/modes.ts: modes and holders of the wire, as users see them.
import { Mode, type Holder as WireHolder } from "@forelock/protocol";
import type { Lock } from "./lock.ts";
import type { Holder } from "./operation.ts";

export function modeFromWire(mode: Mode): Lock["mode"] {
  if (mode === Mode.SHARED) return "shared";
  return mode === Mode.PERMIT ? "permit" : "exclusive";
}

export function holderFromWire(holder: WireHolder): Holder {
  return { ...holder, mode: modeFromWire(holder.mode) };
}
