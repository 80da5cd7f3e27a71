// validate.ts: every field of every operation, checked once, before anything else looks at it. Not here: rights
// (authorize.ts), what is true only in a partition (tokens, limits of a semaphore in use).
//   V1. An operation without a check does not compile.
//   V2. A message names the field, the value and the allowed range.
import { type Compensation, type Keep, Mode, type Operation, Preemptible } from "@forelock/protocol";
import { type BodyValue, type OperationBody, type OperationCase, ruleOf } from "./authorize.ts";
import { NAME_BYTES_MAX, nameProblem, prefixProblem, shown } from "./names.ts";
import type { Refusal } from "./wire-error.ts";

export interface FieldLimits {
  readonly frameBytesMax: number;
  readonly appendBytesMax: number;
  readonly waitMsMax: number;
  readonly keepMsMax: number;
}

const PERMITS_MAX = 1_000_000;
const PRIORITY_MAX = 9;
const ELEMENTS_MAX = 256;
const ACTOR_BYTES_MAX = 128;
const REASON_BYTES_MAX = 256;
const REFERENCE_BYTES_MAX = 128;
const ROWS_MAX = 1_000;
const HISTORY_ROWS_MAX = 10_000;
const COUNTDOWN_MS_MIN = 100;
const COUNTDOWN_MS_MAX = 3_600_000;
const EXTENSION_MS_MAX = 86_400_000;
const URL_BYTES_MAX = 1_024;
const ARGUMENT_BYTES_MAX = 1_024;
const TOKEN_MAX = 2n ** 63n - 1n;
const REQUEST_ID = /^[A-Za-z0-9_-]{22,64}$/;
const SESSION_ID = /^[A-Za-z0-9_-]{22}$/;
const REFERENCE = /^[\x21-\x7e]+$/;
const NODE_ID = /^[A-Za-z0-9._-]{1,64}$/;
const CONTROL = /[\p{Cc}\p{Cs}]/u;

type Check<Case extends OperationCase> = (value: BodyValue<Case>, limits: FieldLimits) => Refusal | undefined;
interface PermitFields {
  readonly mode: Mode;
  readonly permits: number;
  readonly take: number;
}

const CHECKS: { readonly [Case in OperationCase]: Check<Case> } = {
  acquire: (value, limits) =>
    name("name", value.name) ??
    permits(value) ??
    wait(value.waitMs, limits) ??
    (value.priority > PRIORITY_MAX ? range("priority", value.priority, 0, PRIORITY_MAX) : undefined) ??
    onLoss(value.onLoss) ??
    text("actor", value.actor, 0, ACTOR_BYTES_MAX) ??
    (value.reenter === 0n ? undefined : token("reenter", value.reenter)) ??
    between("preemptible", value.preemptible, Preemptible.BY_POLICY, Preemptible.NEVER) ??
    (value.compensation === undefined ? undefined : compensation(value.compensation)),
  acquireAll: (value, limits) =>
    elements(value.elements) ??
    wait(value.waitMs, limits) ??
    onLoss(value.onLoss) ??
    text("actor", value.actor, 0, ACTOR_BYTES_MAX),
  upgrade: (value, limits) => name("name", value.name) ?? token("token", value.token) ?? wait(value.waitMs, limits),
  downgrade: (value) => name("name", value.name) ?? token("token", value.token),
  release: (value) => name("name", value.name) ?? token("token", value.token),
  append: (value, limits) =>
    name("file", value.file) ??
    (value.bytes.length > limits.appendBytesMax ? appendTooLarge(value.bytes.length, limits) : undefined) ??
    token("token", value.token) ??
    (value.element === "" ? undefined : name("element", value.element)),
  cancel: (value) => {
    if ((value.reference === "") === (value.sequence === 0))
      return bad("reference, sequence: give exactly one of them.");
    return value.reference === "" ? undefined : reference(value.reference);
  },
  closeSession: () => undefined,
  forceRelease: (value) =>
    name("name", value.name) ??
    (value.token === 0n ? undefined : token("token", value.token)) ??
    text("reason", value.reason, 1, REASON_BYTES_MAX),
  endSession: (value) =>
    (SESSION_ID.test(value.session)
      ? undefined
      : bad(`session: ${shown(value.session)} is not a session id (22 characters of base64url).`)) ??
    text("reason", value.reason, 1, REASON_BYTES_MAX),
  getOperation: (value, limits) => {
    const byId = value.requestId !== "" || value.name !== "";
    if ((value.reference === "") !== byId)
      return bad("reference, requestId: give a reference, or a requestId and its name.");
    return (
      (byId ? (requestId("requestId", value.requestId) ?? name("name", value.name)) : reference(value.reference)) ??
      wait(value.waitMs, limits)
    );
  },
  readFile: (value, limits) =>
    name("file", value.file) ??
    (value.bytesMax > limits.frameBytesMax ? range("bytesMax", value.bytesMax, 0, limits.frameBytesMax) : undefined),
  readRecords: (value) =>
    name("file", value.file) ??
    (value.recordsMax > ROWS_MAX ? range("recordsMax", value.recordsMax, 0, ROWS_MAX) : undefined),
  listFiles: (value) => page(value.prefix, value.after, value.limit),
  listLocks: (value) => page(value.prefix, value.after, value.limit),
  listSessions: (value) =>
    text("after", value.after, 0, REFERENCE_BYTES_MAX) ??
    (value.limit > ROWS_MAX ? range("limit", value.limit, 0, ROWS_MAX) : undefined),
  why: (value) => name("name", value.name),
  getStatus: () => undefined,
  watch: (value) => pattern(value.pattern),
  acknowledge: (value) =>
    name("name", value.name) ??
    reference(value.warning) ??
    (value.extensionMs === undefined
      ? text("reason", value.reason, 0, REASON_BYTES_MAX)
      : (between("extensionMs", value.extensionMs, 1, EXTENSION_MS_MAX) ??
        text("reason", value.reason, 1, REASON_BYTES_MAX))),
  warn: (value) =>
    name("name", value.name) ??
    (value.token === 0n ? undefined : token("token", value.token)) ??
    text("reason", value.reason, 1, REASON_BYTES_MAX) ??
    (value.countdownMs === undefined
      ? undefined
      : between("countdownMs", value.countdownMs, COUNTDOWN_MS_MIN, COUNTDOWN_MS_MAX)),
  setPolicy: (value) => policyPrefix(value.prefix) ?? text("reason", value.reason, 1, REASON_BYTES_MAX),
  listPolicies: () => undefined,
  getProfile: (value) => name("name", value.name),
  getPrediction: (value) => between("limit", value.limit, 0, ROWS_MAX),
  getHistory: (value) =>
    (value.name === "" ? undefined : name("name", value.name)) ?? between("limit", value.limit, 0, HISTORY_ROWS_MAX),
  getCluster: (value) => between("movesMax", value.movesMax, 0, ROWS_MAX),
  changeCluster: (value) => clusterChange(value) ?? text("reason", value.reason, 1, REASON_BYTES_MAX),
  readBulk: (value) =>
    name("file", value.file) ?? (value.end <= value.index ? bad("end: must be above index.") : undefined),
  peer: (value) =>
    value.body === undefined ? bad("peer.body: missing, or of a kind that this node does not know.") : undefined,
  unwatch: (value) => (value.watch === 0 ? range("watch", 0, 1, Number.MAX_SAFE_INTEGER) : undefined),
};

