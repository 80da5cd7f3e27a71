// outlook.ts: forecasts and risks in words and cells, as `why`, `locks`, `sessions` and `prediction` print them.
import type { Eta, HoldForecast, Risk } from "@forelock/client";
import { formatDuration } from "./duration.ts";
import { plural, printable } from "./quantity.ts";

/** `2.70 s to 27.7 s`: half of such holds end by the first, nine of ten by the second. Empty without a forecast. */
export function restCell(holder: { readonly heldMs: number; readonly forecast: HoldForecast | undefined }): string {
  const rest = restOf(holder);
  return rest === undefined ? "" : etaCell(rest);
}

/** What is left of a hold; undefined without a forecast. */
export function restOf({
  heldMs,
  forecast,
}: {
  readonly heldMs: number;
  readonly forecast: HoldForecast | undefined;
}): Eta | undefined {
  if (forecast === undefined) return undefined;
  return { p50Ms: Math.max(0, forecast.p50Ms - heldMs), p90Ms: Math.max(0, forecast.p90Ms - heldMs) };
}

export function etaCell(eta: Eta | undefined): string {
  return eta === undefined ? "" : `${formatDuration(eta.p50Ms)} to ${formatDuration(eta.p90Ms)}`;
}

const QUIET_STATES = new Set(["", "held", "waiting"]);

/** `0.82 warned`. Empty without a risk. */
export function riskCell(risk: Risk | undefined): string {
  if (risk === undefined) return "";
  return `${score(risk.score)}${QUIET_STATES.has(risk.state) ? "" : ` ${risk.state}`}`;
}

export const score = (value: number): string => value.toFixed(2);

export const percent = (ratio: number): string => `${Math.round(ratio * 100)} %`;

/** Of what is left: `half of such holds end within 2.70 s more, nine of ten within 27.7 s`. */
export function etaWords(noun: string, { p50Ms, p90Ms }: Eta): string {
  return `half of such ${noun} end within ${formatDuration(p50Ms)} more, nine of ten within ${formatDuration(p90Ms)}`;
}

const SOURCE_WORDS: Readonly<Record<string, string>> = {
  pair: "of this client on this lock",
  client: "of this client",
  element: "of this lock",
  all: "of all clients and locks",
};

/** Whose past speaks, and how much of it there is. */
export function sourceWords({ source, observations }: HoldForecast): string {
  if (source === "prior") return "nothing is known yet";
  const whose = SOURCE_WORDS[source];
  const holds = plural(observations, "hold");
  return whose === undefined ? `by the model ${printable(source)}, from ${holds}` : `from ${holds} ${whose}`;
}

/** The score, what it is made of, and what it is measured against. */
export function riskSentence({ score: value, parts, threshold, policy }: Risk): string {
  const made = parts.filter(({ weight }) => weight > 0).map((part) => `${printable(part.name)} ${score(part.value)}`);
  const side = value >= threshold ? "at or above" : "below";
  const from = made.length === 0 ? "" : ` (${made.join(", ")})`;
  return `Its risk score is ${score(value)}${from}, ${side} the threshold of ${score(threshold)}; the policy is ${printable(policy)}.`;
}

/** What the pre-emption of a grant or a wait has come to; undefined while there is none. */
export function stateSentence({ state, countdownMs, reason }: Risk): string | undefined {
  const left = countdownMs < 0 ? undefined : formatDuration(countdownMs);
  const why = reason === "" ? "" : ` The reason: ${printable(reason)}`;
  switch (state) {
    case "":
    case "held":
    case "waiting":
      return undefined;
    case "warned":
      return left === undefined
        ? `It was warned; nothing will be forced.${why}`
        : `It was warned: unless it releases, the release is forced in ${left}.${why}`;
    case "acknowledged":
      return left === undefined
        ? `It has acknowledged its warning; nothing will be forced.${why}`
        : `It has acknowledged its warning: it has ${left} left to release.${why}`;
    case "extended":
      return left === undefined
        ? `It was given an extension.${why}`
        : `It was given an extension: the release is forced in ${left}.${why}`;
    case "passed_over":
      return `It is passed over: the other waiters go first, and it keeps its place behind them.${why}`;
    default:
      return `It is ${printable(state)}.${why}`; // A later server may know more states.
  }
}
