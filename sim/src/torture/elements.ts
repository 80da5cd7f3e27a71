// elements.ts: what the clients of a run fight over, and who fights over what.
//   E1. At least five clients on each hot element, so that calls overlap.

export type Role =
  /** Exclusive, appends under its token, `onLoss: keep`. */
  | {
      readonly kind: "file";
      readonly elements: readonly string[];
      readonly undo: boolean;
      /** Now and then it hangs with its lock, and its heartbeats go on. */
      readonly hangs: boolean;
    }
  | { readonly kind: "shared"; readonly elements: readonly string[] }
  | { readonly kind: "permit"; readonly elements: readonly string[]; readonly limit: number }
  /** All of them, or none. */
  | { readonly kind: "batch"; readonly elements: readonly string[] }
  /** Names above and below each other within one tag. */
  | { readonly kind: "tree"; readonly elements: readonly string[] };

export interface Cast {
  readonly role: Role;
  readonly clients: number;
}

/** Whoever hangs here is pre-empted. */
export const STRICT = ["strict-0"] as const;
const COLD = Array.from({ length: 40 }, (_, index) => `cold-${index}`);

export const CASTS: readonly Cast[] = [
  { role: { kind: "file", elements: ["hot-0"], undo: false, hangs: false }, clients: 5 },
  { role: { kind: "file", elements: ["hot-1"], undo: false, hangs: false }, clients: 5 },
  { role: { kind: "file", elements: ["undo-0"], undo: true, hangs: false }, clients: 5 },
  { role: { kind: "file", elements: STRICT, undo: true, hangs: true }, clients: 5 },
  { role: { kind: "file", elements: COLD, undo: false, hangs: false }, clients: 2 },
  { role: { kind: "shared", elements: ["shared-0"] }, clients: 5 },
  { role: { kind: "permit", elements: ["permit-0"], limit: 3 }, clients: 5 },
  { role: { kind: "batch", elements: ["{batch}x", "{batch}y", "across"] }, clients: 5 },
  { role: { kind: "tree", elements: ["{tree}/a", "{tree}/a/b", "{tree}/a/c"] }, clients: 5 },
];

export const ELEMENTS: readonly string[] = [...new Set(CASTS.flatMap(({ role }) => role.elements))];

/** Files that are appended to: guarded by the element of the same name. */
export const FILES: readonly string[] = [
  ...new Set(CASTS.flatMap(({ role }) => (role.kind === "file" ? role.elements : []))),
];
