// lock/acquire.ts: what to ask for, and what to make of the answer. Not here: the states of asking (acquisition.ts).
import {
  type AcquireReply,
  type Compensation as CompensationMessage,
  type ElementRequest,
  ForelockError,
  Mode,
  OnLoss,
  Preemptible,
} from "@forelock/protocol";
import type { RequestBody } from "../session/request.ts";
import type { Session } from "../session/session.ts";
import { wholeNumber } from "../settings.ts";
import type { Outcome } from "./acquisition.ts";
import { Grant } from "./grant.ts";
import { HeldLock } from "./held-lock.ts";
import type { Compensation, Lock, LockAllOptions, LockOptions, LockTarget, PermitOptions } from "./lock.ts";
import type { Terms } from "./terms.ts";

const WAIT_MS_MAX = 4_294_967_295;
const PRIORITY_MAX = 9;
const PERMITS_MAX = 1_000_000;
const URL_BYTES_MAX = 1_024;
const ARGUMENT_BYTES_MAX = 1_024;
const NO_OPTIONS: LockOptions = {};

export function acquireBody(name: string, options: LockOptions = NO_OPTIONS): RequestBody {
  const { mode, priority, onLoss, actor, waitMs, preemptible, compensation } = options;
  return {
    $case: "acquire",
    value: {
      name,
      mode: mode === "shared" ? Mode.SHARED : Mode.EXCLUSIVE,
      permits: 0,
      take: 0,
      waitMs: waitOf(waitMs),
      priority: priority === undefined ? 0 : wholeNumber("priority", priority, 0, PRIORITY_MAX),
      onLoss: onLoss === "rollback" ? OnLoss.ROLLBACK : OnLoss.KEEP,
      actor: actor ?? "",
      reenter: 0n,
      preemptible: preemptible === "never" ? Preemptible.NEVER : Preemptible.BY_POLICY,
      compensation: compensation === undefined ? undefined : compensationOf(compensation),
    },
  };
}

export function permitBody(name: string, permits: number, options: PermitOptions): RequestBody {
  wholeNumber("permits", permits, 1, PERMITS_MAX);
  const body = acquireBody(name, options);
  const take = wholeNumber("take", options.take ?? 1, 1, permits);
  return body.$case === "acquire" ? { ...body, value: { ...body.value, mode: Mode.PERMIT, permits, take } } : body;
}

export function reenterBody(name: string, token: bigint): RequestBody {
  const body = acquireBody(name, { waitMs: 0 });
  return body.$case === "acquire" ? { ...body, value: { ...body.value, reenter: token } } : body;
}

export function acquireAllBody(targets: readonly LockTarget[], options: LockAllOptions): RequestBody {
  if (targets.length === 0) throw new ForelockError("bad_argument", "lockAll: [] names no lock.");
  return {
    $case: "acquireAll",
    value: {
      elements: targets.map(elementOf),
      waitMs: waitOf(options.waitMs),
      onLoss: options.onLoss === "rollback" ? OnLoss.ROLLBACK : OnLoss.KEEP,
      actor: options.actor ?? "",
    },
  };
}

export function upgradeBody(name: string, token: bigint, waitMs: number | undefined): RequestBody {
  return { $case: "upgrade", value: { name, token, waitMs: waitOf(waitMs) } };
}

/** One new grant, as a lock. */
export function oneLock(mode: Lock["mode"]): Outcome<HeldLock> {
  return {
    granted: (reply, session, terms) => new HeldLock(addGrant(reply, 0, { mode, session, terms })),
    unwanted: giveBack,
  };
}

/** Outcomes are stateless: the usual two are made once. */
export const EXCLUSIVE_LOCK = oneLock("exclusive");
export const SHARED_LOCK = oneLock("shared");
export const PERMIT = oneLock("permit");

/** Several new grants, in the order of `targets`. */
export function manyLocks(targets: readonly LockTarget[]): Outcome<readonly HeldLock[]> {
  return {
    granted: (reply, session, terms) =>
      targets.map((target) => {
        const name = typeof target === "string" ? target : target.name;
        const index = reply.grants.findIndex((grant) => grant.name === name);
        return new HeldLock(addGrant(reply, index, { mode: modeOf(target), session, terms }));
      }),
    unwanted: giveBack,
  };
}

export function giveBack({ grants }: AcquireReply, session: Session): void {
  for (const { name, token } of grants) session.releaseUnwanted(name, token);
}

interface Asked {
  readonly mode: Lock["mode"];
  readonly session: Session;
  readonly terms: Terms | undefined;
}

function addGrant(reply: AcquireReply, index: number, { mode, session, terms }: Asked): Grant {
  const granted = reply.grants[index];
  if (granted === undefined) throw new ForelockError("internal", "A grant came without its token.");
  const { name, token, partition } = granted;
  const grant = new Grant({
    session,
    name,
    token,
    mode,
    partition,
    reference: reply.reference,
    grantedAtMs: session.heardAtMs,
    terms,
  });
  session.grants.add(grant);
  return grant;
}

function elementOf(target: LockTarget): ElementRequest {
  if (typeof target === "string") return { name: target, mode: Mode.EXCLUSIVE, permits: 0, take: 0 };
  if ("permits" in target) {
    const permits = wholeNumber("permits", target.permits, 1, PERMITS_MAX);
    return { name: target.name, mode: Mode.PERMIT, permits, take: wholeNumber("take", target.take ?? 1, 1, permits) };
  }
  const mode = target.mode === "shared" ? Mode.SHARED : Mode.EXCLUSIVE;
  return { name: target.name, mode, permits: 0, take: 0 };
}

function compensationOf({ url, argument = "", blocks = false }: Compensation): CompensationMessage {
  const bytes = Buffer.byteLength(url);
  if (bytes < 1 || bytes > URL_BYTES_MAX) {
    throw new ForelockError("bad_argument", `compensation.url: has ${bytes} bytes; allowed 1 to ${URL_BYTES_MAX}.`);
  }
  const argumentBytes = Buffer.byteLength(argument);
  if (argumentBytes > ARGUMENT_BYTES_MAX) {
    const range = `has ${argumentBytes} bytes; allowed 0 to ${ARGUMENT_BYTES_MAX}`;
    throw new ForelockError("bad_argument", `compensation.argument: ${range}.`);
  }
  return { url, argument, blocks };
}

function modeOf(target: LockTarget): Lock["mode"] {
  if (typeof target === "string") return "exclusive";
  return "permits" in target ? "permit" : (target.mode ?? "exclusive");
}

function waitOf(waitMs: number | undefined): number | undefined {
  return waitMs === undefined ? undefined : wholeNumber("waitMs", waitMs, 0, WAIT_MS_MAX);
}
