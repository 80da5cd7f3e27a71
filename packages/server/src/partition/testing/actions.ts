// actions.ts: random actions for property tests: each picks, by numbers, from what there is when it runs, so that every sequence
// makes sense and shrinks well. Not here: what must hold (referee.ts).
import { unreachable } from "@forelock/protocol";
import fc from "fast-check";
import { EXCLUSIVE, type Mode, PERMIT, SHARED } from "../../lock/mode.ts";
import type { CommandPart } from "../commands.ts";
import type { Grant } from "../state.ts";
import { allGrants, type Referee } from "./referee.ts";

const SESSIONS = ["ana", "bo", "cy", "di", "ed", "flo"] as const;
/** Few, so that they are fought for: a tree, one whose bytes stand between a parent and its child, and names without a tag. */
const NAMES = ["a", "b", "{t}", "{t}/x", "{t}/x/y", "{t}!"] as const;
const FILES = ["a", "b", "{t}/x"] as const;
const SPANS_MS = [1, 40, 300, 2_500, 11_000, 31_000] as const;

const who = fc.constantFrom(...SESSIONS);
const name = fc.constantFrom(...NAMES);
/** Chooses among whatever there is. */
const pick = fc.nat({ max: 40 });
const mode = fc.constantFrom<Mode>(EXCLUSIVE, EXCLUSIVE, SHARED, SHARED, SHARED, PERMIT);
const waitMs = fc.constantFrom(-1, -1, -1, -1, 0, 250);

const CAUSE = { countdownMs: 5_000, enforce: true, score: 0.8, threshold: 0.7, parts: [], reason: "late", by: "op" };
const TERMS = [
  { never: true, compensation: undefined },
  { never: false, compensation: { url: "https://shop.example/undo", argument: "", blocks: true } },
] as const;

export const actionArbitrary = fc.oneof(
  {
    weight: 26,
    arbitrary: fc.record({
      kind: fc.constant("acquire" as const),
      who,
      names: fc.oneof(
        { weight: 4, arbitrary: fc.tuple(name) },
        {
          weight: 1,
          arbitrary: fc.shuffledSubarray<(typeof NAMES)[number]>(["a", "b", "{t}/x/y", "{t}!"], {
            minLength: 2,
            maxLength: 3,
          }),
        },
      ),
      mode,
      take: fc.constantFrom(1, 2),
      limit: fc.constantFrom(2, 2, 3),
      waitMs,
      priority: fc.constantFrom(0, 0, 0, 1, 3),
      rollback: fc.boolean(),
      keep: fc.constantFrom(0, 0, 0, 0, 0, 0, 1, 2, 3),
      terms: fc.constantFrom(undefined, undefined, undefined, ...TERMS),
    }),
  },
  {
    weight: 9,
    arbitrary: fc.record({
      kind: fc.constant("release" as const),
      who,
      pick,
      undo: fc.boolean(),
      isStale: fc.integer({ min: 0, max: 9 }).map((one) => one === 0),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("reenter" as const), pick }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("upgrade" as const), pick, waitMs }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("downgrade" as const), pick }) },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant("append" as const),
      who,
      pick,
      file: fc.constantFrom(...FILES),
      bytes: fc.nat({ max: 20 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("cancel" as const), who, pick }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("again" as const), pick }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant("after" as const), ms: fc.constantFrom(...SPANS_MS) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("silent" as const), who }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("heard" as const), who }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("end_session" as const),
      who,
      why: fc.constantFrom("expired" as const, "closed" as const, "forced" as const),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("start" as const) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("acknowledge" as const), who, back: fc.nat({ max: 3 }) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("force" as const), name, pick, isAll: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("break_deadlock" as const), pick }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("warn" as const), pick, enforce: fc.boolean() }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("warn_wait" as const), pick }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("acknowledge_warning" as const),
      who,
      pick,
      extensionMs: fc.constantFrom(0, 300, 9_000),
      refusal: fc.constantFrom("", "", "no"),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("compensated" as const), pick }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("set_policy" as const), name, threshold: fc.constantFrom(-1, 0.5) }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant("reserve" as const), who, part: fc.nat({ max: 5 }), name, mode }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("confirm" as const), pick }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("abandon" as const), part: fc.nat({ max: 5 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("open_batch" as const), who, waitMs }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("step_batch" as const),
      pick,
      step: fc.constantFrom("confirm" as const, "grant" as const, "end" as const),
    }),
  },
);

export type Action = typeof actionArbitrary extends fc.Arbitrary<infer One> ? One : never;

const chosen = <Item>(items: readonly Item[], index: number): Item | undefined => items[index % items.length];

