// examples.ts: one valid operation of every case, for tests that go through all of them.
import { Mode, OnLoss } from "@forelock/protocol";
import type { BodyValue, OperationBody, OperationCase } from "../authorize.ts";

/** A new operation does not compile until it has its example here. */
export const EXAMPLES: { readonly [Case in OperationCase]: (name: string) => BodyValue<Case> } = {
  acquire: (name) => ({
    name,
    mode: Mode.EXCLUSIVE,
    permits: 0,
    take: 0,
    waitMs: undefined,
    priority: 0,
    onLoss: OnLoss.KEEP,
    actor: "",
    reenter: 0n,
    preemptible: 0,
    compensation: undefined,
  }),
  acquireAll: (name) => ({
    elements: [{ name, mode: Mode.EXCLUSIVE, permits: 0, take: 0 }],
    waitMs: undefined,
    onLoss: OnLoss.KEEP,
    actor: "",
  }),
  upgrade: (name) => ({ name, token: 1n, waitMs: undefined }),
  downgrade: (name) => ({ name, token: 1n }),
  release: (name) => ({ name, token: 1n, undo: false }),
  append: (name) => ({ file: name, bytes: Buffer.from("x"), token: 1n, element: "" }),
  cancel: () => ({ reference: "0-1", sequence: 0 }),
  closeSession: () => ({}),
  getOperation: () => ({ reference: "0-1", requestId: "", name: "", waitMs: 0 }),
  forceRelease: (name) => ({ name, token: 0n, reason: "stuck" }),
  endSession: () => ({ session: "AAAAAAAAAAAAAAAAAAAAAA", reason: "stuck" }),
  readFile: (name) => ({ file: name, offset: 0, bytesMax: 0, version: 0 }),
  readRecords: (name) => ({ file: name, index: 0, recordsMax: 0, version: 0 }),
  listFiles: (name) => ({ prefix: name, after: "", limit: 0 }),
  listLocks: (name) => ({ prefix: name, after: "", limit: 0, stuck: false, heldMsMin: 0, byPain: false }),
  listSessions: () => ({ after: "", limit: 0 }),
  why: (name) => ({ name }),
  getStatus: () => ({}),
  watch: (name) => ({ pattern: name }),
  unwatch: () => ({ watch: 1 }),
  acknowledge: (name) => ({ warning: "0-1", name, extensionMs: undefined, reason: "" }),
  warn: (name) => ({ name, token: 0n, reason: "stuck", countdownMs: undefined }),
  setPolicy: (name) => ({ prefix: name, set: { policy: "warn" }, reason: "trial" }),
  listPolicies: () => ({}),
  getProfile: (name) => ({ name }),
  getPrediction: () => ({ limit: 0 }),
  getHistory: (name) => ({ name, sinceMs: 0, limit: 0 }),
  getCluster: () => ({ movesMax: 0 }),
  changeCluster: () => ({ action: "drain", node: "b", partition: undefined, reason: "a new disk" }),
  readBulk: (name) => ({ partition: 0, file: name, number: 1, undos: 0, index: 0, end: 1 }),
  peer: (name) => {
    const step = { $case: "abandon", value: {} } as const;
    return { body: { $case: "part", value: { part: "batch.0.1.0", name, fence: 1, step } } };
  },
};

export function bodyOf(kind: OperationCase, name: string): OperationBody {
  // The table pairs each case with its own value; the compiler cannot follow the pair through the variable.
  return { $case: kind, value: EXAMPLES[kind](name) } as OperationBody;
}
