// One state machine: every phase of a warning, of a grant and of a wait, by everything that can happen to it. A cell is the phase
// afterwards ("-": the warning is gone), who holds `a`, and behind a colon what the command was answered.
import { describe, expect, test } from "vitest";
import { EXCLUSIVE, SHARED } from "../lock/mode.ts";
import { createState, type WarningCause } from "../partition/state.ts";
import { Scene } from "../partition/testing/scene.ts";
import { judge } from "./table.ts";
import { isWait } from "./target.ts";

const CAUSE: WarningCause = {
  countdownMs: 10_000,
  enforce: true,
  score: 0.9,
  threshold: 0.7,
  parts: [{ name: "hold", value: 1, weight: 3 }],
  reason: "It holds longer than it should.",
  by: "",
};

const warn = (scene: Scene, cause: Partial<WarningCause> = {}) =>
  scene.do({ kind: "warn", name: "a", token: 0n, wait: 0, cause: { ...CAUSE, ...cause } });
const warnWait = (scene: Scene, name: string) => {
  const wait = [...scene.state.waits.values()].find((one) => one.session.id === name);
  return scene.do({ kind: "warn", name: "", token: 0n, wait: wait?.id ?? 0, cause: CAUSE });
};
const acknowledge = (scene: Scene, name: string, extensionMs = 0, refusal = "") =>
  scene.operate({
    kind: "acknowledge_warning",
    session: scene.session(name),
    request: scene.request(name),
    warning: [...scene.state.warnings.keys()].at(-1) ?? 1,
    extensionMs,
    refusal,
  });

/** ana holds, bo and cy wait. */
const contended = (scene: Scene): void => {
  scene.acquire("ana", "a");
  scene.acquire("bo", "a");
  scene.acquire("cy", "a");
};

const PHASES = {
  held: contended,
  warned: (scene: Scene) => {
    contended(scene);
    warn(scene);
  },
  acknowledged: (scene: Scene) => {
    contended(scene);
    warn(scene);
    acknowledge(scene, "ana");
  },
  extended: (scene: Scene) => {
    contended(scene);
    warn(scene);
    acknowledge(scene, "ana", 5_000);
  },
  only_warned: (scene: Scene) => {
    contended(scene);
    warn(scene, { enforce: false });
  },
  ignored: (scene: Scene) => {
    contended(scene);
    warn(scene, { enforce: false });
    scene.after(10_000);
  },
  wait_warned: (scene: Scene) => {
    contended(scene);
    warnWait(scene, "bo");
  },
  wait_acknowledged: (scene: Scene) => {
    contended(scene);
    warnWait(scene, "bo");
    acknowledge(scene, "bo");
  },
  wait_passed_over: (scene: Scene) => {
    contended(scene);
    warnWait(scene, "bo");
    scene.after(10_000);
  },
} as const satisfies Record<string, (scene: Scene) => unknown>;

const STEPS = {
  warn: (scene: Scene) => warn(scene),
  warn_wait: (scene: Scene) => warnWait(scene, "bo"),
  acknowledge: (scene: Scene) => acknowledge(scene, whose(scene)),
  extend: (scene: Scene) => acknowledge(scene, whose(scene), 5_000),
  extend_refused: (scene: Scene) => acknowledge(scene, whose(scene), 5_000, "No budget is left."),
  countdown: (scene: Scene) => scene.after(10_000),
  countdown_and_extension: (scene: Scene) => scene.after(15_000),
  release: (scene: Scene) => scene.release("ana", "a"),
  expire: (scene: Scene) => scene.expire("ana"),
  force: (scene: Scene) => scene.do({ kind: "force_release", name: "a", token: 0n, by: "op", reason: "stuck" }),
  restart: (scene: Scene) => scene.do({ kind: "start", epoch: 2 }),
  waiters_leave: (scene: Scene) => {
    scene.expire("bo");
    scene.expire("cy");
  },
} as const;

const whose = (scene: Scene): string => [...scene.state.warnings.values()].at(-1)?.target.session.id ?? "ana";

type Phase = keyof typeof PHASES;
type Step = keyof typeof STEPS;

function cell(phase: Phase, step: Step): string {
  const scene = new Scene();
  PHASES[phase](scene);
  const answer: unknown = STEPS[step](scene);
  const kind = answer instanceof Object && "kind" in answer && answer.kind === "acknowledged" && "state" in answer;
  const warning = [...scene.state.warnings.values()].at(-1);
  const queue = [...(scene.state.elements.get("a")?.lanes?.[EXCLUSIVE] ?? [])].map((wait) => wait.session.id);
  const told = kind ? `: ${String((answer as { state: unknown }).state)}` : ""; // Looked at just before.
  return `${warning?.phase ?? "-"} ${scene.holders("a").join("+")}<${queue.join(",")}${told}`;
}

