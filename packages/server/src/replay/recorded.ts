// recorded.ts: a server's own log as a workload: who asked for what, when, and how long he held it. The log's events are applied to
// scratch tables, as a start of the server would. Not here: reading the files (cli/replay-source.ts).
//   G1. Only exclusive grants of one element become rows: shared ones, permits and batches queue by other rules. They are counted.
//   G2. A hold that was lost (expired, forced, pre-empted) or is still held at the end is one that never released, and lasts as long
//       as it did: how long it would have, nobody knows.
//   G3. What was held before the log begins is taken to have been asked for when it was granted. Who still waits at its end is left
//       out.

import { EXCLUSIVE } from "../lock/mode.ts";
import type { LogRecord, Snapshot } from "../log/event-log.ts";
import { apply } from "../partition/apply.ts";
import { decodeEvents } from "../partition/codec.ts";
import type { PartitionEvent } from "../partition/events.ts";
import { SILENT } from "../partition/observer.ts";
import { decodeSnapshot } from "../partition/snapshot.ts";
import {
  ageOf,
  createState,
  type Grant,
  holderByToken,
  holdersOf,
  type PartitionState,
  type Wait,
} from "../partition/state.ts";
import { ServiceTime } from "../shard/service-time.ts";
import { type AnsweringRow, Warned, withAnswers } from "./answers.ts";
import type { Answer, Row } from "./workload.ts";

/** What a log came to. */
export interface Recorded {
  readonly rows: readonly Row[];
  /** Among the rows: those that ended by expiry or force, and those that are still held. */
  readonly lost: number;
  readonly stillHeld: number;
  /** Among the rows: those whose holders were warned, who answered, and who were given more time. */
  readonly warned: number;
  readonly acknowledged: number;
  readonly extended: number;
  /** From the first request to the last end. */
  readonly spanMs: number;
  /** Left out: grants of other kinds. */
  readonly otherKinds: number;
  /** What the log last said of policies: fields by prefix. */
  readonly policies: ReadonlyMap<string, ReadonlyMap<string, string>>;
}

interface Partition {
  readonly state: PartitionState;
  sequence: number;
  /** Records have been applied. */
  isFollowed: boolean;
  readonly open: Map<Grant, OpenHold>;
}

interface OpenHold {
  readonly requestMs: number;
  readonly grantMs: number;
  warned: Warned | undefined;
}

export class Recorder {
  readonly #snapshots: ReadonlyMap<number, Snapshot>;
  readonly #partitions = new Map<number, Partition>();
  readonly #time = new ServiceTime();
  readonly #rows: AnsweringRow[] = [];
  #lost = 0;
  #otherKinds = 0;
  readonly #missing = new Set<number>();

  constructor(snapshots: readonly Snapshot[]) {
    this.#snapshots = new Map(snapshots.map((snapshot) => [snapshot.partition, snapshot]));
  }

