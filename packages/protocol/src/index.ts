export type { ErrorCode, ErrorSpec, ForelockErrorOptions, GrpcStatusName, Retry } from "./errors.ts";
export { ERROR_CODES, ERRORS, ForelockError, isErrorCode } from "./errors.ts";
export * from "./generated/forelock.ts";
export { assert, unreachable } from "./unreachable.ts";
