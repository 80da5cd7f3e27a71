// world.ts: a node on a log and a bulk store in memory, with a clock that tests move, and clients that speak the protocol to it.
import { AcquireAllRequest, AcquireRequest, type Notice, Operation, type Reply } from "@forelock/protocol";
import { MemoryBulkStore } from "../../bulk/memory.ts";
import type { Clock } from "../../clock.ts";
import { MemoryEventLog, MemoryLogDisk, type MemoryLogOptions } from "../../log/memory.ts";
import { LIMITS } from "../../partition/testing/scene.ts";
import { Node, type NodeLimits, type NodeOptions } from "../node.ts";
import { recover } from "../recovery.ts";
import type { Caller, OpenedSession } from "../service.ts";

export const CALLER: Caller = { principal: "local", may: () => true, remoteAddress: "test" };

export const NODE_LIMITS: NodeLimits = {
  ...LIMITS,
  grantsPerTurnMax: 1_000,
  sessionTtlMs: 30_000,
  sessionTtlMsMax: 300_000,
  keepMs: 3_600_000,
  keepMsMax: 86_400_000,
  awaitsMax: 2,
  deadlockCheckMs: 100,
  frameBytesMax: 1_048_576,
  frameOperationsMax: 1_000,
  requestsInFlightMax: 4_096,
};

/** Time stands still until told. */
export class ManualClock implements Clock {
  #nowMs = 1_000;
  #timers: { readonly atMs: number; readonly fire: () => void; isDisposed: boolean }[] = [];

  wallMs(): number {
    return 1_700_000_000_000 + this.#nowMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, fire: () => void): { dispose(): void } {
    const timer = { atMs: this.#nowMs + delayMs, fire, isDisposed: false };
    this.#timers.push(timer);
    return {
      dispose: () => {
        timer.isDisposed = true;
      },
    };
  }

  /** Moves on, firing what is due in order; gives the node time to finish after each. */
  async advance(ms: number): Promise<void> {
    const untilMs = this.#nowMs + ms;
    for (;;) {
      this.#timers = this.#timers.filter((timer) => !timer.isDisposed);
      const due = this.#timers.filter((timer) => timer.atMs <= untilMs);
      const next = due.sort((a, b) => a.atMs - b.atMs)[0];
      if (next === undefined) break;
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.isDisposed = true;
      next.fire();
      await settle();
    }
    this.#nowMs = untilMs;
    await settle();
  }
}

/** Until nothing moves: the node defers by a turn of the event loop, and the log by another. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 12; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

export interface WorldOptions {
  readonly limits?: Partial<NodeLimits>;
  readonly partitions?: number;
  /** Off unless asked for: what is forecast is no part of what most tests are about. */
  readonly isPredicting?: boolean;
  readonly forecasts?: NonNullable<NodeOptions["forecasts"]>;
  readonly fault?: NonNullable<MemoryLogOptions["fault"]>;
}

export class World {
  readonly clock = new ManualClock();
  readonly bulk = new MemoryBulkStore();
  readonly notes: string[] = [];
  readonly #disk = new MemoryLogDisk();
  readonly #options: WorldOptions;
  #node: Node | undefined;
  #drawn = 0;

  private constructor(options: WorldOptions) {
    this.#options = options;
  }

  static async open(options: WorldOptions = {}): Promise<World> {
    const world = new World(options);
    await world.restart();
    return world;
  }

