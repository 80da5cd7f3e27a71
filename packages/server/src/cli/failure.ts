// failure.ts: how a command that failed says so: one message with its hint on stderr, and the exit code.

import { ERRORS } from "@forelock/protocol";
import { CommanderError } from "commander";
import { EXIT_CODES, exitCodeOfError } from "./exit-codes.ts";
import { isForelockFailure } from "./forelock-error.ts";
import { type Output, ReaderGone } from "./output.ts";
import { printable, toJson } from "./quantity.ts";
import { ServerUnreachable } from "./remote.ts";
import { UsageError } from "./usage-error.ts";

/** As if SIGPIPE had ended us, which is what a shell expects behind `| head`. */
const READER_GONE_CODE = 141;

interface Failure {
  readonly code: string;
  readonly message: string;
  readonly exitCode: number;
  readonly details?: unknown;
  readonly retryAfterMs?: number;
}

/** @returns the exit code */
export async function reportFailure(
  error: unknown,
  { err, json }: { readonly err: Output; readonly json: boolean },
): Promise<number> {
  if (error instanceof ReaderGone) return READER_GONE_CODE;
  const failure = describe(error);
  err.settle();
  if (json) await err.line(toJson({ error: failure }));
  else await err.line(`${err.palette.bad("forelock:")} ${printable(failure.message)}`);
  return failure.exitCode;
}

function describe(error: unknown): Failure {
  const exitCode = exitCodeOfError(error);
  if (isForelockFailure(error)) {
    return {
      code: error.code,
      message: error.message,
      exitCode,
      ...(error.details !== undefined && { details: error.details }),
      ...(error.retryAfterMs !== undefined && { retryAfterMs: error.retryAfterMs }),
    };
  }
  if (error instanceof ServerUnreachable) return { code: "unavailable", message: error.message, exitCode };
  if (error instanceof UsageError) return { code: "bad_argument", message: error.message, exitCode };
  if (error instanceof CommanderError) {
    return { code: "bad_argument", message: commanderMessage(error), exitCode: EXIT_CODES.usage.code };
  }
  const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { code: "internal", message: `${message} ${ERRORS.internal.hint}`, exitCode };
}

const commanderMessage = (error: CommanderError): string =>
  `${error.message.replace(/^error: /, "").replace(/\n/g, " ")}`;
