// routed-request.ts: one operation of a session that another node carries out. One object and no closures, as SessionRequest is.
// Sending it again is safe: its session and number find what became of it.
import type { ForelockError, Operation, Reply } from "@forelock/protocol";
import type { Caller, NodeSession } from "../shard/service.ts";
import type { Pending } from "./link.ts";

/** Who decides what becomes of it. */
export interface RequestHost {
  replied(request: RoutedRequest, reply: Reply): void;
  failed(request: RoutedRequest, error: ForelockError): void;
}

export class RoutedRequest implements Pending {
  readonly caller: Caller;
  readonly session: NodeSession;
  readonly operation: Operation;
  readonly respond: (reply: Reply) => void;
  readonly partition: number;
  /** When it is given up, on the node's monotonic clock. */
  readonly untilMs: number;
  /** Rises with arrival: requests of a partition are sent in this order, however often. */
  readonly order: number;
  readonly isPatient = false;
  /** The node that it was sent to last. */
  askedAt = "";
  /** How often the owner had changed by then. */
  askedTurn = 0;
  next: Pending | undefined;
  readonly #host: RequestHost;

  constructor(
    host: RequestHost,
    asked: Pick<RoutedRequest, "caller" | "session" | "operation" | "respond" | "partition" | "untilMs" | "order">,
  ) {
    this.#host = host;
    this.caller = asked.caller;
    this.session = asked.session;
    this.operation = asked.operation;
    this.respond = asked.respond;
    this.partition = asked.partition;
    this.untilMs = asked.untilMs;
    this.order = asked.order;
  }

  reply(reply: Reply): void {
    this.#host.replied(this, reply);
  }

  failed(error: ForelockError): void {
    this.#host.failed(this, error);
  }
}
