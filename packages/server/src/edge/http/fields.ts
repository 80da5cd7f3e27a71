// fields.ts: requests as JSON, in the mapping of protobuf, field by field. Not here: JSON itself (json.ts), ranges
// (validate.ts).
//   M1. A field that the request does not have is refused by name; a new field of the schema does not compile until it is here.
import {
  type AcquireAllRequest,
  type AcquireRequest,
  type ElementRequest,
  ForelockError,
  Health,
  type HeartbeatRequest,
  Mode,
  OnLoss,
  type OpenSessionRequest,
  Preemptible,
} from "@forelock/protocol";
import type { BodyValue } from "../authorize.ts";
import type { CallCase } from "../calls.ts";
import { shown } from "../names.ts";
import type { JsonObject, JsonValue } from "./json.ts";

type Kind<Value> = Value extends string
  ? "text"
  : Value extends boolean
    ? "truth"
    : Value extends bigint
      ? "token"
      : Value extends Uint8Array
        ? "bytes"
        : Value extends number
          ? "uint32" | "uint64" | "optional" | "mode" | "on_loss" | "health" | "preemptible"
          : Value extends readonly (infer Each)[]
            ? { readonly each: Fields<Each> }
            : string extends keyof Value
              ? "texts"
              : { readonly one: Fields<Value> };
/** One kind for each field of a message. */
export type Fields<Message> = { readonly [Key in keyof Message]-?: Kind<NonNullable<Message[Key]>> };
type AnyKind =
  | "text"
  | "truth"
  | "token"
  | "bytes"
  | "texts"
  | "uint32"
  | "uint64"
  | "optional"
  | "mode"
  | "on_loss"
  | "health"
  | "preemptible"
  | AnyEach
  | AnyOne;
interface AnyEach {
  readonly each: AnyFields;
}
/** A message within the message, absent unless given. */
interface AnyOne {
  readonly one: AnyFields;
}
type AnyFields = Readonly<Record<string, AnyKind>>;

const ELEMENT: Fields<ElementRequest> = { name: "text", mode: "mode", permits: "uint32", take: "uint32" };
const ACQUIRE: Fields<AcquireRequest> = {
  ...ELEMENT,
  waitMs: "optional",
  priority: "uint32",
  onLoss: "on_loss",
  actor: "text",
  reenter: "token",
  preemptible: "preemptible",
  compensation: { one: { url: "text", argument: "text", blocks: "truth" } },
};
const ACQUIRE_ALL: Fields<AcquireAllRequest> = {
  elements: { each: ELEMENT },
  waitMs: "optional",
  onLoss: "on_loss",
  actor: "text",
};

export const REQUEST_FIELDS: { readonly [Case in CallCase]: Fields<BodyValue<Case>> } = {
  acquire: ACQUIRE,
  acquireAll: ACQUIRE_ALL,
  upgrade: { name: "text", token: "token", waitMs: "optional" },
  downgrade: { name: "text", token: "token" },
  release: { name: "text", token: "token", undo: "truth" },
  cancel: { reference: "text", sequence: "uint64" },
  getOperation: { reference: "text", requestId: "text", name: "text", waitMs: "uint64" },
  append: { file: "text", bytes: "bytes", token: "token", element: "text" },
  readFile: { file: "text", offset: "uint64", bytesMax: "uint32", version: "uint64" },
  readRecords: { file: "text", index: "uint64", recordsMax: "uint32", version: "uint64" },
  listFiles: { prefix: "text", after: "text", limit: "uint32" },
  listLocks: { prefix: "text", after: "text", limit: "uint32", stuck: "truth", heldMsMin: "uint64", byPain: "truth" },
  listSessions: { after: "text", limit: "uint32" },
  why: { name: "text" },
  getStatus: {},
  forceRelease: { name: "text", token: "token", reason: "text" },
  endSession: { session: "text", reason: "text" },
  closeSession: {},
  acknowledge: { warning: "text", name: "text", extensionMs: "optional", reason: "text" },
  warn: { name: "text", token: "token", reason: "text", countdownMs: "optional" },
  setPolicy: { prefix: "text", set: "texts", reason: "text" },
  listPolicies: {},
  getProfile: { name: "text" },
  getPrediction: { limit: "uint32" },
  getHistory: { name: "text", sinceMs: "uint64", limit: "uint32" },
  getCluster: { movesMax: "uint32" },
  changeCluster: { action: "text", node: "text", partition: "optional", reason: "text" },
};
export const OPEN_SESSION_FIELDS: Fields<OpenSessionRequest> = { ttlMs: "uint32", client: "text" };
export const HEARTBEAT_FIELDS: Fields<HeartbeatRequest> = { number: "uint64", lagMs: "uint32", health: "health" };

const UINT32_MAX = 2 ** 32 - 1;
const FIXED64_MAX = 2n ** 64n - 1n;
const BASE64 = /^[A-Za-z0-9+/_-]*={0,2}$/;

