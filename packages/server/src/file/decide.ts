// decide.ts (file): who may append. Not here: contents (bulk/), undo (apply.ts).
//   F3. An append needs the current token of the exclusive grant of the file's guarding element, from any session of its principal.
//   F4. The first append fixes the guarding element: two guards could undo each other's work.

import { currentGrant } from "../lock/acquire.ts";
import { EXCLUSIVE, MODE_NAMES } from "../lock/mode.ts";
import type { Decision, PartitionLimits, SessionCommand } from "../partition/commands.ts";
import type { EventRequest } from "../partition/events.ts";
import type { PartitionState } from "../partition/state.ts";
import { NOTHING, refuse } from "../session/decide.ts";

export function decideAppend(
  state: PartitionState,
  command: SessionCommand & { readonly kind: "append" },
  request: EventRequest,
  limits: PartitionLimits,
): Decision {
  const file = state.files.get(command.file);
  if (file === undefined && limits.fileCreate === "listed")
    return refuse("no_such_file", `There is no file ${command.file}.`);
  if (file === undefined && state.files.size >= limits.filesMax) {
    return refuse("files_full", `The partition has ${state.files.size} files; it may have ${limits.filesMax}.`);
  }
  if (file !== undefined && file.guard !== "" && file.guard !== command.element) {
    return refuse("guard_required", `${command.file} is guarded by ${file.guard}, not by ${command.element}.`); // F4
  }
  const grant = currentGrant(state, command.element, command.token);
  if (grant === undefined || grant.session.principal !== command.session.principal) {
    return refuse("stale_token", `token = ${command.token} is not a current grant of ${command.element}.`); // F3
  }
  if (grant.mode !== EXCLUSIVE) {
    return refuse(
      "guard_required",
      `The grant of ${command.element} is ${MODE_NAMES[grant.mode]}; an append needs an exclusive one.`,
    );
  }
  const length = (file?.length ?? 0) + command.bytes.length;
  if (length > limits.fileBytesMax) {
    return refuse("file_full", `${command.file} would have ${length} bytes; it may have ${limits.fileBytesMax}.`);
  }
  if (grant.rollback && (grant.effects?.length ?? 0) >= limits.effectsMax) {
    return refuse("effects_full", `The grant has ${limits.effectsMax} effects that can be undone, as many as it may.`);
  }
  return {
    events: [
      {
        kind: "appended",
        request,
        file: command.file,
        element: command.element,
        token: command.token,
        bytes: command.bytes,
        checksum: command.checksum,
      },
    ],
    refusal: undefined,
  };
}

/** Creates a file of the list that the server was started with; once. */
export function decideCreateFile(state: PartitionState, name: string): Decision {
  return state.files.has(name) ? NOTHING : { events: [{ kind: "file_created", name }], refusal: undefined };
}
