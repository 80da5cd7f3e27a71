// policy.ts: which policy holds for a name, and what a form changes of it. Pure. The words of a policy come from the server.
import type { PolicyField, PolicyInfo } from "@forelock/protocol";
import type { Json } from "./wire/json.ts";

/** Of the longest prefix that covers `name` by whole parts. */
export function policyFor(policies: readonly Json<PolicyInfo>[], name: string): Json<PolicyInfo> | undefined {
  const covering = policies.filter(({ prefix = "" }) => covers(prefix, name));
  return covering.sort((a, b) => (b.prefix ?? "").length - (a.prefix ?? "").length)[0];
}

export function covers(prefix: string, name: string): boolean {
  return prefix === "" || name === prefix || name.startsWith(`${prefix}/`);
}

/** The prefixes that cover a name, the longest first: `a/b`, `a`, and everything. */
export function prefixesOf(name: string): readonly string[] {
  const parts = name.split("/");
  return [...parts.map((_, index) => parts.slice(0, parts.length - index).join("/")), ""];
}

/** What was typed against what is set at the prefix itself: only what differs is sent; an emptied field goes back. */
export function changesOf(
  set: Readonly<Record<string, string>>,
  typed: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(typed)
      .map(([field, value]) => [field, value.trim()] as const)
      .filter(([field, value]) => value !== (set[field] ?? "")),
  );
}

/** Choices of a field whose range lists words, as `off | observe | warn | enforce`; empty for numbers and texts. */
export function choicesOf({ range = "" }: Json<PolicyField>): readonly string[] {
  const words = range.split(/\s*(?:\||,|\bor\b)\s*/).filter((word) => word !== "");
  return words.length > 1 && words.every((word) => /^[a-z_]+$/.test(word)) ? words : [];
}

export const prefixTitle = (prefix: string): string => (prefix === "" ? "everything" : prefix);
