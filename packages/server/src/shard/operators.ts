// operators.ts: what concerns all partitions at once, or is an operator's business: lists, status, force, ending sessions.
// Operator commands leave an audit line: who, what, why, from where.
import {
  FileInfo,
  ForelockError,
  type ListLocksRequest,
  type ListSessionsReply,
  LockInfo,
  type Operation as OperationMessage,
  type Reply,
  type Risk,
  SessionInfo,
  StatusReply,
  unreachable,
} from "@forelock/protocol";
import { FORCED_MAX } from "../lock/release.ts";
import type { Command } from "../partition/commands.ts";
import { stateHash } from "../partition/hash.ts";
import { holdersOf, isLive, type PartitionState, type Session } from "../partition/state.ts";
import { waitersFor } from "../preempt/target.ts";
import { aloneReport, refuseAlone } from "./alone.ts";
import { errorMessage, errorReply, respondWith } from "./answers.ts";
import { HistoryReader } from "./history.ts";
import type { Outlook } from "./insight.ts";
import type { Node } from "./node.ts";
import { chooseLocks, firstByName, firstChoices, listFiles, lockInfos, why } from "./reads.ts";
import type { Caller } from "./service.ts";
import type { KnownSession } from "./sessions.ts";
import type { Shard } from "./shard.ts";

const LIST_DEFAULT = 100;
const LIST_MAX = 1_000;
const GRANTS_LOOKED_MAX = 64;

type Respond = (reply: Reply) => void;
type OperatorBody = Extract<
  NonNullable<OperationMessage["body"]>,
  {
    $case:
      | "forceRelease"
      | "endSession"
      | "listFiles"
      | "why"
      | "listLocks"
      | "listSessions"
      | "getStatus"
      | "getHistory"
      | "getCluster"
      | "changeCluster";
  }
>;

export class Operators {
  readonly #node: Node;
  readonly #history: HistoryReader;

  constructor(node: Node) {
    this.#node = node;
    const { shards, partitionOf, options, limits } = node;
    const { log, readHistory: read } = options;
    this.#history = new HistoryReader({ shards, log, partitionOf, frameBytesMax: limits.frameBytesMax, read });
  }

