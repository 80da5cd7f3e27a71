// insight.ts: what operators and clients ask of forecasts, warnings and policies, and what `why` and the lists say of them. Not here:
// the loop that acts (foresight.ts), messages field by field (insight-messages.ts).
import {
  type AcknowledgeRequest,
  type Calibration,
  type Decision,
  type Distribution,
  ForelockError,
  type GetPredictionReply,
  type GetProfileReply,
  type HoldForecast,
  type Operation as OperationMessage,
  type PolicyInfo,
  type Reply,
  type Risk,
  type SetPolicyRequest,
  unreachable,
  type WarnRequest,
} from "@forelock/protocol";
import { holdersInTheWay, wantedAt } from "../lock/below.ts";
import { EXCLUSIVE } from "../lock/mode.ts";
import type { Refusal, SessionCommand } from "../partition/commands.ts";
import {
  ageOf,
  type Element,
  type Grant,
  holdersOf,
  type PartitionState,
  type Wait,
  type Warning,
} from "../partition/state.ts";
import { type HoldQuantiles, span } from "../preempt/engine.ts";
import type { Decided } from "../preempt/ledger.ts";
import { POLICY_FIELD_NAMES, POLICY_FIELDS, policyProblem, showPolicy } from "../preempt/policy.ts";
import { isWait, waitersFor } from "../preempt/target.ts";
import { respondWith } from "./answers.ts";
import { nameOf } from "./foresight.ts";
import { assessmentMessage, etaMessage, forecastMessage, riskMessage } from "./insight-messages.ts";
import type { Node } from "./node.ts";
import { clientOf } from "./profiles.ts";
import { parseWarning, warningName } from "./reference.ts";
import type { Caller } from "./service.ts";

const DECISIONS_DEFAULT = 100;
const CLIENTS_SHOWN_MAX = 20;
/** Holders that get sentences of their own. */
const HOLDERS_TOLD_MAX = 3;
/** Prefixes with policies: all of them fit one answer. */
const POLICIES_MAX = 500;
/** Requests of a partition that are not pre-empted or ask for a call, and calls that are owed, all together. */
export const TERMS_MAX = 10_000;

type Respond = (reply: Reply) => void;
export type InsightBody = Extract<
  NonNullable<OperationMessage["body"]>,
  { $case: "warn" | "setPolicy" | "listPolicies" | "getProfile" | "getPrediction" }
>;

/** What lists and `why` say beyond the present. */
export interface Outlook {
  holder(
    state: PartitionState,
    grant: Grant,
  ): { readonly forecast: HoldForecast | undefined; readonly risk: Risk | undefined };
  waiter(
    state: PartitionState,
    wait: Wait,
  ): { readonly eta: ReturnType<typeof etaMessage>; readonly risk: Risk | undefined };
  /** What will happen next and when, in sentences. Holders below the element are told of where the caller may read them. */
  next(state: PartitionState, name: string, caller: Caller): string[];
}

export class Insight implements Outlook {
  readonly #node: Node;

  constructor(node: Node) {
    this.#node = node;
  }

