// reference.ts: operation references: `p<partition>.s.<session>.<sequence>`, or `p<partition>.k.<request id>` when kept.
import type { OperationTarget } from "../partition/commands.ts";
import type { Operation } from "../partition/state.ts";

export function referenceOf(
  partition: number,
  operation: Pick<Operation, "sessionId" | "sequence" | "requestId">,
): string {
  const { requestId, sessionId, sequence } = operation;
  if (requestId !== "") return `p${partition}.k.${requestId}`;
  // Those of one turn are mostly of one session.
  if (partition !== lastPartition || sessionId !== lastSession) {
    lastPartition = partition;
    lastSession = sessionId;
    lastPrefix = `p${partition}.s.${sessionId}.`;
  }
  return lastPrefix + sequence;
}

let lastPartition = -1;
let lastSession = "";
let lastPrefix = "";

const FORM = /^p(\d{1,4})\.(?:k\.([A-Za-z0-9_-]{22,64})|s\.([A-Za-z0-9_-]{22})\.(\d{1,16}))$/;

/** @returns undefined when the text is no reference. The principal is the asker's: references of others find nothing. */
export function parseReference(
  reference: string,
  principal: string,
): { readonly partition: number; readonly target: OperationTarget } | undefined {
  const match = FORM.exec(reference);
  if (match === null) return undefined;
  const partition = Number(match[1]);
  const [, , requestId, sessionId, sequence] = match;
  if (requestId !== undefined) return { partition, target: { kind: "kept", principal, requestId } };
  if (sessionId === undefined || sequence === undefined) return undefined;
  return { partition, target: { kind: "session", principal, sessionId, sequence: Number(sequence) } };
}

/** Names a warning on the wire. */
export function warningName(partition: number, id: number): string {
  return `w${partition}.${id}`;
}

const WARNING = /^w(\d{1,4})\.(\d{1,15})$/;

/** @returns undefined when the text names no warning */
export function parseWarning(text: string): { readonly partition: number; readonly id: number } | undefined {
  const match = WARNING.exec(text);
  return match === null ? undefined : { partition: Number(match[1]), id: Number(match[2]) };
}
