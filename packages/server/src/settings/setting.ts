// setting.ts: what a setting can be, what it is called in flags, environment and file, and how a text becomes its value.
// Not here: which settings there are (table.ts), and where their values come from (read.ts).

import { unreachable } from "@forelock/protocol";

interface Common {
  /** One or two sentences: what it is, and what a lower or higher value does. */
  readonly help: string;
}

export interface NumberSetting extends Common {
  readonly kind: "number";
  readonly unit: Unit;
  readonly default: number;
  readonly min: number;
  readonly max: number;
  /** What happens at the limit, for docs/limits.md: an error code in backquotes, or a sentence. Absent: it limits nothing. */
  readonly atLimit?: string;
}

export interface ChoiceSetting<Choice extends string = string> extends Common {
  readonly kind: "choice";
  readonly choices: readonly Choice[];
  readonly default: Choice;
}

export interface TextSetting extends Common {
  readonly kind: "text";
  /** Empty: not set. */
  readonly default: string;
  /** As in `<file>`. */
  readonly placeholder: string;
}

export interface ListSetting extends Common {
  readonly kind: "list";
  readonly default: readonly string[];
  readonly placeholder: string;
}

export interface SwitchSetting extends Common {
  readonly kind: "switch";
  readonly default: false;
}

export type Setting = NumberSetting | ChoiceSetting | TextSetting | ListSetting | SwitchSetting;

/** Empty for plain counts. */
export type Unit = "ms" | "bytes" | "";

/** The type of a setting's value. */
export type ValueOf<One extends Setting> = One extends NumberSetting
  ? number
  : One extends ChoiceSetting<infer Choice>
    ? Choice
    : One extends ListSetting
      ? readonly string[]
      : One extends SwitchSetting
        ? boolean
        : string;

export type Parsed = { readonly value: unknown } | { readonly complaint: string };

const FACTOR_BY_SUFFIX: Record<Exclude<Unit, "">, Readonly<Record<string, number>>> = {
  ms: { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 },
  bytes: { KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 },
};

/** `session.ttlMs` as a flag, without dashes: `session-ttl-ms`. */
export function flagName(key: string): string {
  return words(key).join("-");
}

/** `session.ttlMs` in the environment: `FORELOCK_SESSION_TTL_MS`. */
export function environmentName(key: string): string {
  return ["forelock", ...words(key)].join("_").toUpperCase();
}

/** The values a setting takes, in words. */
export function rangeOf(setting: Setting): string {
  switch (setting.kind) {
    case "number":
      return `${amount(setting.min, setting.unit)} to ${amount(setting.max, setting.unit)}`;
    case "choice":
      return setting.choices.join(" or ");
    case "text":
      return "a text that is not empty";
    case "list":
      return "a list of texts, separated by commas";
    case "switch":
      return "true or false";
    default:
      return unreachable(setting);
  }
}

/** The default, in words; empty when there is none. */
export function defaultOf(setting: Setting): string {
  switch (setting.kind) {
    case "number":
      return amount(setting.default, setting.unit);
    case "list":
      return setting.default.join(",");
    default:
      return String(setting.default);
  }
}

/** @param raw a text from a flag or the environment, or any value of a settings file */
export function parse(setting: Setting, raw: unknown): Parsed {
  const value = valueFrom(setting, raw);
  if (value !== undefined) return { value };
  return { complaint: `${JSON.stringify(raw)} is not allowed; allowed: ${rangeOf(setting)}.` };
}

function valueFrom(setting: Setting, raw: unknown): unknown {
  switch (setting.kind) {
    case "number": {
      const value = typeof raw === "string" ? numberOf(raw, setting.unit) : raw;
      const fits = Number.isSafeInteger(value) && Number(value) >= setting.min && Number(value) <= setting.max;
      return fits ? value : undefined;
    }
    case "choice":
      return setting.choices.find((choice) => choice === raw);
    case "text":
      return typeof raw === "string" && raw.trim() !== "" ? raw : undefined;
    case "list": {
      const items = typeof raw === "string" ? raw.split(",").map((item) => item.trim()) : raw;
      const fits = Array.isArray(items) && items.every((item) => typeof item === "string" && item !== "");
      return fits ? items : undefined;
    }
    case "switch":
      if (raw === true || raw === "true" || raw === "1") return true;
      return raw === false || raw === "false" || raw === "0" ? false : undefined;
    default:
      return unreachable(setting);
  }
}

/** `30000`, `30_000`, and with a unit `30s` or `64MiB`. */
function numberOf(text: string, unit: Unit): number | undefined {
  const match = /^(\d[\d_]*)([A-Za-z]*)$/.exec(text.trim());
  const [, digits = "", suffix = ""] = match ?? [];
  const factor = suffix === "" ? 1 : unit === "" ? undefined : FACTOR_BY_SUFFIX[unit][suffix];
  return digits === "" || factor === undefined ? undefined : Number(digits.replaceAll("_", "")) * factor;
}

/** `30,000 ms`. */
function amount(value: number, unit: Unit): string {
  return `${value.toLocaleString("en-US")}${unit === "" ? "" : ` ${unit}`}`;
}

/** `session.ttlMs` is `session`, `ttl`, `ms`. */
function words(key: string): readonly string[] {
  return key
    .split(".")
    .flatMap((part) => part.split(/(?=[A-Z])/))
    .map((word) => word.toLowerCase());
}
