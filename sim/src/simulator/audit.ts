// audit.ts: whether the tables of a partition agree with each other. Computes every count, link and queue a second time, from the
// grants and waits alone. Not here: whether a change was allowed (witness.ts).
import { ancestorsOf, type Element, type Grant, holdersOf, type PartitionState, type Wait } from "forelock/internal";
import { expectRule } from "./violation.ts";

interface Counts {
  exclusive: number;
  shared: number;
  taken: number;
  intentExclusive: number;
  intentShared: number;
  grants: Grant[];
  /** Places by mode. */
  places: Wait[][];
}

const rule = (holds: boolean, message: () => string): void => expectRule(holds, "tables", message);

/** @throws Violation `tables` */
export function audit(state: PartitionState): void {
  const countsByName = new Map<string, Counts>();
  const countsOf = (name: string): Counts => {
    const known = countsByName.get(name);
    if (known !== undefined) return known;
    const counts = { exclusive: 0, shared: 0, taken: 0, intentExclusive: 0, intentShared: 0 };
    const fresh = { ...counts, grants: [], places: [[], [], [], [], []] };
    countsByName.set(name, fresh);
    return fresh;
  };
  auditGrants(state, countsOf);
  auditWaits(state, countsOf);
  for (const [name, counts] of countsByName) {
    const element = state.elements.get(name);
    rule(element !== undefined, () => `${name} is held or waited for, but is no element`);
    if (element !== undefined) auditElement(element, counts);
  }
  for (const name of state.elements.keys()) {
    rule(countsByName.has(name), () => `${name} is neither held nor waited for, nor above such an element`);
  }
  auditOperations(state);
  auditBatches(state);
  auditPreemption(state);
}

function auditGrants(state: PartitionState, countsOf: (name: string) => Counts): void {
  let grants = 0;
  rule(state.sessions.size === state.sessionByNumber.size, () => "sessions by id and by number differ");
  for (const session of state.sessions.values()) {
    rule(state.sessionByNumber.get(session.number) === session, () => `session ${session.number} by number`);
    rule(!state.tombstones.has(session.id), () => `session ${session.id} lives and has a tombstone`);
    let ofSession = 0;
    let previous: Grant | undefined;
    for (let grant = session.firstGrant; grant !== undefined; grant = grant.next) {
      const held = grant;
      rule(held.previous === previous, () => `grant list of session ${session.number} is not linked back`);
      rule(held.session === session, () => `grant of ${held.element.name} lies with another session`);
      rule(state.elements.get(held.element.name) === held.element, () => `${held.element.name} is another element now`);
      rule(held.reserved === (held.token === 0n), () => `grant of ${held.element.name}: reserved and token disagree`);
      rule(held.entries >= 1, () => `grant of ${held.element.name} has ${held.entries} entries`);
      if (held.reserved) {
        rule(state.parts.get(held.requestId) === held, () => `reserved ${held.requestId} is not among the parts`);
      }
      countGrant(held, countsOf);
      ofSession += 1;
      previous = held;
    }
    rule(
      session.grants === ofSession,
      () => `session ${session.number} counts ${session.grants} of ${ofSession} grants`,
    );
    grants += ofSession;
  }
  rule(state.grants === grants, () => `the partition counts ${state.grants} of ${grants} grants`);
}

function countGrant(grant: Grant, countsOf: (name: string) => Counts): void {
  const counts = countsOf(grant.element.name);
  counts.grants.push(grant);
  if (grant.mode === 0) counts.exclusive += 1;
  else if (grant.mode === 1) counts.shared += 1;
  else counts.taken += grant.take;
  for (const above of ancestorsOf(grant.element.name)) {
    if (grant.mode === 1) countsOf(above).intentShared += 1;
    else countsOf(above).intentExclusive += 1;
  }
}

function auditWaits(state: PartitionState, countsOf: (name: string) => Counts): void {
  let waits = 0;
  for (const session of state.sessions.values()) {
    for (const wait of session.waits) {
      waits += 1;
      rule(state.waits.get(wait.id) === wait, () => `wait ${wait.id} of session ${session.number} is not in the table`);
      rule(!wait.gone && wait.session === session, () => `wait ${wait.id} is gone or of another session`);
      const isPart = state.parts.get(wait.operation.requestId) === wait;
      rule(wait.reserve === isPart, () => `wait ${wait.id}: reserve and parts disagree`);
      rule(wait.operation.wait === wait, () => `wait ${wait.id} is not the wait of its operation`);
      rule(wait.operation.outcome === undefined, () => `wait ${wait.id} has an outcome already`);
      const { upgradeOf } = wait;
      if (upgradeOf !== undefined) {
        const isHeld = [...holdersOf(upgradeOf.element)].includes(upgradeOf) && upgradeOf.mode === 1;
        rule(isHeld, () => `wait ${wait.id} upgrades a grant that is not held`);
      }
      for (const part of wait.parts) {
        countsOf(part.element.name).places[part.mode]?.push(wait);
        const intent = part.mode === 1 ? 4 : 3;
        for (const above of ancestorsOf(part.element.name)) {
          const places = countsOf(above).places[intent];
          if (places?.includes(wait) === false) places.push(wait);
        }
      }
    }
  }
  rule(state.waits.size === waits, () => `the partition has ${state.waits.size} waits, its sessions ${waits}`);
}

