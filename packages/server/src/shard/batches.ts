// batches.ts: drives lockAll over several partitions: takes the parts in order of names, one by one, then confirms all.
// The durable truth is the batch in its home partition and the parts in theirs; every step is idempotent and driven again after a
// start until its answer is durable. Elements are taken in one global order, so that batches cannot wait for each other in a circle.
//   M4. Parts get tokens only after the home partition has logged that all are reserved.
//   M5. When a batch ends without a grant, every part is given up before the batch is forgotten.
//   M6. A batch is granted only while every part is still held: a part that has its token can be lost like any grant, by force or with
//       its session, and then the whole batch ends.
//   M8. A step whose answer was lost is asked again under a higher fence, and so is every step of a new driver: what is late is refused.
import { type ErrorCode, ForelockError } from "@forelock/protocol";
import type { Timer } from "../clock.ts";
import type { BatchCommand, CommandPart, Fence, Refusal } from "../partition/commands.ts";
import type { Batch, FencingToken, Operation, PartitionState } from "../partition/state.ts";
import { Fences } from "./fences.ts";
import type { Node } from "./node.ts";
import {
  isPartKey,
  lookAt,
  lookDurably,
  type PartAnswer,
  partAnswer,
  partKey,
  type StepCommand,
  stepMessage,
  submitStep,
  waitOf,
} from "./parts.ts";
import type { Entry, Shard } from "./shard.ts";

/** A part that waits at another node is asked about again after this time, if nothing was heard. */
const AWAIT_MS = 10_000;

export function isPart(operation: Operation): boolean {
  return isPartKey(operation.requestId);
}

/** Where a step that must not get lost is tried again: the partition stopped, so the node does too. */
class Stopped extends Error {}

