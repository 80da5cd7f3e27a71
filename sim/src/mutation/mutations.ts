// mutations.ts: the planted bugs, by bug class of the promises. Each is one that a lock service has been shipped with somewhere.
import type { Mutation } from "./mutation.ts";

const LOCK = ["packages/server/src/lock"];
const SESSION = ["packages/server/src/session"];
const FILE = ["packages/server/src/file"];
const OPERATIONS = ["packages/server/src/partition/operations.test.ts"];
const NODE = ["packages/server/src/shard/node.test.ts"];
const SIMULATOR = ["sim/src/simulator"];
const PREEMPTION = ["sim/src/simulator/preemption.test.ts"];
/** The simulated cluster comes last: the tests beside the code name what broke in fewer words. */
const CLUSTER = ["packages/server/src/cluster/ownership.test.ts", "sim/src/cluster"];
const DEADLOCKS = ["packages/server/src/shard/deadlock-search.test.ts"];
const SEGMENT = ["packages/server/src/log/segment/damage.test.ts"];

export const MUTATIONS: readonly Mutation[] = [
  // Durability.
  {
    name: "drop-the-sync",
    breaks: "What is acknowledged survives a power cut.",
    file: "packages/server/src/log/segment/files.ts",
    find: "write_durable: constants.O_RDWR | constants.O_DSYNC,",
    replace: "write_durable: constants.O_RDWR,",
    tests: ["packages/server/src/log/segment/files.test.ts"],
  },
  {
    name: "ack-before-durable",
    breaks: "Nothing decided leaves before its record is durable.",
    file: "packages/server/src/shard/shard.ts",
    find: "if (!this.#options.isDurable) for (const release of released) release.send();",
    replace: "for (const release of released.splice(0)) release.send();",
    tests: NODE,
  },
  {
    name: "failed-write-goes-on",
    breaks: "After one failed write nothing is appended any more.",
    file: "packages/server/src/log/segment/append.ts",
    find: "        this.#stop(batch, cause);\n        break;",
    replace: "        void cause;",
    tests: ["packages/server/src/log/segment/faults.test.ts"],
  },
  {
    name: "cut-a-damaged-middle",
    breaks: "Damage in the middle is refused, never taken for a torn end.",
    file: "packages/server/src/log/segment/segment.ts",
    find: `if (state === "damaged") throw damaged(path, at, "a block fails its checksum");`,
    replace: `if (state === "damaged") continue;`,
    tests: SEGMENT,
  },
  // Who may hold.
  {
    name: "writer-beside-readers",
    breaks: "An exclusive holder is alone.",
    file: "packages/server/src/lock/grant.ts",
    find: "element.shared === (upgradeOf === undefined ? 0 : 1)",
    replace: "element.shared >= (upgradeOf === undefined ? 0 : 1)",
    tests: LOCK,
  },
  {
    name: "one-permit-too-many",
    breaks: "No more permits are held than the limit.",
    file: "packages/server/src/lock/grant.ts",
    find: "element.taken + wanted.take <= wanted.limit",
    replace: "element.taken < wanted.limit",
    tests: LOCK,
  },
  {
    name: "tree-without-intents",
    breaks: "A grant above or below excludes.",
    file: "packages/server/src/lock/grant.ts",
    find: "return ancestor.exclusive === 0 && (mode === SHARED || ancestor.shared === 0);",
    replace: "return mode === SHARED || ancestor.shared === 0;",
    tests: [...LOCK, ...SIMULATOR],
  },
  {
    name: "half-a-batch",
    breaks: "Elements taken together are granted together or not at all.",
    file: "packages/server/src/lock/acquire.ts",
    find: "  for (const part of parts) {\n    const element = state.elements.get(part.name);\n    if (!fits(element, part, undefined) || isCompensating(state, part.name)) return false;",
    replace:
      "  for (const part of parts.slice(0, 1)) {\n    const element = state.elements.get(part.name);\n    if (!fits(element, part, undefined) || isCompensating(state, part.name)) return false;",
    tests: LOCK,
  },
  {
    name: "unfair-phases",
    breaks: "Readers that waited when a writer left go before the next writer.",
    file: "packages/server/src/lock/grant.ts",
    find: "if (element.readersBefore > 0) {",
    replace: "if (element.readersBefore < 0) {",
    tests: LOCK,
  },
  {
    name: "overtaking",
    breaks: "Nobody overtakes an earlier waiter that it conflicts with.",
    file: "packages/server/src/lock/grant.ts",
    find: "if (first !== undefined && first.id !== arrival.id && isBefore(first, arrival as Wait)) return true;",
    replace: "if (first !== undefined && first.id === arrival.id && isBefore(first, arrival as Wait)) return true;",
    tests: LOCK,
  },
  // Tokens.
  {
    name: "token-reused",
    breaks: "Tokens of an element only rise.",
    file: "packages/server/src/lock/apply.ts",
    find: "  state.grantCounter += 1; // A1",
    replace: "  state.grantCounter = Math.max(1, state.grantCounter);",
    tests: LOCK,
  },
  {
    name: "release-ignores-the-token",
    breaks: "A stale token ends nobody's grant.",
    file: "packages/server/src/lock/release.ts",
    find: `  const grant = currentGrant(state, command.name, command.token);
  if (grant === undefined || grant.session.principal !== command.session.principal) {
    return refuse("stale_token", \`token = \${command.token} is not a current grant of \${command.name}.\`); // L7, L8
  }
  return {
    events: [{ kind: "released", request, name: command.name, token: command.token, undo: command.undo }],`,
    replace: `  const element = state.elements.get(command.name);
  const grant = element === undefined ? undefined : [...holdersOf(element)][0];
  if (grant === undefined) return refuse("stale_token", "free");
  return {
    events: [{ kind: "released", request, name: command.name, token: grant.token, undo: command.undo }],`,
    tests: LOCK,
  },
  {
    name: "foreign-token-releases",
    breaks: "A token counts for the principal that holds it only.",
    file: "packages/server/src/lock/release.ts",
    find: `  if (grant === undefined || grant.session.principal !== command.session.principal) {
    return refuse("stale_token", \`token = \${command.token} is not a current grant of \${command.name}.\`); // L7, L8`,
    replace: `  if (grant === undefined) {
    return refuse("stale_token", \`token = \${command.token} is not a current grant of \${command.name}.\`); // L7, L8`,
    tests: LOCK,
  },
  // Sessions.
  {
    name: "grant-to-a-silent-session",
    breaks: "A session that is not live is passed over.",
    file: "packages/server/src/lock/grant.ts",
    find: "  if (!isLive(wait.session, state.clockMs)) return false; // L4",
    replace: "",
    tests: [...LOCK, ...SESSION],
  },
  {
    name: "the-dead-come-back",
    breaks: "A session that expired in a partition never comes back there.",
    file: "packages/server/src/session/decide.ts",
    find: "if (state.tombstones.has(identity.id)) {",
    replace: "if (state.tombstones.size < 0) {",
    tests: SESSION,
  },
  {
    name: "any-secret-will-do",
    breaks: "A session belongs to whoever has its secret.",
    file: "packages/server/src/session/decide.ts",
    find: "if (session.secretHash !== identity.secretHash || session.principal !== identity.principal) {",
    replace: "if (session.principal !== identity.principal) {",
    tests: SESSION,
  },
  // Exactly once.
  {
    name: "append-twice-on-retry",
    breaks: "A request id that is remembered is never carried out again.",
    file: "packages/server/src/partition/decide.ts",
    find: "  if (known !== undefined) {\n    if (known.digest === request.digest) return NOTHING; // D1",
    replace:
      '  if (known !== undefined && command.kind !== "append") {\n    if (known.digest === request.digest) return NOTHING; // D1',
    tests: [...FILE, ...OPERATIONS],
  },
  {
    name: "forgotten-request",
    breaks: "What is unanswered is remembered.",
    file: "packages/server/src/partition/operations.ts",
    find: "  session.done.add(operation);",
    replace: "  session.done.clear();",
    tests: [...FILE, ...OPERATIONS],
  },
  {
    name: "acknowledged-carried-out-again",
    breaks: "A sequence that the client has acknowledged is refused.",
    file: "packages/server/src/partition/decide.ts",
    find: "  if (request.sequence < session.lowest) {",
    replace: "  if (request.sequence < 0) {",
    tests: OPERATIONS,
  },
  {
    name: "reused-id-not-noticed",
    breaks: "One request id stands for one request.",
    file: "packages/server/src/partition/decide.ts",
    find: "    if (known.digest === request.digest) return NOTHING; // D1",
    replace: "    if (known.digest !== undefined) return NOTHING; // D1",
    tests: OPERATIONS,
  },
  // Undo.
  {
    name: "no-undo-at-expiry",
    breaks: "Work under `rollback` is undone before the next grant.",
    file: "packages/server/src/session/apply.ts",
    find: "    } else undone = undoEffects(state, grant, observer);",
    replace: "    } else commitEffects(state, grant);",
    tests: [...FILE, ...SESSION],
  },
  {
    name: "no-undo-by-force",
    breaks: "Work under `rollback` is undone when an operator forces the release.",
    file: "packages/server/src/lock/apply.ts",
    find: `  const undone = undoEffects(state, grant, observer);
  dropPart(state, grant);`,
    replace: `  const undone = why === "forced" ? 0 : undoEffects(state, grant, observer);
  if (why === "forced") commitEffects(state, grant);
  dropPart(state, grant);`,
    tests: [...FILE, ...LOCK, ...SIMULATOR],
  },
  {
    name: "undo-keeps-the-version",
    breaks: "Undo raises the file's version, so that readers notice.",
    file: "packages/server/src/file/apply.ts",
    find: "    effect.file.version += 1;\n    effect.file.undos += 1;",
    replace: "    effect.file.undos += 1;",
    tests: FILE,
  },
  {
    name: "shared-grants-append",
    breaks: "Effects need an exclusive grant.",
    file: "packages/server/src/file/decide.ts",
    find: "  if (grant.mode !== EXCLUSIVE) {",
    replace: "  if (grant.mode < 0) {",
    tests: FILE,
  },
  // Pre-emption, which the simulator must notice.
  {
    name: "force-without-the-countdown",
    breaks: "A grant is forced only when a countdown has run in full.",
    file: "packages/server/src/preempt/apply.ts",
    find: "    endsAtMs: state.clockMs + event.cause.countdownMs,",
    replace: "    endsAtMs: state.clockMs,",
    tests: PREEMPTION,
  },
  {
    name: "countdown-cut-by-a-restart",
    breaks: "A countdown after a crash runs in full.",
    file: "packages/server/src/preempt/table.ts",
    find: "      warning.restarts += 1;\n      warning.endsAtMs = state.clockMs + warning.countdownMs + warning.extendedMs;",
    replace: "      warning.restarts += 1;",
    tests: PREEMPTION,
  },
  {
    name: "no-undo-at-preemption",
    breaks: "Work under `rollback` is undone when a countdown ends.",
    file: "packages/server/src/lock/apply.ts",
    find: `  const undone = undoEffects(state, grant, observer);
  dropPart(state, grant);`,
    replace: `  const undone = why === "preempted" ? 0 : undoEffects(state, grant, observer);
  dropPart(state, grant);`,
    tests: PREEMPTION,
  },
  {
    name: "never-is-forced",
    breaks: "A grant that is never to be pre-empted is not.",
    file: "packages/server/src/preempt/decide.ts",
    find: "enforce: cause.enforce && !isNever",
    replace: "enforce: cause.enforce",
    tests: PREEMPTION,
  },
  {
    name: "token-not-fenced",
    breaks: "Fenced, then forced: the token is dead before anyone else is granted.",
    file: "packages/server/src/preempt/apply.ts",
    find: `  removeGrant(state, grant, observer);
  observer.lost(grant, "preempted",`,
    replace: `  dropWarning(state, grant);
  observer.freed(grant.element, true);
  observer.lost(grant, "preempted",`,
    tests: PREEMPTION,
  },
  {
    name: "passed-over-again",
    breaks: "A wait makes room for others once.",
    file: "packages/server/src/preempt/apply.ts",
    find: "  warning.target = behind;\n  insertWarning(state, warning);",
    replace: "",
    tests: PREEMPTION,
  },
  {
    name: "extensions-without-end",
    breaks: "A grant has no more extensions than the policy allows, also when they are asked for side by side.",
    file: "packages/server/src/preempt/decide.ts",
    find: `  return warning.extensions < extensionsMax ? "" :`,
    replace: `  return warning.extensions < Number.POSITIVE_INFINITY ? "" :`,
    tests: ["packages/server/src/preempt/preempt.test.ts"],
  },
  {
    name: "call-forgotten",
    breaks: "A lost grant leaves the call that it asked for.",
    file: "packages/server/src/lock/apply.ts",
    find: "  owe(state, grant, why);",
    replace: `  if (why === "forced") owe(state, grant, why);`,
    tests: PREEMPTION,
  },
  {
    name: "budget-forgotten-by-a-restart",
    breaks: "Forced releases of the last hour count over a restart, and so do cool-downs.",
    file: "packages/server/src/shard/foresight.ts",
    find: "    for (const judgement of shard.state.judgements) this.#adoptJudgement(shard, judgement);\n",
    replace: "",
    tests: ["packages/server/src/shard/budgets.test.ts"],
  },
  {
    name: "lost-part-is-granted",
    breaks: "A lockAll over several tags is granted only while every part is held.",
    file: "packages/server/src/shard/batches.ts",
    find: "{ nameLost: this.#nameLost() }",
    replace: "{ nameLost: undefined }",
    tests: ["packages/server/src/shard/batches.test.ts"],
  },
  {
    name: "holders-below-are-not-looked-at",
    breaks: "A holder below an element that somebody waits for is assessed like any other.",
    file: "packages/server/src/shard/foresight.ts",
    find: "if (grant.element.waiting === 0) yield grant;",
    replace: "if (grant.element.waiting < 0) yield grant;",
    tests: ["packages/server/src/shard/foresight-tree.test.ts"],
  },
  // What only clusters have.
  {
    name: "take-over-under-the-old-epoch",
    breaks: "Who takes a partition over raises its epoch.",
    file: "packages/server/src/log/etcd/ownership.ts",
    find: "const epoch = nextEpoch(number, Math.max(expected.epoch, after.epoch));",
    replace: "const epoch = Math.max(1, expected.epoch, after.epoch);",
    tests: CLUSTER,
  },
  {
    name: "window-without-an-end",
    breaks: "An owner answers only within the window of a look at the epochs.",
    file: "packages/server/src/cluster/window.ts",
    find: "return this.#options.clock.monotonicMs() - this.#provenAtMs < WINDOW_MS;",
    replace: "return this.#provenAtMs > Number.NEGATIVE_INFINITY;",
    tests: CLUSTER,
  },
  {
    name: "no-silence-after-a-take-over",
    breaks: "Who takes over answers nothing while the old owner may.",
    file: "packages/server/src/cluster/ownership.ts",
    find: `if (expected.owner !== "" && expected.owner !== self) await pauseFor(clock, SILENCE_MS);`,
    replace: "",
    tests: CLUSTER,
  },
  {
    name: "followed-past-a-gap",
    breaks: "A standby that misses a record reads the log anew.",
    file: "packages/server/src/log/etcd/follow.ts",
    find: "    if (parsed.sequence > follower.sequence + 1) {\n      void this.#catchUp(follower); // F1\n      return 1;\n    }\n",
    replace: "",
    tests: ["packages/server/src/log/etcd/follow.test.ts", "sim/src/cluster"],
  },
  {
    name: "kept-record-forgotten",
    breaks: "What a failed hand-over had taken along goes to the log after all.",
    file: "packages/server/src/shard/shard.ts",
    find: "    if (this.#kept !== undefined) this.#append(this.#kept);\n",
    replace: "",
    tests: ["packages/server/src/shard/ownership.test.ts"],
  },
  {
    name: "freeze-keeps-the-clock",
    breaks: "What is given away goes on by the clock of its records.",
    file: "packages/server/src/shard/shard.ts",
    find: "    if (this.#writer.length === 0) this.state.clockMs = this.#recordedClockMs; // As in a freeze.\n",
    replace: "",
    tests: CLUSTER,
  },
  {
    name: "own-name-is-proof-enough",
    breaks: "A partition is led only under the epoch that names its owner, not under an earlier one of the same owner.",
    file: "packages/server/src/cluster/ownership.ts",
    find: "(record.owner !== this.#options.self || record.epoch > led)",
    replace: "(record.owner !== this.#options.self || led < 0)",
    tests: ["packages/server/src/cluster/ownership.test.ts"],
  },
  {
    name: "figures-of-one-node",
    breaks: "Thresholds move by what all nodes of a cluster have seen.",
    file: "packages/server/src/shard/thresholds.ts",
    find: "        if (rows === undefined) missing.push(id);\n        for (const row of rows ?? []) this.#evidence.join(row);",
    replace: "        if (rows === undefined) missing.push(id);",
    tests: ["packages/server/src/shard/thresholds.test.ts"],
  },
  {
    name: "any-standby-takes-over",
    breaks: "Of the standbys of a silent owner the one furthest along takes over.",
    file: "packages/server/src/cluster/ownership.ts",
    find: ".sort((a, b) => a.rank - b.rank || b.position - a.position || (a.id < b.id ? -1 : 1));",
    replace: ".sort((a, b) => a.rank - b.rank || (a.id < b.id ? -1 : 1));",
    tests: ["packages/server/src/cluster/ownership.test.ts"],
  },
  {
    name: "cycle-not-looked-at-again",
    breaks: "Nobody is refused for a cycle of waits over several nodes that is over by then.",
    file: "packages/server/src/shard/wait-answers.ts",
    find: "if (own.length === 0 || stand.includes(false)) return false;",
    replace: "",
    tests: DEADLOCKS,
  },
  {
    name: "late-word-refuses",
    breaks: "Nobody is refused for a cycle of waits that was looked at long ago.",
    file: "packages/server/src/shard/wait-answers.ts",
    find: "clock.monotonicMs() <= untilMs && own.every((edge) => standing(state, edge));",
    replace: "own.every((edge) => standing(state, edge));",
    tests: DEADLOCKS,
  },
  {
    name: "edges-of-one-node-only",
    breaks: "A cycle of waits over several nodes is found.",
    file: "packages/server/src/shard/deadlock-search.ts",
    find: "return found.flatMap(({ id, answer }) => answer.edges.map((edge) => edgeOf(edge, id)));",
    replace: "return found.slice(0, 1).flatMap(({ id, answer }) => answer.edges.map((edge) => edgeOf(edge, id)));",
    tests: ["packages/server/src/cluster/deadlocks.test.ts"],
  },
  {
    name: "any-permit-holder-is-waited-for",
    breaks: "Who waits for any of several permits is in no cycle while one of their holders goes on.",
    file: "packages/server/src/lock/stuck.ts",
    find: `edge.anyOf === "" ? [edge] : (byGroup.get(groupOf(edge)) ?? []); // S1, S2`,
    replace: "[edge];",
    tests: ["packages/server/src/lock/deadlock.test.ts"],
  },
  // Snapshots.
  {
    name: "waiter-lost-in-snapshot",
    breaks: "A snapshot keeps every place in every queue.",
    file: "packages/server/src/partition/snapshot.ts",
    find: "  writeAll(out, waits.length, waits, (wait) => writeWait(out, wait));",
    replace: "  writeAll(out, 0, [], (wait: (typeof waits)[number]) => writeWait(out, wait));",
    tests: ["packages/server/src/partition"],
  },
  // The edge.
  {
    name: "only-the-first-is-authorised",
    breaks: "Every operation of a frame is authorised on its own.",
    file: "packages/server/src/edge/requests.ts",
    find: "validate(operation, this.#switchboard.limits) ?? this.#denied(body!);",
    replace: "validate(operation, this.#switchboard.limits) ?? (this.inFlight > 0 ? undefined : this.#denied(body!));",
    tests: ["packages/server/src/edge/authorize.test.ts", "packages/server/src/edge/tcp"],
  },
];
