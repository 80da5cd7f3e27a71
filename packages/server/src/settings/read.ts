// read.ts: makes the settings of a server from flags, environment and file, in this order of precedence, and refuses them with
// every complaint at once. Changes nothing and opens nothing: a server that starts with bad settings has not started at all.

import { ForelockError } from "@forelock/protocol";
import { parse as parseToml } from "smol-toml";
import { allowProblem } from "../compensate/allow.ts";
import { isLoopback, SECRET_LENGTH_MIN } from "../edge/options.ts";
import { expandFileNames } from "./file-names.ts";
import { type Complaint, type PrincipalSettings, parsePrincipals } from "./principals.ts";
import { defaultOf, environmentName, flagName, parse, type Setting } from "./setting.ts";
import { SETTINGS, type SettingKey, type SettingValues } from "./table.ts";

export interface Settings {
  readonly values: SettingValues;
  readonly principals: readonly PrincipalSettings[];
  /** The names that the setting `files` stands for. */
  readonly fileNames: readonly string[];
  /** Where each value came from, for status and logs. */
  readonly sourceByKey: ReadonlyMap<SettingKey, "flag" | "environment" | "file" | "default">;
}

export interface SettingSources {
  /** By `attribute` of `flagsOf`; other keys are not looked at. */
  readonly flags: Readonly<Record<string, unknown>>;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The text of the settings file, when there is one. */
  readonly fileText: string | undefined;
}

/** A setting as a flag of the command line. */
export interface Flag {
  readonly key: SettingKey;
  /** As in `--session-ttl-ms <ms>`. */
  readonly usage: string;
  /** As in `sessionTtlMs`: where a parser of flags leaves the value. */
  readonly attribute: string;
  readonly environmentName: string;
  /** One or two sentences. */
  readonly help: string;
  /** With unit; empty when there is none. */
  readonly default: string;
}

const KEYS = Object.keys(SETTINGS) as readonly SettingKey[]; // Object.keys forgets the names of a constant table.

/** Every setting as a flag, in the order of the table. */
export function flagsOf(): readonly Flag[] {
  return KEYS.map((key) => {
    const setting: Setting = SETTINGS[key];
    return {
      key,
      usage: `--${flagName(key)}${placeholderOf(setting)}`,
      attribute: attributeOf(key),
      environmentName: environmentName(key),
      help: setting.help,
      default: setting.kind === "switch" ? "" : defaultOf(setting),
    };
  });
}

/** Where the settings file is named: the flag `--config`, then this. */
export const CONFIG_ENVIRONMENT_NAME = "FORELOCK_CONFIG";

/** @throws ForelockError `bad_setting` with all complaints, in the message and as `details.complaints` */
export function readSettings(sources: SettingSources): Settings {
  const complaints: Complaint[] = [];
  const file = readFile(sources.fileText, complaints);
  const values: Record<string, unknown> = {};
  const sourceByKey = new Map<SettingKey, "flag" | "environment" | "file" | "default">();
  for (const key of KEYS) {
    const found = find(key, sources, file.valueByKey);
    sourceByKey.set(key, found.source);
    values[key] = SETTINGS[key].default;
    if (found.source === "default") continue;
    const parsed = parse(SETTINGS[key], found.raw);
    if ("value" in parsed) values[key] = parsed.value;
    else complaints.push({ key: `${key} (${found.name})`, problem: parsed.complaint });
  }
  const typed = values as unknown as SettingValues; // Each value has just been parsed by its own row of the table.
  complaints.push(...crossComplaints(typed, file.principals));
  if (typed["cluster.secret"] !== "" && sourceByKey.get("cluster.secret") === "flag")
    complaints.push({
      key: "cluster.secret",
      problem: "is not taken from a flag, which others on the machine can see.",
    });
  const fileNames = namesOf(typed, complaints);
  if (complaints.length > 0) throw badSettings(complaints);
  return { values: typed, principals: file.principals, fileNames, sourceByKey };
}

interface FileContents {
  readonly valueByKey: ReadonlyMap<string, unknown>;
  readonly principals: readonly PrincipalSettings[];
}

