// batches.ts: drives lockAll over several partitions: takes the parts in order of names, one by one, then confirms all.
// The durable truth is the batch in its home partition and the parts in theirs; every step is idempotent and driven again after a
// start until its answer is durable. Elements are taken in one global order, so that batches cannot wait for each other in a circle.
//   M4. Parts get tokens only after the home partition has logged that all are reserved.
//   M5. When a batch ends without a grant, every part is given up before the batch is forgotten.
//   M6. A batch is granted only while every part is still held: a part that has its token can be lost like any grant, by force or with
//       its session, and then the whole batch ends.
import { assert, type ErrorCode, type ForelockError } from "@forelock/protocol";
import type { BatchCommand, Refusal, SessionIdentity } from "../partition/commands.ts";
import type { Batch, FencingToken, Operation, PartitionState } from "../partition/state.ts";
import type { Node } from "./node.ts";
import type { Entry, Shard } from "./shard.ts";

/** Keys have dots, which request ids of callers never have. */
export function isPart(operation: Operation): boolean {
  return operation.requestId.startsWith("batch.");
}

/** Where a step that must not get lost is tried again: the partition stopped, so the node does too. */
class Stopped extends Error {}

export class Batches {
  readonly #node: Node;
  readonly #running = new Set<Operation>();
  /** Waiting parts, by the operation that stands for them: resolved when they are granted or end. */
  readonly #waiting = new Map<string, () => void>();
  /** Called when the operation of a batch ended by itself: session gone, cancelled. */
  readonly #interrupts = new Map<Operation, () => void>();

  constructor(node: Node) {
    this.#node = node;
  }

  /** After a start: every batch that the partition still has. */
  resume(shard: Shard): void {
    for (const batch of shard.state.batches.values()) this.#launch(shard, batch);
  }

  /** A batch was just opened (or asked about again): drives it unless that is already being done. */
  begin(home: Shard, operation: Operation): void {
    for (const batch of home.state.batches.values()) {
      if (batch.operation !== operation) continue;
      home.afterDurable(() => this.#launch(home, batch));
      return;
    }
  }

  operationEnded(shard: Shard, operation: Operation): void {
    const wake = operation.requestId === "" ? undefined : this.#waiting.get(operation.requestId);
    if (wake !== undefined) shard.afterDurable(wake);
    const interrupt = this.#interrupts.get(operation);
    if (interrupt !== undefined) shard.afterDurable(interrupt);
  }

  #launch(home: Shard, batch: Batch): void {
    if (this.#running.has(batch.operation)) return;
    this.#running.add(batch.operation);
    this.#drive(home, batch)
      .catch((cause: unknown) => {
        if (cause instanceof Stopped) return; // The next start drives it on.
        this.#node.options.note("batch failed", { batch: batch.id, partition: home.partition, error: String(cause) });
      })
      .finally(() => this.#running.delete(batch.operation));
  }

  async #drive(home: Shard, batch: Batch): Promise<void> {
    const keys = batch.parts.map((_, index) => partKey(home.partition, batch.id, index));
    const refusal = batch.stage === "confirming" ? undefined : await this.#reserveAll(home, batch, keys);
    if (refusal !== undefined) return this.#giveUp(home, batch, keys, refusal);
    const confirming = await this.#step(home, { kind: "confirm_batch", batch: batch.id });
    if (confirming !== undefined) return this.#giveUp(home, batch, keys, confirming);
    const grants: Granted[number][] = [];
    for (const [index, part] of batch.parts.entries()) {
      const key = keys[index] ?? "";
      const shard = this.#node.shardOf(part.name);
      const refused = await this.#step(shard, { kind: "confirm_part", part: key }); // M4
      const token = refused === undefined ? grantToken(shard, key) : undefined;
      if (token === undefined) return this.#giveUp(home, batch, keys, refused ?? lost(part.name));
      grants.push({ name: part.name, token });
    }
    const refused = await this.#grant(home, batch, keys, grants);
    if (refused !== undefined) await this.#giveUp(home, batch, keys, refused);
  }

  /** M6 */
  #grant(home: Shard, batch: Batch, keys: readonly string[], grants: Granted): Promise<Ended | undefined> {
    const nameLost = (): string | undefined =>
      grants.find(({ name, token }, index) => grantToken(this.#node.shardOf(name), keys[index] ?? "") !== token)?.name;
    return new Promise((resolve, reject) => {
      home.enter(new GrantEntry({ kind: "grant_batch", batch: batch.id, grants }, nameLost, { resolve, reject }));
    });
  }

  /** @returns why not, or undefined when every part is reserved */
  async #reserveAll(home: Shard, batch: Batch, keys: readonly string[]): Promise<Ended | undefined> {
    let isOver: Ended | undefined;
    let wake = (): void => {};
    const interrupt = (ended: Ended): void => {
      isOver ??= ended;
      wake();
    };
    const leftMs = batch.deadlineMs - home.state.clockMs;
    const timer =
      leftMs === Number.POSITIVE_INFINITY
        ? undefined
        : this.#node.options.clock.after(Math.max(0, leftMs), () =>
            interrupt({ code: "timeout", message: "The wait was not granted in time." }),
          );
    this.#interrupts.set(batch.operation, () => interrupt(ENDED));
    // It may have ended before this was there to be told: just after it was opened, or before a restart.
    if (batch.operation.outcome !== undefined) isOver = ENDED;
    try {
      for (const [index, part] of batch.parts.entries()) {
        const key = keys[index] ?? "";
        const shard = this.#node.shardOf(part.name);
        const session = this.#identityOf(home, batch);
        if (isOver !== undefined) return isOver;
        if (session === undefined) return { code: "session_expired", message: "The session has ended." };
        const granted = new Promise<void>((resolve) => {
          wake = resolve;
          this.#waiting.set(key, resolve);
        });
        const command = {
          kind: "reserve_part",
          session,
          part: key,
          element: part,
          rollback: batch.rollback,
          actor: batch.actor,
        } as const;
        const refused = await this.#step(shard, command);
        if (refused !== undefined) return refused;
        // Parts of a try do not wait: the batch ends as soon as one is not free.
        if (!isReserved(shard, key) && batch.deadlineMs === batch.sinceMs)
          return { code: "busy", message: `${part.name} is held or queued for.` };
        while (isOver === undefined && !isReserved(shard, key)) {
          if (!shard.state.parts.has(key)) return lost(part.name);
          await granted;
        }
        if (isOver !== undefined) return isOver;
      }
      return undefined;
    } finally {
      timer?.dispose();
      this.#interrupts.delete(batch.operation);
      for (const key of keys) this.#waiting.delete(key);
    }
  }