  carryOut(caller: Caller, body: OperatorBody, sequence: number, respond: Respond): void {
    const answer = (reply: Promise<Reply["body"]>): void => respondWith(reply, sequence, respond);
    switch (body.$case) {
      case "forceRelease":
        return answer(this.#force(caller, body.value));
      case "endSession":
        return answer(this.#endSession(caller, body.value.session, body.value.reason));
      case "why": {
        const { name } = body.value;
        const shard = this.#node.shardOf(name);
        return shard.read(
          (state) => {
            const value = why(state, name, caller, this.#node.insight);
            return () => respond({ sequence, body: { $case: "why", value } });
          },
          (error) => respond(errorReply(sequence, errorMessage(error))),
        );
      }
      case "listLocks": {
        const limit = pageSize(body.value.limit);
        const rows = this.#locks(caller, body.value, limit);
        return answer(
          rows.then(({ locks, more, ledPartitions }) => {
            return { $case: "listLocks", value: { locks: [...locks], more, ledPartitions: this.#told(ledPartitions) } };
          }),
        );
      }
      case "listFiles": {
        const limit = pageSize(body.value.limit);
        const read = this.#readLed((state) => listFiles(state, body.value, limit, caller));
        return answer(
          read.then(({ rows, ledPartitions }) => {
            const value = { ...page(rows, limit, "files"), ledPartitions: this.#told(ledPartitions) };
            return { $case: "listFiles", value };
          }),
        );
      }
      case "listSessions": {
        const limit = pageSize(body.value.limit);
        const { after } = body.value;
        return answer(this.#sessions(caller, after, limit).then((value) => ({ $case: "listSessions", value })));
      }
      case "getStatus":
        return answer(this.status().then((value) => ({ $case: "getStatus", value })));
      case "getHistory":
        return answer(this.#history.get(caller, body.value).then((value) => ({ $case: "getHistory", value })));
      case "getCluster":
        return answer(Promise.resolve({ $case: "getCluster", value: aloneReport(this.#node) }));
      case "changeCluster":
        return answer(refuseAlone(body.value.action).then((value) => ({ $case: "changeCluster", value })));
      default:
        return unreachable(body);
    }
  }

  closeSession(session: KnownSession, sequence: number, respond: Respond): void {
    session.isClosing = true;
    this.#endEverywhere(session).then(
      () => {
        if (session.partitions.size === 0) this.#node.directory.remove(session); // Else one came here meanwhile, with it in its state.
        respond({ sequence, body: { $case: "closeSession", value: {} } });
      },
      (error: ForelockError) => respond(errorReply(sequence, errorMessage(error))),
    );
  }

  /** Also where a command that came before the close has registered the session meanwhile. */
  async #endEverywhere(session: KnownSession): Promise<void> {
    while (session.partitions.size > 0) {
      await Promise.all([...session.partitions].map((partition) => this.#end(partition, session.id, "closed", "")));
    }
  }

  async status(): Promise<StatusReply> {
    const node = this.#node;
    const totals = { grants: 0, waiting: 0, files: 0, operations: 0, epoch: 0 };
    const hashes: string[] = [];
    const take = (state: PartitionState): readonly never[] => {
      totals.grants += state.grants;
      totals.waiting += state.waits.size;
      totals.files += state.files.size;
      totals.operations += state.operations;
      totals.epoch = Math.max(totals.epoch, state.epoch);
      hashes[state.partition] = stateHash(state);
      return [];
    };
    // A stopped log answers no reads, but its operator needs to see why.
    if (node.stopCause === undefined) await this.#readAll(take);
    return {
      version: node.options.version,
      partitions: node.shards.length,
      uptimeMs: node.uptimeMs,
      sessions: node.directory.size,
      ...totals,
      durable: node.options.isDurable,
      stopped: node.stopCause?.message ?? node.options.bulk.stopped?.message ?? "",
      connections: [...node.directory].reduce((sum, session) => sum + session.connections, 0),
      stateHash: combineHashes(hashes),
      logBytes: node.options.log.bytesSinceSnapshot,
    };
  }

  async state(caller: Caller, limit: number): Promise<Readonly<Record<string, unknown>>> {
    const wanted = { prefix: "", after: "", limit, stuck: false, heldMsMin: 0, byPain: false };
    const status = await this.status();
    const { locks, found } = await this.#locks(caller, wanted, limit);
    const files = await this.#readAll((state) => listFiles(state, wanted, limit, caller));
    const sessions = await this.#sessions(caller, "", limit);
    const isOperator = caller.may("read", "");
    return {
      status: StatusReply.toJSON(status),
      locks: locks.map((lock) => LockInfo.toJSON(lock)),
      locksTotal: isOperator ? this.#node.shards.reduce((sum, { state }) => sum + state.elements.size, 0) : found,
      files: firstByName(files, (file) => file.name, limit).map((file) => FileInfo.toJSON(file)),
      filesTotal: isOperator ? status.files : files.length,
      sessions: sessions.sessions.map((session) => SessionInfo.toJSON(session)),
      sessionsTotal: isOperator ? status.sessions : sessions.sessions.length,
    };
  }

  /** Chosen in one look and described in a second: what is forecast of those that do not fit is not asked for. */
  async #locks(caller: Caller, wanted: ListLocksRequest, limit: number): Promise<FoundLocks> {
    const { byPain } = wanted;
    const { rows: found, ledPartitions } = await this.#readLed((state) => chooseLocks(state, wanted, limit, caller));
    const namesByPartition = new Map<number, string[]>();
    for (const { name } of firstChoices(found, byPain, limit)) {
      const partition = this.#node.partitionOf(name);
      const names = namesByPartition.get(partition);
      if (names === undefined) namesByPartition.set(partition, [name]);
      else names.push(name);
    }
    const described = await this.#readLed(
      (state) => lockInfos(state, namesByPartition.get(state.partition) ?? [], caller, this.#node.insight),
      this.#node.shards.filter(({ partition }) => namesByPartition.has(partition) && this.#node.leads(partition)),
    );
    const still = new Set(described.ledPartitions);
    return {
      locks: firstChoices(described.rows, byPain, limit),
      more: found.length > limit,
      found: found.length,
      ledPartitions: ledPartitions.filter((partition) => still.has(partition) || !namesByPartition.has(partition)),
    };
  }

  async #force(caller: Caller, wanted: { name: string; token: bigint; reason: string }): Promise<Reply["body"]> {
    const { name, token, reason } = wanted;
    const by = caller.principal;
    const shard = this.#node.shardOf(name);
    const held = await this.#tokensOf(shard, name);
    const first = await this.#forceStep(shard, { kind: "force_release", name, token, by, reason });
    const rest = token === 0n ? held.slice(FORCED_MAX) : [];
    for (let index = 0; index < rest.length; index += FORCED_MAX) {
      const step = rest.slice(index, index + FORCED_MAX).map((each) => {
        // One that has ended by itself meanwhile is refused: then it is not held any more, which was the wish.
        return this.#forceStep(shard, { kind: "force_release", name, token: each, by, reason }).catch(() => ({
          undone: 0,
        }));
      });
      for (const { undone } of await Promise.all(step)) first.undone += undone;
    }
    const left = new Set(await this.#tokensOf(shard, name));
    const released = held.filter((each) => (token === 0n || each === token) && !left.has(each));
    this.#node.options.note("forced release", {
      name,
      tokens: released.map(String),
      reason,
      principal: by,
      from: caller.remoteAddress,
    });
    return { $case: "forceRelease", value: { released, undone: first.undone } };
  }

  /** Rising. */
  #tokensOf(shard: Shard, name: string): Promise<readonly bigint[]> {
    return new Promise((resolve, reject) => {
      shard.read((state) => {
        const element = state.elements.get(name);
        const grants = element === undefined ? [] : [...holdersOf(element)].filter((grant) => !grant.reserved);
        const tokens = grants.map((grant) => grant.token).sort((a, b) => (a < b ? -1 : 1));
        return () => resolve(tokens);
      }, reject);
    });
  }

  #forceStep(shard: Shard, command: Command): Promise<{ undone: number }> {
    return new Promise((resolve, reject) => {
      shard.submit(
        command,
        (_state, refusal) => {
          const { undone } = shard;
          if (refusal === undefined) return () => resolve({ undone });
          const { code, message, ...more } = refusal;
          return () => reject(new ForelockError(code, message, more));
        },
        reject,
      );
    });
  }

  async #endSession(caller: Caller, id: string, reason: string): Promise<Reply["body"]> {
    const known = this.#node.directory.get(id);
    if (known === undefined) throw new ForelockError("session_unknown", `session = ${id} is not known.`);
    const grants = await Promise.all(
      [...known.partitions].map((partition) => this.#end(partition, id, "forced", reason)),
    );
    this.#node.options.note("session ended", {
      session: id,
      reason,
      principal: caller.principal,
      from: caller.remoteAddress,
    });
    return { $case: "endSession", value: { grants: grants.reduce((sum, count) => sum + count, 0) } };
  }

  /** @returns how many grants the session had in the partition */
  #end(partition: number, sessionId: string, why: "closed" | "forced", reason: string): Promise<number> {
    const shard = this.#node.shardAt(partition);
    return new Promise((resolve, reject) => {
      const held = { grants: 0 };
      shard.read(
        (state) => {
          held.grants = state.sessions.get(sessionId)?.grants ?? 0;
          return undefined;
        },
        () => {},
      );
      shard.submit({ kind: "end_session", sessionId, why, reason }, () => () => resolve(held.grants), reject);
    });
  }

  async #sessions(caller: Caller, after: string, limit: number): Promise<ListSessionsReply> {
    const node = this.#node;
    const isOperator = caller.may("read", "");
    const visible = function* (): IterableIterator<KnownSession> {
      for (const session of node.directory) {
        if (session.id > after && (isOperator || session.principal === caller.principal)) yield session;
      }
    };
    const nowMs = node.options.clock.monotonicMs();
    const chosen = firstByName(visible(), (session) => session.id, limit + 1);
    const risks = new Map<string, Risk[]>();
    const wanted = new Map(chosen.map((session) => [session.id, { grants: 0, waits: 0, waiting: false }]));
    const { ledPartitions } = await this.#readLed((state) => {
      for (const [id, counts] of wanted) {
        const row = state.sessions.get(id);
        if (row === undefined) continue;
        counts.grants += row.grants;
        counts.waits += row.waits.size;
        counts.waiting ||= !isLive(row, state.clockMs);
        for (const risk of contendedRisks(state, row, this.#node.insight)) {
          const known = risks.get(id);
          if (known === undefined) risks.set(id, [risk]);
          else known.push(risk);
        }
      }
      return [];
    });
    const infos = chosen.slice(0, limit).map((session) => ({
      session: session.id,
      principal: session.principal,
      client: session.client,
      ttlMs: session.ttlMs,
      ...(wanted.get(session.id) ?? { grants: 0, waits: 0, waiting: false }),
      silentMs: Math.max(0, Math.floor(nowMs - session.heardAtMs)),
      partitions: [...session.partitions].sort((a, b) => a - b),
      lagMs: session.lagMs,
      application: session.application,
      health: session.health,
      jitterMs: this.#node.foresight.jitterMs(session),
      suspicion: this.#node.foresight.suspicion(session),
      risk: highestRisk(risks.get(session.id) ?? []),
    }));
    return { sessions: infos, more: chosen.length > limit, ledPartitions: this.#told(ledPartitions) };
  }