  /** Records come in stream order. */
  take(record: LogRecord): void {
    const nowMs = this.#time.take(record);
    const partition = this.#partitions.get(record.partition) ?? this.#begin(record);
    if (partition === undefined || record.sequence <= partition.sequence) return;
    if (!partition.isFollowed) this.#openHeld(partition, nowMs - record.elapsedMs);
    partition.sequence = record.sequence;
    partition.state.clockMs += record.elapsedMs;
    decodeEvents(record.events, (event) => this.#follow(partition, event, nowMs));
  }

  /** Partitions whose records do not reach back to anything known, and so were left out. */
  get missingPartitions(): number {
    return this.#missing.size;
  }

  /** Once, after the last record. */
  result(): Recorded {
    const partitions = [...this.#partitions.values()];
    const stillHeld = partitions.reduce((sum, { open }) => sum + open.size, 0);
    for (const { open } of partitions)
      for (const grant of [...open.keys()]) this.#close(open, grant, { isReleased: false, nowMs: this.#time.nowMs });
    const policies = partitions.flatMap(({ state }) =>
      [...state.policies].map(([prefix, row]) => [prefix, row.set] as const),
    );
    const rows = this.#rows.map(({ row }) => row);
    const answers = rows.flatMap(({ answer }) => answer ?? []);
    const isExtended = ({ acknowledgements }: Answer): boolean =>
      acknowledgements.some(({ extensionMs }) => extensionMs > 0);
    const firstMs = rows.reduce((least, { requestMs }) => Math.min(least, requestMs), this.#time.nowMs);
    return {
      rows: withAnswers(this.#rows),
      warned: this.#rows.filter(({ isWarned }) => isWarned).length,
      acknowledged: answers.length,
      extended: answers.filter(isExtended).length,
      spanMs: Math.round(this.#time.nowMs - firstMs),
      lost: this.#lost - stillHeld,
      stillHeld,
      otherKinds: this.#otherKinds,
      policies: new Map(policies),
    };
  }

  #begin({ partition, sequence }: LogRecord): Partition | undefined {
    const snapshot = this.#snapshots.get(partition);
    if (sequence > (snapshot?.sequence ?? 0) + 1) {
      this.#missing.add(partition);
      return undefined;
    }
    const isWhole = sequence === 1 || snapshot === undefined; // The log goes back to the beginning: it tells more than the snapshot.
    const begun: Partition = {
      state: isWhole ? createState(partition) : decodeSnapshot(partition, snapshot.state),
      sequence: isWhole ? 0 : snapshot.sequence,
      open: new Map(),
      isFollowed: false,
    };
    this.#partitions.set(partition, begun);
    return begun;
  }

  /** G3 */
  #openHeld(partition: Partition, clockIsMs: number): void {
    const { state, open } = partition;
    partition.isFollowed = true;
    for (const element of state.elements.values()) {
      for (const grant of holdersOf(element)) {
        const grantMs = clockIsMs - ageOf(state, grant);
        if (isKept(grant)) open.set(grant, { requestMs: grantMs, grantMs, warned: undefined });
      }
    }
  }

  #follow(partition: Partition, event: PartitionEvent, nowMs: number): void {
    const { state, open } = partition;
    const wait = event.kind === "wait_granted" ? state.waits.get(event.wait) : undefined;
    const ending = endingOf(state, event);
    const acknowledging = event.kind === "warning_acknowledged" ? targetOf(state, event.warning) : undefined;
    apply(state, event, SILENT);
    if (event.kind === "warning_acknowledged" && acknowledging !== undefined)
      open.get(acknowledging)?.warned?.acknowledged(nowMs, event.extensionMs);
    if (event.kind === "warned") this.#warned(partition, nowMs);
    if (event.kind === "granted" && event.upgradeOf === 0n) {
      const [part] = event.parts;
      const session = state.sessionByNumber.get(event.request.session);
      if (event.parts.length !== 1 || part?.mode !== EXCLUSIVE || event.reserve)
        this.#otherKinds += 1; // G1
      else if (session?.firstGrant !== undefined)
        this.#open(open, state, part.name, { requestMs: nowMs, grantMs: nowMs });
    }
    if (wait !== undefined) this.#granted(partition, wait, nowMs);
    const isReleased = event.kind === "released" || (event.kind === "session_ended" && event.why === "closed");
    for (const grant of ending) if (!isHeld(state, grant)) this.#close(open, grant, { isReleased, nowMs });
  }

  /** The newest warning: a wait that is warned answers for its place, and is no hold yet. */
  #warned({ state, open }: Partition, nowMs: number): void {
    const grant = targetOf(state, state.nextWarning - 1);
    const hold = grant && open.get(grant);
    if (hold !== undefined) hold.warned ??= new Warned(nowMs);
  }

  #granted({ state, open }: Partition, wait: Wait, nowMs: number): void {
    const [part] = wait.parts;
    const isPlain =
      wait.parts.length === 1 && part?.mode === EXCLUSIVE && wait.upgradeOf === undefined && !wait.reserve;
    if (!isPlain || part === undefined) {
      this.#otherKinds += 1; // G1
      return;
    }
    this.#open(open, state, part.element.name, { requestMs: nowMs - (state.clockMs - wait.sinceMs), grantMs: nowMs });
  }

  #open(open: Partition["open"], state: PartitionState, name: string, times: Omit<OpenHold, "warned">): void {
    const element = state.elements.get(name);
    for (const grant of element === undefined ? [] : holdersOf(element))
      if (isKept(grant)) open.set(grant, { ...times, warned: undefined });
  }

  #close(
    open: Partition["open"],
    grant: Grant,
    { isReleased, nowMs }: { readonly isReleased: boolean; readonly nowMs: number },
  ): void {
    const hold = open.get(grant);
    if (hold === undefined) return;
    open.delete(grant);
    if (!isReleased) this.#lost += 1; // G2
    const { client, principal } = grant.session;
    const row: Row = {
      requestMs: Math.max(0, Math.round(hold.requestMs)),
      durationMs: Math.max(0, Math.round(nowMs - hold.grantMs)),
      client: client === "" ? principal : client,
      element: grant.element.name,
      isLost: !isReleased,
    };
    const answer = hold.warned?.answer(isReleased, nowMs);
    this.#rows.push({ row: answer === undefined ? row : { ...row, answer }, isWarned: hold.warned !== undefined });
  }
}

const isKept = (grant: Grant): boolean => grant.mode === EXCLUSIVE && !grant.reserved;

/** Grants that the event may end. Asked before it is applied. */
function endingOf(state: PartitionState, event: PartitionEvent): readonly Grant[] {
  switch (event.kind) {
    case "released":
    case "forced": {
      const element = state.elements.get(event.name);
      const grant = element === undefined ? undefined : holderByToken(element, event.token);
      return grant === undefined ? [] : [grant];
    }
    case "preempted": {
      const grant = targetOf(state, event.warning);
      return grant === undefined ? [] : [grant];
    }
    case "session_ended": {
      const grants: Grant[] = [];
      let grant = state.sessionByNumber.get(event.session)?.firstGrant;
      for (; grant !== undefined; grant = grant.next) grants.push(grant);
      return grants;
    }
    default:
      return [];
  }
}

/** The grant that a warning is for. */
function targetOf(state: PartitionState, warning: number): Grant | undefined {
  const target = state.warnings.get(warning)?.target;
  return target === undefined || "parts" in target ? undefined : target;
}

function isHeld(state: PartitionState, grant: Grant): boolean {
  const element = state.elements.get(grant.element.name);
  return element !== undefined && holderByToken(element, grant.token) === grant;
}
