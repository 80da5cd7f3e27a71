export type { ErrorCode, ErrorSpec, ForelockErrorOptions, GrpcStatusName, Retry } from "./errors.ts";
export { ERROR_CODES, ERRORS, ForelockError, isErrorCode } from "./errors.ts";
export { decodeClientFrame, decodeServerFrame, fastClientFrame } from "./fast/decode.ts";
export { encodeClientFrame, encodeNotice, encodeOperation, encodeReply, encodeServerFrame } from "./fast/encode.ts";
export { FastWriter } from "./fast/writer.ts";
export * from "./generated/forelock.ts";
export { createPlacement, type Placement, tagOf } from "./placement.ts";
export { assert, unreachable } from "./unreachable.ts";
