// gather.ts: reads and commands that concern every node: each is asked for what it decides, and the answers are made into one.
// Not here: how the answers are joined (merge.ts), what has one owner (asks.ts).
//   G1. A list that lacks a node's part is no list: then the whole is `unavailable`. Only the status says who is missing.
//   G2. Nor is one that lacks a partition, or has it twice: while it moves, its last owner tells of it no more and the next one not yet,
//       or both have. Then all are asked again, until the next owners are there.
import {
  FileInfo,
  ForelockError,
  LockInfo,
  type Operation,
  type Reply,
  SessionInfo,
  StatusReply,
} from "@forelock/protocol";
import type { Clock } from "../clock.ts";
import { errorMessage, errorReply } from "../shard/answers.ts";
import type { Caller } from "../shard/service.ts";
import type { Asks } from "./asks.ts";
import { errorOf } from "./link.ts";
import { mergeFiles, mergeHistory, mergeLocks, mergePrediction, mergeSessions, mergeStatus } from "./merge.ts";
import type { Owners, PeerAddress } from "./owners.ts";

type Body = NonNullable<Operation["body"]>;
type ReplyBody = NonNullable<Reply["body"]>;
export type GatheredBody = Extract<
  Body,
  {
    $case: "listLocks" | "listFiles" | "listSessions" | "getStatus" | "getPrediction" | "getHistory" | "endSession";
  }
>;

/** By when a list is whole, or is refused. */
export interface Wholeness {
  readonly clock: Clock;
  readonly partitions: number;
  readonly holdMs: number;
}

interface Gathered {
  readonly reply: ReplyBody;
  readonly told: readonly number[] | undefined;
}

export class Gather {
  readonly #asks: Asks;
  readonly #owners: Owners;
  readonly #sessionsHere: () => number;
  readonly #wholeness: Wholeness;

  /** @param sessionsHere sessions whose clients are connected to this node: a session is known to several, and counted once */
  constructor(asks: Asks, owners: Owners, sessionsHere: () => number, wholeness: Wholeness) {
    this.#asks = asks;
    this.#owners = owners;
    this.#sessionsHere = sessionsHere;
    this.#wholeness = wholeness;
  }

  /** Does not reject. */
  async ask(caller: Caller, body: GatheredBody): Promise<ReplyBody> {
    const { clock, partitions, holdMs } = this.#wholeness;
    const untilMs = clock.monotonicMs() + holdMs;
    for (;;) {
      const { reply, told } = await this.#once(caller, body);
      const isWhole = told === undefined || (told.length === partitions && new Set(told).size === partitions);
      if (isWhole) return reply;
      if (clock.monotonicMs() >= untilMs) return errorBody(torn()); // G2
      await this.#asks.pause();
    }
  }

  /** `told`: the partitions that a list tells of; undefined for what is no list, and for what was refused. */
  async #once(caller: Caller, body: GatheredBody): Promise<Gathered> {
    const peers = this.#peers();
    const replies = await Promise.all([
      this.own(caller, body),
      ...peers.map((peer) => this.#asks.at(peer, caller, body).then(bodyOf)),
    ]);
    if (body.$case === "endSession") return { reply: ended(replies), told: undefined };
    if (body.$case === "getStatus") return { reply: status(replies, peers), told: undefined };
    const refused = replies.find((reply) => reply.$case === "error");
    if (refused !== undefined) return { reply: toldAs(refused), told: undefined }; // G1
    return { reply: joined(body, replies), told: toldIn(replies) };
  }

  async #now(caller: Caller, body: GatheredBody): Promise<ReplyBody> {
    return (await this.#once(caller, body)).reply;
  }