  /**
   * Looks at every partition that is led in a turn of its own; resolves when all that was seen is durable. What has just been given away
   * is left to its next owner: a list or a status that failed for it would fail all through a drain.
   */
  async #readAll<Row>(look: (state: PartitionState) => readonly Row[]): Promise<Row[]> {
    return (await this.#readLed(look)).rows;
  }

  /** The same, and which partitions it tells of. */
  async #readLed<Row>(
    look: (state: PartitionState) => readonly Row[],
    shards: readonly Shard[] = this.#node.led.map((partition) => this.#node.shardAt(partition)),
  ): Promise<{ readonly rows: Row[]; readonly ledPartitions: number[] }> {
    const rows = await Promise.all(
      shards.map(
        (shard) =>
          new Promise<readonly Row[] | undefined>((resolve, reject) => {
            shard.read(
              (state) => {
                const seen = look(state);
                return () => resolve(seen);
              },
              (error) => (error.code === "not_owner" ? resolve(undefined) : reject(error)),
            );
          }),
      ),
    );
    return {
      rows: rows.flatMap((own) => own ?? []),
      ledPartitions: shards.filter((_, index) => rows[index] !== undefined).map(({ partition }) => partition),
    };
  }

  /** One server alone tells of everything, and needs not say so. */
  #told(ledPartitions: readonly number[]): number[] {
    return this.#node.peers === undefined ? [] : [...ledPartitions];
  }
}