/** @throws ForelockError `bad_argument`, naming the field */
export function messageOf<Message>(fields: Fields<Message>, json: JsonValue): Message {
  // Every key of the message is in `fields` (M1) and is filled below according to its kind.
  return objectOf(fields as AnyFields, json, "") as Message;
}

function objectOf(fields: AnyFields, json: JsonValue, path: string): unknown {
  if (!(json instanceof Map)) throw bad(`${path === "" ? "body" : path}: not an object.`);
  const given = canonical(fields, json, path);
  // No prototype is reached by a key: all keys come from our own tables.
  return Object.fromEntries(
    Object.entries(fields).map(([key, kind]) => [
      key,
      fieldOf(kind, given.get(key), path === "" ? key : `${path}.${key}`),
    ]),
  );
}

/** Keys as lowerCamelCase; the mapping of protobuf also allows the names of the schema. */
function canonical(fields: AnyFields, json: JsonObject, path: string): JsonObject {
  const given = new Map<string, JsonValue>();
  for (const [key, value] of json) {
    const name = Object.hasOwn(fields, key)
      ? key
      : key.replace(/_([a-z])/g, (_all, letter: string) => letter.toUpperCase());
    const allowed = Object.keys(fields).join(", ") || "none";
    if (!Object.hasOwn(fields, name))
      throw bad(`${path === "" ? "" : `${path}.`}${shown(key)}: no such field; allowed: ${allowed}.`);
    if (given.has(name)) throw bad(`${path === "" ? "" : `${path}.`}${name}: is there twice.`);
    given.set(name, value);
  }
  return given;
}

function fieldOf(kind: AnyKind, value: JsonValue, path: string): unknown {
  if (typeof kind === "object") {
    if ("each" in kind) return listOf(kind.each, value, path);
    return value === undefined ? undefined : objectOf(kind.one, value, path);
  }
  switch (kind) {
    case "text":
      return typeof value === "string" ? value : absent(value, "", path, "a string");
    case "truth":
      return typeof value === "boolean" ? value : absent(value, false, path, "true or false");
    case "bytes":
      if (typeof value === "string" && BASE64.test(value)) return Buffer.from(value, "base64");
      return absent(value, Buffer.alloc(0), path, "a base64 string");
    case "token":
      return value === undefined ? 0n : integer(value, FIXED64_MAX, path);
    case "uint32":
      return value === undefined ? 0 : Number(integer(value, BigInt(UINT32_MAX), path));
    case "uint64":
      return value === undefined ? 0 : Number(integer(value, BigInt(Number.MAX_SAFE_INTEGER), path));
    case "optional":
      return value === undefined ? undefined : Number(integer(value, BigInt(UINT32_MAX), path));
    case "mode":
      return enumOf(Mode, "MODE_", value, path);
    case "on_loss":
      return enumOf(OnLoss, "ON_LOSS_", value, path);
    case "health":
      return enumOf(Health, "HEALTH_", value, path);
    case "preemptible":
      return enumOf(Preemptible, "PREEMPTIBLE_", value, path);
    case "texts":
      return textsOf(value, path);
  }
}

function textsOf(value: JsonValue, path: string): Readonly<Record<string, string>> {
  if (value === undefined) return {};
  if (!(value instanceof Map)) throw bad(`${path}: not an object.`);
  return Object.fromEntries(
    [...value].map(([key, each]) => {
      if (typeof each !== "string") throw bad(`${path}.${shown(key)}: not a string.`);
      return [key, each];
    }),
  );
}

function listOf(fields: AnyFields, value: JsonValue, path: string): readonly unknown[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw bad(`${path}: not a list.`);
  return value.map((each: JsonValue, index) => objectOf(fields, each, `${path}[${index}]`));
}

/** 64-bit integers come as strings, or as numbers where those are exact. */
function integer(value: JsonValue, max: bigint, path: string): bigint {
  const isWhole =
    typeof value === "number" ? Number.isSafeInteger(value) && value >= 0 : /^\d{1,20}$/.test(textOf(value));
  if (!isWhole || BigInt(textOf(value)) > max) throw bad(`${path}: ${shown(textOf(value))}; allowed 0 to ${max}.`);
  return BigInt(textOf(value));
}

function enumOf(names: Readonly<Record<string, number>>, prefix: string, value: JsonValue, path: string): number {
  if (value === undefined) return 0;
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value; // Its range is checked later.
  const name = textOf(value).replace(prefix, "");
  const number = Object.hasOwn(names, name) ? names[name] : undefined;
  if (number !== undefined && number >= 0) return number;
  const allowed = Object.keys(names).filter((each) => each !== "UNRECOGNIZED");
  throw bad(`${path}: ${shown(textOf(value))}; allowed ${allowed.map((each) => prefix + each).join(", ")}.`);
}

function textOf(value: JsonValue): string {
  return typeof value === "string" || typeof value === "number" ? String(value) : typeof value;
}

function absent<Default>(value: JsonValue, absence: Default, path: string, expected: string): Default {
  if (value !== undefined) throw bad(`${path}: not ${expected}.`);
  return absence;
}

function bad(message: string): ForelockError {
  return new ForelockError("bad_argument", message);
}