  get node(): Node {
    if (this.#node === undefined) throw new Error("the world has not started");
    return this.#node;
  }

  /** A crash of the process: what is not in the log is gone. */
  async restart(): Promise<void> {
    const partitions = this.#options.partitions ?? 8;
    const { fault } = this.#options;
    const log = new MemoryEventLog({ disk: this.#disk, ...(fault === undefined ? {} : { fault }) });
    const { states } = await recover(log, partitions, this.bulk);
    this.#node = new Node({
      states,
      log,
      bulk: this.bulk,
      clock: this.clock,
      random: (bytes) => {
        this.#drawn += 1;
        const drawn = Buffer.alloc(bytes, this.#drawn);
        drawn.writeUInt32BE(this.#drawn); // A byte alone comes round too soon.
        return drawn;
      },
      defer: (run) => setImmediate(run),
      limits: { ...NODE_LIMITS, ...this.#options.limits },
      placementKey: new Uint8Array(16),
      isDurable: true,
      version: "test",
      isPredicting: this.#options.isPredicting ?? false,
      ...(this.#options.forecasts === undefined ? {} : { forecasts: this.#options.forecasts }),
      isCompensationAllowed: (url) => url.startsWith("https://shop.example/"),
      note: (line) => this.notes.push(line),
    });
    await this.#node.start(log.lastEpoch() + 1, []);
  }

  client(caller: Caller = CALLER, client = "test"): Client {
    return new Client(this, caller, this.node.openSession(caller, { ttlMs: undefined, client }));
  }

  /** A name of another partition than those of `others`. */
  nameBeside(others: readonly string[], prefix = "n"): string {
    const taken = new Set(others.map((name) => this.node.partitionOf(name)));
    for (let index = 0; ; index += 1)
      if (!taken.has(this.node.partitionOf(`${prefix}${index}`))) return `${prefix}${index}`;
  }
}

type Body = NonNullable<Operation["body"]>;

export class Client {
  opened: OpenedSession;
  readonly notices: Notice[] = [];
  readonly #world: World;
  readonly #caller: Caller;
  #sequence = 0;

  constructor(world: World, caller: Caller, opened: OpenedSession) {
    this.#world = world;
    this.#caller = caller;
    this.opened = opened;
    world.node.listen(opened.session, { notify: (notice) => this.notices.push(notice) });
  }

  /** A sign of life. */
  beat(): void {
    this.#world.node.heartbeat(this.opened.session, 0, { lagMs: 0, health: 0 }, () => {});
  }

  /** After a restart of the node: as the same session. */
  resume(): void {
    const sessionId = Buffer.from(this.opened.session.id, "base64url");
    const secret = this.opened.secret ?? new Uint8Array(0);
    const resume = { sessionId, secret, open: undefined, client: "test", ttlMs: undefined };
    this.opened = { ...this.#world.node.resumeSession(this.#caller, resume), secret };
    this.#world.node.listen(this.opened.session, { notify: (notice) => this.notices.push(notice) });
  }

  get sequence(): number {
    return this.#sequence;
  }

  submit(body: Body, more: Partial<Operation> = {}): Promise<Reply> {
    if (more.sequence === undefined) this.#sequence += 1; // Else it is asked again.
    const operation = Operation.fromPartial({ sequence: this.#sequence, ...more } as never);
    operation.body = body;
    const { node } = this.#world;
    return new Promise((resolve) => node.submit(this.#caller, this.opened.session, operation, resolve));
  }

  acquire(
    name: string,
    more: Parameters<typeof AcquireRequest.fromPartial>[0] = {},
    operation: Partial<Operation> = {},
  ): Promise<Reply> {
    return this.submit({ $case: "acquire", value: AcquireRequest.fromPartial({ name, ...more }) }, operation);
  }

  acquireAll(names: readonly string[], more: { waitMs?: number } = {}): Promise<Reply> {
    const elements = names.map((name) => ({ name }));
    return this.submit({ $case: "acquireAll", value: AcquireAllRequest.fromPartial({ elements, ...more }) });
  }

  async token(reply: Promise<Reply>, name?: string): Promise<bigint> {
    const { body } = await reply;
    if (body?.$case !== "acquire") throw new Error(`expected a grant, not ${describe(await reply)}`);
    const grant = name === undefined ? body.value.grants[0] : body.value.grants.find((found) => found.name === name);
    return grant?.token ?? 0n;
  }

  release(name: string, token: bigint): Promise<Reply> {
    return this.submit({ $case: "release", value: { name, token, undo: false } });
  }

  /** The last notice about an operation, as text. */
  ended(): string | undefined {
    for (const { body } of this.notices.toReversed()) {
      if (body?.$case === "operation") return describe({ sequence: 0, body: { $case: "acquire", value: body.value } });
    }
    return undefined;
  }
}

/** A reply in one word or two. */
export function describe(reply: Reply): string {
  const { body } = reply;
  if (body?.$case === "error") return `error ${body.value.code}`;
  if (body?.$case !== "acquire") return body?.$case ?? "nothing";
  const { state, error, grants, position } = body.value;
  if (error !== undefined) return `ended ${error.code}`;
  return state === 0 ? `queued ${position}` : `granted ${grants.length}`;
}
