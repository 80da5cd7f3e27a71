// check-grants.ts: who certainly held at the same time as whom, and the order of tokens. Not here: files (check-files.ts).
//   C1. Two grants overlap only when both were *certainly* held at one moment: after both answers, before either can have ended.
//   C2. Tokens order the exclusive grants of an element, so the one with the lower token must have been able to end before the
//       other's answer came, even where their certain intervals do not touch.
import type { Action } from "./action.ts";
import { describeGrant, type Grant } from "./grant.ts";
import { compareVersions, groupBy, showVersion, textOf, versionOf } from "./record.ts";
import type { Session } from "./session.ts";
import type { Violation } from "./violation.ts";

export function checkHolders(grants: readonly Grant[]): readonly Violation[] {
  const violations: Violation[] = [];
  for (const domain of groupBy(grants, domainOf).values()) violations.push(...sweep(domain));
  const exclusive = grants.filter(({ mode }) => mode === "exclusive");
  for (const ofKey of groupBy(exclusive, ({ key }) => key).values()) violations.push(...checkHandOver(ofKey));
  return violations;
}

export function checkTokens(grants: readonly Grant[]): readonly Violation[] {
  const violations: Violation[] = [];
  const exclusive = grants.filter(({ mode }) => mode === "exclusive");
  for (const ofKey of groupBy(exclusive, ({ key }) => key).values()) {
    const byToken = ofKey.toSorted((a, b) => compareVersions(a.token, b.token));
    byToken.slice(1).forEach((grant, index) => {
      const before = byToken[index];
      if (before !== undefined && compareVersions(before.token, grant.token) === 0) {
        violations.push(about("token_repeated", before, grant));
      }
    });
    violations.push(...checkRising(ofKey));
  }
  return violations;
}

/** All elements of a batch are granted, or none; lines without an answer say nothing. */
export function checkBatches(actions: readonly Action[]): readonly Violation[] {
  const violations: Violation[] = [];
  const members = actions.filter(
    ({ op, status, args }) => op === "acquire" && status === "ok" && textOf(args, "batch"),
  );
  for (const [batch, ofBatch] of groupBy(members, ({ args }) => textOf(args, "batch"))) {
    const granted = ofBatch.filter(({ result }) => result["granted"] === true);
    if (granted.length === 0 || granted.length === ofBatch.length) continue;
    violations.push({
      kind: "half_batch",
      key: ofBatch.map(({ key }) => key).join(", "),
      message: `batch ${batch}: ${granted.length} of ${ofBatch.length} elements were granted`,
      lines: ofBatch.flatMap(({ lines }) => lines),
    });
  }
  return violations;
}

/**
 * A grant to a session that was known to be dead. When the acquire was asked for before the death, the earliest moment of the
 * grant comes from the tokens: it follows every grant with a lower token, and the end of the exclusive one before it.
 */
export function checkDeadSessions(
  grants: readonly Grant[],
  sessions: ReadonlyMap<string, Session>,
): readonly Violation[] {
  const violations: Violation[] = [];
  for (const ofKey of groupBy(grants, ({ key }) => key).values()) {
    let earliestNs = Number.NEGATIVE_INFINITY;
    for (const grant of ofKey.toSorted((a, b) => compareVersions(a.token, b.token))) {
      const session = grant.session === undefined ? undefined : sessions.get(grant.session);
      const startNs = grant.mode === "exclusive" ? Math.max(grant.callNs, earliestNs) : grant.callNs;
      if (session !== undefined && session.deadFromNs < startNs) {
        violations.push({
          kind: "grant_to_dead_session",
          key: grant.key,
          message: `${describeGrant(grant)} began at ${startNs} ns or later; ${session.key} was dead by ${session.deadFromNs} ns`,
          lines: [...grant.lines, ...session.deathLines],
        });
      }
      if (grant.mode !== "exclusive") continue;
      earliestNs = Math.max(
        earliestNs,
        grant.callNs,
        Number.isFinite(grant.earliestEndNs) ? grant.earliestEndNs : grant.callNs,
      );
    }
  }
  return violations;
}

/** Reasons that claim a grant has ended. Others (a full file, an overload) say nothing about it. */
const ENDED_REASONS: ReadonlySet<string> = new Set(["stale_token", "lock_lost", "not_held", "session_expired"]);

/** A refusal that claims a grant has ended, while it was certainly held; and releases that freed someone else's lock. */
export function checkUses(actions: readonly Action[], grants: readonly Grant[]): readonly Violation[] {
  const violations: Violation[] = [];
  const byKey = groupBy(grants, ({ key }) => key);
  for (const action of actions) {
    const token = versionOf(action.args, "token");
    if (action.status !== "ok" || token === undefined) continue;
    if (action.op !== "release" && action.op !== "append") continue;
    const element = action.op === "release" ? action.key : (textOf(action.args, "lock") ?? action.key);
    const ofKey = byKey.get(element) ?? [];
    const grant = ofKey.find((one) => compareVersions(one.token, token) === 0);
    const refused = action.result["released"] === false || action.result["applied"] === false;
    if (refused) {
      if (grant === undefined || !ENDED_REASONS.has(textOf(action.result, "reason") ?? "stale_token")) continue;
      if (grant.earliestEndNs <= action.returnNs || grant.returnNs > action.callNs) continue;
      violations.push({
        kind: "holder_robbed",
        key: element,
        message: `${action.op} was refused by ${action.returnNs} ns; ${describeGrant(grant)} could not end before ${grant.earliestEndNs} ns`,
        lines: [...action.lines, ...grant.lines],
      });
    } else if (action.op === "release") {
      const newer = ofKey.find(
        (one) => compareVersions(one.token, token) > 0 && one.mode === "exclusive" && one.returnNs < action.callNs,
      );
      if (newer === undefined) continue;
      violations.push({
        kind: "stale_release",
        key: element,
        message: `release of token ${showVersion(token)} was accepted after ${describeGrant(newer)}`,
        lines: [...action.lines, ...newer.lines],
      });
    }
  }
  return violations;
}