  /** What this node alone answers. */
  async own(caller: Caller, body: Body): Promise<ReplyBody> {
    const reply = bodyOf(await this.#asks.here(caller, body));
    switch (reply.$case) {
      case "getStatus":
        return { ...reply, value: { ...reply.value, sessions: this.#sessionsHere() } };
      case "listLocks":
        return { ...reply, value: { ...reply.value, ledPartitions: this.#led(reply.value) } };
      case "listFiles":
        return { ...reply, value: { ...reply.value, ledPartitions: this.#led(reply.value) } };
      case "listSessions":
        return { ...reply, value: { ...reply.value, ledPartitions: this.#led(reply.value) } };
      default:
        return reply;
    }
  }

  #led({ ledPartitions }: { readonly ledPartitions: readonly number[] }): number[] {
    return ledPartitions.filter((partition) => this.#owners.of(partition).kind === "here");
  }

  /** As Service.state, from what every node answers. It is looked at all the time, so it does not wait until it is whole. */
  async state(caller: Caller, limit: number): Promise<Readonly<Record<string, unknown>>> {
    const page = { prefix: "", after: "", limit };
    const [status, locks, files, sessions] = await Promise.all([
      this.ask(caller, { $case: "getStatus", value: {} }),
      this.#now(caller, { $case: "listLocks", value: { ...page, stuck: false, heldMsMin: 0, byPain: false } }),
      this.#now(caller, { $case: "listFiles", value: page }),
      caller.may("read", "")
        ? this.#now(caller, { $case: "listSessions", value: { after: "", limit } })
        : this.own(caller, { $case: "listSessions", value: { after: "", limit } }),
    ]);
    const totals = valueIn(status, "getStatus");
    const rows = {
      ...valueIn(locks, "listLocks"),
      ...valueIn(files, "listFiles"),
      ...valueIn(sessions, "listSessions"),
    };
    const isOperator = caller.may("read", "");
    return {
      status: StatusReply.toJSON(totals),
      locks: rows.locks.map((lock) => LockInfo.toJSON(lock)),
      locksTotal: isOperator ? Math.max(rows.locks.length, totals.grants) : rows.locks.length,
      files: rows.files.map((file) => FileInfo.toJSON(file)),
      filesTotal: isOperator ? totals.files : rows.files.length,
      sessions: rows.sessions.map((session) => SessionInfo.toJSON(session)),
      sessionsTotal: isOperator ? totals.sessions : rows.sessions.length,
    };
  }

  /** In the order of their ids, so that the same nodes give the same answer. */
  #peers(): readonly PeerAddress[] {
    return [...this.#owners.peers()].sort((a, b) => (a.id < b.id ? -1 : 1));
  }
}

type ListBody = Exclude<GatheredBody, { $case: "endSession" | "getStatus" }>;

/** @param replies no error among them */
function joined(body: ListBody, replies: readonly ReplyBody[]): ReplyBody {
  switch (body.$case) {
    case "listLocks": {
      const { limit, byPain } = body.value;
      return { $case: "listLocks", value: mergeLocks(valuesIn(replies, "listLocks"), limit, byPain) };
    }
    case "listFiles":
      return { $case: "listFiles", value: mergeFiles(valuesIn(replies, "listFiles"), body.value.limit) };
    case "listSessions":
      return { $case: "listSessions", value: mergeSessions(valuesIn(replies, "listSessions"), body.value.limit) };
    case "getPrediction":
      return { $case: "getPrediction", value: mergePrediction(valuesIn(replies, "getPrediction"), body.value.limit) };
    case "getHistory":
      return { $case: "getHistory", value: mergeHistory(valuesIn(replies, "getHistory"), body.value.limit) };
  }
}

/** Undefined where nobody says: it is no list. */
function toldIn(replies: readonly ReplyBody[]): readonly number[] | undefined {
  const lists = replies.filter(
    (reply) => reply.$case === "listLocks" || reply.$case === "listFiles" || reply.$case === "listSessions",
  );
  return lists.length === 0 ? undefined : lists.flatMap(({ value }) => value.ledPartitions);
}

function torn(): ForelockError {
  return new ForelockError("unavailable", "A list cannot be whole while partitions have no owner.", {
    retryAfterMs: 500,
  });
}

function bodyOf({ body }: Reply): ReplyBody {
  return body ?? errorBody(new ForelockError("internal", "A node answered nothing."));
}

function errorBody(error: ForelockError): ReplyBody {
  // An error reply has a body.
  return errorReply(0, errorMessage(error)).body as ReplyBody;
}

/** The code `not_owner` is for nodes among themselves. */
function toldAs(refused: ReplyBody): ReplyBody {
  if (refused.$case !== "error" || refused.value.code !== "not_owner") return refused;
  return errorBody(new ForelockError("unavailable", refused.value.message, { retryAfterMs: 500 }));
}

type ValueOf<Case extends ReplyBody["$case"]> = Extract<ReplyBody, { readonly $case: Case }>["value"];

function valuesIn<Case extends ReplyBody["$case"]>(replies: readonly ReplyBody[], $case: Case): ValueOf<Case>[] {
  return replies.map((reply) => valueIn(reply, $case));
}

/** @throws ForelockError when it is an error */
function valueIn<Case extends ReplyBody["$case"]>(reply: ReplyBody, $case: Case): ValueOf<Case> {
  if (reply.$case === $case) return reply.value as ValueOf<Case>; // The case was just compared.
  if (reply.$case === "error") throw errorOf(reply.value);
  throw new ForelockError("internal", `A node answered ${reply.$case} to ${$case}.`);
}

/** Those that never heard of the session have nothing to end. */
function ended(replies: readonly ReplyBody[]): ReplyBody {
  const failed = replies.find((reply) => reply.$case === "error" && reply.value.code !== "session_unknown");
  if (failed !== undefined) return toldAs(failed);
  const known = replies.filter((reply) => reply.$case === "endSession");
  if (known.length === 0) return replies[0] ?? errorBody(new ForelockError("session_unknown", "No node knows it."));
  return { $case: "endSession", value: { grants: known.reduce((sum, { value }) => sum + value.grants, 0) } };
}

function status(replies: readonly ReplyBody[], peers: readonly PeerAddress[]): ReplyBody {
  const [own, ...others] = replies;
  if (own?.$case !== "getStatus") return own ?? errorBody(new ForelockError("internal", "No status."));
  const missing = peers.filter((_, index) => others[index]?.$case !== "getStatus").map(({ id }) => id);
  const answered = others.flatMap((reply) => (reply.$case === "getStatus" ? [reply.value] : []));
  return { $case: "getStatus", value: mergeStatus([own.value, ...answered], missing) };
}
