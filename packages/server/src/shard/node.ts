// node.ts: all partitions of this node behind the one interface of the carriers (service.ts). Routes a request to its partition,
// turns outcomes into messages, and keeps what belongs to no partition: known sessions, awaits, watches.
// Not here: decisions (partition/), the turn loop (shard.ts), batches over partitions (batches.ts), who owns a partition (cluster/).
//   G1. What leaves is durable: everything is sent from `send` functions that the shards release.
//   G2. A partition that this node does not lead has a stopped shard with an empty state: whoever asks it is told `not_owner`.
import {
  createPlacement,
  ForelockError,
  type HeartbeatReply,
  type Operation as OperationMessage,
  type Placement,
  Preemptible,
  type Reply,
  unreachable,
  type Welcome,
} from "@forelock/protocol";
import type { BulkStore } from "../bulk/bulk-store.ts";
import { type Clock, type RandomBytes, repeat, type Timer } from "../clock.ts";
import type { EventLog } from "../log/event-log.ts";
import type { PartitionLimits, SessionCommand } from "../partition/commands.ts";
import type { PartitionEvent } from "../partition/events.ts";
import { createState, type FileRow, type PartitionState, type Wait } from "../partition/state.ts";
import type { HoldForecasts } from "../preempt/engine.ts";
import { acquireReply, asForelockError, errorMessage, errorReply } from "./answers.ts";
import { refuseAppend } from "./appends.ts";
import { Awaits } from "./awaits.ts";
import { Batches, isPart } from "./batches.ts";
import { countersOf } from "./counters.ts";
import { Deadlocks } from "./deadlocks.ts";
import { FileReads } from "./file-reads.ts";
import { Foresight, LOOK_MS } from "./foresight.ts";
import { Forgetting } from "./forgetting.ts";
import type { ReadHistory } from "./history.ts";
import { Insight } from "./insight.ts";
import { Liveness } from "./liveness.ts";
import type { ModelWorker } from "./models.ts";
import { OperationReads, referenceOfSequence } from "./operation-reads.ts";
import { Operators } from "./operators.ts";
import { type CallOut, Owed } from "./owed.ts";
import type { Ownership } from "./ownership.ts";
import type { Peers } from "./parts.ts";
import { PeerRequests } from "./peer-requests.ts";
import { clientOf } from "./profiles.ts";
import { parseReference, referenceOf } from "./reference.ts";
import { refuseReused } from "./request-ids.ts";
import { type Asker, acquireAllCommand, acquireCommand, otherCommand } from "./requests.ts";
import type { Caller, NoticeSink, OpenedSession, OpenSession, ResumeSession, Service, Vitals } from "./service.ts";
import { endOfClosed, isGrowth, isOfSession, SessionRequest, type TurnedAway } from "./session-request.ts";
import { hashSecret, isSecret, type KnownSession, SessionDirectory } from "./sessions.ts";
import { type Defer, notOwner, Shard, type ShardObserver } from "./shard.ts";
import { happeningsOf, Watches } from "./watches.ts";
import { expiredOf, welcomeOf } from "./welcome.ts";

export interface NodeLimits extends PartitionLimits {
  readonly grantsPerTurnMax: number;
  readonly sessionTtlMs: number;
  readonly sessionTtlMsMax: number;
  readonly keepMs: number;
  readonly keepMsMax: number;
  readonly awaitsMax: number;
  readonly deadlockCheckMs: number;
  readonly frameBytesMax: number;
  readonly frameOperationsMax: number;
  readonly requestsInFlightMax: number;
}