/** Undefined: every field is in order. Says nothing about the sequence, which unary calls leave 0. */
export function validate(operation: Operation, limits: FieldLimits): Refusal | undefined {
  const { body } = operation;
  if (body === undefined) return bad("body: missing, or of a kind that this node does not know.");
  const refusal = check(body, limits);
  if (refusal !== undefined || operation.keep === undefined) return refusal;
  return ruleOf(body).changes ? keep(operation.keep, limits) : bad("keep: only for operations that change something.");
}

function check(body: OperationBody, limits: FieldLimits): Refusal | undefined {
  // The two of the hot path by name: a look into a table by any of its keys costs as much as the check.
  if (body.$case === "acquire") return CHECKS.acquire(body.value, limits);
  if (body.$case === "release") return CHECKS.release(body.value, limits);
  // The table maps each case to the check of its own value; the compiler cannot follow the pair through the union.
  return (CHECKS[body.$case] as Check<OperationCase>)(body.value, limits); // V1
}

function between(field: string, value: number, min: number, max: number): Refusal | undefined {
  return value < min || value > max ? range(field, value, min, max) : undefined;
}

/** Which fields go with which action. Whether there is such a node and partition the cluster knows. */
const CLUSTER_ACTIONS: Readonly<Record<string, { readonly node: boolean; readonly partition: boolean }>> = {
  drain: { node: true, partition: false },
  undrain: { node: true, partition: false },
  rebalance: { node: false, partition: false },
  move: { node: true, partition: true },
};

function clusterChange({ action, node, partition }: BodyValue<"changeCluster">): Refusal | undefined {
  const fields = Object.hasOwn(CLUSTER_ACTIONS, action) ? CLUSTER_ACTIONS[action] : undefined;
  if (fields === undefined) return bad(`action: ${shown(action)}; allowed ${Object.keys(CLUSTER_ACTIONS).join(", ")}.`);
  if (fields.node && !NODE_ID.test(node))
    return bad(`node: ${shown(node)}; with ${action} 1 to 64 letters, digits, ".", "_" and "-".`);
  if (!fields.node && node !== "") return bad(`node: ${shown(node)}; with ${action} none.`);
  if (fields.partition && partition === undefined) return bad(`partition: missing; ${action} needs one.`);
  return !fields.partition && partition !== undefined
    ? bad(`partition: ${partition}; with ${action} none.`)
    : undefined;
}

