// errors.ts: the errors that users see. The one class and its table live in the protocol; a build puts a copy of their
// declarations here, so that the published types stand alone.
export type { ErrorCode, ErrorSpec, ForelockErrorOptions, GrpcStatusName, Retry } from "@forelock/protocol";
export { ERROR_CODES, ERRORS, ForelockError, isErrorCode } from "@forelock/protocol";
