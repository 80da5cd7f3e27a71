// log.ts: a partition whose turns are kept as records, one a command, for tests of what reads them.
import { Freed } from "../../lock/freed.ts";
import { EXCLUSIVE, type SHARED } from "../../lock/mode.ts";
import type { LogRecord } from "../../log/event-log.ts";
import { apply } from "../../partition/apply.ts";
import { ByteWriter } from "../../partition/bytes.ts";
import { encodeEvent } from "../../partition/codec.ts";
import type { Command, SessionIdentity } from "../../partition/commands.ts";
import { decide } from "../../partition/decide.ts";
import type { PartitionEvent } from "../../partition/events.ts";
import { SILENT } from "../../partition/observer.ts";
import { encodeSnapshot } from "../../partition/snapshot.ts";
import { createState } from "../../partition/state.ts";
import { LIMITS } from "../../partition/testing/scene.ts";

export class Log {
  readonly records: LogRecord[] = [];
  readonly #state = createState(0);
  readonly #freed = new Freed();
  readonly #sequences = new Map<string, number>();
  #elapsedMs = 0;

  constructor() {
    this.do({ kind: "start", epoch: 1 });
  }

  after(ms: number): this {
    this.#state.clockMs += ms;
    this.#elapsedMs += ms;
    return this;
  }

  acquire(name: string, element: string, mode: typeof EXCLUSIVE | typeof SHARED = EXCLUSIVE): this {
    return this.do({
      ...{ kind: "acquire", session: identity(name), request: this.#request(name), waitMs: -1, priority: 0 },
      ...{
        parts: [{ name: element, mode, take: 1, limit: 0 }],
        rollback: false,
        actor: "",
        reenter: 0n,
        terms: undefined,
      },
    });
  }

  release(name: string): this {
    const grant = this.#state.sessions.get(name)?.firstGrant;
    if (grant === undefined) throw new Error(`${name} holds nothing`);
    const { token, element } = grant;
    return this.do({
      ...{
        kind: "release",
        session: identity(name),
        request: this.#request(name),
        name: element.name,
        token,
        undo: false,
      },
    });
  }

  /** Of the warning that was given last. */
  acknowledge(name: string, extensionMs = 0, refusal = ""): this {
    const warning = this.#state.nextWarning - 1;
    const asked = { session: identity(name), request: this.#request(name), warning, extensionMs, refusal };
    return this.do({ kind: "acknowledge_warning", ...asked });
  }

  warn(element: string, countdownMs: number): this {
    const cause = { countdownMs, enforce: true, score: 1, threshold: 1, parts: [], reason: "late", by: "ops" };
    return this.do({ kind: "warn", name: element, token: 0n, wait: 0, cause });
  }

  do(command: Command): this {
    const events: PartitionEvent[] = [];
    const follow = (event: PartitionEvent): void => {
      apply(this.#state, event, { ...SILENT, freed: (element, below) => this.#freed.add(element, below) });
      events.push(event);
    };
    for (const event of decide(this.#state, command, LIMITS).events) follow(event);
    const grant = (wait: { readonly id: number }): void => follow({ kind: "wait_granted", wait: wait.id });
    this.#freed.grant({ state: this.#state, max: 100, grant, settled: () => {} });
    const out = new ByteWriter(64);
    for (const event of events) encodeEvent(out, event);
    const sequence = this.records.length + 1;
    this.records.push({ partition: 0, epoch: 1, sequence, elapsedMs: this.#elapsedMs, events: out.take() });
    this.#elapsedMs = 0;
    return this;
  }

  snapshot() {
    return { partition: 0, epoch: 1, sequence: this.records.length, state: encodeSnapshot(this.#state) };
  }

  #request(name: string) {
    const sequence = (this.#sequences.get(name) ?? 0) + 1;
    this.#sequences.set(name, sequence);
    return { sequence, requestId: "", keepMs: 0, digest: 1 };
  }
}

function identity(name: string): SessionIdentity {
  return { id: name, secretHash: "s", principal: "shop", client: name === "nameless" ? "" : name, ttlMs: 30_000 };
}
