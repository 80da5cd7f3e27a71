// reads.ts: descriptions of a partition for people and programs: why, lists, counts. They change nothing.
// Lists take the first `limit` names after `after` in byte order, of those that the caller may read.
import type { FileInfo, ListFilesRequest, ListLocksRequest, LockInfo, Waiter, WhyReply } from "@forelock/protocol";
import { Mode } from "@forelock/protocol";
import { holdersInTheWay, wantedAt } from "../lock/below.ts";
import { isBefore } from "../lock/lane.ts";
import { EXCLUSIVE } from "../lock/mode.ts";
import { ancestorsOf } from "../lock/name.ts";
import {
  ageOf,
  type Element,
  type Grant,
  holdersOf,
  isLive,
  type PartitionState,
  type Wait,
} from "../partition/state.ts";
import { holderMessage } from "./answers.ts";
import type { Outlook } from "./insight.ts";
import { referenceOf } from "./reference.ts";
import type { Caller } from "./service.ts";

const WAITERS_SHOWN_MAX = 100;
const HOLDERS_SHOWN_MAX = 100;
const RELATED_SHOWN_MAX = 20;
const PAIN_SAMPLE = 64;
const WAITER_MODES = [Mode.EXCLUSIVE, Mode.SHARED, Mode.PERMIT] as const;

export function why(state: PartitionState, name: string, caller: Caller, outlook: Outlook): WhyReply {
  const element = state.elements.get(name);
  const holders = element === undefined ? [] : [...holdersOf(element)].filter((grant) => !grant.reserved);
  const waits = element === undefined ? [] : firstWaits(element);
  const reply: WhyReply = {
    name,
    holders: holders.slice(0, HOLDERS_SHOWN_MAX).map((grant) => holderMessage(state, grant, caller, outlook)),
    waiters: waits.map((wait, index) => ({ ...waiterMessage(state, wait, index + 1), ...outlook.waiter(state, wait) })),
    waiting: element?.waiting ?? 0,
    partition: state.partition,
    limit: element?.limit ?? 0,
    sentence: "",
    related: element === undefined ? [] : relatedTo(state, element),
    next: outlook.next(state, name, caller),
  };
  const below = element === undefined ? [] : firstHoldersBelow(element);
  reply.sentence = sentence(reply, below.length === 0 ? "" : belowSentence(state, below, caller));
  return reply;
}

/** Of those that keep it from being granted, or would. */
function firstHoldersBelow(element: Element): readonly Grant[] {
  const below: Grant[] = [];
  for (const grant of holdersInTheWay(element, wantedAt(element) ?? EXCLUSIVE)) {
    if (below.length === RELATED_SHOWN_MAX) break;
    if (!grant.reserved) below.push(grant);
  }
  return below;
}

function belowSentence(state: PartitionState, below: readonly Grant[], caller: Caller): string {
  const first = below.find(({ element }) => caller.may("read", element.name));
  if (first === undefined) return "";
  const { element, session } = first;
  const others =
    below.length === 1 ? "" : ` (and ${below.length === RELATED_SHOWN_MAX ? "many" : below.length - 1} more)`;
  return `${element.name} below it has been held by ${holderText(session.client, session.id)} for ${seconds(ageOf(state, first))}${others}.`;
}

function firstWaits(element: Element): readonly Wait[] {
  const waits: Wait[] = [];
  for (const lane of element.lanes ?? []) {
    if (lane === undefined) continue;
    let taken = 0;
    for (const wait of lane) {
      if (taken === WAITERS_SHOWN_MAX) break;
      taken += 1;
      waits.push(wait);
    }
  }
  return waits.sort((a, b) => (isBefore(a, b) ? -1 : 1)).slice(0, WAITERS_SHOWN_MAX);
}

function waiterMessage(state: PartitionState, wait: Wait, position: number): Omit<Waiter, "eta" | "risk"> {
  return {
    reference: referenceOf(state.partition, wait.operation),
    session: wait.session.id,
    principal: wait.session.principal,
    mode: WAITER_MODES[wait.parts[0]?.mode ?? 0],
    waitedMs: Math.max(0, state.clockMs - wait.sinceMs),
    position,
    priority: wait.priority,
    silent: !isLive(wait.session, state.clockMs),
    client: wait.session.client,
  };
}

/** Elements above or below that are held and so can stand in the way. */
function relatedTo(state: PartitionState, element: Element): string[] {
  const related = new Set(ancestorsOf(element.name).filter((name) => state.elements.get(name)?.holders !== undefined));
  for (const { element: below } of holdersInTheWay(element, EXCLUSIVE)) {
    if (related.size >= RELATED_SHOWN_MAX) break;
    related.add(below.name);
  }
  return [...related];
}

function sentence(reply: WhyReply, below: string): string {
  const { name, holders, waiting, related } = reply;
  const first = holders[0];
  const queue = waiting === 0 ? "Nobody waits." : waiting === 1 ? "One request waits." : `${waiting} requests wait.`;
  if (first === undefined && below !== "") return `${name} is not held itself. ${below} ${queue}`;
  if (first === undefined) {
    const near = related.length === 0 ? "" : ` ${related.join(", ")} is held in the same tree.`;
    return `${name} is free.${near} ${queue}`;
  }
  const who = holderText(first.client, first.session);
  const others = holders.length === 1 ? "" : ` and ${holders.length - 1} more`;
  const silent = first.silent
    ? " It has not been heard from for a while, and loses the lock when its session expires."
    : "";
  const wait = reply.waiters[0];
  const longest = wait === undefined ? "" : ` The first has waited ${seconds(wait.waitedMs)}.`;
  return `${name} has been held by ${who}${others} for ${seconds(first.heldMs)}.${silent} ${queue}${longest}`;
}

