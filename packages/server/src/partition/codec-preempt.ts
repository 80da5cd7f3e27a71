// codec-preempt.ts: the events of pre-emption as bytes. The rest, and the numbers of all kinds, are in codec.ts.
import { assert, unreachable } from "@forelock/protocol";
import type { ByteReader, ByteWriter } from "./bytes.ts";
import { KIND, readList, readRequest, writeList, writeRequest } from "./codec.ts";
import type { EventTarget, PreemptEvent } from "./events.ts";
import type { CompensationTerms, PolicyRow, Terms, WarningCause } from "./state.ts";

const OVERS = ["ignored", "passed_over", "withdrawn"] as const;

export function encodePreempt(out: ByteWriter, event: PreemptEvent): void {
  switch (event.kind) {
    case "terms":
      writeTarget(out, event.target);
      return writeTerms(out, event.terms);
    case "warned":
      writeTarget(out, event.target);
      return writeCause(out, event.cause);
    case "warning_acknowledged":
      writeRequest(out, event.request);
      out.number(event.warning);
      out.number(event.extensionMs);
      return out.text(event.refusal);
    case "warning_over":
      out.number(event.warning);
      return out.byte(OVERS.indexOf(event.why));
    case "preempted":
      return out.number(event.warning);
    case "compensated":
      out.number(event.compensation);
      return out.byte(event.isDelivered ? 1 : 0);
    case "policy_set":
      out.text(event.prefix);
      return writePolicy(out, event.row);
    default:
      return unreachable(event);
  }
}

export function decodePreempt(reader: ByteReader, kind: number): PreemptEvent {
  switch (kind) {
    case KIND.terms:
      return { kind: "terms", target: readTarget(reader), terms: readTerms(reader) };
    case KIND.warned:
      return { kind: "warned", target: readTarget(reader), cause: readCause(reader) };
    case KIND.warning_acknowledged:
      return {
        kind: "warning_acknowledged",
        request: readRequest(reader),
        warning: reader.number(),
        extensionMs: reader.number(),
        refusal: reader.text(),
      };
    case KIND.warning_over: {
      const warning = reader.number();
      const why = OVERS[reader.byte()];
      assert(why !== undefined, "a warning is over in one of the known ways");
      return { kind: "warning_over", warning, why };
    }
    case KIND.preempted:
      return { kind: "preempted", warning: reader.number() };
    case KIND.compensated:
      return { kind: "compensated", compensation: reader.number(), isDelivered: reader.flag() };
    case KIND.policy_set:
      return { kind: "policy_set", prefix: reader.text(), row: readPolicy(reader) };
    default:
      throw new Error(`a record holds an event of kind ${kind}, which is none of pre-emption`);
  }
}

function writeTarget(out: ByteWriter, target: EventTarget): void {
  out.number(target.wait);
  if (target.wait !== 0) return;
  out.text(target.name);
  out.token(target.token);
}

function readTarget(reader: ByteReader): EventTarget {
  const wait = reader.number();
  if (wait !== 0) return { wait, name: "", token: 0n };
  return { wait, name: reader.text(), token: reader.token() };
}

/** Also for snapshots, as those below. */
export function writeTerms(out: ByteWriter, { never, compensation }: Terms): void {
  out.byte((never ? 1 : 0) | (compensation === undefined ? 0 : 2));
  if (compensation !== undefined) writeCompensation(out, compensation);
}

export function readTerms(reader: ByteReader): Terms {
  const flags = reader.bits(3);
  return { never: (flags & 1) !== 0, compensation: (flags & 2) === 0 ? undefined : readCompensation(reader) };
}

export function writeCompensation(out: ByteWriter, { url, argument, blocks }: CompensationTerms): void {
  out.text(url);
  out.text(argument);
  out.byte(blocks ? 1 : 0);
}

export function readCompensation(reader: ByteReader): CompensationTerms {
  return { url: reader.text(), argument: reader.text(), blocks: reader.flag() };
}

export function writeCause(out: ByteWriter, cause: WarningCause): void {
  out.number(cause.countdownMs);
  out.byte(cause.enforce ? 1 : 0);
  out.float(cause.score);
  out.float(cause.threshold);
  writeList(out, cause.parts, (part) => {
    out.text(part.name);
    out.float(part.value);
    out.float(part.weight);
  });
  out.text(cause.reason);
  out.text(cause.by);
}

export function readCause(reader: ByteReader): WarningCause {
  return {
    countdownMs: reader.number(),
    enforce: reader.flag(),
    score: reader.float(),
    threshold: reader.float(),
    parts: readList(reader, () => ({ name: reader.text(), value: reader.float(), weight: reader.float() })),
    reason: reader.text(),
    by: reader.text(),
  };
}

export function writePolicy(out: ByteWriter, row: PolicyRow): void {
  writeList(out, [...row.set], ([name, value]) => {
    out.text(name);
    out.text(value);
  });
  out.float(row.threshold);
  out.text(row.by);
  out.text(row.reason);
  out.number(row.wallMs);
}

export function readPolicy(reader: ByteReader): PolicyRow {
  return {
    set: new Map(readList(reader, () => [reader.text(), reader.text()] as const)),
    threshold: reader.float(),
    by: reader.text(),
    reason: reader.text(),
    wallMs: reader.number(),
  };
}