const TABLE: Readonly<Record<Phase, Readonly<Record<Step, string>>>> = {
  held: {
    warn: "warned ana<bo,cy",
    warn_wait: "warned ana<bo,cy",
    acknowledge: "- ana<bo,cy",
    extend: "- ana<bo,cy",
    extend_refused: "- ana<bo,cy",
    countdown: "- ana<bo,cy",
    countdown_and_extension: "- ana<bo,cy",
    release: "- bo<cy",
    expire: "- bo<cy",
    force: "- bo<cy",
    restart: "- ana<bo,cy",
    waiters_leave: "- ana<",
  },
  warned: {
    warn: "warned ana<bo,cy",
    warn_wait: "warned ana<bo,cy",
    acknowledge: "acknowledged ana<bo,cy: acknowledged",
    extend: "extended ana<bo,cy: extended",
    extend_refused: "acknowledged ana<bo,cy: refused",
    countdown: "- bo<cy",
    countdown_and_extension: "- bo<cy",
    release: "- bo<cy",
    expire: "- bo<cy",
    force: "- bo<cy",
    restart: "warned ana<bo,cy",
    waiters_leave: "warned ana<",
  },
  acknowledged: {
    warn: "acknowledged ana<bo,cy",
    warn_wait: "warned ana<bo,cy",
    acknowledge: "acknowledged ana<bo,cy: acknowledged",
    extend: "extended ana<bo,cy: extended",
    extend_refused: "acknowledged ana<bo,cy: refused",
    countdown: "- bo<cy",
    countdown_and_extension: "- bo<cy",
    release: "- bo<cy",
    expire: "- bo<cy",
    force: "- bo<cy",
    restart: "acknowledged ana<bo,cy",
    waiters_leave: "acknowledged ana<",
  },
  extended: {
    warn: "extended ana<bo,cy",
    warn_wait: "warned ana<bo,cy",
    acknowledge: "extended ana<bo,cy: acknowledged",
    extend: "extended ana<bo,cy: extended",
    extend_refused: "extended ana<bo,cy: refused",
    countdown: "extended ana<bo,cy",
    countdown_and_extension: "- bo<cy",
    release: "- bo<cy",
    expire: "- bo<cy",
    force: "- bo<cy",
    restart: "extended ana<bo,cy",
    waiters_leave: "extended ana<",
  },
  only_warned: {
    warn: "warned ana<bo,cy",
    warn_wait: "warned ana<bo,cy",
    acknowledge: "acknowledged ana<bo,cy: acknowledged",
    extend: "extended ana<bo,cy: extended",
    extend_refused: "acknowledged ana<bo,cy: refused",
    countdown: "ignored ana<bo,cy",
    countdown_and_extension: "ignored ana<bo,cy",
    release: "- bo<cy",
    expire: "- bo<cy",
    force: "- bo<cy",
    restart: "warned ana<bo,cy",
    waiters_leave: "warned ana<",
  },
  ignored: {
    warn: "warned ana<bo,cy",
    warn_wait: "warned ana<bo,cy",
    acknowledge: "ignored ana<bo,cy: acknowledged",
    extend: "ignored ana<bo,cy: refused",
    extend_refused: "ignored ana<bo,cy: refused",
    countdown: "ignored ana<bo,cy",
    countdown_and_extension: "ignored ana<bo,cy",
    release: "- bo<cy",
    expire: "- bo<cy",
    force: "- bo<cy",
    restart: "ignored ana<bo,cy",
    waiters_leave: "ignored ana<",
  },
  wait_warned: {
    warn: "warned ana<bo,cy",
    warn_wait: "warned ana<bo,cy",
    acknowledge: "acknowledged ana<bo,cy: acknowledged",
    extend: "extended ana<bo,cy: extended",
    extend_refused: "acknowledged ana<bo,cy: refused",
    countdown: "passed_over ana<cy,bo",
    countdown_and_extension: "passed_over ana<cy,bo",
    release: "warned bo<cy",
    expire: "warned bo<cy",
    force: "warned bo<cy",
    restart: "warned ana<bo,cy",
    waiters_leave: "- ana<",
  },
  wait_acknowledged: {
    warn: "warned ana<bo,cy",
    warn_wait: "acknowledged ana<bo,cy",
    acknowledge: "acknowledged ana<bo,cy: acknowledged",
    extend: "extended ana<bo,cy: extended",
    extend_refused: "acknowledged ana<bo,cy: refused",
    countdown: "acknowledged ana<bo,cy",
    countdown_and_extension: "acknowledged ana<bo,cy",
    release: "acknowledged bo<cy",
    expire: "acknowledged bo<cy",
    force: "acknowledged bo<cy",
    restart: "acknowledged ana<bo,cy",
    waiters_leave: "- ana<",
  },
  wait_passed_over: {
    warn: "warned ana<cy,bo",
    warn_wait: "passed_over ana<cy,bo",
    acknowledge: "passed_over ana<cy,bo: acknowledged",
    extend: "passed_over ana<cy,bo: refused",
    extend_refused: "passed_over ana<cy,bo: refused",
    countdown: "passed_over ana<cy,bo",
    countdown_and_extension: "passed_over ana<cy,bo",
    release: "passed_over cy<bo",
    expire: "passed_over cy<bo",
    force: "passed_over cy<bo",
    restart: "passed_over ana<cy,bo",
    waiters_leave: "- ana<",
  },
};

