// apply.ts (file): what appends and undo do to the rows of files. Contents go to the bulk store through the observer.
//   F1. A file's row counts exactly what was appended and not undone.
//   F2. Undo takes a file back to what it was before the first effect of the grant, in one step, and marks the answers it took back.
import { assert } from "@forelock/protocol";
import type { FileEvent } from "../partition/events.ts";
import { addFile, addGrant, hashText } from "../partition/hash.ts";
import type { Observer } from "../partition/observer.ts";
import { amend, remember, sessionOf } from "../partition/operations.ts";
import { type FileRow, type Grant, holderByToken, type PartitionState } from "../partition/state.ts";

export function applyFile(state: PartitionState, event: FileEvent, observer: Observer): void {
  switch (event.kind) {
    case "file_created":
      createFile(state, event.name);
      return;
    case "appended":
      append(state, event, observer);
      return;
  }
}

function createFile(state: PartitionState, name: string): FileRow {
  assert(!state.files.has(name), "a file is created once");
  const file: FileRow = {
    number: state.nextFile,
    name,
    hash: hashText(name),
    guard: "",
    length: 0,
    count: 0,
    version: 0,
    undos: 0,
    checksum: 0,
    provisionalFrom: -1,
  };
  state.nextFile += 1;
  state.files.set(name, file);
  addFile(state, 1, file);
  return file;
}

function append(state: PartitionState, event: FileEvent & { readonly kind: "appended" }, observer: Observer): void {
  const file = state.files.get(event.file) ?? createFile(state, event.file);
  const element = state.elements.get(event.element);
  const grant = element === undefined ? undefined : holderByToken(element, event.token);
  assert(grant !== undefined, "an append names a current grant");
  const before = { length: file.length, count: file.count, checksum: file.checksum };
  addFile(state, -1, file);
  file.guard = event.element;
  file.length += event.bytes.length;
  file.count += 1;
  file.version += 1;
  file.checksum = rollChecksum(file.checksum, event.checksum);
  if (grant.rollback && file.provisionalFrom < 0) file.provisionalFrom = before.length;
  addFile(state, 1, file);
  const operation = remember(state, sessionOf(state, event.request.session), event.request, {
    kind: "appended",
    length: file.length,
    version: file.version,
    index: before.count,
    offset: before.length,
    undone: false,
  });
  if (grant.rollback) {
    addGrant(state, -1, grant);
    grant.effects ??= [];
    grant.effects.push({ file, ...before, operation });
    addGrant(state, 1, grant);
  }
  observer.appended(file, before.count, before.length, event.bytes, event.checksum);
}

/** Order matters: two files with the same records in another order differ. Multiplier: golden ratio of 2^32 (Knuth). */
export function rollChecksum(rolling: number, checksum: number): number {
  return (Math.imul(rolling ^ checksum, 0x9e3779b1) + 0x7f4a7c15) >>> 0;
}

/** The effects of a grant stay. */
export function commitEffects(state: PartitionState, grant: Grant): void {
  if (grant.effects === undefined) return;
  addGrant(state, -1, grant);
  for (const { file } of grant.effects) {
    if (file.provisionalFrom < 0) continue;
    addFile(state, -1, file);
    file.provisionalFrom = -1;
    addFile(state, 1, file);
  }
  grant.effects = undefined;
  addGrant(state, 1, grant);
}

/** F2. @returns how many effects were undone */
export function undoEffects(state: PartitionState, grant: Grant, observer: Observer): number {
  const { effects } = grant;
  if (effects === undefined) return 0;
  addGrant(state, -1, grant);
  const cut = new Set<FileRow>();
  for (const effect of effects) {
    const { outcome } = effect.operation;
    if (outcome?.kind === "appended") amend(state, effect.operation, { ...outcome, undone: true });
    if (cut.has(effect.file)) continue;
    cut.add(effect.file);
    addFile(state, -1, effect.file);
    effect.file.length = effect.length;
    effect.file.count = effect.count;
    effect.file.checksum = effect.checksum;
    effect.file.version += 1;
    effect.file.undos += 1;
    effect.file.provisionalFrom = -1;
    addFile(state, 1, effect.file);
  }
  grant.effects = undefined;
  addGrant(state, 1, grant);
  for (const file of cut) observer.cut(file);
  return effects.length;
}
