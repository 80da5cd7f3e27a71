// sinks.ts: where the notices of a session go at this node: to the client's own connection, else to its direct one, else to the node that it
// is connected to.
//   D1. A connection that another node opened for the session never takes the notices from the client's own, of either kind.
import type { Notice } from "@forelock/protocol";
import type { NodeSession, NoticeSink, Service } from "../shard/service.ts";

/** Of a session at one node: of the client, beside its connection to another node, and of a node that forwards. */
export type SinkKind = "own" | "direct" | "forwarded";

interface Switch {
  own: NoticeSink | undefined;
  direct: NoticeSink | undefined;
  /** The newest is last. */
  readonly forwarded: NoticeSink[];
  notify(notice: Notice): void;
  /** Of listening to the node. */
  end(): void;
}

export class Sinks {
  readonly #node: Pick<Service, "listen">;
  readonly #switches = new Map<string, Switch>();

  constructor(node: Pick<Service, "listen">) {
    this.#node = node;
  }

  listen(session: NodeSession, sink: NoticeSink, kind: SinkKind): () => void {
    const found = this.#switches.get(session.id) ?? this.#add(session.id);
    if (kind === "forwarded") found.forwarded.push(sink);
    else found[kind] = sink;
    // Each time: the node may have let go of the session and have met it anew.
    found.end();
    found.end = this.#node.listen(session, { notify: (notice) => found.notify(notice) });
    return () => {
      const at = found.forwarded.indexOf(sink);
      if (at >= 0) found.forwarded.splice(at, 1);
      if (found.own === sink) found.own = undefined;
      if (found.direct === sink) found.direct = undefined;
      if (found.own !== undefined || found.direct !== undefined || found.forwarded.length > 0) return;
      if (this.#switches.get(session.id) === found) this.#switches.delete(session.id);
      found.end();
    };
  }

  #add(sessionId: string): Switch {
    const added: Switch = {
      ...{ own: undefined, direct: undefined, forwarded: [], end: () => {} },
      notify: (notice) => (added.own ?? added.direct ?? added.forwarded.at(-1))?.notify(notice), // D1
    };
    this.#switches.set(sessionId, added);
    return added;
  }
}