export interface NodeOptions {
  /** One for each partition. With `ownership` none is led before `lead`. */
  readonly states: readonly PartitionState[];
  /** Undefined: nobody else has the log, and `start` leads everything. */
  readonly ownership?: Ownership;
  readonly log: EventLog;
  readonly bulk: BulkStore;
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly defer: Defer;
  readonly limits: NodeLimits;
  /** 16 bytes, from the format record. */
  readonly placementKey: Uint8Array;
  readonly isDurable: boolean;
  readonly version: string;
  /** Where the server is reached, when it is; for operators. */
  readonly address?: () => string;
  /** Looks through the log for GetHistory. Undefined: in this thread, through `log`. */
  readonly readHistory?: ReadHistory;
  /** False: nothing is learned, forecast or acted on. */
  readonly isPredicting?: boolean;
  /** Between what was learned and those who ask: for tests, which put an adversary there. */
  readonly forecasts?: (profiles: HoldForecasts) => HoldForecasts;
  /** The thread that fits models. Undefined: none are fitted. */
  readonly models?: ModelWorker;
  /** Whether grants may ask for calls to this URL when they are lost. Undefined: to none. */
  readonly isCompensationAllowed?: (url: string) => boolean;
  /** Carries those calls out. Undefined: they stay owed. */
  readonly callOut?: CallOut;
  /** How busy the node is, 0 to 1. */
  readonly load?: () => number;
  /** One line for the operator: audit of operator commands, failures. */
  readonly note: (line: string, fields: Readonly<Record<string, unknown>>) => void;
}

const LIVENESS_CHECK_MS = 50;
const KEEP_TIME_MS = 1_000;
/** An element may wait for a call before it is granted again. */
const OWED_CHECK_MS = 100;

type Respond = (reply: Reply) => void;

const NOTHING_TO_WITHDRAW = (): void => {};

const NOTHING_TO_SEND = (): undefined => undefined;

export class Node implements Service {
  /** One for each partition, led or not (G2). The array stays, its shards change with ownership. */
  readonly shards: Shard[];
  readonly limits: NodeLimits;
  readonly options: NodeOptions;
  readonly directory: SessionDirectory;
  readonly awaits: Awaits;
  readonly partitionOf: Placement;
  readonly #liveness: Liveness;
  readonly deadlocks: Deadlocks;
  readonly #watches = new Watches();
  readonly batches: Batches;
  readonly foresight: Foresight;
  readonly insight: Insight;
  readonly #operators: Operators;
  readonly #fileReads: FileReads;
  readonly #operationReads: OperationReads;
  readonly #forgetting: Forgetting;
  readonly #peerRequests: PeerRequests;
  readonly #timers: Timer[] = [];
  readonly #led = new Set<number>();
  readonly #observer: ShardObserver;
  readonly #startedAtMs: number;
  #unavailable: string | undefined = "starting";
  #stopCause: Error | undefined;
  #isBulkStopNoted = false;
  #operations = 0;
  refusals = 0;
  /** In a cluster: told of operations of sessions that failed for a reason that another node may not have. True: it answers. */
  turnedAway: ((asked: TurnedAway, partition: number, error: ForelockError) => boolean) | undefined;
  /** In a cluster: told before a partition is given up, while it is still known which sessions are registered there. */
  leaving: ((partition: number) => void) | undefined;
  /** The other nodes of the cluster, once there is one. */
  peers: Peers | undefined;
  #lost = 0;

