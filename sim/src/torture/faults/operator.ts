// operator.ts: a forced release by an operator: the grant ends although its holder lives, and its work is undone if so wished.
import { choose } from "../../proxy/random.ts";
import { RawSession } from "../raw-session.ts";
import { readWire } from "../reader.ts";
import type { Way } from "../wire.ts";
import type { Fault, FaultContext } from "./fault.ts";

const TARGETS = ["undo-0", "hot-1", "shared-0", "{tree}/a/b"] as const;
const PATIENCE_MS = 8_000;
const OPERATOR_TTL_MS = 30_000;

/** @param wayOf where the operator asks */
export const forcedRelease = <Place>(wayOf: (context: FaultContext<Place>) => Way): Fault<Place> => ({
  kind: "forced_release",
  lane: "operator",
  weight: 1,
  unavailable: () => undefined,
  inflict: async (context) => {
    const { clock, random, history } = context;
    const name = choose(random, TARGETS);
    const way = wayOf(context);
    const why = await readWire(way(), { $case: "why", value: { name } }, clock);
    const holder = why?.$case === "why" ? why.value.holders[0] : undefined;
    if (holder === undefined) return undefined;
    // In a session, so that it is asked again until there is an answer.
    const session = await RawSession.open(
      { way, ttlMs: OPERATOR_TTL_MS, client: "operator", clock, random },
      PATIENCE_MS,
    );
    if (session === undefined) return undefined;
    const call = { process: `operator/${session.name}`, op: "preempt", key: name, args: { token: holder.token } };
    const value = { name, token: holder.token, reason: "torture" };
    let callNs: number | undefined;
    let sends = 0;
    const told = await session.ask({ body: { $case: "forceRelease", value }, patienceMs: PATIENCE_MS }, () => {
      callNs ??= history.nowNs();
      sends += 1;
    });
    session.kill();
    if (callNs === undefined) return undefined;
    const released =
      told.kind === "answered" && told.body.$case === "forceRelease" && told.body.value.released.length > 0;
    // Told at the first attempt, a refusal means that the grant had ended already: nothing was forced, and no line is due.
    if (released) history.call(call, callNs).ok({});
    else if (sends > 1 || (told.kind === "silent" && told.wasSent)) history.call(call, callNs).unknown();
    return released ? `forced token ${holder.token} of ${name}` : undefined;
  },
});