  /** M5 */
  async #giveUp(home: Shard, batch: Batch, keys: readonly string[], why: Ended): Promise<void> {
    for (const [index, part] of batch.parts.entries()) {
      await this.#step(this.#node.shardOf(part.name), { kind: "abandon_part", part: keys[index] ?? "" });
    }
    await this.#step(home, { kind: "end_batch", batch: batch.id, ...why });
  }

  #identityOf(home: Shard, batch: Batch): SessionIdentity | undefined {
    return home.state.sessionByNumber.get(batch.session);
  }

  /** Resolves when the step is durable, with its refusal if it was refused. */
  #step(shard: Shard, command: BatchCommand): Promise<Ended | undefined> {
    return new Promise((resolve, reject) => {
      shard.submit(
        command,
        (_state, refusal) => () =>
          resolve(refusal === undefined ? undefined : { code: refusal.code, message: refusal.message }),
        (error: ForelockError) => reject(new Stopped(error.message)),
      );
    });
  }
}

interface Settle {
  readonly resolve: (refused: Ended | undefined) => void;
  readonly reject: (error: Error) => void;
}

type Granted = readonly { readonly name: string; readonly token: FencingToken }[];

/** M6: whether every part is held is asked in the turn that grants, and not before: another command may end one in between. */
class GrantEntry implements Entry {
  readonly #command: BatchCommand;
  readonly #nameLost: () => string | undefined;
  readonly #settle: Settle;
  #looked: { readonly nameLost: string | undefined } | undefined;
  #refused: Ended | undefined;

  constructor(command: BatchCommand, nameLost: () => string | undefined, settle: Settle) {
    this.#command = command;
    this.#nameLost = nameLost;
    this.#settle = settle;
  }

  get command(): BatchCommand | undefined {
    this.#looked ??= { nameLost: this.#nameLost() };
    return this.#looked.nameLost === undefined ? this.#command : undefined;
  }

  decided(_state: PartitionState, refusal: Refusal | undefined): boolean {
    const nameLost = this.#looked?.nameLost;
    if (nameLost !== undefined) this.#refused = lost(nameLost);
    else if (refusal !== undefined) this.#refused = { code: refusal.code, message: refusal.message };
    return true;
  }

  send(): void {
    this.#settle.resolve(this.#refused);
  }

  failed(error: ForelockError): void {
    this.#settle.reject(new Stopped(error.message));
  }
}

/** What a part is known by in its partition: no request id of a client has dots. */
function partKey(partition: number, batch: number, index: number): string {
  return `batch.${partition}.${batch}.${index}`;
}

/** The batch of a part, in its home partition. */
export function batchOfPart(key: string): { readonly partition: number; readonly batch: number } {
  const [, partition, batch] = key.split(".");
  return { partition: Number(partition), batch: Number(batch) };
}

interface Ended {
  readonly code: ErrorCode;
  readonly message: string;
}

const ENDED: Ended = { code: "cancelled", message: "The batch has ended." };

const lost = (name: string): Ended => ({
  code: "lock_lost",
  message: `${name} was lost before all elements were held.`,
});

function isReserved(shard: Shard, key: string): boolean {
  const part = shard.state.parts.get(key);
  return part !== undefined && "element" in part;
}

function grantToken(shard: Shard, key: string): FencingToken | undefined {
  const part = shard.state.parts.get(key);
  if (part === undefined || !("element" in part)) return undefined;
  assert(!part.reserved, "a confirmed part has its token");
  return part.token;
}
