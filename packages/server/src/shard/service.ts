// service.ts: what the carriers need from the partitions of this node. node.ts implements it; carriers never see more.
// Requests arrive parsed, validated (edge/validate.ts) and authorised (edge/authorize.ts); answers are messages of the protocol.
import type { Health, HeartbeatReply, Notice, Operation, Reply, Welcome } from "@forelock/protocol";

/** Rights of a principal on a name. Each is granted per prefix of whole path parts in the settings. */
export type Right = "read" | "lock" | "write" | "operate" | "admin" | "direct";

/** Who asks. */
export interface Caller {
  readonly principal: string;
  /** Whether the principal has `right` on `name`; `""` asks for the right on everything. Used to filter answers. */
  may(right: Right, name: string): boolean;
  /** For the audit line of operator commands. */
  readonly remoteAddress: string;
  /** The node of the cluster that forwards what it asks. Nothing of it is forwarded again. */
  readonly forwardedBy?: string;
  /** It asks over a connection to the owner, beside that of its session to another node. Nothing of it is forwarded. */
  readonly isDirect?: true;
  /** The node `forwardedBy` asks for itself. */
  readonly isPeer?: boolean;
}

/** One session as this node knows it, whatever its connections. Made by `openSession` and `resumeSession` only. */
export interface NodeSession {
  /** base64url of 16 bytes: 22 characters. */
  readonly id: string;
  readonly principal: string;
  readonly ttlMs: number;
}

export interface OpenSession {
  /** Undefined: the node's default. */
  readonly ttlMs: number | undefined;
  readonly client: string;
  /** What kind of work it does, as it declares it. */
  readonly application?: string;
}

export interface ResumeSession {
  readonly sessionId: Uint8Array;
  readonly secret: Uint8Array;
  /** Sequences still open at the client; undefined: forget nothing (unary calls, heartbeat connections, other nodes). */
  readonly open: readonly number[] | undefined;
  readonly client: string;
  /** Absent: as it was declared before. */
  readonly application?: string;
  readonly ttlMs: number | undefined;
}

/** What a client says of itself with a heartbeat. */
export interface Vitals {
  /** How late its main loop was. */
  readonly lagMs: number;
  readonly health: Health;
}

/** Where a session's notices go: its newest operations connection. */
export interface NoticeSink {
  notify(notice: Notice): void;
  /** Notices may have been lost on their way: has the client resume its session, which tells it everything. */
  interrupt?(): void;
}

export interface OpenedSession {
  readonly session: NodeSession;
  /** Only when just opened: the secret, 32 random bytes. */
  readonly secret: Uint8Array | undefined;
}

export interface Service {
  /** Draws an id and a secret. Nothing is written until the session is used in a partition. @throws ForelockError sessions_full */
  openSession(caller: Caller, open: OpenSession): OpenedSession;

  /**
   * Finds a session by id and secret (constant-time compare), also after a restart of this node. Counts as a heartbeat.
   * @throws ForelockError session_unknown for a wrong secret or another principal, session_expired when nothing of it is left
   */
  resumeSession(caller: Caller, resume: ResumeSession): OpenedSession;

  /** Waits until all that is decided is durable, then describes what the session holds and waits for. `secret` as opened. */
  welcome(caller: Caller, opened: OpenedSession): Promise<Welcome>;

  /** Directs the session's notices to `sink`, the one before it gets no more. Returns a function that ends this. */
  listen(session: NodeSession, sink: NoticeSink): () => void;

  /** The owner's answer comes when it is due: at once, or after the session's first sign of life is durable. */
  heartbeat(session: NodeSession, number: number, vitals: Vitals, respond: (reply: HeartbeatReply) => void): void;

  /** Forgets results: all below `lowestUnanswered` (0: none), and those of the settled queued acquires. */
  acknowledge(session: NodeSession, lowestUnanswered: number, settled: readonly number[]): void;

  /**
   * Carries out one operation. `respond` is called exactly once, never before `submit` returned, and only with what is durable.
   * @param session undefined for reads and operator commands from sessionless connections
   * @returns a function that withdraws interest in a read or an await (the connection ended): `respond` is then not called any more.
   *   The operations of a session go on, and are answered all the same.
   */
  submit(
    caller: Caller,
    session: NodeSession | undefined,
    operation: Operation,
    respond: (reply: Reply) => void,
  ): () => void;

  /** Sends events that match (name, or prefix before a final `*`) and that `caller` may read. Returns a function that ends it. */
  watch(caller: Caller, pattern: string, watch: number, sink: NoticeSink): () => void;

  /** The whole state for the status page and GET /v1/state, already filtered for `caller`. Lists are cut at `limit` each. */
  state(caller: Caller, limit: number): Promise<Readonly<Record<string, unknown>>>;

  /** Plain counters for metrics: name (without prefix) to value. Cheap; read at each scrape. */
  counters(): Readonly<Record<string, number>>;

  /** Undefined while work is accepted; else why not (starting, stopping, log stopped): readiness. */
  readonly unavailable: string | undefined;
}
