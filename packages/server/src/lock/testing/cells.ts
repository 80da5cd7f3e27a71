// cells.ts: the life of a grant and of a wait, as ana sees it at the element `a`, against every command: how each state comes about,
// and each command. Not here: what is expected (lock/holding.cells.test.ts, lock/waiting.cells.test.ts).
import { afterAll, expect, test } from "vitest";
import type { Command } from "../../partition/commands.ts";
import { Scene } from "../../partition/testing/scene.ts";
import { EXCLUSIVE, type Mode, SHARED } from "../mode.ts";

const PART = "batch.0.1.0";

/** How each state comes about. Ana's request has the sequence 1 where there is one; bo is somebody else. */
const STATES = {
  free: () => {},
  held_by_me: (scene: Scene) => scene.acquire("ana", "a"),
  held_by_other: (scene: Scene) => scene.acquire("bo", "a"),
  shared_by_me: (scene: Scene) => scene.acquire("ana", "a", { mode: SHARED }),
  shared_by_other: (scene: Scene) => scene.acquire("bo", "a", { mode: SHARED }),
  shared_by_both: (scene: Scene) => {
    scene.acquire("ana", "a", { mode: SHARED });
    scene.acquire("bo", "a", { mode: SHARED });
  },
  queued_by_me: (scene: Scene) => {
    scene.acquire("bo", "a");
    scene.acquire("ana", "a", { waitMs: 1_000 });
  },
  queued_by_both: (scene: Scene) => {
    scene.acquire("cy", "a");
    scene.acquire("ana", "a", { waitMs: 1_000 });
    scene.acquire("bo", "a");
  },
  reentered: (scene: Scene) => {
    scene.acquire("ana", "a");
    scene.acquire("ana", "a", { reenter: scene.token("a") });
  },
  upgrading: (scene: Scene) => {
    scene.acquire("ana", "a", { mode: SHARED });
    scene.acquire("bo", "a", { mode: SHARED });
    scene.operate({ ...mine(scene), kind: "upgrade", name: "a", token: scene.token("a", "ana"), waitMs: 1_000 });
  },
  reserved_by_me: (scene: Scene) => scene.do(reserve(scene, "ana")),
  reserved_by_other: (scene: Scene) => scene.do(reserve(scene, "bo")),
  reservation_queued: (scene: Scene) => {
    scene.acquire("bo", "a");
    scene.do(reserve(scene, "ana"));
  },
  confirmed_part: (scene: Scene) => {
    scene.do(reserve(scene, "ana"));
    scene.do({ kind: "confirm_part", part: PART });
  },
  silent_holder: (scene: Scene) => {
    scene.acquire("ana", "a");
    scene.acquire("bo", "a");
    scene.do({ kind: "session_silent", sessionId: "ana", silentMs: 0 });
    scene.after(12_000);
  },
  silent_waiter: (scene: Scene) => {
    scene.acquire("bo", "a");
    scene.acquire("ana", "a");
    scene.do({ kind: "session_silent", sessionId: "ana", silentMs: 0 });
    scene.after(12_000);
  },
  session_expired: (scene: Scene) => {
    scene.acquire("ana", "a");
    scene.expire("ana");
  },
} as const satisfies Record<string, (scene: Scene) => unknown>;

type State = keyof typeof STATES;

export type WaitingState =
  | "queued_by_me"
  | "queued_by_both"
  | "upgrading"
  | "reserved_by_me"
  | "reserved_by_other"
  | "reservation_queued"
  | "confirmed_part"
  | "silent_waiter";
/** All others. */
export type HoldingState = Exclude<State, WaitingState>;

const mine = (scene: Scene, sequence?: number) => ({
  session: scene.session("ana"),
  request: scene.request("ana", sequence === undefined ? {} : { sequence }),
});

const reserve = (scene: Scene, name: string) =>
  ({
    kind: "reserve_part",
    session: scene.session(name),
    part: PART,
    element: { name: "a", mode: EXCLUSIVE, take: 1, limit: 0 },
    rollback: false,
    actor: "",
  }) as const;

const CAUSE = { countdownMs: 1_000, enforce: true, score: 0.8, threshold: 0.7, parts: [], reason: "late", by: "" };
const POLICY = { set: new Map([["policy", "off"]]), threshold: -1, by: "op", reason: "trial", wallMs: 1 };

/** The token that ana has, or that whoever holds has: a caller who has heard of it. */
const known = (scene: Scene): bigint => scene.token("a", "ana") || scene.token("a") || 1n;

const acquire = (scene: Scene, mode: Mode) => ({
  ...mine(scene),
  kind: "acquire" as const,
  parts: [{ name: "a", mode, take: 1, limit: 0 }],
  waitMs: 1_000,
  priority: 0,
  rollback: false,
  actor: "",
  reenter: 0n,
  terms: undefined,
});