interface FoundLocks {
  readonly locks: readonly LockInfo[];
  readonly more: boolean;
  /** Those that were there to choose from: of each partition one more than fit, at most. */
  readonly found: number;
  readonly ledPartitions: readonly number[];
}

/** Of the first grants of a session that somebody waits for. */
function contendedRisks(state: PartitionState, session: Session, outlook: Outlook): readonly Risk[] {
  const risks: Risk[] = [];
  let looked = 0;
  for (let grant = session.firstGrant; grant !== undefined && looked < GRANTS_LOOKED_MAX; grant = grant.next) {
    looked += 1;
    if (waitersFor(grant) === 0 && !state.warningByTarget.has(grant)) continue;
    const { risk } = outlook.holder(state, grant);
    if (risk !== undefined) risks.push(risk);
  }
  return risks;
}

function highestRisk(risks: readonly Risk[]): Risk | undefined {
  return risks.reduce<Risk | undefined>(
    (most, risk) => (most === undefined || risk.score > most.score ? risk : most),
    undefined,
  );
}

const pageSize = (limit: number): number => (limit === 0 ? LIST_DEFAULT : Math.min(limit, LIST_MAX));

function page<Row extends { readonly name: string }, Key extends string>(
  rows: readonly Row[],
  limit: number,
  key: Key,
): Record<Key, Row[]> & { more: boolean } {
  const first = firstByName(rows, (row) => row.name, limit + 1);
  const cut = { [key]: first.slice(0, limit) } as Record<Key, Row[]>; // One key, of the type just named.
  return { ...cut, more: first.length > limit };
}

/** Hash over the partitions' hashes, in order: 64 bits, hexadecimal. */
function combineHashes(hashes: readonly string[]): string {
  let hash = 0xcbf29ce484222325n;
  for (const part of hashes) hash = BigInt.asUintN(64, (hash ^ BigInt(`0x${part || "0"}`)) * 0x100000001b3n);
  return hash.toString(16).padStart(16, "0");
}
