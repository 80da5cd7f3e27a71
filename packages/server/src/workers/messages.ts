// messages.ts: what the thread that has the port and its workers tell each other beside the traffic of clients (channel.ts).
//   Every question has one answer, in any order; what is told needs none.
import type { MessagePort } from "node:worker_threads";
import { type ErrorCode, ForelockError, isErrorCode } from "@forelock/protocol";
import type { Settings } from "../settings/read.ts";
import type { PolicyTable } from "../shard/policies.ts";
import type { Tail } from "./holders.ts";
import type { Given } from "./host.ts";

/** What a worker is started with. */
export interface WorkerStart {
  readonly worker: number;
  readonly workers: number;
  readonly settings: Pick<Settings, "values" | "principals" | "fileNames">;
  /** Of its stream. */
  readonly logFolder: string;
  /** Hexadecimal. */
  readonly placementKey: string;
  /** To the thread that has the port, then to each worker; undefined at its own place. */
  readonly channels: readonly (MessagePort | undefined)[];
}

/** How much a worker has done since it started. */
export interface Sample {
  /** Of its own thread. */
  readonly cpuMs: number;
  readonly counters: Readonly<Record<string, number>>;
  /** Events of each partition that it leads. */
  readonly events: readonly (readonly [partition: number, events: number])[];
  /** Why its node takes no work. */
  readonly unavailable: string | undefined;
}

export type Question =
  /** Begins with what its stream has. The others' partitions are told too. */
  | { readonly kind: "begin"; readonly holders: readonly (number | undefined)[]; readonly epoch: number }
  | { readonly kind: "give"; readonly partition: number }
  | { readonly kind: "take"; readonly given: Given }
  | { readonly kind: "keep" | "lose"; readonly partition: number }
  | { readonly kind: "gave"; readonly partition: number; readonly to: number }
  | { readonly kind: "sample" }
  /** No new work; answered when everything is durable and closed. */
  | { readonly kind: "close" };

export type Told =
  | { readonly kind: "moved"; readonly partition: number; readonly worker: number | undefined }
  | { readonly kind: "policies"; readonly rows: PolicyTable }
  | { readonly kind: "address"; readonly address: string };

export type ToWorker = { readonly id: number; readonly question: Question } | { readonly told: Told };

export type FromWorker =
  /** The first: its stream is open. */
  | { readonly kind: "opened"; readonly tails: ReadonlyMap<number, Tail>; readonly lastEpoch: number }
  /** Instead of it. */
  | { readonly kind: "refused"; readonly error: WireFailure }
  | { readonly kind: "answer"; readonly id: number; readonly value: unknown }
  | { readonly kind: "failed"; readonly id: number; readonly error: WireFailure }
  | { readonly kind: "policies"; readonly rows: PolicyTable }
  | { readonly kind: "log"; readonly line: string };

/** An error between threads, which would lose its class. */
export interface WireFailure {
  readonly code: ErrorCode;
  readonly message: string;
  readonly details: Readonly<Record<string, unknown>> | undefined;
}

export function failureOf(error: unknown): WireFailure {
  if (error instanceof ForelockError) {
    const cause = error.cause === undefined ? "" : ` (${String(error.cause)})`;
    return { code: error.code, message: `${error.plainMessage}${cause}`, details: error.details };
  }
  return {
    code: "internal",
    message: String(error instanceof Error ? (error.stack ?? error) : error),
    details: undefined,
  };
}

export function errorOfFailure({ code, message, details }: WireFailure): ForelockError {
  return new ForelockError(isErrorCode(code) ? code : "internal", message, details === undefined ? {} : { details });
}
