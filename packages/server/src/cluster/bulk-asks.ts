// bulk-asks.ts: the operation readBulk on the wire: how a node asks a peer for file contents, and how the peer answers. Not here: which
// (filler.ts), and what may be given (bulk-source.ts).
import { ForelockError, type ReadBulkRequest, type Reply } from "@forelock/protocol";
import type { Asks } from "./asks.ts";
import type { BulkSource } from "./bulk-source.ts";
import type { BulkRequest, FetchedRecord } from "./filler.ts";
import { errorOf } from "./link.ts";
import type { PeerAddress } from "./owners.ts";
import { THIS_NODE } from "./peers.ts";

/** @throws ForelockError as the peer answered */
export async function fetchBulk(asks: Asks, peer: PeerAddress, value: BulkRequest): Promise<readonly FetchedRecord[]> {
  const { body } = await asks.at(peer, THIS_NODE, { $case: "readBulk", value });
  if (body?.$case === "error") throw errorOf(body.value);
  if (body?.$case === "readBulk") return body.value.records;
  throw new ForelockError("internal", `Node ${peer.id} answered readBulk with ${body?.$case}.`);
}

/** @throws as BulkSource.read */
export async function readBulk(source: BulkSource, request: ReadBulkRequest): Promise<Reply["body"]> {
  const records = (await source.read(request)).map(({ bytes, checksum }) => ({
    bytes: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength),
    checksum,
  }));
  return { $case: "readBulk", value: { records } };
}
