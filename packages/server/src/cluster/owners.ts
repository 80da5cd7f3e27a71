// owners.ts: who decides for each partition, as this node knows it now. Not here: how that comes about (membership, ownership).

/** Another node of the cluster, as it can be reached. */
export interface PeerAddress {
  /** Unique in the cluster. */
  readonly id: string;
  readonly host: string;
  readonly port: number;
}

/** `nobody`: between two owners, or not known yet. What is asked meanwhile waits for the next one. */
export type Owner =
  | { readonly kind: "here" }
  | { readonly kind: "peer"; readonly peer: PeerAddress }
  | { readonly kind: "nobody" };

export interface Owners {
  /** Of this node. */
  readonly nodeId: string;
  of(partition: number): Owner;
  /** The live nodes but this one. */
  peers(): readonly PeerAddress[];
  /** Runs `run` after each change of what the others answer. Returns a function that ends this. */
  onChange(run: () => void): () => void;
}

/** Undefined: nobody. */
export function idOf(owner: Owner, nodeId: string): string | undefined {
  switch (owner.kind) {
    case "here":
      return nodeId;
    case "peer":
      return owner.peer.id;
    case "nobody":
      return undefined;
  }
}
