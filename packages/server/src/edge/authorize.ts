// authorize.ts: the one table that says which right each operation needs, on which names. Not here: who someone is
// (authenticate.ts), filtering of results (the shard asks Caller.may for each row).
//   A1. What the table does not allow is refused; an operation without a rule does not compile.
//   A2. Every name that an operation touches is checked, not only the first.
//   A3. A prefix covers whole path parts. Braces of tags are ordinary characters here.
import type { Operation } from "@forelock/protocol";
import type { Caller, Right } from "../shard/service.ts";
import { shown } from "./names.ts";
import type { RightOptions } from "./options.ts";
import type { Refusal } from "./wire-error.ts";

export type OperationBody = NonNullable<Operation["body"]>;
export type OperationCase = OperationBody["$case"];
export type BodyValue<Case extends OperationCase> = Extract<OperationBody, { readonly $case: Case }>["value"];

/** What a principal may do, made once for each. */
export interface Rights {
  may(right: Right, name: string): boolean;
  /** Whether there is any name at all on which the principal has `right`. */
  mayAnywhere(right: Right): boolean;
}

/** A caller as the carriers know it. */
export interface EdgeCaller extends Caller {
  mayAnywhere(right: Right): boolean;
}

export type Scope =
  /** The right on each name. */
  | "names"
  /** The right on everything. */
  | "everything"
  /** The right somewhere: rows without it are left out by the shard. */
  | "filtered"
  /** No right: finds only what belongs to the caller's own session or principal. */
  | "own"
  /** No right of a principal: a node of the cluster asks for itself. */
  | "nodes";

export interface Rule<Case extends OperationCase> {
  readonly scope: Scope | ((value: BodyValue<Case>) => Scope);
  readonly right: Right;
  /** Whether it is done in the name of a session. */
  readonly session: boolean;
  /** Whether it changes something: such operations can be kept. */
  readonly changes: boolean;
  names(value: BodyValue<Case>): readonly string[];
}

type NamedValue = { readonly name: string };
type FileValue = { readonly file: string };

const lock = (session = true, changes = true) =>
  ({ scope: "names", right: "lock", session, changes, names: (value: NamedValue) => [value.name] }) as const;
const readFile = {
  scope: "names",
  right: "read",
  session: false,
  changes: false,
  names: (v: FileValue) => [v.file],
} as const;
const filtered = { scope: "filtered", right: "read", session: false, changes: false, names: () => [] } as const;
const own = (session: boolean, changes: boolean) =>
  ({ scope: "own", right: "read", session, changes, names: () => [] }) as const;

export const RULES: { readonly [Case in OperationCase]: Rule<Case> } = {
  acquire: lock(),
  acquireAll: {
    scope: "names",
    right: "lock",
    session: true,
    changes: true,
    names: (value) => value.elements.map((element) => element.name), // A2
  },
  upgrade: lock(),
  downgrade: lock(),
  release: lock(),
  append: {
    scope: "names",
    right: "write",
    session: true,
    changes: true,
    // The guarding element too, when it is another one: its answer would tell whether a guessed token is the current one.
    names: (value) =>
      value.element === "" || value.element === value.file ? [value.file] : [value.file, value.element],
  },
  cancel: own(true, true),
  closeSession: own(true, true),
  getOperation: own(false, false),
  forceRelease: { scope: "names", right: "operate", session: false, changes: true, names: (value) => [value.name] },
  endSession: { scope: "everything", right: "operate", session: false, changes: true, names: () => [] },
  readFile,
  readRecords: readFile,
  listFiles: filtered,
  listLocks: filtered,
  listSessions: { scope: "everything", right: "read", session: false, changes: false, names: () => [] },
  why: { scope: "names", right: "read", session: false, changes: false, names: (value) => [value.name] },
  getStatus: own(false, false),
  watch: {
    scope: (value) => (value.pattern.endsWith("*") ? "filtered" : "names"),
    right: "read",
    session: false,
    changes: false,
    names: (value) => [value.pattern],
  },
  unwatch: own(false, false),
  acknowledge: own(true, true),
  warn: { scope: "names", right: "operate", session: false, changes: true, names: (value) => [value.name] },
  // The policy of a prefix rules over all names below it.
  setPolicy: {
    scope: (value) => (value.prefix === "" ? "everything" : "names"),
    right: "operate",
    session: false,
    changes: true,
    names: (value) => [value.prefix],
  },
  listPolicies: filtered,
  getProfile: { scope: "names", right: "read", session: false, changes: false, names: (value) => [value.name] },
  getPrediction: filtered,
  getHistory: {
    scope: (value) => (value.name === "" ? "filtered" : "names"),
    right: "read",
    session: false,
    changes: false,
    names: (value) => [value.name],
  },
  getCluster: { scope: "everything", right: "read", session: false, changes: false, names: () => [] },
  changeCluster: { scope: "everything", right: "admin", session: false, changes: true, names: () => [] },
  readBulk: { scope: "nodes", right: "admin", session: false, changes: false, names: () => [] },
  peer: { scope: "nodes", right: "admin", session: false, changes: false, names: () => [] },
};

/** The rule of an operation whose case came over the wire. */
export function ruleOf(body: OperationBody): Rule<OperationCase> {
  // The table maps each case to the rule of its own value; the compiler cannot follow the pair through the union.
  if (body.$case === "acquire") return RULES.acquire as Rule<OperationCase>; // By name: the hot path.
  if (body.$case === "release") return RULES.release as Rule<OperationCase>;
  return RULES[body.$case] as Rule<OperationCase>;
}

/** Undefined: allowed. Names must have been validated before. */
export function authorize(caller: EdgeCaller, body: OperationBody): Refusal | undefined {
  const rule = ruleOf(body);
  const scope = typeof rule.scope === "function" ? rule.scope(body.value) : rule.scope;
  switch (scope) {
    case "names": {
      for (const name of rule.names(body.value)) {
        if (!caller.may(rule.right, name)) return refuse(caller, rule.right, shown(name)); // A2
      }
      return undefined;
    }
    case "everything":
      return caller.may(rule.right, "") ? undefined : refuse(caller, rule.right, "everything");
    case "filtered":
      return caller.mayAnywhere(rule.right) ? undefined : refuse(caller, rule.right, "anything");
    case "own":
      return undefined;
    case "nodes":
      return caller.isPeer === true ? undefined : refuse(caller, rule.right, "the nodes of the cluster");
    default:
      return refuse(caller, rule.right, "this"); // A1
  }
}

export const ALL_RIGHTS: Rights = { may: () => true, mayAnywhere: () => true };

export const NO_RIGHTS: Rights = { may: () => false, mayAnywhere: () => false };

export function rightsOf(options: readonly RightOptions[]): Rights {
  const prefixes = new Map<Right, readonly string[]>();
  for (const { right, prefix } of options) prefixes.set(right, [...(prefixes.get(right) ?? []), prefix]);
  return {
    may: (right, name) => prefixes.get(right)?.some((prefix) => isInside(name, prefix)) ?? false,
    mayAnywhere: (right) => prefixes.has(right),
  };
}

/** Whether `prefix` covers `name`: it is `name` or whole leading parts of it. */
export function isInside(name: string, prefix: string): boolean {
  if (prefix === "") return true;
  return name.startsWith(prefix) && (name.length === prefix.length || name.charCodeAt(prefix.length) === 0x2f); // A3
}

function refuse(caller: Caller, right: Right, what: string): Refusal {
  return {
    code: "permission_denied",
    message: `Principal ${shown(caller.principal)} lacks the right \`${right}\` on ${what}.`,
  };
}