describe("the table of phases and steps", () => {
  for (const [phase, row] of Object.entries(TABLE) as [Phase, Readonly<Record<Step, string>>][]) {
    test(phase.replaceAll("_", " "), () => {
      expect(Object.fromEntries(Object.keys(STEPS).map((step) => [step, cell(phase, step as Step)]))).toEqual(row);
    });
  }
});

describe("a countdown", () => {
  test("runs in full again after a start, three times at most", () => {
    const scene = new Scene();
    PHASES.warned(scene);
    for (let start = 2; start < 5; start += 1) {
      scene.after(9_000);
      scene.do({ kind: "start", epoch: start });
      scene.do({ kind: "session_heard", sessionId: "ana" });
      scene.do({ kind: "session_heard", sessionId: "bo" });
    }
    scene.after(9_000);
    expect(scene.holders("a")).toEqual(["ana"]);
    scene.do({ kind: "start", epoch: 5 });
    scene.do({ kind: "session_heard", sessionId: "bo" });
    scene.after(1_000);
    expect(scene.holders("a")).toEqual(["bo"]);
  });

  test("that was given to a wait begins at its grant", () => {
    const scene = new Scene();
    PHASES.wait_acknowledged(scene);
    scene.after(60_000);
    scene.release("ana", "a");
    scene.after(9_999);
    expect(scene.holders("a")).toEqual(["bo"]);
    scene.after(1);
    expect(scene.holders("a")).toEqual(["cy"]);
  });

  test("forces nobody when no one waits any more, unless an operator asked", () => {
    for (const [by, holders] of [
      ["", ["ana"]],
      ["op", []],
    ] as const) {
      const scene = new Scene();
      contended(scene);
      warn(scene, { by });
      STEPS.waiters_leave(scene);
      scene.after(10_000);
      expect([scene.holders("a"), scene.state.warnings.size]).toEqual([holders, 0]);
    }
  });

  test("ends with the undo of what was done under rollback, and a stale token", () => {
    const scene = new Scene();
    scene.acquire("ana", "a", { rollback: true });
    const token = scene.token("a");
    scene.append("ana", "a", "lost");
    scene.acquire("bo", "a");
    warn(scene);
    scene.after(10_000);
    expect([scene.holders("a"), scene.state.files.get("a")?.length]).toEqual([["bo"], 0]);
    expect(scene.token("a") > token).toBe(true);
    expect(scene.append("ana", "a", "late", { token })).toMatchObject({ code: "stale_token" });
  });

  test("forces no grant that was asked for with preemptible never", () => {
    const scene = new Scene();
    scene.acquire("ana", "a", { terms: { never: true, compensation: undefined } });
    scene.acquire("bo", "a");
    warn(scene);
    scene.after(60_000);
    expect([scene.holders("a"), STEPS.warn(scene).events.length]).toEqual([["ana"], 1]);
  });
});

test("what was asked for with a request goes with it from the queue to its grant, and is gone with it", () => {
  const scene = new Scene();
  scene.acquire("ana", "a");
  scene.acquire("bo", "a", { terms: { never: true, compensation: undefined } });
  scene.release("ana", "a");
  warn(scene);
  expect([...scene.state.warnings.values()].map(({ enforce }) => enforce)).toEqual([false]);
  scene.release("bo", "a");
  expect([scene.state.termsByTarget.size, scene.state.warnings.size]).toEqual([0, 0]);
});