export class Batches {
  readonly #node: Node;
  readonly #running = new Set<Operation>();
  /** Parts that wait in this node, by key: who is told when they are granted or end. */
  readonly #waiting = new Map<string, Waiting>();
  /** Called when the operation of a batch ended by itself: session gone, cancelled. */
  readonly #interrupts = new Map<Operation, () => void>();
  readonly #fences = new Fences();

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
    const key = operation.requestId;
    if (key !== "" && this.#waiting.has(key)) {
      const wake = (): void => this.#wake(key);
      shard.afterDurable(wake, wake);
    }
    const interrupt = this.#interrupts.get(operation);
    if (interrupt !== undefined) shard.afterDurable(interrupt);
  }

  /** The partition is not led here any more: parts in it are asked about elsewhere. */
  left(partition: number): void {
    for (const [key, waiting] of this.#waiting) if (waiting.partition === partition) this.#wake(key);
  }

  #wake(key: string): void {
    const waiting = this.#waiting.get(key);
    this.#waiting.delete(key);
    waiting?.wake();
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
    const parts = batch.parts.map((part, index) => new Driven(home, batch, part, index));
    const refusal = batch.stage === "confirming" ? undefined : await this.#reserveAll(home, batch, parts);
    if (refusal !== undefined) return this.#giveUp(home, batch, parts, refusal);
    const confirming = await this.#step(home, { kind: "confirm_batch", batch: batch.id });
    if (confirming !== undefined) return this.#giveUp(home, batch, parts, confirming);
    for (const part of parts) {
      const answer = await this.#ask(part, (fence) => ({ kind: "confirm_part", part: part.key, fence })); // M4
      if (answer.kind !== "confirmed") return this.#giveUp(home, batch, parts, notHeld(part, answer));
      part.token = answer.token;
    }
    const gone = await this.#lostElsewhere(parts);
    const refused = gone === undefined ? await this.#grant(home, batch, parts) : lost(gone.name);
    if (refused !== undefined) await this.#giveUp(home, batch, parts, refused);
  }

  /** M6: asked of the other nodes once all are confirmed. */
  async #lostElsewhere(parts: readonly Driven[]): Promise<Driven | undefined> {
    const elsewhere = parts.filter(({ name }) => !this.#isHere(name));
    const looks = await Promise.all(elsewhere.map((part) => this.#ask(part, () => lookCommand(part.key, 0))));
    return elsewhere.find(({ token }, index) => {
      const look = looks[index];
      return look?.kind !== "confirmed" || look.token !== token;
    });
  }

  /** M6 */
  #grant(home: Shard, batch: Batch, parts: readonly Driven[]): Promise<Ended | undefined> {
    const nameLost = (): string | undefined =>
      parts.find(({ name, key, token }) => {
        if (!this.#isHere(name)) return false;
        const look = lookAt(this.#node.shardOf(name).state, key);
        return look.kind !== "confirmed" || look.token !== token;
      })?.name;
    const grants = parts.map(({ name, token }) => ({ name, token }));
    return new Promise((resolve, reject) => {
      home.enter(new GrantEntry({ kind: "grant_batch", batch: batch.id, grants }, nameLost, { resolve, reject }));
    });
  }

  /** @returns why not, or undefined when every part is reserved */
  async #reserveAll(home: Shard, batch: Batch, parts: readonly Driven[]): Promise<Ended | undefined> {
    const interrupt = new Interrupt();
    const timer = this.#timeoutOf(home, batch, interrupt);
    this.#interrupts.set(batch.operation, () => interrupt.end(ENDED));
    // It may have ended before this was there to be told: just after it was opened, or before a restart.
    if (batch.operation.outcome !== undefined) interrupt.end(ENDED);
    try {
      for (const part of parts) {
        const refusal = await this.#reserve(home, batch, part, interrupt);
        if (refusal !== undefined) return refusal;
      }
      return undefined;
    } finally {
      timer?.dispose();
      this.#interrupts.delete(batch.operation);
      for (const { key } of parts) this.#wake(key);
    }
  }

  async #reserve(home: Shard, batch: Batch, part: Driven, interrupt: Interrupt): Promise<Ended | undefined> {
    if (interrupt.why !== undefined) return interrupt.why;
    const session = home.state.sessionByNumber.get(batch.session);
    if (session === undefined) return { code: "session_expired", message: "The session has ended." };
    const { key, element } = part;
    const terms = { part: key, session, element, rollback: batch.rollback, actor: batch.actor };
    let answer = await this.#ask(part, (fence) => ({ kind: "reserve_part", fence, ...terms }), interrupt);
    // Parts of a try do not wait: the batch ends as soon as one is not free.
    if (answer.kind === "waiting" && batch.deadlineMs === batch.sinceMs)
      return interrupt.why ?? { code: "busy", message: `${part.name} is held or queued for.` };
    while (answer.kind === "waiting" && interrupt.why === undefined) {
      const settled = this.#ask(part, () => lookCommand(key, AWAIT_MS), interrupt);
      settled.catch(() => {}); // Nobody listens any more once the batch is over.
      answer = await Promise.race([settled, interrupt.ended.then(() => WAITING)]);
    }
    if (interrupt.why !== undefined) return interrupt.why;
    return answer.kind === "reserved" || answer.kind === "confirmed" ? undefined : notHeld(part, answer);
  }

  #timeoutOf(home: Shard, batch: Batch, interrupt: Interrupt): Timer | undefined {
    const { clock } = this.#node.options;
    if (batch.deadlineMs === batch.sinceMs) {
      const { peers } = this.#node;
      const message = "A node that it needs did not answer in time.";
      return peers && clock.after(peers.holdMs, () => interrupt.end({ code: "unavailable", message }));
    }
    const leftMs = batch.deadlineMs - home.state.clockMs;
    if (leftMs === Number.POSITIVE_INFINITY) return undefined;
    const message = "The wait was not granted in time.";
    return clock.after(Math.max(0, leftMs), () => interrupt.end({ code: "timeout", message }));
  }

  /** M5. At once: a node that cannot be reached must not hold up what the others have. */
  async #giveUp(home: Shard, batch: Batch, parts: readonly Driven[], why: Ended): Promise<void> {
    await Promise.all(
      parts.map((part) => this.#ask(part, (fence) => ({ kind: "abandon_part", part: part.key, fence }))),
    );
    await this.#step(home, { kind: "end_batch", batch: batch.id, code: why.code, message: why.message });
  }

  /**
   * Asks until it is answered: by whoever decides for the part when it is asked.
   * @param interrupt ends the asking too, as if the part waited: what was asked may have been taken
   */
  async #ask(
    part: Driven,
    command: (fence: Fence | undefined) => StepCommand,
    interrupt?: Interrupt,
  ): Promise<PartAnswer> {
    const { peers } = this.#node;
    const { home } = part;
    for (;;) {
      const { stopped } = home;
      if (stopped !== undefined) throw new Stopped(stopped.message);
      const fence = this.#fences.of(home, this.#node.partitionOf(part.name), peers !== undefined);
      try {
        const answer = await this.#askOnce(part, command(fence));
        if (answer.kind !== "refused" || answer.code !== "fenced") return answer;
        // Of this driver, asked before another answer was lost: or a later driver has begun.
        if (fence === undefined || !this.#fences.isOld(home, fence)) throw new Stopped(answer.message);
      } catch (cause) {
        if (!(cause instanceof ForelockError)) throw cause;
        if (peers === undefined) throw new Stopped(cause.message);
        if (fence !== undefined) this.#fences.lost(home, fence);
        await peers.pause();
      }
      if (interrupt?.why !== undefined) return WAITING;
    }
  }

  async #askOnce(part: Driven, command: StepCommand): Promise<PartAnswer> {
    const { peers } = this.#node;
    const partition = this.#node.partitionOf(part.name);
    if (!this.#isHere(part.name) && peers !== undefined)
      return partAnswer(await peers.step(partition, stepMessage(part.name, command)));
    const shard = this.#node.shardAt(partition);
    if (command.kind !== "await_part") return submitStep(shard, command);
    const answer = await lookDurably(shard, part.key);
    if (answer.kind !== "waiting" || command.waitMs === 0) return answer;
    await this.#settled(shard, part.key);
    return lookDurably(shard, part.key);
  }

  /** Until the part has been granted or has ended, or its partition is not led here any more. */
  #settled(shard: Shard, key: string): Promise<void> {
    return new Promise((resolve) => {
      if (waitOf(shard.state, key) === undefined || shard.stopped !== undefined) return resolve();
      this.#wake(key); // Nobody else asks: its driver asks once at a time.
      this.#waiting.set(key, { partition: shard.partition, wake: resolve });
    });
  }

  #isHere(name: string): boolean {
    return this.#node.peers?.isHere(this.#node.partitionOf(name)) ?? true;
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