/** Whose request it is to do something with a grant: its session's, or another's of the same principal. */
const grantAt = ({ state }: Referee, index: number): Grant | undefined =>
  chosen(
    allGrants(state).filter((grant) => !grant.reserved),
    index,
  );

export function act(referee: Referee, action: Action): void {
  const { scene, state } = referee;
  switch (action.kind) {
    case "acquire": {
      const parts = action.names.map((each): CommandPart => partOf(each, action));
      const requestId = action.keep === 0 ? {} : { requestId: `kept-${action.keep}` };
      const { waitMs: wait, priority, rollback } = action;
      // As the shard makes it: the same arguments, the same digest.
      const digest = JSON.stringify(action).length * 31 + parts.length;
      const request = scene.request(action.who, requestId, digest);
      const session = scene.session(action.who);
      const terms = { priority, rollback, actor: "", reenter: 0n, terms: action.terms };
      referee.ask({ kind: "acquire", session, request, parts, waitMs: wait, ...terms });
      return;
    }
    case "release": {
      const grant = grantAt(referee, action.pick);
      const session = scene.session(action.who);
      const token = action.isStale ? 1n : (grant?.token ?? 1n);
      const { undo } = action;
      referee.ask({
        kind: "release",
        session,
        request: scene.request(action.who),
        name: grant?.element.name ?? "a",
        token,
        undo,
      });
      return;
    }
    case "reenter": {
      const grant = grantAt(referee, action.pick);
      if (grant === undefined) return;
      const session = scene.session(grant.session.id);
      const part = { name: grant.element.name, mode: grant.mode, take: grant.take, limit: grant.element.limit };
      const terms = {
        waitMs: -1,
        priority: 0,
        rollback: grant.rollback,
        actor: "",
        reenter: grant.token,
        terms: undefined,
      };
      referee.ask({ kind: "acquire", session, request: scene.request(session.id), parts: [part], ...terms });
      return;
    }
    case "upgrade":
    case "downgrade": {
      const mode = action.kind === "upgrade" ? SHARED : EXCLUSIVE;
      const fitting = allGrants(state).filter((grant) => grant.mode === mode && !grant.reserved);
      const grant = chosen(fitting, action.pick) ?? grantAt(referee, action.pick);
      if (grant === undefined) return;
      const session = scene.session(grant.session.id);
      const terms = { session, request: scene.request(session.id), name: grant.element.name, token: grant.token };
      if (action.kind === "upgrade") referee.ask({ kind: "upgrade", ...terms, waitMs: action.waitMs });
      else referee.ask({ kind: "downgrade", ...terms });
      return;
    }
    case "append": {
      const guards = allGrants(state).filter((grant) => grant.mode === EXCLUSIVE);
      const grant = chosen(guards, action.pick) ?? grantAt(referee, action.pick);
      if (grant === undefined) return;
      const terms = { session: scene.session(action.who), request: scene.request(action.who), token: grant.token };
      const bytes = new Uint8Array(action.bytes);
      referee.ask({
        kind: "append",
        ...terms,
        file: action.file,
        element: grant.element.name,
        bytes,
        checksum: action.bytes,
      });
      return;
    }
    case "cancel": {
      const waiting = [...state.sessions.values()].flatMap((session) => [...session.queued.values()]);
      const operation = chosen(waiting, action.pick);
      if (operation === undefined) return;
      const { sessionId, sequence } = operation;
      const target = { kind: "session", principal: "local", sessionId, sequence } as const;
      referee.ask({ kind: "cancel", session: scene.session(action.who), request: scene.request(action.who), target });
      return;
    }
    case "again": {
      const answer = chosen(referee.answered, action.pick);
      if (answer !== undefined) referee.askAgain(answer);
      return;
    }
    case "after":
      return referee.after(action.ms);
    case "silent":
      return referee.do({ kind: "session_silent", sessionId: action.who, silentMs: 100 });
    case "heard":
      return referee.do({ kind: "session_heard", sessionId: action.who });
    case "end_session":
      return referee.do({ kind: "end_session", sessionId: action.who, why: action.why, reason: "" });
    case "start":
      return referee.do({ kind: "start", epoch: state.epoch + 1 });
    case "acknowledge": {
      const row = state.sessions.get(action.who);
      if (row === undefined) return;
      const last = Math.max(0, ...[...row.done].map(({ sequence }) => sequence), ...row.queued.keys());
      const settled = [...row.queued.keys()];
      return referee.do({
        kind: "acknowledge",
        sessionId: action.who,
        below: Math.max(1, last - action.back),
        settled,
      });
    }
    case "force": {
      const token = action.isAll ? 0n : (grantAt(referee, action.pick)?.token ?? 1n);
      return referee.do({ kind: "force_release", name: action.name, token, by: "op", reason: "test" });
    }
    case "warn": {
      const grant = grantAt(referee, action.pick);
      if (grant === undefined) return;
      const cause = { ...CAUSE, enforce: action.enforce };
      return referee.do({ kind: "warn", name: grant.element.name, token: grant.token, wait: 0, cause });
    }
    case "warn_wait": {
      const wait = chosen([...state.waits.values()], action.pick);
      if (wait !== undefined) referee.do({ kind: "warn", name: "", token: 0n, wait: wait.id, cause: CAUSE });
      return;
    }
    case "acknowledge_warning": {
      const warning = chosen([...state.warnings.keys()], action.pick) ?? 1;
      const { extensionMs, refusal } = action;
      const terms = { session: scene.session(action.who), request: scene.request(action.who) };
      referee.ask({ kind: "acknowledge_warning", ...terms, warning, extensionMs, refusal });
      return;
    }
    case "compensated": {
      const compensation = chosen([...state.compensations.keys()], action.pick) ?? 1;
      return referee.do({ kind: "compensated", compensation, isDelivered: true });
    }
    case "set_policy": {
      const row = { set: new Map([["policy", "warn"]]), threshold: action.threshold, by: "op", reason: "", wallMs: 1 };
      return referee.do({ kind: "set_policy", prefix: action.name, row });
    }
    case "break_deadlock": {
      const wait = chosen([...state.waits.values()], action.pick);
      if (wait === undefined) return;
      return referee.do({ kind: "break_deadlock", wait: wait.id, message: "a waits for a" });
    }
    case "reserve": {
      const element = partOf(action.name, { mode: action.mode, take: 1, limit: 2 });
      const terms = { session: scene.session(action.who), part: partKey(action.part), element };
      return referee.do({ kind: "reserve_part", ...terms, rollback: true, actor: "" });
    }
    case "confirm": {
      const reserved = chosen(
        [...state.parts].filter(([, part]) => "element" in part),
        action.pick,
      );
      if (reserved !== undefined) referee.do({ kind: "confirm_part", part: reserved[0] });
      return;
    }
    case "abandon":
      return referee.do({ kind: "abandon_part", part: partKey(action.part) });
    case "open_batch": {
      const terms = { session: scene.session(action.who), request: scene.request(action.who) };
      const parts = [partOf("a", { mode: EXCLUSIVE, take: 1, limit: 0 })];
      referee.ask({ kind: "open_batch", ...terms, parts, waitMs: action.waitMs, rollback: false, actor: "" });
      return;
    }
    case "step_batch": {
      const batch = chosen([...state.batches.keys()], action.pick);
      if (batch === undefined) return;
      if (action.step === "confirm") return referee.do({ kind: "confirm_batch", batch });
      if (action.step === "grant")
        return referee.do({ kind: "grant_batch", batch, grants: [{ name: "a", token: 9n }] });
      return referee.do({ kind: "end_batch", batch, code: "timeout", message: "late" });
    }
    default:
      return unreachable(action);
  }
}

