// file-model.ts: what files must hold, from the durable events alone: a second, simpler account of appends, commits and undo.
// Every version that a file ever had can be asked for.
import type { Grant, PartitionEvent, PartitionState } from "forelock/internal";
import { holdersOf } from "forelock/internal";
import { expectRule } from "./violation.ts";

/** A file as it was at one version: the last record, and the file before it. */
interface Version {
  readonly before: Version | undefined;
  readonly bytes: Uint8Array;
  readonly count: number;
  readonly length: number;
}

const EMPTY: Version = { before: undefined, bytes: new Uint8Array(0), count: 0, length: 0 };

interface ModelFile {
  readonly versions: Version[];
  undos: number;
}

export class FileModel {
  readonly #fileByName = new Map<string, ModelFile>();
  /** For each grant that may be undone: what each file was before its first append. */
  readonly #journals = new Map<string, Map<string, Version>>();

  /** Call before the event is applied to `state`. */
  see(state: PartitionState, event: PartitionEvent): void {
    switch (event.kind) {
      case "file_created":
        this.#file(event.name);
        return;
      case "appended":
        this.#append(state, event);
        return;
      case "released": {
        const grant = grantAt(state, event.name, event.token);
        if (event.undo) this.#undo(grant);
        if (grant?.entries === 1) this.#commit(grant);
        return;
      }
      case "downgraded":
        this.#commit(grantAt(state, event.name, event.token));
        return;
      case "forced":
        this.#undo(grantAt(state, event.name, event.token));
        return;
      case "preempted": {
        const target = state.warnings.get(event.warning)?.target;
        if (target !== undefined && "element" in target) this.#undo(target);
        return;
      }
      case "part_abandoned": {
        const part = state.parts.get(event.part);
        if (part !== undefined && "element" in part) this.#undo(part);
        return;
      }
      case "session_ended": {
        const session = state.sessionByNumber.get(event.session);
        const grants: Grant[] = [];
        for (let grant = session?.firstGrant; grant !== undefined; grant = grant.next) grants.push(grant);
        for (const grant of grants.reverse()) {
          if (event.why === "closed") this.#commit(grant);
          else this.#undo(grant);
        }
        return;
      }
      default:
        return;
    }
  }

  /** Compares every row with the model. */
  check(state: PartitionState): void {
    for (const row of state.files.values()) {
      const file = this.#fileByName.get(row.name);
      const now = file?.versions.at(-1);
      const isSame =
        file !== undefined &&
        now?.length === row.length &&
        now.count === row.count &&
        file.versions.length - 1 === row.version &&
        file.undos === row.undos;
      expectRule(
        isSame,
        "file-row",
        () =>
          `${row.name} says ${row.length} bytes, ${row.count} records, version ${row.version}, ${row.undos} undos; the events make ${now?.length}, ${now?.count}, ${(file?.versions.length ?? 0) - 1}, ${file?.undos}`,
      );
    }
  }

  versionOf(name: string): number {
    return (this.#fileByName.get(name)?.versions.length ?? 1) - 1;
  }

  /** The contents at a version; undefined when there was no such version. */
  contentsAt(name: string, version: number): Uint8Array | undefined {
    const found = this.#fileByName.get(name)?.versions[version];
    if (found === undefined) return undefined;
    const records: Uint8Array[] = [];
    for (let at: Version | undefined = found; at !== undefined; at = at.before) records.push(at.bytes);
    return Buffer.concat(records.reverse());
  }

  get names(): readonly string[] {
    return [...this.#fileByName.keys()];
  }

  #append(state: PartitionState, event: PartitionEvent & { readonly kind: "appended" }): void {
    const grant = grantAt(state, event.element, event.token);
    expectRule(
      grant !== undefined && !grant.reserved && grant.mode === 0,
      "append-unfenced",
      () => `an append to ${event.file} under token ${event.token}, which holds ${event.element} no more`,
    );
    const file = this.#file(event.file);
    const before = file.versions.at(-1) ?? EMPTY;
    if (grant?.rollback === true) {
      const journal = this.#journals.get(keyOf(grant)) ?? new Map<string, Version>();
      this.#journals.set(keyOf(grant), journal);
      if (!journal.has(event.file)) journal.set(event.file, before);
    }
    const length = before.length + event.bytes.length;
    file.versions.push({ before, bytes: event.bytes.slice(), count: before.count + 1, length });
  }

  #undo(grant: Grant | undefined): void {
    if (grant === undefined) return;
    for (const [name, before] of this.#journals.get(keyOf(grant)) ?? []) {
      const file = this.#file(name);
      file.versions.push(before);
      file.undos += 1;
    }
    this.#commit(grant);
  }

  #commit(grant: Grant | undefined): void {
    if (grant !== undefined) this.#journals.delete(keyOf(grant));
  }

  #file(name: string): ModelFile {
    const known = this.#fileByName.get(name);
    if (known !== undefined) return known;
    const file: ModelFile = { versions: [EMPTY], undos: 0 };
    this.#fileByName.set(name, file);
    return file;
  }
}

const keyOf = (grant: Grant): string => `${grant.element.name} ${grant.token}`;

function grantAt(state: PartitionState, name: string, token: bigint): Grant | undefined {
  const element = state.elements.get(name);
  return element === undefined ? undefined : [...holdersOf(element)].find((grant) => grant.token === token);
}
