// dump.ts: the whole state of a partition as text, rows in order, so that two states can be compared whatever order led to them.
// Wider than the state hash: it shows effects, queues and links too. The clock is left out: it runs on between two records.
import type {
  Grant,
  PartitionState,
  RememberedOperation,
  Session,
  Wait,
  Warning,
  WarningCause,
} from "forelock/internal";

export function dump(state: PartitionState): string {
  const rows: string[] = [];
  const isFindable = (operation: RememberedOperation): boolean =>
    operation.requestId === ""
      ? operation.session?.done.get(operation.sequence) === operation
      : state.kept.get(`${operation.principal}\n${operation.requestId}`) === operation;
  rows.push(`counters ${state.epoch} ${state.grantCounter} ${state.nextSession} ${state.nextWait} ${state.nextFile}`);
  rows.push(`counters of pre-emption ${state.nextWarning} ${state.nextCompensation}`);
  rows.push(...preemptionRows(state));
  for (const [id, forgetAtMs] of state.tombstones) rows.push(`tombstone ${id} ${forgetAtMs}`);
  for (const session of state.sessions.values()) rows.push(...sessionRows(session, isFindable));
  for (const [key, operation] of state.kept) rows.push(`kept ${key.replace("\n", "/")} ${operationText(operation)}`);
  for (const wait of state.waits.values()) rows.push(waitText(wait));
  for (const element of state.elements.values()) {
    const { name, limit, readersBefore, waiting } = element;
    rows.push(`element ${name} ${limit} ${readersBefore} ${waiting}`);
  }
  for (const file of state.files.values()) {
    rows.push(
      `file ${file.number} ${file.name} ${file.guard} ${file.length} ${file.count} ${file.version} ${file.undos} ${file.checksum} ${file.provisionalFrom}`,
    );
  }
  for (const batch of state.batches.values()) {
    const { id, session, parts, deadlineMs, sinceMs, rollback, actor, stage, operation } = batch;
    const isOpen = operation.outcome === undefined;
    const names = parts.map((part) => `${part.name}/${part.mode}/${part.take}/${part.limit}`).join();
    rows.push(`batch ${id} ${session} ${names} ${deadlineMs} ${sinceMs} ${rollback} ${actor} ${stage} ${isOpen}`);
  }
  for (const [key, part] of state.parts) {
    rows.push(`part ${key} ${"element" in part ? `grant ${part.element.name} ${part.token}` : `wait ${part.id}`}`);
  }
  rows.sort();
  rows.push(`sums ${state.grants} ${state.operations} ${state.hashLow} ${state.hashHigh}`);
  return rows.join("\n");
}

function preemptionRows(state: PartitionState): readonly string[] {
  const rows = [...state.warnings.values()].map(warningText);
  for (const [target, { never, compensation }] of state.termsByTarget) {
    rows.push(`terms ${targetText(target)} ${never} ${JSON.stringify(compensation)}`);
  }
  for (const { id, url, argument, blocks, element, token, session, principal, why } of state.compensations.values()) {
    rows.push(`compensation ${id} ${url} ${argument} ${blocks} ${element} ${token} ${session} ${principal} ${why}`);
  }
  for (const [prefix, { set, threshold, by, reason, wallMs }] of state.policies) {
    rows.push(`policy ${prefix} ${[...set].sort().join(" ")} ${threshold} ${by} ${reason} ${wallMs}`);
  }
  for (const { kind, warning, principal, client, element, atMs } of state.judgements)
    rows.push(`judgement ${kind} ${warning} ${principal} ${client} ${element} ${atMs}`);
  rows.push(`contended ${[...state.contended].map((element) => element.name).sort()}`);
  return rows;
}

function warningText(warning: Warning): string {
  const { id, target, phase, extensions, extendedMs, endsAtMs, restarts, ...cause } = warning;
  return `warning ${id} ${targetText(target)} ${phase} ${extensions} ${extendedMs} ${endsAtMs} ${restarts} ${causeText(cause)}`;
}

function causeText({ countdownMs, enforce, score, threshold, parts, reason, by }: WarningCause): string {
  const shares = parts.map(({ name, value, weight }) => `${name}:${value}:${weight}`);
  return `${countdownMs} ${enforce} ${score} ${threshold} ${shares.join()} ${by} ${reason}`;
}

const targetText = (target: Grant | Wait): string =>
  "parts" in target ? `wait ${target.id}` : `grant ${target.element.name} ${target.token}`;

/** Whether anybody can still ask for its answer: what nobody can is not kept by snapshots. */
type Findable = (operation: RememberedOperation) => boolean;

function sessionRows(session: Session, isFindable: Findable): readonly string[] {
  const { number, id, principal, ttlMs, unheard, silentSinceMs, lowest } = session;
  const rows = [`session ${number} ${id} ${principal} ${ttlMs} ${unheard} ${silentSinceMs} ${lowest}`];
  for (const operation of session.done) rows.push(`done ${number} ${operationText(operation)}`);
  for (const operation of session.queued.values()) rows.push(`queued ${number} ${operationText(operation)}`);
  for (let grant = session.firstGrant; grant !== undefined; grant = grant.next) {
    rows.push(grantText(number, grant, isFindable));
  }
  return rows;
}

function grantText(session: number, grant: Grant, isFindable: Findable): string {
  const { token, element, sequence, requestId, actor, mode, take, entries, rollback, grantedAtMs, reserved } = grant;
  const effects = (grant.effects ?? []).map(({ file, length, count, checksum, operation }) => {
    const whose = isFindable(operation) ? `${operation.sessionId}.${operation.sequence}` : "-";
    return `${file.name}@${length}/${count}/${checksum}/${whose}`;
  });
  return `grant ${session} ${element.name} ${token} ${sequence} ${requestId} ${actor} ${mode} ${take} ${entries} ${rollback} ${grantedAtMs} ${reserved} [${effects.join()}]`;
}

function waitText(wait: Wait): string {
  const { id, session, arrivalMs, sinceMs, deadlineMs, priority, rollback, actor, upgradeOf, reserve, operation } =
    wait;
  const parts = wait.parts.map((part) => `${part.element.name}/${part.mode}/${part.take}/${part.limit}`).join();
  const whose = `${operation.sequence}${operation.requestId}`;
  return `wait ${id} ${session.number} ${parts} ${arrivalMs} ${sinceMs} ${deadlineMs} ${priority} ${rollback} ${actor} ${upgradeOf?.token} ${reserve} ${whose}`;
}

function operationText(operation: RememberedOperation): string {
  const { sessionId, sequence, requestId, principal, digest, keepMs, forgetAtMs, wait, session } = operation;
  const outcome = JSON.stringify(operation.outcome, (_key, value: unknown) =>
    typeof value === "bigint" ? value.toString() : value,
  );
  return `${sessionId} ${session?.number} ${sequence} ${requestId} ${principal} ${digest} ${keepMs} ${forgetAtMs} ${wait?.id} ${outcome}`;
}