/** What a well-behaved coordinator and owner do in the end: batches are cleared, sessions close, time passes. */
export function closeEverything(referee: Referee): void {
  for (const part of [...referee.state.parts.keys()]) referee.do({ kind: "abandon_part", part });
  for (const batch of [...referee.state.batches.keys()])
    referee.do({ kind: "end_batch", batch, code: "timeout", message: "late" });
  for (const sessionId of [...referee.state.sessions.keys()]) {
    referee.do({ kind: "end_session", sessionId, why: "closed", reason: "" });
  }
  for (const compensation of [...referee.state.compensations.keys()])
    referee.do({ kind: "compensated", compensation, isDelivered: false });
  for (const prefix of [...referee.state.policies.keys()]) {
    const row = { set: new Map<string, string>(), threshold: -1, by: "op", reason: "", wallMs: 1 };
    referee.do({ kind: "set_policy", prefix, row });
  }
  // Longer than any keepMs, and than a tombstone.
  for (let tick = 0; tick < 3; tick += 1) referee.after(400_000);
}

const partKey = (part: number): string => `batch.9.${part}.0`;

/** Take and limit are for permits alone, as the edge sees to. */
function partOf(
  element: string,
  wanted: { readonly mode: Mode; readonly take: number; readonly limit: number },
): CommandPart {
  if (wanted.mode !== PERMIT) return { name: element, mode: wanted.mode, take: 1, limit: 0 };
  return { name: element, mode: PERMIT, take: wanted.take, limit: wanted.limit };
}
