// grpc-error.ts: what a failed call means: whether it can have happened, and whether another member may do better. Rests on the
// texts of etcd's errors (api/v3rpc/rpctypes/error.go) and on those of grpc-js, whose status alone does not tell.
//   G1. A request that changes something is `unavailable` only where it certainly was not done; what is not listed is unknown.
import { type ServiceError, status } from "@grpc/grpc-js";
import { EtcdError } from "./etcd.ts";

export interface CallFailure {
  readonly error: EtcdError;
  /** Certainly not done, or only a read: it may be sent again, to another member. */
  readonly mayRetry: boolean;
  /** The token of the user is not valid (any more). */
  readonly needsToken: boolean;
}

/** Said by grpc-js before anything is sent. */
const NOT_SENT = /^(No connection established|Name resolution failed|Failed to connect|DNS resolution failed)/;
/** Said by a member before it proposes anything. */
const NOT_PROPOSED = /no leader|not capable|not supported for learner|too many requests/;
const COMPACTED = /required revision has been compacted/;
const NO_SPACE = /database space exceeded/;
const BAD_TOKEN = /invalid auth token|revision of auth store is old/;

export function failureOf(cause: ServiceError, isRead: boolean): CallFailure {
  const { code, details } = cause;
  const failure = (kind: EtcdError["kind"], mayRetry: boolean, needsToken = false): CallFailure => ({
    error: new EtcdError(kind, details || cause.message, { cause }),
    mayRetry,
    needsToken,
  });
  if (COMPACTED.test(details)) return failure("compacted", false);
  if (NO_SPACE.test(details)) return failure("no_space", false);
  if (BAD_TOKEN.test(details)) return failure("refused", false, true);
  if (NOT_PROPOSED.test(details)) return failure("unavailable", true);
  switch (code) {
    case status.INVALID_ARGUMENT:
    case status.NOT_FOUND:
    case status.ALREADY_EXISTS:
    case status.PERMISSION_DENIED:
    case status.FAILED_PRECONDITION:
    case status.OUT_OF_RANGE:
    case status.UNIMPLEMENTED:
    case status.UNAUTHENTICATED:
      return failure("refused", false);
    case status.RESOURCE_EXHAUSTED:
      // A request that is too large for the member is said so by the member ("grpc:", in Go); an answer too large, by us.
      return /^grpc: /.test(details)
        ? failure("refused", false)
        : failure(isRead ? "refused" : "outcome_unknown", false);
    case status.UNAVAILABLE:
      if (NOT_SENT.test(details)) return failure("unavailable", true);
      return failure(isRead ? "unavailable" : "outcome_unknown", isRead);
    default:
      return failure(isRead ? "unavailable" : "outcome_unknown", isRead); // G1
  }
}