function auditElement(element: Element, counts: Counts): void {
  const { name } = element;
  for (const key of ["exclusive", "shared", "taken", "intentExclusive", "intentShared"] as const) {
    rule(element[key] === counts[key], () => `${name}.${key} is ${element[key]}; the grants make ${counts[key]}`);
  }
  const holders = [...holdersOf(element)];
  const isSame = holders.length === counts.grants.length && counts.grants.every((grant) => holders.includes(grant));
  rule(isSame, () => `${name} has ${holders.length} holders; the sessions hold ${counts.grants.length}`);
  const limits = counts.taken === 0 ? 0 : element.limit;
  rule(element.limit === limits, () => `${name} is idle and has the limit ${element.limit}`);
  rule(
    element.ancestors.map((above) => above.name).join() === ancestorsOf(name).join(),
    () => `${name} has other ancestors than its name says`,
  );
  auditHolders(element);
  auditQueues(element, counts);
}

/** L1: at most one exclusive holder, and only what goes together. */
function auditHolders(element: Element): void {
  const { name, exclusive, shared, taken, intentExclusive, intentShared } = element;
  const kinds = [exclusive, shared, taken].filter((count) => count > 0).length;
  rule(exclusive <= 1, () => `${name} has ${exclusive} exclusive holders`);
  rule(kinds <= 1, () => `${name} is held exclusive ${exclusive}, shared ${shared}, permits ${taken}`);
  rule(exclusive === 0 || intentExclusive + intentShared === 0, () => `${name} is exclusive, and held below`);
  rule(shared === 0 || intentExclusive === 0, () => `${name} is shared, and held exclusively below`);
  rule(taken <= element.limit || taken === 0, () => `${name}: ${taken} permits of ${element.limit} are taken`);
}

function auditQueues(element: Element, counts: Counts): void {
  let places = 0;
  const upgrades = [...(element.lanes?.[0] ?? [])].filter((wait) => wait.upgradeOf !== undefined);
  rule(upgrades.length <= 1, () => `${element.name}: ${upgrades.length} upgrades wait for each other`);
  for (const [mode, expected] of counts.places.entries()) {
    const lane = element.lanes?.[mode];
    const inLane = lane === undefined ? [] : [...lane];
    places += expected.length;
    const isSame = inLane.length === expected.length && expected.every((wait) => inLane.includes(wait));
    rule(isSame, () => `${element.name}: lane ${mode} has ${inLane.length} waits; ${expected.length} are due`);
    rule((lane?.size ?? 0) === expected.length, () => `${element.name}: lane ${mode} says size ${lane?.size}`);
    for (const [index, wait] of inLane.entries()) {
      const next = inLane[index + 1];
      const isOrdered =
        next === undefined ||
        wait.arrivalMs < next.arrivalMs ||
        (wait.arrivalMs === next.arrivalMs && wait.id <= next.id);
      rule(isOrdered, () => `${element.name}: lane ${mode} is out of order at wait ${wait.id}`);
    }
  }
  rule(element.waiting === places, () => `${element.name} counts ${element.waiting} of ${places} places`);
}

function auditOperations(state: PartitionState): void {
  let operations = state.kept.size;
  const keptByPrincipal = new Map<string, number>();
  for (const session of state.sessions.values()) {
    operations += session.done.size + session.queued.size;
    for (const operation of session.kept) {
      rule(operation.session === session, () => `kept ${operation.requestId} lies with another session`);
    }
    for (const operation of session.done) {
      const { sequence } = operation;
      rule(operation.outcome !== undefined && !session.queued.has(sequence), () => `done ${sequence} is not done`);
    }
  }
  rule(state.operations === operations, () => `the partition counts ${state.operations} of ${operations} operations`);
  for (const operation of state.kept.values()) {
    keptByPrincipal.set(operation.principal, (keptByPrincipal.get(operation.principal) ?? 0) + 1);
    const isTimed = operation.outcome === undefined || Number.isFinite(operation.forgetAtMs);
    rule(isTimed, () => `kept ${operation.requestId} has ended and would never be forgotten`);
  }
  for (const [principal, kept] of state.keptByPrincipal) {
    rule(keptByPrincipal.get(principal) === kept, () => `${principal} counts ${kept} kept operations`);
  }
  rule(state.keptByPrincipal.size === keptByPrincipal.size, () => "a principal with kept operations has no count");
}

function auditBatches(state: PartitionState): void {
  for (const [key, part] of state.parts) {
    if ("element" in part) {
      const isHeld = [...holdersOf(part.element)].includes(part);
      rule(isHeld, () => `part ${key} names a grant of ${part.element.name} that is not held`);
    } else rule(state.waits.get(part.id) === part, () => `part ${key} names wait ${part.id}, which is gone`);
  }
}

function auditPreemption(state: PartitionState): void {
  const isThere = (target: Grant | Wait): boolean =>
    "parts" in target ? state.waits.get(target.id) === target : [...holdersOf(target.element)].includes(target);
  for (const [id, warning] of state.warnings) {
    rule(warning.id === id && isThere(warning.target), () => `warning ${id} names what is gone`);
    rule(state.warningByTarget.get(warning.target) === warning, () => `warning ${id} is not found by its target`);
    const firstMs = state.deadlines.first()?.atMs ?? Number.POSITIVE_INFINITY;
    rule(
      firstMs <= warning.endsAtMs,
      () => `warning ${id} ends at ${warning.endsAtMs}; the first deadline is ${firstMs}`,
    );
    const isNever = state.termsByTarget.get(warning.target)?.never === true;
    rule(!(isNever && warning.enforce), () => `warning ${id} is enforced on what is never to be pre-empted`);
  }
  rule(state.warnings.size === state.warningByTarget.size, () => "warnings by number and by target differ");
  for (const target of state.termsByTarget.keys()) rule(isThere(target), () => "terms name what is gone");
  const contended = [...state.elements.values()].filter((element) => element.waiting > 0);
  const isSame =
    contended.length === state.contended.size && contended.every((element) => state.contended.has(element));
  rule(isSame, () => `${contended.length} elements are waited for; ${state.contended.size} are known to be`);
}
