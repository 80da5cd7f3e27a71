// wire.ts: our requests as etcd's messages, and its answers as ours. Not here: calls and streams (grpc.ts, watch-stream.ts).
import type {
  Compare,
  KeyValue,
  OperationAnswer,
  RangeAnswer,
  RangeRequest,
  TxnAnswer,
  TxnOperation,
  TxnRequest,
  WatchEvent,
} from "./etcd.ts";
import { EtcdError, NO_LEASE, safeRevision } from "./etcd.ts";
import * as wire from "./generated/etcd.ts";

const NO_BYTES = Buffer.alloc(0);
const RESULT_BY_RELATION = {
  equal: wire.Compare_CompareResult.EQUAL,
  not_equal: wire.Compare_CompareResult.NOT_EQUAL,
  greater: wire.Compare_CompareResult.GREATER,
  less: wire.Compare_CompareResult.LESS,
} as const;

export function rangeToWire(request: RangeRequest): wire.RangeRequest {
  const { DESCEND, NONE } = wire.RangeRequest_SortOrder;
  return {
    key: bytesOf(request.key),
    rangeEnd: endOf(request.end),
    limit: BigInt(request.limit ?? 0),
    revision: BigInt(request.revision ?? 0),
    sortOrder: request.isDescending ? DESCEND : NONE, // Members range in the order of keys by themselves.
    sortTarget: wire.RangeRequest_SortTarget.KEY,
    serializable: request.stale ?? false,
    keysOnly: request.keysOnly ?? false,
    countOnly: request.countOnly ?? false,
  };
}

export function rangeFromWire(answer: wire.RangeResponse): RangeAnswer {
  return {
    revision: revisionOf(answer.header),
    entries: answer.kvs.map(keyValueFromWire),
    more: answer.more,
    count: safeRevision(answer.count),
  };
}

export function txnToWire({ compare, success, failure = [] }: TxnRequest): wire.TxnRequest {
  return {
    compare: compare.map(compareToWire),
    success: success.map(operationToWire),
    failure: failure.map(operationToWire),
  };
}

export function txnFromWire(answer: wire.TxnResponse): TxnAnswer {
  return {
    succeeded: answer.succeeded,
    revision: revisionOf(answer.header),
    answers: answer.responses.map(answerFromWire),
  };
}

export function eventFromWire({ type, kv }: wire.Event): WatchEvent {
  if (kv === undefined) throw new EtcdError("unavailable", "a watch event had no key");
  if (type === wire.Event_EventType.PUT) return { kind: "put", entry: keyValueFromWire(kv) };
  return { kind: "delete", key: kv.key.toString(), modRevision: safeRevision(kv.modRevision) };
}

export function revisionOf(header: wire.ResponseHeader | undefined): number {
  if (header === undefined) throw new EtcdError("unavailable", "an answer had no header");
  return safeRevision(header.revision);
}

export function bytesOf(key: string): Buffer {
  return Buffer.from(key);
}

export function endOf(end: string | undefined): Buffer {
  return end === undefined ? NO_BYTES : Buffer.from(end);
}

function keyValueFromWire(entry: wire.KeyValue): KeyValue {
  return {
    key: entry.key.toString(),
    value: entry.value,
    createRevision: safeRevision(entry.createRevision),
    modRevision: safeRevision(entry.modRevision),
    version: safeRevision(entry.version),
    lease: entry.lease,
  };
}

/** Written out, one literal a kind: a transaction of appends has a hundred of these. */
function compareToWire(compare: Compare): wire.Compare {
  const result = RESULT_BY_RELATION[compare.is];
  const key = bytesOf(compare.key);
  const { VERSION, CREATE, MOD, VALUE, LEASE } = wire.Compare_CompareTarget;
  switch (compare.target) {
    case "version":
      return { result, key, target: VERSION, targetUnion: { $case: "version", value: BigInt(compare.to) } };
    case "create":
      return { result, key, target: CREATE, targetUnion: { $case: "createRevision", value: BigInt(compare.to) } };
    case "mod":
      return { result, key, target: MOD, targetUnion: { $case: "modRevision", value: BigInt(compare.to) } };
    case "lease":
      return { result, key, target: LEASE, targetUnion: { $case: "lease", value: compare.to } };
    case "value":
      return { result, key, target: VALUE, targetUnion: { $case: "value", value: asBuffer(compare.to) } };
  }
}

function operationToWire(operation: TxnOperation): wire.RequestOp {
  switch (operation.kind) {
    case "put": {
      const { key, value, lease = NO_LEASE } = operation;
      return { request: { $case: "requestPut", value: { key: bytesOf(key), value: asBuffer(value), lease } } };
    }
    case "delete": {
      const range = { key: bytesOf(operation.key), rangeEnd: endOf(operation.end) };
      return { request: { $case: "requestDeleteRange", value: range } };
    }
    case "range":
      return { request: { $case: "requestRange", value: rangeToWire(operation) } };
  }
}

function answerFromWire({ response }: wire.ResponseOp): OperationAnswer {
  switch (response?.$case) {
    case "responseRange":
      return { kind: "range", ...rangeFromWire(response.value) };
    case "responseDeleteRange":
      return { kind: "delete", deleted: safeRevision(response.value.deleted) };
    default:
      return { kind: "put" };
  }
}

/** A view, not a copy. */
function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
