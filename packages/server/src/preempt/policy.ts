// policy.ts: what may be done about risk, by prefix of the element's name: the fields, their ranges, and which of them hold for a
// name. The table below makes the checks, the command line's help and docs/prediction.md. Not here: who may change it (edge/),
// where changes are kept (partition/).
//   Y1. The longest prefix of whole parts that sets a field wins, field by field, and of weights part by part; "" holds for everything.
import { RISK_PARTS, type RiskWeights } from "./risk.ts";

export const POLICY_MODES = ["off", "observe", "warn", "enforce"] as const;
export type PolicyMode = (typeof POLICY_MODES)[number];

export interface Policy {
  readonly policy: PolicyMode;
  readonly threshold: number;
  readonly thresholdMin: number;
  readonly thresholdMax: number;
  readonly pendingThreshold: number;
  readonly weights: RiskWeights;
  readonly countdownMs: number;
  readonly minimumHoldMs: number;
  readonly extensionMsMax: number;
  readonly extensionsMax: number;
  readonly preemptionsPerHourMax: number;
  readonly coolDownMs: number;
  readonly waitMsTarget: number;
  readonly falseRatioMax: number;
  readonly never: "allow" | "refuse";
}

type Field = keyof Policy;

interface FieldRule<Value> {
  readonly standard: Value;
  readonly range: string;
  readonly description: string;
  /** @param shorter what the shorter prefixes come to, for values of several parts @returns undefined: out of range */
  readonly parse: (text: string, shorter: Value) => Value | undefined;
  readonly show: (value: Value) => string;
}

const WEIGHT_MAX = 100;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

function choice<Value extends string>(
  values: readonly Value[],
  standard: Value,
  description: string,
): FieldRule<Value> {
  return {
    standard,
    range: values.join(" | "),
    description,
    parse: (text) => values.find((value) => value === text),
    show: (value) => value,
  };
}

function number(
  standard: number,
  { min, max, isWhole }: { readonly min: number; readonly max: number; readonly isWhole: boolean },
  description: string,
): FieldRule<number> {
  return {
    standard,
    range: `${min} to ${max}`,
    description,
    parse: (text) => {
      const value = /^\d{1,15}(\.\d{1,9})?$/.test(text) ? Number(text) : Number.NaN;
      return value >= min && value <= max && (!isWhole || Number.isInteger(value)) ? value : undefined;
    },
    show: String,
  };
}

const ratio = (standard: number, description: string): FieldRule<number> =>
  number(standard, { min: 0, max: 1, isWhole: false }, description);
const ms = (standard: number, min: number, max: number, description: string): FieldRule<number> =>
  number(standard, { min, max, isWhole: true }, description);

const weights: FieldRule<RiskWeights> = {
  standard: { hold: 1, suspicion: 4, harm: 1, contention: 0.25, load: 0.1 },
  range: `${RISK_PARTS.map((part) => `${part}:0 to ${WEIGHT_MAX}`).join("/")}; parts left out keep what the shorter prefix says`,
  description: "How much each part of the risk score counts.",
  parse: parseWeights,
  show: (value) => RISK_PARTS.map((part) => `${part}:${value[part]}`).join("/"),
};

function parseWeights(text: string, shorter: RiskWeights): RiskWeights | undefined {
  const given: Record<string, number> = {};
  for (const each of text.split("/")) {
    const [, name = "", value = ""] = /^([a-z]+):(\d{1,3}(?:\.\d{1,6})?)$/.exec(each) ?? [];
    const isKnown = RISK_PARTS.some((part) => part === name);
    if (!isKnown || Number(value) > WEIGHT_MAX || Object.hasOwn(given, name)) return undefined;
    given[name] = Number(value);
  }
  const merged = { ...shorter, ...given };
  return RISK_PARTS.some((part) => merged[part] > 0) ? merged : undefined;
}

