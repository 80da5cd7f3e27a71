// watches.ts: events of partitions for those who watch names. Sent when durable, filtered for each watcher.
import type { Event } from "@forelock/protocol";
import type { PartitionEvent } from "../partition/events.ts";
import { type Grant, holderByToken, type PartitionState, type Session, type Wait } from "../partition/state.ts";
import { isWait } from "../preempt/target.ts";
import type { Caller, NoticeSink } from "./service.ts";

interface Watcher {
  readonly caller: Caller;
  /** Without its final `*`. */
  readonly text: string;
  readonly isPrefix: boolean;
  readonly watch: number;
  readonly sink: NoticeSink;
}

/** What an event says to a watcher; one event can concern several names. */
export interface Happening {
  readonly kind: string;
  readonly name: string;
  readonly session: string;
  readonly token: bigint;
  readonly reason: string;
}

export class Watches {
  readonly #watchers = new Set<Watcher>();

  get size(): number {
    return this.#watchers.size;
  }

  add(caller: Caller, pattern: string, watch: number, sink: NoticeSink): () => void {
    const isPrefix = pattern.endsWith("*");
    const watcher: Watcher = { caller, text: isPrefix ? pattern.slice(0, -1) : pattern, isPrefix, watch, sink };
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  /** @param revision of the log, in the partition */
  publish(happening: Happening, partition: number, revision: number): void {
    for (const watcher of this.#watchers) {
      const matches = watcher.isPrefix ? happening.name.startsWith(watcher.text) : happening.name === watcher.text;
      if (!matches || !watcher.caller.may("read", happening.name)) continue;
      const event: Event = { watch: watcher.watch, ...happening, partition, revision, missed: 0 };
      watcher.sink.notify({ body: { $case: "event", value: event } });
    }
  }
}

/** What is told of an event. Called before it is applied: what it ends is still there to be named. */
export function happeningsOf(state: PartitionState, event: PartitionEvent): readonly Happening[] {
  const sessionId = (number: number): string => state.sessionByNumber.get(number)?.id ?? "";
  switch (event.kind) {
    case "queued":
    case "granted": {
      const session = sessionId(event.request.session);
      // Literals of one shape, not spread: a look through the history makes one for each event of the log.
      return event.parts.map(({ name }) => ({ kind: event.kind, name, session, token: 0n, reason: "" }));
    }
    case "wait_granted":
    case "wait_ended":
    case "cancelled": {
      const wait = state.waits.get(event.wait);
      if (wait === undefined) return [];
      const kind = event.kind === "wait_granted" ? "granted" : "ended";
      const reason = event.kind === "wait_ended" ? event.code : event.kind === "cancelled" ? "cancelled" : "";
      return wait.parts.map((part) => ({ kind, name: part.element.name, session: wait.session.id, token: 0n, reason }));
    }
    case "released":
      return [
        {
          kind: "released",
          name: event.name,
          session: sessionId(event.request.session),
          token: event.token,
          reason: "",
        },
      ];
    case "forced": {
      const element = state.elements.get(event.name);
      const grant = element === undefined ? undefined : holderByToken(element, event.token);
      return [
        {
          kind: "forced",
          name: event.name,
          session: grant?.session.id ?? "",
          token: event.token,
          reason: event.reason,
        },
      ];
    }
    case "session_ended": {
      const session = state.sessionByNumber.get(event.session);
      return session === undefined
        ? []
        : endedGrants(session, event.why === "closed" ? "released" : event.why, event.reason);
    }
    case "warned": {
      const { wait, name, token } = event.target;
      const element = state.elements.get(name);
      const held = element === undefined ? undefined : holderByToken(element, token);
      const target = wait === 0 ? held : state.waits.get(wait);
      return target === undefined ? [] : aboutTarget(target, "warned", event.cause.reason);
    }
    case "warning_acknowledged": {
      const target = state.warnings.get(event.warning)?.target;
      const kind = event.extensionMs > 0 ? "extended" : "acknowledged";
      return target === undefined ? [] : aboutTarget(target, kind, event.refusal);
    }
    case "preempted": {
      const warning = state.warnings.get(event.warning);
      return warning === undefined ? [] : aboutTarget(warning.target, "preempted", warning.reason);
    }
    case "appended":
      return [
        {
          kind: "appended",
          name: event.file,
          session: sessionId(event.request.session),
          token: event.token,
          reason: "",
        },
      ];
    default:
      return [];
  }
}

/** A grant by its token; a wait has none, and may be for several names. */
function aboutTarget(target: Grant | Wait, kind: string, reason: string): readonly Happening[] {
  const session = target.session.id;
  if (!isWait(target)) return [{ kind, name: target.element.name, session, token: target.token, reason }];
  return target.parts.map(({ element }) => ({ kind, name: element.name, session, token: 0n, reason }));
}

function endedGrants(session: Session, kind: string, reason: string): readonly Happening[] {
  const happenings: Happening[] = [];
  for (let grant = session.firstGrant; grant !== undefined; grant = grant.next) {
    happenings.push({ kind, name: grant.element.name, session: session.id, token: grant.token, reason });
  }
  return happenings;
}