const holderText = (client: string, session: string): string =>
  client === "" ? `session ${session}` : `${client} (session ${session})`;

const seconds = (ms: number): string => (ms < 1_000 ? `${ms} ms` : `${(ms / 1_000).toFixed(1)} s`);

/** The first `limit` of what matches, by name: keeps a short sorted list instead of sorting everything. */
export function firstByName<Row>(rows: Iterable<Row>, nameOf: (row: Row) => string, limit: number): Row[] {
  const first: Row[] = [];
  for (const row of rows) {
    const name = nameOf(row);
    const last = first.at(-1);
    if (first.length === limit && last !== undefined && name >= nameOf(last)) continue;
    let low = 0;
    let high = first.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const other = first[middle];
      if (other !== undefined && nameOf(other) < name) low = middle + 1;
      else high = middle;
    }
    first.splice(low, 0, row);
    if (first.length > limit) first.pop();
  }
  return first;
}

/** A lock that a list may have. */
export interface LockChoice {
  readonly name: string;
  readonly painMs: number;
}

/** Of one partition, one more than `limit` where there are more, so that the caller sees it. */
export function chooseLocks(
  state: PartitionState,
  wanted: ListLocksRequest,
  limit: number,
  caller: Caller,
): readonly LockChoice[] {
  const matching = function* (): IterableIterator<LockChoice> {
    for (const element of state.elements.values()) {
      if (!element.name.startsWith(wanted.prefix) || element.name <= wanted.after || !isListed(element)) continue;
      if (wanted.stuck && !isStuck(state, element)) continue;
      if (wanted.heldMsMin > 0 && !isHeldFor(state, element, wanted.heldMsMin)) continue;
      if (!caller.may("read", element.name)) continue;
      yield { name: element.name, painMs: wanted.byPain ? painOf(state, element) : 0 };
    }
  };
  return firstChoices(matching(), wanted.byPain, limit + 1);
}

/** By name; or those with the most waiting first, then the rest by name. */
export function firstChoices<Row extends LockChoice>(rows: Iterable<Row>, byPain: boolean, limit: number): Row[] {
  if (!byPain) return firstByName(rows, ({ name }) => name, limit);
  return [...rows].sort((a, b) => b.painMs - a.painMs || (a.name < b.name ? -1 : 1)).slice(0, limit);
}

/** The locks that were chosen, as they are now; those that nobody holds or waits for any more are left out. */
export function lockInfos(
  state: PartitionState,
  names: readonly string[],
  caller: Caller,
  outlook: Outlook,
): readonly LockInfo[] {
  return names.flatMap((name) => {
    const element = state.elements.get(name);
    return element === undefined || !isListed(element) ? [] : [lockInfo(state, element, caller, outlook)];
  });
}

const isListed = ({ holders, waiting }: Element): boolean => holders !== undefined || waiting > 0;

/** Waiting done so far by those who wait now, all together. Of a long queue, from a sample of its ends and middle. */
function painOf(state: PartitionState, element: Element): number {
  if (element.waiting === 0) return 0;
  let painMs = 0;
  for (const lane of element.lanes ?? []) {
    if (lane === undefined) continue;
    const step = Math.max(1, Math.floor(lane.size / PAIN_SAMPLE));
    for (let position = 1; position <= lane.size; position += step)
      painMs += step * Math.max(0, state.clockMs - (lane.at(position)?.sinceMs ?? state.clockMs));
  }
  return painMs;
}

function lockInfo(state: PartitionState, element: Element, caller: Caller, outlook: Outlook): LockInfo {
  const holders = [...holdersOf(element)].slice(0, 8).map((grant) => holderMessage(state, grant, caller, outlook));
  const [first] = firstWaits(element);
  return {
    name: element.name,
    holders,
    waiting: element.waiting,
    limit: element.limit,
    waitedMs: first === undefined ? 0 : Math.max(0, state.clockMs - first.sinceMs),
    painMs: painOf(state, element),
  };
}

/** Someone waits, and a holder has not been heard from. */
function isStuck(state: PartitionState, element: Element): boolean {
  if (element.waiting === 0) return false;
  for (const grant of holdersOf(element)) if (!isLive(grant.session, state.clockMs)) return true;
  return false;
}

function isHeldFor(state: PartitionState, element: Element, heldMsMin: number): boolean {
  for (const grant of holdersOf(element)) if (ageOf(state, grant) >= heldMsMin) return true;
  return false;
}

export function listFiles(state: PartitionState, wanted: ListFilesRequest, limit: number, caller: Caller): FileInfo[] {
  const matching = function* (): IterableIterator<FileInfo> {
    for (const file of state.files.values()) {
      if (!file.name.startsWith(wanted.prefix) || file.name <= wanted.after || !caller.may("read", file.name)) continue;
      yield { name: file.name, length: file.length, version: file.version, records: file.count };
    }
  };
  return firstByName(matching(), (file) => file.name, limit + 1);
}