function readFile(text: string | undefined, complaints: Complaint[]): FileContents {
  const { principals: raw = [], ...tables } = tomlOf(text ?? "", complaints);
  const valueByKey = new Map(flatten(tables, ""));
  for (const key of valueByKey.keys())
    if (!Object.hasOwn(SETTINGS, key)) complaints.push({ key: `${key} (file)`, problem: unknownKey(key) });
  const principals = parsePrincipals(raw);
  if (!("complaints" in principals)) return { valueByKey, principals };
  complaints.push(...principals.complaints);
  return { valueByKey, principals: [] };
}

function tomlOf(text: string, complaints: Complaint[]): Record<string, unknown> {
  try {
    return parseToml(text);
  } catch (error) {
    complaints.push({ key: "file", problem: `is not TOML: ${error instanceof Error ? error.message : error}` });
    return {};
  }
}

/** `[session] ttlMs` as `session.ttlMs`. */
function* flatten(table: object, prefix: string): Generator<readonly [string, unknown]> {
  for (const [name, value] of Object.entries(table)) {
    const isTable = typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date);
    if (isTable) yield* flatten(value, `${prefix}${name}.`);
    else yield [`${prefix}${name}`, value];
  }
}

type Found =
  | { readonly source: "flag" | "environment" | "file"; readonly name: string; readonly raw: unknown }
  | { readonly source: "default" };

function find(key: SettingKey, sources: SettingSources, valueByKey: ReadonlyMap<string, unknown>): Found {
  const flag = sources.flags[attributeOf(key)];
  if (flag !== undefined) return { source: "flag", name: `--${flagName(key)}`, raw: flag };
  const variable = sources.env[environmentName(key)];
  if (variable !== undefined) return { source: "environment", name: environmentName(key), raw: variable };
  const value = valueByKey.get(key);
  return value === undefined ? { source: "default" } : { source: "file", name: "file", raw: value };
}

/** What is wrong with values that are each right. */
function crossComplaints(values: SettingValues, principals: readonly PrincipalSettings[]): readonly Complaint[] {
  const ordered = (low: SettingKey, high: SettingKey): Complaint[] =>
    values[low] <= values[high] ? [] : [{ key: low, problem: `${values[low]} is above ${high}, ${values[high]}.` }];
  return [
    ...ordered("session.ttlMs", "session.ttlMsMax"),
    ...ordered("operation.keepMs", "operation.keepMsMax"),
    ...ordered("edge.requestsPerConnectionMax", "edge.requestsMax"),
    ...ordered("log.segmentBytes", "log.snapshotBytes"),
    ...allowComplaints(values),
    ...secretComplaints(values),
    ...clusterComplaints(values),
    ...workerComplaints(values),
    ...tlsComplaints(values),
    ...exposureComplaints(values, principals),
  ];
}

/** Never shows the secret. */
function secretComplaints({ "cluster.secret": { length } }: SettingValues): readonly Complaint[] {
  if (length === 0 || length >= SECRET_LENGTH_MIN) return [];
  return [{ key: "cluster.secret", problem: `has ${length} characters; allowed ${SECRET_LENGTH_MIN} or more.` }];
}

const NODE_ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
const ADDRESS = /^(\[[0-9A-Fa-f:.]+\]|[^:\s]+):\d{1,5}$/;

function clusterComplaints(values: SettingValues): readonly Complaint[] {
  const complaints: Complaint[] = [];
  const id = values["cluster.nodeId"];
  const isShared = values["cluster.etcd"].length > 0;
  if (id !== "" && !NODE_ID.test(id))
    complaints.push({
      key: "cluster.nodeId",
      problem: `is "${id}"; allowed are 1 to 64 letters, digits, ".", "_" and "-".`,
    });
  if (!NODE_ID.test(values["cluster.name"]))
    complaints.push({ key: "cluster.name", problem: `is "${values["cluster.name"]}"; allowed as for cluster.nodeId.` });
  for (const key of ["cluster.address"] as const)
    if (values[key] !== "" && !ADDRESS.test(values[key]))
      complaints.push({ key, problem: `is "${values[key]}"; expected host:port.` });
  if ((values["cluster.etcdCert"] === "") !== (values["cluster.etcdKey"] === ""))
    complaints.push({ key: "cluster.etcdCert", problem: "and cluster.etcdKey go together." });
  if (values["cluster.etcdCert"] !== "" && values["cluster.etcdCa"] === "")
    complaints.push({ key: "cluster.etcdCert", problem: "needs cluster.etcdCa." });
  if (!isShared) return complaints;
  if (id === "") complaints.push({ key: "cluster.nodeId", problem: "is empty; a node on etcd has a name of its own." });
  if (values["cluster.secret"] === "" && values["cluster.san"].length === 0)
    complaints.push({
      key: "cluster.secret",
      problem: "is empty; nodes on etcd know one another by it, or by cluster.san.",
    });
  if (values.durability !== "durable")
    complaints.push({ key: "durability", problem: "is relaxed; on etcd only durable is possible." });
  return complaints;
}