test("a lost grant owes its call once; one that blocks keeps the element until the call is settled", () => {
  const scene = new Scene();
  const compensation = { url: "https://shop.example/undo", argument: "order 42", blocks: true };
  scene.acquire("ana", "a", { terms: { never: false, compensation } });
  scene.acquire("bo", "a");
  warn(scene);
  scene.after(10_000);
  expect([...scene.state.compensations.values()]).toMatchObject([
    { id: 1, element: "a", why: "preempted", session: "ana" },
  ]);
  expect(scene.holders("a")).toEqual([]);
  expect(scene.acquire("cy", "a", { waitMs: 0 })).toMatchObject({ code: "busy" });
  scene.do({ kind: "compensated", compensation: 1, isDelivered: true });
  expect([scene.holders("a"), scene.state.compensations.size]).toEqual([["bo"], 0]);
  expect(scene.do({ kind: "compensated", compensation: 1, isDelivered: true }).events).toEqual([]);
});

test("a released grant owes nothing", () => {
  const scene = new Scene();
  const compensation = { url: "https://shop.example/undo", argument: "", blocks: true };
  scene.acquire("ana", "a", { terms: { never: false, compensation } });
  scene.release("ana", "a");
  expect(scene.state.compensations.size).toBe(0);
});

test("shared waiters, batches and upgrades are not passed over", () => {
  const scene = new Scene();
  scene.acquire("ana", "a");
  scene.acquire("bo", "a", { mode: SHARED });
  expect(warnWait(scene, "bo").events).toEqual([]);
});

test("extensions that are asked for side by side are counted one by one, up to what is allowed", () => {
  const scene = new Scene();
  PHASES.warned(scene);
  for (let asked = 0; asked < 4; asked += 1)
    scene.operate({
      kind: "acknowledge_warning",
      session: scene.session("ana"),
      request: scene.request("ana"),
      warning: 1,
      extensionMs: 5_000,
      refusal: "", // As each was judged alone.
      extensionsMax: 2,
    });
  expect(scene.state.warnings.get(1)?.extensions).toBe(2);
});

test("another principal's acknowledgement finds nothing", () => {
  const scene = new Scene();
  PHASES.warned(scene);
  const session = { ...scene.session("bo"), principal: "mallory" };
  const request = scene.request("eve");
  scene.operate({
    kind: "acknowledge_warning",
    session: { ...session, id: "eve" },
    request,
    warning: 1,
    extensionMs: 0,
    refusal: "",
  });
  expect(scene.state.warnings.get(1)?.phase).toBe("warned");
});

describe("what a warning came to", () => {
  const kinds = ({ state }: Scene): readonly string[] =>
    state.judgements.map(({ kind, client, element }) => `${kind} ${client} ${element}`);

  test("is remembered when its holder released in time unasked, and when it was forced", () => {
    const scene = new Scene();
    contended(scene);
    warn(scene);
    scene.after(9_999);
    scene.release("ana", "a");
    warn(scene);
    scene.after(10_001);
    expect(scene.holders("a")).toEqual(["cy"]);
    const [ana, bo] = [scene.session("ana"), scene.session("bo")];
    expect(kinds(scene)).toEqual([`wrong ${ana.client} a`, `forced ${bo.client} a`]);
  });

  test("is not when it was acknowledged, ignored or withdrawn, or the session died", () => {
    const scene = new Scene();
    contended(scene);
    warn(scene);
    acknowledge(scene, "ana");
    scene.release("ana", "a");
    warn(scene, { enforce: false });
    scene.after(10_001);
    scene.release("bo", "a");
    warn(scene);
    scene.after(10_001);
    scene.expire("cy");
    expect(kinds(scene)).toEqual([]);
  });

  test("is remembered of a session that closes, too", () => {
    const scene = new Scene();
    contended(scene);
    warn(scene);
    scene.do({ kind: "end_session", sessionId: "ana", why: "closed", reason: "" });
    expect(scene.state.judgements).toMatchObject([{ kind: "wrong", element: "a", warning: 1 }]);
  });

  test("is forgotten after a day, and beyond the last thousand", () => {
    const scene = new Scene();
    contended(scene);
    warn(scene);
    const [warning] = scene.state.warnings.values();
    const { target } = warning ?? {};
    if (warning === undefined || target === undefined || isWait(target)) throw new Error("expected a warned grant");
    const state = createState(0);
    judge(state, { ...warning, id: 1 }, target, "wrong");
    state.clockMs += 86_400_001;
    for (let id = 2; id <= 1_002; id += 1) judge(state, { ...warning, id }, target, "forced");
    expect(state.judgements).toHaveLength(1_000);
    expect(state.judgements.map(({ warning: id }) => id).slice(0, 2)).toEqual([3, 4]);
  });
});