  constructor(options: NodeOptions) {
    this.options = options;
    this.limits = options.limits;
    this.#startedAtMs = options.clock.monotonicMs();
    this.partitionOf = createPlacement(options.placementKey, options.states.length);
    this.directory = new SessionDirectory(options.limits.sessionsMax);
    this.foresight = new Foresight(this);
    this.insight = new Insight(this);
    this.#observer = this.#makeObserver();
    this.shards = options.states.map((state) => this.#shard(state));
    for (const shard of this.shards) {
      if (options.ownership !== undefined)
        shard.stop(notOwner(shard.partition)); // G2
      else this.#adopt(shard);
    }
    this.#liveness = new Liveness(this.directory, this.shards);
    this.deadlocks = new Deadlocks(this.shards, options.clock, (element) =>
      this.isPredicting ? this.foresight.profiles.predictedWaitMs(element) : 0,
    );
    this.awaits = new Awaits(options.clock, options.limits.awaitsMax);
    this.batches = new Batches(this);
    this.#operators = new Operators(this);
    this.#fileReads = new FileReads(this);
    this.#operationReads = new OperationReads(this);
    this.#forgetting = new Forgetting(this.directory, this.shards);
    this.#peerRequests = new PeerRequests(this);
  }

  get unavailable(): string | undefined {
    return this.#unavailable;
  }

  get isPredicting(): boolean {
    return this.options.isPredicting ?? true;
  }

  get uptimeMs(): number {
    return Math.floor(this.options.clock.monotonicMs() - this.#startedAtMs);
  }

  /** Takes every partition over under `epoch`; resolves when that is durable and work is accepted. */
  async start(epoch: number, files: readonly string[]): Promise<void> {
    await Promise.all(this.shards.map((shard) => this.#submitOwn(shard, { kind: "start", epoch })));
    await Promise.all(files.map((name) => this.createFile(name)));
    for (const shard of this.shards) this.foresight.adopt(shard);
    this.open();
    for (const shard of this.shards) this.batches.resume(shard);
  }

  /** Accepts work for what is led, now and later. */
  open(): void {
    this.#unavailable = undefined;
    this.#repeat(LIVENESS_CHECK_MS, () => this.#liveness.check(this.options.clock.monotonicMs()));
    this.#repeat(this.limits.deadlockCheckMs, () => this.deadlocks.check());
    this.#repeat(KEEP_TIME_MS, () => this.#keepTime());
    if (this.isPredicting) for (const { everyMs, run } of this.foresight.rhythm) this.#repeat(everyMs, run);
    else this.#repeat(LOOK_MS, () => this.foresight.resend());
    if (this.options.callOut !== undefined) {
      const owed = new Owed(this.shards, this.options.callOut);
      this.#repeat(OWED_CHECK_MS, () => owed.check());
    }
  }

  /** Creates the file unless it exists. The partition of its name must be led here. */
  createFile(name: string): Promise<void> {
    return this.#submitOwn(this.shardOf(name), { kind: "create_file", name });
  }

  leads(partition: number): boolean {
    return this.#led.has(partition);
  }

  /** Partitions that are led here, rising. */
  get led(): readonly number[] {
    return [...this.#led].sort((a, b) => a - b);
  }

  /**
   * Leads a partition from `state` on, which has every record of the log, under `epoch`, which the log has. The state belongs to
   * the node from here. Work is taken in at once, behind the start; resolves when that is durable.
   */
  async lead(state: PartitionState, epoch: number): Promise<void> {
    const { partition } = state;
    const shard = this.#shard(state);
    this.#adopt(shard);
    this.shards[partition] = shard;
    const started = this.#submitOwn(shard, { kind: "start", epoch });
    shard.read(() => void this.foresight.adopt(shard), NOTHING_TO_WITHDRAW); // Before anything else is decided.
    await started;
    if (partition === 0) this.foresight.policies.follow(state);
    this.batches.resume(shard);
  }

  /** Leads the partition no more; what waits in it is told `not_owner`. @returns the state, which is durable when it was frozen */
  resign(partition: number): PartitionState {
    this.leaving?.(partition);
    const shard = this.shardAt(partition);
    this.#led.delete(partition);
    for (const known of this.directory) known.partitions.delete(partition);
    shard.stop(notOwner(partition), notOwner(partition));
    const empty = this.#shard(createState(partition));
    empty.stop(notOwner(partition));
    this.shards[partition] = empty;
    this.awaits.abandon(partition);
    this.batches.left(partition);
    return shard.state;
  }

  /** No new work; what was taken in is answered. Resolves when the log has it. */
  async drain(): Promise<void> {
    this.#unavailable ??= "stopping";
    for (const timer of this.#timers.splice(0)) timer.dispose();
    await Promise.all(
      this.shards.map(
        (shard) =>
          new Promise<void>((resolve) => {
            shard.read(
              () => () => resolve(),
              () => resolve(),
            );
          }),
      ),
    );
    for (const shard of this.shards) shard.stop(new ForelockError("unavailable", "The server is stopping."));
  }

  shardOf(name: string): Shard {
    return this.shardAt(this.partitionOf(name));
  }

  shardAt(partition: number): Shard {
    const shard = this.shards[partition];
    if (shard === undefined) throw new ForelockError("operation_unknown", `There is no partition ${partition}.`);
    return shard;
  }

  openSession(caller: Caller, open: OpenSession): OpenedSession {
    this.#refuseWhenUnavailable();
    const secret = this.options.random(32);
    const id = Buffer.from(this.options.random(16)).toString("base64url");
    return { session: this.#addSession(id, secret, caller, open), secret };
  }

  resumeSession(caller: Caller, resume: ResumeSession): OpenedSession {
    this.#refuseWhenUnavailable();
    const id = Buffer.from(resume.sessionId).toString("base64url");
    const known = this.directory.get(id);
    if (known === undefined) {
      const ended = this.shards.filter((shard) => shard.hasEnded(id)).map(({ partition }) => partition);
      if (ended.length > 0 && this.options.ownership === undefined)
        throw new ForelockError("session_expired", `Session ${id} has expired.`);
      // Nothing is held under it here, so it may begin anew under its own secret: it may live at other nodes.
      const session = this.#addSession(id, resume.secret, caller, resume);
      for (const partition of this.options.ownership?.mayAnswer() === true ? ended : []) session.expired.add(partition);
      return { session, secret: undefined };
    }
    if (known.principal !== caller.principal || !isSecret(known, resume.secret)) {
      throw new ForelockError("session_unknown", "No session of this id and secret is known.");
    }
    if (known.isClosing) throw new ForelockError("session_closed", `Session ${id} is being closed.`);
    if (resume.ttlMs !== undefined && known.partitions.size === 0) known.ttlMs = this.#ttlMs(resume); // Begun anew by who did not tell.
    known.application = resume.application ?? known.application; // Partitions do not keep it: a restart forgets it until here.
    this.foresight.profiles.declare(clientOf(known), known.application);
    this.#liveness.heard(known, this.options.clock.monotonicMs());
    if (resume.open !== undefined) this.#forgetting.allBut(known, resume.open);
    return { session: known, secret: undefined };
  }

  welcome(caller: Caller, opened: OpenedSession): Promise<Welcome> {
    return welcomeOf(this, caller, this.#known(opened.session), opened.secret);
  }

  listen(session: OpenedSession["session"], sink: NoticeSink): () => void {
    const known = this.#known(session);
    known.sink = sink;
    known.connections += 1;
    return () => {
      known.connections -= 1;
      if (known.sink === sink) known.sink = undefined;
    };
  }

  heartbeat(
    session: OpenedSession["session"],
    number: number,
    vitals: Vitals,
    respond: (reply: HeartbeatReply) => void,
  ): void {
    const known = this.#known(session);
    Object.assign(known, { lagMs: vitals.lagMs, health: vitals.health });
    this.foresight.heard(known, this.options.clock.monotonicMs());
    this.#liveness.heard(known, this.options.clock.monotonicMs(), () => {
      const answer = (): void =>
        respond({ number, partitions: [...known.partitions], expiredPartitions: expiredOf(this, known) });
      if (this.options.ownership?.holds(known.id, answer) !== true) answer();
    });
  }

  acknowledge(session: OpenedSession["session"], lowestUnanswered: number, settled: readonly number[]): void {
    const known = this.directory.get(session.id);
    if (known === undefined) return; // It has ended, and so has what there was to forget.
    this.#liveness.heard(known, this.options.clock.monotonicMs());
    if (lowestUnanswered > known.lowest) known.lowest = lowestUnanswered;
    if (settled.length > 0) this.#forgetting.settled(known, settled);
  }

  submit(
    caller: Caller,
    session: OpenedSession["session"] | undefined,
    operation: OperationMessage,
    respond: Respond,
  ): () => void {
    this.#operations += 1;
    let isWithdrawn = false;
    const answer = isOfSession(operation)
      ? respond // Often and short: nobody withdraws from these, so that they cost no closure.
      : (reply: Reply): void => {
          if (!isWithdrawn) respond(reply);
        };
    try {
      if (operation.body?.$case !== "getStatus") this.#refuseWhenUnavailable(); // Which tells what is wrong.
      this.#route(caller, session === undefined ? undefined : this.#known(session), operation, answer);
    } catch (cause) {
      const error = asForelockError(cause);
      if (error.code === "internal") this.options.note("request failed", { error: String(cause) });
      this.refusals += 1;
      this.options.defer(() => answer(errorReply(operation.sequence, errorMessage(error))));
    }
    if (answer === respond) return NOTHING_TO_WITHDRAW;
    return () => {
      isWithdrawn = true;
    };
  }

  watch(caller: Caller, pattern: string, watch: number, sink: NoticeSink): () => void {
    return this.#watches.add(caller, pattern, watch, sink);
  }

  state(caller: Caller, limit: number): Promise<Readonly<Record<string, unknown>>> {
    return this.#operators.state(caller, limit);
  }

  counters(): Readonly<Record<string, number>> {
    return {
      ...countersOf(this),
      operations_total: this.#operations,
      grants_lost_total: this.#lost,
      ...this.deadlocks.counters(),
      threshold_nodes_missing: this.foresight.thresholds.missing.length,
      watches: this.#watches.size,
      up: this.#unavailable === undefined ? 1 : 0,
    };
  }

  get stopCause(): Error | undefined {
    return this.#stopCause;
  }

  /** Submits a session's command and answers with its operation. */
  carryOut(shard: Shard, command: SessionCommand, operation: OperationMessage, caller: Caller, respond: Respond): void {
    const known = this.directory.get(command.session.id);
    if (known !== undefined) {
      refuseReused(this.shards, shard, known, command.request);
      this.#forgetting.answered(shard, known);
    }
    shard.enter(new SessionRequest(this, shard, command, operation, caller, respond));
  }

  #route(caller: Caller, session: KnownSession | undefined, operation: OperationMessage, respond: Respond): void {
    const { body, sequence } = operation;
    if (body === undefined)
      throw new ForelockError("bad_argument", "body is missing: an operation names what it does.");
    if (isGrowth(body.$case)) this.#refuseGrowth();
    switch (body.$case) {
      case "acquire": {
        const asker = this.#asker(session);
        const { name, preemptible, compensation } = body.value;
        const isNever = preemptible === Preemptible.NEVER;
        const isSpecial = isNever || compensation !== undefined;
        const refusal = isSpecial ? this.insight.refuseTerms(name, isNever, compensation?.url) : undefined;
        const command = acquireCommand(operation, body.value, asker, refusal);
        return this.carryOut(this.shardOf(name), command, operation, caller, respond);
      }
      case "release":
      case "upgrade":
      case "downgrade": {
        const shard = this.shardOf(body.value.name);
        return this.carryOut(
          shard,
          otherCommand(operation, this.#asker(session), undefined),
          operation,
          caller,
          respond,
        );
      }
      case "append": {
        refuseAppend(this.options.bulk, this.options.ownership);
        const element = body.value.element === "" ? body.value.file : body.value.element;
        const partition = this.partitionOf(body.value.file);
        if (partition !== this.partitionOf(element)) {
          throw new ForelockError(
            "bad_argument",
            `element: ${element} must share a tag with file ${body.value.file}, to lie in its partition.`,
          );
        }
        const command = otherCommand(operation, this.#asker(session), undefined);
        return this.carryOut(this.shardAt(partition), command, operation, caller, respond);
      }
      case "acquireAll": {
        const partitions = new Set(body.value.elements.map((element) => this.partitionOf(element.name)));
        const command = acquireAllCommand(operation, body.value, this.#asker(session), partitions.size === 1);
        const home = command.kind === "acquire" || command.kind === "open_batch" ? command.parts[0]?.name : undefined;
        return this.carryOut(this.shardOf(home ?? ""), command, operation, caller, respond);
      }
      case "cancel": {
        const asker = this.#asker(session);
        const { reference } = body.value;
        const text = reference === "" ? referenceOfSequence(this, asker.session.id, body.value.sequence) : reference;
        const parsed = text === undefined ? undefined : parseReference(text, caller.principal);
        if (parsed === undefined)
          throw new ForelockError("operation_unknown", `reference = ${reference} names no operation.`);
        const command = otherCommand(operation, asker, parsed.target);
        return this.carryOut(this.shardAt(parsed.partition), command, operation, caller, respond);
      }
      case "getOperation":
        return this.#operationReads.get(caller, body.value, sequence, respond);
      case "closeSession":
        if (session === undefined) throw new ForelockError("session_unknown", "The connection has no session.");
        return this.#operators.closeSession(session, sequence, respond);
      case "readFile":
        return this.#fileReads.readFile(body.value, sequence, respond);
      case "readRecords":
        return this.#fileReads.readRecords(body.value, sequence, respond);
      case "forceRelease":
      case "endSession":
      case "listFiles":
      case "why":
      case "listLocks":
      case "listSessions":
      case "getStatus":
      case "getHistory":
      case "getCluster":
      case "changeCluster":
        return this.#operators.carryOut(caller, body, sequence, respond);
      case "readBulk":
        throw new ForelockError("not_supported", "This node is in no cluster.");
      case "watch":
      case "unwatch":
        throw new ForelockError("not_supported", "Watches are a matter of the connection.");
      case "acknowledge": {
        const command = otherCommand(operation, this.#asker(session), undefined);
        const judged = this.insight.acknowledgement(command, body.value);
        return this.carryOut(this.shardOf(body.value.name), judged, operation, caller, respond);
      }
      case "warn":
      case "setPolicy":
      case "listPolicies":
      case "getProfile":
      case "getPrediction":
        return this.insight.carryOut(caller, body, sequence, respond);
      case "peer":
        return this.#peerRequests.carryOut(caller, body.value, sequence, respond);
      default:
        return unreachable(body);
    }
  }

  #shard(state: PartitionState): Shard {
    const { log, clock, defer, limits, isDurable, ownership } = this.options;
    return new Shard({
      state,
      log,
      clock,
      defer,
      limits,
      grantsPerTurnMax: limits.grantsPerTurnMax,
      isDurable,
      observer: this.#observer,
      ...(ownership === undefined ? {} : { mayAnswer: () => ownership.mayAnswer() }),
    });
  }

  #adopt({ partition, state }: Shard): void {
    this.#led.add(partition);
    this.directory.restore(state, this.options.clock.monotonicMs());
  }

  #makeObserver(): ShardObserver {
    const node = this;
    const { isPredicting } = this;
    return {
      sessionOpened(partition, sessionId) {
        const known = node.directory.get(sessionId);
        if (known !== undefined) known.partitions.add(partition);
        // It was closed while this command was on its way: nobody would ever end it here.
        else node.shards[partition]?.submit(endOfClosed(sessionId), NOTHING_TO_SEND, () => {});
      },
      sessionEnded(partition, sessionId) {
        const known = node.directory.get(sessionId);
        if (known === undefined) return;
        known.partitions.delete(partition);
        // Decided is not yet true: a deposed owner decides much that its log refuses.
        node.shards[partition]?.afterDurable(() => known.expired.add(partition));
      },
      operationEnded(shard, operation) {
        node.batches.operationEnded(shard, operation);
        const isAwaited = node.awaits.has(operation);
        if (isPart(operation)) {
          if (isAwaited) shard.afterDurable(() => node.awaits.settle(operation));
          return; // The business of its batch alone.
        }
        const sink = node.#sinkOf(operation.session?.id);
        if (sink === undefined && !isAwaited) return;
        const reply = acquireReply(shard.state, operation, undefined, node.partitionOf);
        shard.afterDurable(() => {
          if (isAwaited) node.awaits.settle(operation);
          sink?.notify({ body: { $case: "operation", value: reply } });
        });
      },
      grantLost(shard, grant, why, reason, undone, warning) {
        node.#lost += 1;
        node.foresight.lost(shard, grant, why, undone, warning);
        const sink = node.#sinkOf(grant.session.id);
        if (sink === undefined) return;
        const value = { name: grant.element.name, token: grant.token, why, reason, undone };
        shard.afterDurable(() => sink.notify({ body: { $case: "lost", value } }));
      },
      released(shard, grant) {
        if (isPredicting) node.foresight.released(shard, grant);
      },
      waited(shard, wait) {
        if (isPredicting) node.foresight.waited(shard, wait);
      },
      preempt(shard, event) {
        node.foresight.happened(shard, event);
      },
      appended(partition, file: FileRow, index, offset, bytes, checksum) {
        node.options.bulk.append({ partition, file: file.number }, { index, offset, bytes, checksum });
      },
      cut(partition, file) {
        node.options.bulk.truncate({ partition, file: file.number }, file.count, file.length, file.checksum);
      },
      moved(shard, wait: Wait, position) {
        const sink = node.#sinkOf(wait.session.id);
        if (sink === undefined || wait.reserve) return;
        const value = {
          sequence: wait.operation.sequence,
          reference: referenceOf(shard.partition, wait.operation),
          position,
          eta: undefined,
          soon: false,
        };
        shard.afterDurable(() => sink.notify({ body: { $case: "moved", value } }));
      },
      get isWatched() {
        return node.#watches.size > 0;
      },
      happened(shard: Shard, event: PartitionEvent) {
        const happenings = happeningsOf(shard.state, event);
        if (happenings.length === 0) return;
        const revision = shard.sequence + 1;
        shard.afterDurable(() => {
          for (const happening of happenings) node.#watches.publish(happening, shard.partition, revision);
        });
      },
      stopped(shard, cause) {
        node.#stopped(shard, cause);
      },
    };
  }

  #stopped(shard: Shard, cause: Error): void {
    const { ownership } = this.options;
    if (ownership === undefined || !(cause instanceof ForelockError) || cause.code !== "fenced")
      return this.#stopAll(cause);
    if (this.shards[shard.partition] !== shard) return;
    this.resign(shard.partition);
    ownership.fenced(shard.partition);
  }

  /** All partitions share the log stream: when it stops, all of them do. */
  #stopAll(cause: Error): void {
    if (this.#stopCause !== undefined) return;
    this.#stopCause = cause;
    this.#unavailable = "log_stopped";
    const code = cause instanceof ForelockError && cause.code === "internal" ? "internal" : "log_stopped";
    this.options.note("log stopped", { error: String(cause), cause: String(cause.cause ?? "") });
    for (const shard of this.shards) shard.stop(new ForelockError(code, "The log has stopped.", { cause }));
  }

  #sinkOf(sessionId: string | undefined): NoticeSink | undefined {
    return sessionId === undefined ? undefined : this.directory.get(sessionId)?.sink;
  }

  #asker(session: KnownSession | undefined): Asker {
    if (session === undefined) throw new ForelockError("session_unknown", "The operation needs a session.");
    if (session.isClosing) throw new ForelockError("session_closed", `Session ${session.id} is being closed.`);
    return { session, keepMsDefault: this.limits.keepMs, keepMsMax: this.limits.keepMsMax };
  }

  #known(session: OpenedSession["session"]): KnownSession {
    const known = this.directory.get(session.id);
    if (known === undefined) throw new ForelockError("session_expired", `Session ${session.id} has ended.`);
    return known;
  }

  #addSession(id: string, secret: Uint8Array, caller: Caller, open: OpenSession): KnownSession {
    const told = { principal: caller.principal, client: open.client, ttlMs: this.#ttlMs(open) };
    const identity = { id, secretHash: hashSecret(secret), ...told };
    const known = this.directory.add(identity, this.options.clock.monotonicMs());
    known.application = open.application ?? "";
    this.foresight.profiles.declare(clientOf(known), known.application);
    return known;
  }

  #ttlMs({ ttlMs }: OpenSession): number {
    return Math.min(ttlMs ?? this.limits.sessionTtlMs, this.limits.sessionTtlMsMax);
  }

  #keepTime(): void {
    const { bulk, note } = this.options;
    if (bulk.stopped !== undefined && !this.#isBulkStopNoted) {
      this.#isBulkStopNoted = true;
      note("file contents stopped", { error: String(bulk.stopped), cause: String(bulk.stopped.cause ?? "") });
    }
    for (const shard of this.shards) shard.keepTime();
    this.#forgetting.sweep();
  }

  #submitOwn(shard: Shard, command: Parameters<Shard["submit"]>[0]): Promise<void> {
    return new Promise((resolve, reject) => {
      shard.submit(command, () => () => resolve(), reject);
    });
  }

  #repeat(everyMs: number, run: () => void): void {
    this.#timers.push(repeat(this.options.clock, everyMs, run));
  }

  #refuseGrowth(): void {
    const why = this.options.ownership?.growthRefused();
    if (why !== undefined)
      throw new ForelockError("overloaded", `The log's store is nearly full: ${why}.`, { retryAfterMs: 1_000 });
  }

  #refuseWhenUnavailable(): void {
    if (this.#unavailable === undefined) return;
    if (this.#unavailable === "log_stopped") throw new ForelockError("log_stopped", "The log could not be written.");
    throw new ForelockError("unavailable", `The server is ${this.#unavailable}.`, { retryAfterMs: 500 });
  }
}