function workerComplaints({ workers, partitions, "cluster.etcd": etcd }: SettingValues): readonly Complaint[] {
  if (workers > 1 && etcd.length > 0)
    return [
      {
        key: "workers",
        problem: `is ${workers}; with cluster.etcd only 1 is possible: start a node for each core instead.`,
      },
    ];
  if (workers <= partitions) return [];
  return [
    { key: "workers", problem: `is ${workers}, above partitions, ${partitions}: some would have nothing to do.` },
  ];
}

function allowComplaints(values: SettingValues): readonly Complaint[] {
  return values["compensation.allow"].flatMap((entry, index) => {
    const problem = allowProblem(entry);
    return problem === undefined ? [] : [{ key: "compensation.allow", problem: `entry ${index + 1} ${problem}` }];
  });
}

function tlsComplaints(values: SettingValues): readonly Complaint[] {
  const complaints: Complaint[] = [];
  const { "tls.cert": cert, "tls.key": key, "tls.ca": ca, "tls.clientCert": clientCert } = values;
  if (cert !== "" && key === "") complaints.push({ key: "tls.key", problem: "is missing, and tls.cert is set." });
  if (cert === "" && key !== "") complaints.push({ key: "tls.cert", problem: "is missing, and tls.key is set." });
  if (clientCert === "none") return complaints;
  if (ca === "") complaints.push({ key: "tls.ca", problem: `is missing, and tls.clientCert is ${clientCert}.` });
  if (cert === "") complaints.push({ key: "tls.clientCert", problem: `${clientCert} needs tls.cert and tls.key.` });
  return complaints;
}

function exposureComplaints(values: SettingValues, principals: readonly PrincipalSettings[]): readonly Complaint[] {
  if (isLoopback(values.host) || values.allowInsecure) return [];
  const missing = [
    ...(principals.length === 0 ? ["principals ([[principals]] in the file)"] : []),
    ...(values["tls.cert"] === "" ? ["TLS (tls.cert, tls.key)"] : []),
  ];
  if (missing.length === 0) return [];
  const problem = `"${values.host}" can be reached from other machines without ${missing.join(" and ")}. `;
  return [{ key: "host", problem: `${problem}Listen on 127.0.0.1, set them, or set allowInsecure.` }];
}

function namesOf(values: SettingValues, complaints: Complaint[]): readonly string[] {
  try {
    return expandFileNames(values.files);
  } catch (error) {
    if (!(error instanceof ForelockError)) throw error;
    complaints.push({ key: "files", problem: error.plainMessage.replace("files: ", "") });
    return [];
  }
}

function badSettings(complaints: readonly Complaint[]): ForelockError {
  const lines = complaints.map(({ key, problem }) => `${key}: ${problem}`);
  const message = lines.length === 1 ? lines.join() : `${lines.length} settings are wrong:\n  ${lines.join("\n  ")}\n`;
  return new ForelockError("bad_setting", message, { details: { complaints } });
}

function unknownKey(key: string): string {
  const plain = (name: string): string => name.toLowerCase().replaceAll(/[^a-z]/g, "");
  const meant = KEYS.find((known) => plain(known) === plain(key) || known.split(".").at(-1) === key);
  return `is not a setting${meant === undefined ? "" : `; is ${meant} meant`}. See docs/settings.md.`;
}

function attributeOf(key: string): string {
  return flagName(key).replaceAll(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

function placeholderOf(setting: Setting): string {
  switch (setting.kind) {
    case "switch":
      return "";
    case "number":
      return ` <${setting.unit === "" ? "number" : setting.unit}>`;
    case "choice":
      return ` <${setting.choices.join("|")}>`;
    default:
      return ` <${setting.placeholder}>`;
  }
}