/** Every kind of command, as ana gives it, or as her partition's owner or coordinator does about her. */
const COMMANDS: { readonly [Kind in Command["kind"]]: (scene: Scene) => Command & { readonly kind: Kind } } = {
  acquire: (scene) => acquire(scene, EXCLUSIVE),
  upgrade: (scene) => ({ ...mine(scene), kind: "upgrade", name: "a", token: known(scene), waitMs: 1_000 }),
  downgrade: (scene) => ({ ...mine(scene), kind: "downgrade", name: "a", token: known(scene) }),
  release: (scene) => ({ ...mine(scene), kind: "release", name: "a", token: known(scene), undo: false }),
  cancel: (scene) => {
    const sequence = [...(scene.state.sessions.get("ana")?.queued.keys() ?? [])][0] ?? 1;
    return {
      ...mine(scene),
      kind: "cancel",
      target: { kind: "session", principal: "local", sessionId: "ana", sequence },
    };
  },
  append: (scene) => {
    const bytes = Buffer.from("x");
    return { ...mine(scene), kind: "append", file: "a", element: "a", token: known(scene), bytes, checksum: 1 };
  },
  open_batch: (scene) => ({
    ...mine(scene),
    kind: "open_batch",
    parts: [{ name: "a", mode: EXCLUSIVE, take: 1, limit: 0 }],
    waitMs: -1,
    rollback: false,
    actor: "",
  }),
  reserve_part: (scene) => reserve(scene, "ana"),
  confirm_part: () => ({ kind: "confirm_part", part: PART }),
  abandon_part: () => ({ kind: "abandon_part", part: PART }),
  confirm_batch: () => ({ kind: "confirm_batch", batch: 99 }),
  grant_batch: () => ({ kind: "grant_batch", batch: 99, grants: [] }),
  end_batch: () => ({ kind: "end_batch", batch: 99, code: "timeout", message: "late" }),
  start: () => ({ kind: "start", epoch: 2 }),
  tick: () => ({ kind: "tick" }),
  session_heard: () => ({ kind: "session_heard", sessionId: "ana" }),
  session_silent: () => ({ kind: "session_silent", sessionId: "ana", silentMs: 1 }),
  end_session: () => ({ kind: "end_session", sessionId: "ana", why: "expired", reason: "" }),
  acknowledge: () => ({ kind: "acknowledge", sessionId: "ana", below: 9, settled: [1] }),
  create_file: () => ({ kind: "create_file", name: "a" }),
  force_release: () => ({ kind: "force_release", name: "a", token: 0n, by: "op", reason: "test" }),
  acknowledge_warning: (scene) => ({
    ...mine(scene),
    kind: "acknowledge_warning",
    warning: 99,
    extensionMs: 0,
    refusal: "",
  }),
  warn: () => ({ kind: "warn", name: "a", token: 0n, wait: 0, cause: CAUSE }),
  set_policy: () => ({ kind: "set_policy", prefix: "a", row: POLICY }),
  compensated: () => ({ kind: "compensated", compensation: 99, isDelivered: true }),
  break_deadlock: (scene) => ({
    kind: "break_deadlock",
    wait: [...scene.state.waits.values()].find((wait) => wait.session.id === "ana")?.id ?? 99,
    message: "ana waits for ana",
  }),
};

type Kind = Command["kind"];

/**
 * What stands at `a` afterwards, and what the command was refused with: holders with `!` exclusive, `+` shared, `?` reserved, `2`
 * entered twice; after `<` the queue, with `^` for an upgrade.
 */
function situation(scene: Scene): string {
  const element = scene.state.elements.get("a");
  const { grants, waits } = { grants: scene.holders("a"), waits: [...scene.state.waits.values()] };
  const holders = grants.map((id) => {
    const list = element?.holders instanceof Map ? [...element.holders.values()] : [element?.holders];
    const grant = list.find((one) => one?.session.id === id);
    if (grant === undefined) return id;
    return `${id}${grant.reserved ? "?" : grant.mode === EXCLUSIVE ? "!" : "+"}${grant.entries > 1 ? grant.entries : ""}`;
  });
  const queue = waits.map((wait) => `${wait.session.id}${wait.upgradeOf === undefined ? "" : "^"}`);
  return [...holders, ...(queue.length === 0 ? [] : ["<", ...queue])].join(" ") || "-";
}

/** What becomes of the situation; with the code of a refusal behind a colon; "same" when nothing changes. */
function outcome(state: State, kind: Kind): string {
  const scene = new Scene();
  STATES[state](scene);
  const before = situation(scene);
  // Not a matter of states: the coordinator confirms only what it was told is reserved.
  const isBug = kind === "confirm_part" && state === "reservation_queued";
  if (isBug) {
    expect(() => scene.do(COMMANDS[kind](scene))).toThrow("a part that waits is not confirmed");
    return "stops the shard";
  }
  const { refusal } = scene.do(COMMANDS[kind](scene));
  const after = situation(scene);
  const change = after === before ? "same" : after;
  return refusal === undefined ? change : `${change === "same" ? "" : change}: ${refusal.code}`;
}

export type Cells<One extends State> = Readonly<Record<One, Readonly<Record<Kind, string>>>>;

/** One test a state, and a line on what the table covers. */
export function checkCells<One extends State>(cells: Cells<One>): void {
  const counts = { cells: 0, changes: 0, codes: new Set<string>() };
  for (const [state, row] of Object.entries(cells) as [One, Readonly<Record<Kind, string>>][]) {
    test(`${state.replaceAll("_", " ")}: every command does what the table says`, () => {
      const actual = Object.fromEntries(Object.keys(row).map((kind) => [kind, outcome(state, kind as Kind)]));
      expect(actual).toEqual(row);
      for (const cell of Object.values(actual)) {
        counts.cells += 1;
        const code = cell.split(": ")[1];
        if (code !== undefined) counts.codes.add(code);
        else if (cell !== "same") counts.changes += 1;
      }
    });
  }
  afterAll(() => {
    const states = Object.keys(cells).length;
    const codes = [...counts.codes].sort().join(", ");
    console.log(
      `${counts.cells} cells of ${states} states by ${Object.keys(COMMANDS).length} commands: ${counts.changes} change what is held or waited for, refusals: ${codes}`,
    );
  });
}