  carryOut(caller: Caller, body: InsightBody, sequence: number, respond: Respond): void {
    respondWith(this.#answer(caller, body), sequence, respond);
  }

  async #answer(caller: Caller, body: InsightBody): Promise<Reply["body"]> {
    switch (body.$case) {
      case "warn":
        return { $case: "warn", value: { warnings: await this.#warn(caller, body.value) } };
      case "setPolicy":
        return { $case: "setPolicy", value: { policy: await this.#setPolicy(caller, body.value) } };
      case "listPolicies": {
        const prefixes = this.#node.foresight.policies
          .prefixes()
          .filter((prefix) => prefix === "" || caller.may("read", prefix));
        const policies = prefixes.map((prefix) => {
          const info = this.#policyInfo(prefix);
          // What holds everywhere is told to all who read anything; who set it, and why, is not.
          return caller.may("read", prefix) ? info : { ...info, changedBy: "", reason: "" };
        });
        const standard = showPolicy(this.#node.foresight.policies.standard);
        const fields = POLICY_FIELD_NAMES.map((name) => {
          const { range, description } = POLICY_FIELDS[name];
          return { name, range, standard: standard[name] ?? "", description };
        });
        return { $case: "listPolicies", value: { policies, fields } };
      }
      case "getProfile":
        return { $case: "getProfile", value: await this.#profile(body.value.name) };
      case "getPrediction":
        return { $case: "getPrediction", value: this.#prediction(caller, body.value.limit) };
      default:
        return unreachable(body);
    }
  }

  /** The command of an acknowledgement, its extension judged. @throws ForelockError when the warning is of another partition */
  acknowledgement(command: SessionCommand, wanted: AcknowledgeRequest): SessionCommand {
    const parsed = parseWarning(wanted.warning);
    if (parsed === undefined || parsed.partition !== this.#node.partitionOf(wanted.name))
      throw new ForelockError("bad_argument", `warning: ${wanted.warning} is no warning of ${wanted.name}.`);
    const { extensionMs } = wanted;
    if (command.kind !== "acknowledge_warning" || extensionMs === undefined) return command;
    const { state } = this.#node.shardAt(parsed.partition);
    const warning = state.warnings.get(parsed.id);
    // Over, which the partition answers. If it is yet to come, which a client can guess, nobody has judged the extension.
    if (warning === undefined) return { ...command, refusal: "The warning was not known yet when this was asked." };
    const { target } = warning;
    const { foresight, options } = this.#node;
    const { policy } = foresight.policies.of(nameOf(target));
    const ageMs = isWait(target) ? 0 : ageOf(state, target);
    const refusal = foresight.engine.judgeExtension(
      { client: clientOf(target.session), element: nameOf(target), ageMs },
      { extensionMs, countdownMs: warning.countdownMs, extensions: warning.extensions },
      policy,
      options.clock.monotonicMs(),
    );
    return { ...command, refusal, extensionsMax: policy.extensionsMax };
  }

  /** Why a request may not ask for a grant that is not pre-empted, or for such a call; undefined when it may. */
  refuseTerms(name: string, isNever: boolean, url: string | undefined): Refusal | undefined {
    if (isNever && this.#node.foresight.policies.of(name).policy.never === "refuse")
      return {
        code: "preemption_required",
        message: `preemptible: the policy of ${name} allows no grant that is not pre-empted.`,
      };
    const { state } = this.#node.shardOf(name);
    const asked = state.termsByTarget.size + state.compensations.size;
    if (asked >= TERMS_MAX)
      return {
        code: "overloaded",
        message: `${asked} requests of this partition have terms of their own or calls owed; ${TERMS_MAX} may have.`,
        retryAfterMs: 1_000,
      };
    if (url !== undefined && this.#node.options.isCompensationAllowed?.(url) !== true)
      return {
        code: "compensation_refused",
        message: `compensation.url: ${url} is not in the setting compensation.allow.`,
      };
    return undefined;
  }

  async #warn(caller: Caller, wanted: WarnRequest): Promise<string[]> {
    const { name, token, reason } = wanted;
    const { foresight } = this.#node;
    const { policy, threshold } = foresight.policies.of(name);
    const cause = {
      countdownMs: wanted.countdownMs ?? policy.countdownMs,
      enforce: policy.policy === "enforce",
      ...{ score: 1, threshold, parts: [], reason, by: caller.principal },
    };
    const shard = this.#node.shardOf(name);
    const warnings = await new Promise<string[]>((resolve, reject) => {
      shard.submit(
        { kind: "warn", name, token, wait: 0, cause },
        (state, refusal) => {
          if (refusal !== undefined) return () => reject(new ForelockError(refusal.code, refusal.message));
          const names: string[] = [];
          for (const grant of heldAt(state, name)) {
            const warning = state.warningByTarget.get(grant);
            if (warning !== undefined && (token === 0n || grant.token === token))
              names.push(warningName(shard.partition, warning.id));
          }
          return () => resolve(names);
        },
        reject,
      );
    });
    const from = caller.remoteAddress;
    this.#node.options.note("warned", { name, token: String(token), reason, principal: caller.principal, from });
    return warnings;
  }

  async #setPolicy(caller: Caller, { prefix, set, reason }: SetPolicyRequest): Promise<PolicyInfo> {
    const problem = policyProblem(set);
    if (problem !== undefined) throw new ForelockError("bad_argument", problem);
    const { foresight, options } = this.#node;
    const prefixes = foresight.policies.prefixes();
    if (prefixes.length >= POLICIES_MAX && !prefixes.includes(prefix))
      throw new ForelockError(
        "overloaded",
        `${prefixes.length} prefixes have policies; ${POLICIES_MAX} may. Take back those of others first.`,
      );
    const { policy } = foresight.policies.of(prefix);
    const limits = {
      least:
        set["thresholdMin"] === undefined || set["thresholdMin"] === ""
          ? policy.thresholdMin
          : Number(set["thresholdMin"]),
      most:
        set["thresholdMax"] === undefined || set["thresholdMax"] === ""
          ? policy.thresholdMax
          : Number(set["thresholdMax"]),
    };
    if (limits.least > limits.most)
      throw new ForelockError(
        "bad_argument",
        `set.thresholdMin: ${limits.least}; allowed 0 to thresholdMax, ${limits.most}.`,
      );
    await foresight.setPolicy(prefix, set, { by: caller.principal, reason });
    options.note("policy set", { prefix, ...set, reason, principal: caller.principal, from: caller.remoteAddress });
    return this.#policyInfo(prefix);
  }

  #policyInfo(prefix: string): PolicyInfo {
    const { policies } = this.#node.foresight;
    const row = policies.row(prefix);
    const { policy, threshold } = policies.of(prefix);
    return {
      prefix,
      set: Object.fromEntries(row?.set ?? []),
      effective: { ...showPolicy(policy) },
      threshold,
      changedBy: row?.by ?? "",
      changedMs: row?.wallMs ?? 0,
      reason: row?.reason ?? "",
    };
  }

  async #profile(name: string): Promise<GetProfileReply> {
    const { profiles, ledger } = this.#node.foresight;
    const nowMs = this.#node.options.clock.monotonicMs();
    const counts = profiles.counts(name);
    const clients = profiles.clientsOf(name, CLIENTS_SHOWN_MAX).map(({ client, holds }) => ({
      client,
      holds,
      forecast: forecastMessage(this.#node.foresight.engine.forecast(client, name, 0, nowMs)),
      preemptions: ledger.forcedWithinHour(client, nowMs),
    }));
    const intervalMs = counts?.intervalMs ?? 0;
    return {
      name,
      hold: this.#distribution("hold", name),
      wait: this.#distribution("wait", name),
      arrivalsPerSecond: intervalMs > 0 ? 1_000 / intervalMs : 0,
      contention: profiles.contentionRatio(name),
      clients,
    };
  }

  #distribution(of: "hold" | "wait", name: string): Distribution {
    const { edgesMs, counts, quantiles, observations } = this.#node.foresight.profiles.distribution(of, name);
    return { edgesMs: [...edgesMs], counts: [...counts], ...quantiles, observations };
  }

  #prediction(caller: Caller, limit: number): GetPredictionReply {
    const { profiles, ledger } = this.#node.foresight;
    const shown = limit === 0 ? DECISIONS_DEFAULT : limit;
    const visible = ledger.decisions(shown).filter(({ name }) => caller.may("read", name));
    const calibrations: Calibration[] = profiles.calibrations().map((row) => ({ ...row }));
    const { observedSavedMs, ...totals } = ledger.totals;
    return {
      calibrations,
      decisions: visible.map((row) => this.#decision(row)),
      totals: { ...totals, observedSavedMs },
    };
  }

  #decision(row: Decided): Decision {
    const { policy } = this.#node.foresight.policies.of(row.name).policy;
    const { risk, threshold } = row;
    return {
      atMs: Math.floor(row.wallMs),
      kind: row.kind,
      name: row.name,
      token: row.token,
      client: row.client,
      risk:
        risk === undefined
          ? undefined
          : {
              ...{ score: risk.score, parts: risk.parts.map((part) => ({ ...part })), threshold, policy },
              ...{ state: row.outcome, countdownMs: row.countdownMs, reason: row.reason },
            },
      outcome: row.outcome,
      reason: row.reason,
    };
  }

  // ------------------------------------------------------------------------------------------------- the outlook of lists

  holder(state: PartitionState, grant: Grant): ReturnType<Outlook["holder"]> {
    const { foresight } = this.#node;
    if (!this.#node.isPredicting || grant.reserved) return NOTHING_AHEAD;
    const { policy, threshold } = foresight.policies.of(grant.element.name);
    const forecast = forecastMessage(this.#forecastOf(state, grant));
    const warning = state.warningByTarget.get(grant);
    if (warning !== undefined) return { forecast, risk: riskMessage(state, warning, policy.policy) };
    if (waitersFor(grant) === 0) return { forecast, risk: undefined };
    const assessment = foresight.assess(state, grant, policy, threshold);
    return { forecast, risk: assessmentMessage(assessment, policy.policy, "held") };
  }

  waiter(state: PartitionState, wait: Wait): ReturnType<Outlook["waiter"]> {
    if (!this.#node.isPredicting) return { eta: undefined, risk: undefined };
    const { foresight } = this.#node;
    const { policy } = foresight.policies.of(nameOf(wait)).policy;
    const warning = state.warningByTarget.get(wait);
    const assessed = foresight.lastAssessment(wait);
    const risk =
      warning !== undefined
        ? riskMessage(state, warning, policy)
        : assessed && assessmentMessage(assessed, policy, "waiting");
    return { eta: etaMessage(foresight.etas.of(wait, this.#node.options.clock.monotonicMs())), risk };
  }

  next(state: PartitionState, name: string, caller: Caller): string[] {
    const element = state.elements.get(name);
    if (element === undefined || !this.#node.isPredicting) return [];
    const sentences: string[] = [];
    for (const grant of firstOf(holdersAround(element, caller), HOLDERS_TOLD_MAX))
      sentences.push(...this.#outlookOf(state, grant, name));
    const { foresight, options } = this.#node;
    const first = this.#firstWait(element.lanes);
    const eta = first === undefined ? undefined : foresight.etas.of(first, options.clock.monotonicMs());
    if (first !== undefined && eta !== undefined)
      sentences.push(
        `${clientOf(first.session)} is next, in about ${span(eta.p50Ms)}, very likely within ${span(eta.p90Ms)}.`,
      );
    return sentences;
  }

  /** @param asked the element that the question is about */
  #outlookOf(state: PartitionState, grant: Grant, asked: string): readonly string[] {
    const { foresight } = this.#node;
    const { name } = grant.element;
    const { policy, threshold, prefix } = foresight.policies.of(name);
    const ageMs = ageOf(state, grant);
    const sentences: string[] = [];
    const forecast = this.#forecastOf(state, grant);
    if (forecast !== undefined) {
      const left = (totalMs: number): string => span(Math.max(0, totalMs - ageMs));
      const from = forecast.source === "prior" ? "no history" : `${forecast.observations} holds (${forecast.source})`;
      const what = name === asked ? "release" : `release ${name}`;
      sentences.push(
        `${clientOf(grant.session)} is expected to ${what} within ${left(forecast.p50Ms)} (half of such holds), ${left(forecast.p90Ms)} (nine of ten), by ${from}.`,
      );
    }
    const warning = state.warningByTarget.get(grant);
    if (warning !== undefined) sentences.push(warningSentence(state, warning));
    else if (waitersFor(grant) > 0) {
      const { risk } = foresight.assess(state, grant, policy, threshold);
      const parts = risk.parts.map((part) => `${part.name} ${part.value.toFixed(2)}`).join(", ");
      const at = prefix === "" ? "the standard policy" : `the policy of ${prefix}`;
      sentences.push(
        `Its risk score is ${risk.score.toFixed(2)} (${parts}); at ${threshold.toFixed(2)} ${at} (${policy.policy}) ${WHAT_FOLLOWS[policy.policy]}.`,
      );
    }
    return sentences;
  }

  #forecastOf(state: PartitionState, grant: Grant): HoldQuantiles | undefined {
    const { foresight, options } = this.#node;
    const { element, session } = grant;
    const self = foresight.profiles.handleOf(grant);
    const nowMs = options.clock.monotonicMs();
    return foresight.engine.forecast(clientOf(session), element.name, ageOf(state, grant), nowMs, self);
  }

  #firstWait(lanes: readonly (Iterable<Wait> | undefined)[] | undefined): Wait | undefined {
    let first: Wait | undefined;
    for (const lane of lanes ?? [])
      for (const wait of lane ?? []) {
        if (first === undefined || wait.arrivalMs < first.arrivalMs) first = wait;
        break;
      }
    return first;
  }
}

/** Who holds the element itself, then who below keeps it from others. */
function* holdersAround(element: Element, caller: Caller): IterableIterator<Grant> {
  for (const grant of holdersOf(element)) if (!grant.reserved) yield grant;
  for (const grant of holdersInTheWay(element, wantedAt(element) ?? EXCLUSIVE))
    if (!grant.reserved && caller.may("read", grant.element.name)) yield grant;
}

function* firstOf<Item>(items: Iterable<Item>, max: number): IterableIterator<Item> {
  let taken = 0;
  for (const item of items) {
    if (taken === max) return;
    taken += 1;
    yield item;
  }
}

function heldAt(state: PartitionState, name: string): Iterable<Grant> {
  const element = state.elements.get(name);
  return element === undefined ? [] : holdersOf(element);
}

const NOTHING_AHEAD = { forecast: undefined, risk: undefined } as const;
const WHAT_FOLLOWS = {
  off: "nothing is done",
  observe: "it is only noted",
  warn: "it is warned",
  enforce: "it is warned, and then forced",
} as const;

function warningSentence(state: PartitionState, warning: Warning): string {
  const leftMs = warning.endsAtMs - state.clockMs;
  const by = warning.by === "" ? "" : ` by ${warning.by}`;
  const told = `It was warned${by}: ${warning.reason}`;
  if (!Number.isFinite(leftMs)) return `${told} It is ${warning.phase.replaceAll("_", " ")}.`;
  const then = warning.enforce ? "it is released by force" : "the warning ends";
  return `${told} It is ${warning.phase.replaceAll("_", " ")}; in ${span(Math.max(0, leftMs))} ${then}.`;
}