export const POLICY_FIELDS: { readonly [Name in Field]: FieldRule<Policy[Name]> } = {
  policy: choice(
    POLICY_MODES,
    "observe",
    "off: no forecasts act. observe: what would have been done is recorded. warn: holders are warned, never forced. enforce: those who do not release in time are forced.",
  ),
  threshold: ratio(0.9, "A contended grant whose score reaches it is acted on. The controller starts here."),
  thresholdMin: ratio(0.75, "The controller moves the threshold no lower."),
  thresholdMax: ratio(0.98, "The controller moves the threshold no higher."),
  pendingThreshold: ratio(0.95, "A waiting request whose score reaches it is warned before its grant."),
  weights,
  countdownMs: ms(10_000, 100, HOUR_MS, "From the warning to the forced release."),
  minimumHoldMs: ms(1_000, 0, DAY_MS, "No holder is warned before it has held so long."),
  extensionMsMax: ms(60_000, 0, DAY_MS, "An extension is at most so long."),
  extensionsMax: number(2, { min: 0, max: 100, isWhole: true }, "Extensions of one grant."),
  preemptionsPerHourMax: number(
    20,
    { min: 0, max: 100_000, isWhole: true },
    "Forced releases of one client in an hour; past it the client is warned, and not forced.",
  ),
  coolDownMs: ms(
    60_000,
    0,
    DAY_MS,
    "After a warning that was wrong, the same client on the same element is left alone for so long.",
  ),
  waitMsTarget: ms(
    0,
    0,
    DAY_MS,
    "The controller lowers the threshold while the p99 of waits is above it. 0: it does not.",
  ),
  falseRatioMax: ratio(0.05, "The controller raises the threshold while a larger share of warnings turned out wrong."),
  never: choice(["allow", "refuse"], "allow", "Whether a request may ask for a grant that is not pre-empted."),
};

export const POLICY_FIELD_NAMES = Object.keys(POLICY_FIELDS) as readonly Field[]; // The table has these keys and no others.

export const STANDARD_POLICY: Policy = merge([]);

/** Undefined: every field is known and in its range. Else the sentence for the error. */
export function policyProblem(set: Readonly<Record<string, string>>): string | undefined {
  for (const [name, value] of Object.entries(set)) {
    const field = POLICY_FIELD_NAMES.find((known) => known === name);
    if (field === undefined)
      return `set: there is no field ${JSON.stringify(name.slice(0, 64))}; allowed: ${POLICY_FIELD_NAMES.join(", ")}.`;
    if (value !== "" && !isInRange(field, value))
      return `set.${field}: ${JSON.stringify(value.slice(0, 64))}; allowed ${POLICY_FIELDS[field].range}.`;
  }
  return undefined;
}

function isInRange<Name extends Field>(name: Name, text: string): boolean {
  const rule: FieldRule<Policy[Name]> = POLICY_FIELDS[name];
  return rule.parse(text, rule.standard) !== undefined;
}

/** What is set, nearest prefix last: each takes precedence over those before it (Y1). */
export function merge(sets: readonly ReadonlyMap<string, string>[]): Policy {
  const chosen = <Name extends Field>(name: Name): Policy[Name] => {
    const rule: FieldRule<Policy[Name]> = POLICY_FIELDS[name];
    let value = rule.standard;
    for (const set of sets) {
      const text = set.get(name);
      if (text !== undefined) value = rule.parse(text, value) ?? value;
    }
    return value;
  };
  return {
    policy: chosen("policy"),
    threshold: chosen("threshold"),
    thresholdMin: chosen("thresholdMin"),
    thresholdMax: chosen("thresholdMax"),
    pendingThreshold: chosen("pendingThreshold"),
    weights: chosen("weights"),
    countdownMs: chosen("countdownMs"),
    minimumHoldMs: chosen("minimumHoldMs"),
    extensionMsMax: chosen("extensionMsMax"),
    extensionsMax: chosen("extensionsMax"),
    preemptionsPerHourMax: chosen("preemptionsPerHourMax"),
    coolDownMs: chosen("coolDownMs"),
    waitMsTarget: chosen("waitMsTarget"),
    falseRatioMax: chosen("falseRatioMax"),
    never: chosen("never"),
  };
}

/** The prefixes that hold for a name, shortest first: "", then each of its leading parts, then itself. */
export function prefixesOf(name: string): readonly string[] {
  const prefixes = [""];
  for (let at = name.indexOf("/"); at >= 0; at = name.indexOf("/", at + 1)) prefixes.push(name.slice(0, at));
  if (name !== "") prefixes.push(name);
  return prefixes;
}

export function showPolicy(policy: Policy): Readonly<Record<string, string>> {
  return Object.fromEntries(POLICY_FIELD_NAMES.map((name) => [name, showField(name, policy)]));
}

function showField<Name extends Field>(name: Name, policy: Policy): string {
  const rule: FieldRule<Policy[Name]> = POLICY_FIELDS[name];
  return rule.show(policy[name]);
}