interface Waiting {
  readonly partition: number;
  readonly wake: () => void;
}

/** A part of a batch that is driven here. */
class Driven {
  readonly home: Shard;
  readonly element: CommandPart;
  readonly key: string;
  token: FencingToken = 0n as FencingToken;

  constructor(home: Shard, batch: Batch, element: CommandPart, index: number) {
    this.home = home;
    this.element = element;
    this.key = partKey(home.partition, batch.id, index);
  }

  get name(): string {
    return this.element.name;
  }
}

/** The end of a batch while its parts are taken. */
class Interrupt {
  why: Ended | undefined;
  readonly ended: Promise<void>;
  #wake = (): void => {};

  constructor() {
    this.ended = new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  end(why: Ended): void {
    this.why ??= why;
    this.#wake();
  }
}

interface Settle {
  readonly resolve: (refused: Ended | undefined) => void;
  readonly reject: (error: Error) => void;
}

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

interface Ended {
  readonly code: ErrorCode;
  readonly message: string;
}

const ENDED: Ended = { code: "cancelled", message: "The batch has ended." };

const lost = (name: string): Ended => ({
  code: "lock_lost",
  message: `${name} was lost before all elements were held.`,
});

function notHeld({ name }: Driven, answer: PartAnswer): Ended {
  return answer.kind === "refused" ? { code: answer.code, message: answer.message } : lost(name);
}

function lookCommand(part: string, waitMs: number): StepCommand {
  return { kind: "await_part", part, waitMs };
}

const WAITING: PartAnswer = { kind: "waiting" };
