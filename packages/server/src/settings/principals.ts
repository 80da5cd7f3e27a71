// principals.ts: who may do what, as the settings file lists it under [[principals]]. Only the file can hold it: flags and
// environments are seen by other processes. Complaints never show a token.

import * as v from "valibot";
import { prefixProblem } from "../edge/names.ts";

export type PrincipalRight = "read" | "lock" | "write" | "operate" | "admin" | "direct";

export interface PrincipalSettings {
  readonly name: string;
  readonly token: string | undefined;
  /** SHA-256 of the token, hexadecimal: instead of `token`. */
  readonly tokenSha256: string | undefined;
  /** Subject alternative names of client certificates, as `DNS:worker-1`. */
  readonly san: readonly string[];
  /** A right on all names that begin with the whole path parts of `prefix`; `""` is everything. */
  readonly rights: readonly { readonly prefix: string; readonly right: PrincipalRight }[];
}

export interface Complaint {
  readonly key: string;
  readonly problem: string;
}

const Right = v.picklist(
  ["read", "lock", "write", "operate", "admin", "direct"],
  "a right is read, lock, write, operate, admin or direct",
);

const Principal = v.pipe(
  v.strictObject({
    name: v.pipe(
      v.string("must be a text"),
      v.regex(/^[\w.@:-]{1,64}$/, "must be 1 to 64 of letters, digits and _ . @ : -"),
    ),
    token: v.optional(v.pipe(v.string("must be a text"), v.minLength(16, "must have at least 16 characters"))),
    tokenSha256: v.optional(
      v.pipe(v.string("must be a text"), v.regex(/^[0-9a-f]{64}$/i, "must be 64 hexadecimal digits")),
    ),
    san: v.optional(v.array(v.pipe(v.string("must be a text"), v.minLength(1, "must not be empty"))), []),
    rights: v.record(
      v.pipe(
        v.string(),
        v.check((prefix) => prefixProblem(prefix) === undefined, "a prefix must be the start of a canonical name"),
      ),
      v.array(Right),
      'must be a table, as in { "orders" = ["read", "lock"] }',
    ),
  }),
  v.check(
    ({ token, tokenSha256, san }) => token !== undefined || tokenSha256 !== undefined || san.length > 0,
    "has neither token, tokenSha256 nor san, so nobody could be it",
  ),
);

/** @returns the principals, or every complaint about them */
export function parsePrincipals(raw: unknown): readonly PrincipalSettings[] | { readonly complaints: Complaint[] } {
  if (!Array.isArray(raw))
    return { complaints: [{ key: "principals", problem: "must be written as [[principals]]." }] };
  const complaints: Complaint[] = [];
  const principals: PrincipalSettings[] = [];
  for (const [index, one] of raw.entries()) {
    const result = v.safeParse(Principal, one);
    if (result.success) {
      const { name, token, tokenSha256, san, rights } = result.output;
      const granted = Object.entries(rights).flatMap(([prefix, list]) => list.map((right) => ({ prefix, right })));
      principals.push({ name, token, tokenSha256, san, rights: granted });
    } else complaints.push(...result.issues.map((issue) => complaintOf(index, issue)));
  }
  for (const [index, { name }] of principals.entries())
    if (principals.findIndex((other) => other.name === name) < index)
      complaints.push({ key: "principals.name", problem: `"${name}" is there twice.` });
  return complaints.length > 0 ? { complaints } : principals;
}

function complaintOf(index: number, issue: v.BaseIssue<unknown>): Complaint {
  const key = [`principals[${index}]`, v.getDotPath(issue)].filter((part) => part !== null).join(".");
  return { key, problem: `${problemOf(issue)}.` };
}

/** The messages of valibot itself show the value, which may be a token. */
function problemOf({ message, expected }: v.BaseIssue<unknown>): string {
  if (message.startsWith("Invalid key")) return expected === "never" ? "is not a setting of a principal" : "is missing";
  return message.startsWith("Invalid") ? `must be ${expected}` : message;
}