/** What a reader was told about the holder, against grants that had certainly ended or were certainly held. */
export function checkHolderReads(actions: readonly Action[], grants: readonly Grant[]): readonly Violation[] {
  const violations: Violation[] = [];
  const byKey = groupBy(grants, ({ key }) => key);
  for (const action of actions) {
    if (action.op !== "holder" || action.status !== "ok") continue;
    const ofKey = byKey.get(action.key) ?? [];
    const token = versionOf(action.result, "token");
    const shown = token === undefined ? undefined : ofKey.find((grant) => compareVersions(grant.token, token) === 0);
    const held = ofKey.find((grant) => grant.returnNs < action.callNs && grant.earliestEndNs > action.returnNs);
    const ended = action.result["held"] === true && shown !== undefined && shown.endedByNs < action.callNs;
    const denied = action.result["held"] === false && held !== undefined;
    const grant = ended ? shown : denied ? held : undefined;
    if (grant === undefined) continue;
    const message = ended
      ? `shown as the holder after its end: ${describeGrant(grant)}`
      : `shown as free: ${describeGrant(grant)}`;
    violations.push({ kind: "holder_wrong", key: action.key, message, lines: [...action.lines, ...grant.lines] });
  }
  return violations;
}

/** Elements that can exclude each other: one name, or all names of a tag when they are taken in a tree. */
function domainOf(grant: Grant): string {
  const tag = /^[^{]*\{([^}]+)\}/.exec(grant.key)?.[1];
  return grant.tree && tag !== undefined ? `tag ${tag}` : `name ${grant.key}`;
}

function sweep(domain: readonly Grant[]): readonly Violation[] {
  const violations: Violation[] = [];
  // Of a grant that can have ended before its answer came nothing is certain.
  const certain = domain
    .filter((grant) => grant.returnNs < grant.earliestEndNs)
    .sort((a, b) => a.returnNs - b.returnNs);
  let held: Grant[] = [];
  for (const grant of certain) {
    held = held.filter(({ earliestEndNs }) => earliestEndNs > grant.returnNs); // C1
    const rival = held.find((other) => excludes(other, grant));
    if (rival !== undefined) violations.push(about("double_grant", rival, grant));
    held.push(grant);
    const permits = held.filter(({ mode, key }) => mode === "permit" && key === grant.key);
    const taken = permits.reduce((sum, { take }) => sum + take, 0);
    const limit = Math.max(...permits.map((one) => one.limit), 0);
    if (grant.mode !== "permit" || taken <= limit) continue;
    violations.push({
      kind: "permits_exceeded",
      key: grant.key,
      message: `${taken} permits of ${limit} were held at ${grant.returnNs} ns`,
      lines: permits.flatMap(({ lines }) => lines),
    });
  }
  return violations;
}

function excludes(a: Grant, b: Grant): boolean {
  const related =
    a.key === b.key || (a.tree && b.tree && (b.key.startsWith(`${a.key}/`) || a.key.startsWith(`${b.key}/`)));
  return related && (a.mode === "exclusive" || b.mode === "exclusive");
}

/** C2: whoever has a lower token must have been able to end before the next answer. */
function checkHandOver(ofKey: readonly Grant[]): readonly Violation[] {
  const violations: Violation[] = [];
  let lasting: Grant | undefined;
  for (const grant of ofKey.toSorted((a, b) => compareVersions(a.token, b.token))) {
    const overlaps =
      lasting !== undefined &&
      compareVersions(lasting.token, grant.token) < 0 &&
      lasting.earliestEndNs > grant.returnNs;
    if (lasting !== undefined && overlaps) violations.push(about("double_grant", lasting, grant));
    if (lasting === undefined || grant.earliestEndNs > lasting.earliestEndNs) lasting = grant;
  }
  return violations;
}

/** Of two exclusive grants of which one was answered before the other was asked for, the later has the higher token. */
function checkRising(ofKey: readonly Grant[]): readonly Violation[] {
  const violations: Violation[] = [];
  const answered = ofKey.toSorted((a, b) => a.returnNs - b.returnNs);
  let highest: Grant | undefined;
  let next = 0;
  for (const grant of ofKey.toSorted((a, b) => a.callNs - b.callNs)) {
    while (next < answered.length) {
      const done = answered[next];
      if (done === undefined || done.returnNs >= grant.callNs) break;
      next += 1;
      if (highest === undefined || compareVersions(done.token, highest.token) > 0) highest = done;
    }
    if (highest !== undefined && compareVersions(highest.token, grant.token) > 0)
      violations.push(about("token_fell", highest, grant));
  }
  return violations;
}

function about(kind: "double_grant" | "token_repeated" | "token_fell", first: Grant, second: Grant): Violation {
  return {
    kind,
    key: first.key === second.key ? first.key : `${first.key}, ${second.key}`,
    message: `${describeGrant(first)}, held from ${first.returnNs} to ${first.earliestEndNs} ns at least, and ${describeGrant(second)}, from ${second.returnNs} ns`,
    lines: [...first.lines, ...second.lines],
  };
}