function policyPrefix(prefix: string): Refusal | undefined {
  return prefix === "" ? undefined : name("prefix", prefix);
}

/** Whether its URL is allowed is known to the node alone. */
function compensation({ url, argument }: Compensation): Refusal | undefined {
  return (
    text("compensation.url", url, 1, URL_BYTES_MAX) ?? text("compensation.argument", argument, 0, ARGUMENT_BYTES_MAX)
  );
}

export function pattern(value: string): Refusal | undefined {
  if (!value.endsWith("*")) return name("pattern", value);
  const problem = prefixProblem(value.slice(0, -1));
  return problem === undefined ? undefined : { code: "bad_name", message: `pattern: ${problem}` };
}

export function requestId(field: string, value: string): Refusal | undefined {
  if (REQUEST_ID.test(value)) return undefined;
  return bad(`${field}: ${shown(value)}; allowed 22 to 64 characters of A-Z, a-z, 0-9, _ and -.`);
}

export function text(field: string, value: string, bytesMin: number, bytesMax: number): Refusal | undefined {
  if (value === "" && bytesMin === 0) return undefined;
  const bytes = Buffer.byteLength(value);
  if (bytes < bytesMin || bytes > bytesMax) return bad(`${field}: ${bytes} bytes; allowed ${bytesMin} to ${bytesMax}.`);
  return CONTROL.test(value) ? bad(`${field}: ${shown(value)} holds a control character.`) : undefined;
}

export function range(field: string, value: number | bigint, min: number, max: number | bigint): Refusal {
  return bad(`${field}: ${value}; allowed ${min} to ${max}.`);
}

export function bad(message: string): Refusal {
  return { code: "bad_argument", message };
}

function name(field: string, value: string): Refusal | undefined {
  const problem = nameProblem(value);
  return problem === undefined ? undefined : { code: "bad_name", message: `${field}: ${problem}` };
}

function token(field: string, value: bigint): Refusal | undefined {
  return value > 0n && value <= TOKEN_MAX ? undefined : range(field, value, 1, TOKEN_MAX);
}

function wait(value: number | undefined, { waitMsMax }: FieldLimits): Refusal | undefined {
  return value === undefined || value <= waitMsMax ? undefined : range("waitMs", value, 0, waitMsMax);
}

function onLoss(value: number): Refusal | undefined {
  return value === 0 || value === 1 ? undefined : range("onLoss", value, 0, 1);
}

function permits({ mode, permits, take }: PermitFields): Refusal | undefined {
  switch (mode) {
    case Mode.EXCLUSIVE:
    case Mode.SHARED:
      if (permits === 0 && take === 0) return undefined;
      return bad(`permits, take: ${permits}, ${take}; only with MODE_PERMIT, otherwise 0.`);
    case Mode.PERMIT:
      if (permits < 1 || permits > PERMITS_MAX) return range("permits", permits, 1, PERMITS_MAX);
      return take > permits ? range("take", take, 1, permits) : undefined;
    default:
      return range("mode", mode, 0, 2); // What the wire brings may be any number.
  }
}

function elements(list: BodyValue<"acquireAll">["elements"]): Refusal | undefined {
  if (list.length < 1 || list.length > ELEMENTS_MAX) return range("elements", list.length, 1, ELEMENTS_MAX);
  const seen = new Set<string>();
  for (const [index, element] of list.entries()) {
    const refusal = name(`elements[${index}].name`, element.name) ?? permits(element);
    if (refusal !== undefined) return refusal;
    if (seen.has(element.name)) return bad(`elements[${index}].name: ${shown(element.name)} is there twice.`);
    seen.add(element.name);
  }
  return undefined;
}

function reference(value: string): Refusal | undefined {
  if (value.length <= REFERENCE_BYTES_MAX && REFERENCE.test(value)) return undefined;
  return bad(`reference: ${shown(value)}; allowed 1 to ${REFERENCE_BYTES_MAX} visible ASCII characters.`);
}

function page(prefix: string, after: string, limit: number): Refusal | undefined {
  const problem = prefixProblem(prefix);
  if (problem !== undefined) return { code: "bad_name", message: `prefix: ${problem}` };
  if (limit > ROWS_MAX) return range("limit", limit, 0, ROWS_MAX);
  return text("after", after, 0, NAME_BYTES_MAX);
}

function keep({ requestId: id, keepMs }: Keep, { keepMsMax }: FieldLimits): Refusal | undefined {
  return (
    requestId("keep.requestId", id) ?? (keepMs > keepMsMax ? range("keep.keepMs", keepMs, 0, keepMsMax) : undefined)
  );
}

function appendTooLarge(bytes: number, { appendBytesMax }: FieldLimits): Refusal {
  return { code: "frame_too_large", message: `bytes: ${bytes} bytes; allowed 0 to ${appendBytesMax}.` };
}
