import { ForelockError } from "@forelock/protocol";
import { describe, expect, test } from "vitest";
import { flagsOf, readSettings, type SettingSources, type Settings } from "./read.ts";
import { environmentName, flagName, rangeOf, type Setting } from "./setting.ts";
import { SETTINGS } from "./table.ts";

const KEYS = Object.keys(SETTINGS) as (keyof typeof SETTINGS)[];

const read = (sources: Partial<SettingSources>): Settings =>
  readSettings({ flags: {}, env: {}, fileText: undefined, ...sources });

/** What the settings are refused with. */
function refusal(sources: Partial<SettingSources>): string {
  try {
    read(sources);
  } catch (error) {
    if (error instanceof ForelockError && error.code === "bad_setting") return error.plainMessage;
    throw error;
  }
  throw new Error("the settings were accepted");
}

function wrongTexts(setting: Setting): readonly string[] {
  switch (setting.kind) {
    case "number":
      return ["many", String(setting.max + 1), setting.min > 0 ? String(setting.min - 1) : "-1", "1.5", ""];
    case "choice":
      return ["nonsense", "", setting.choices.join(",")];
    case "text":
      return ["", " ", "\t"];
    case "list":
      return ["", "a,,b", ","];
    case "switch":
      return ["maybe", "2", ""];
  }
}

/** As written in a settings file. */
function wrongInFile(setting: Setting): readonly string[] {
  const common = ["1979-05-27", "[[1]]", setting.kind === "switch" ? "3" : "true"];
  return setting.kind === "number" ? [...common, "1.5", "-3"] : common;
}

const inFile = (key: string, value: string): string => {
  const at = key.lastIndexOf(".");
  return at < 0 ? `${key} = ${value}` : `[${key.slice(0, at)}]\n${key.slice(at + 1)} = ${value}`;
};

describe.each(KEYS)("%s", (key) => {
  const setting: Setting = SETTINGS[key];
  const attribute = flagsOf().find((flag) => flag.key === key)?.attribute ?? "";

  test("is refused with key, value and range when its flag is wrong", () => {
    for (const text of wrongTexts(setting))
      expect(refusal({ flags: { [attribute]: text } })).toBe(
        `${key} (--${flagName(key)}): ${JSON.stringify(text)} is not allowed; allowed: ${rangeOf(setting)}.`,
      );
  });

  test("is refused with key, value and range when its variable is wrong", () => {
    for (const text of wrongTexts(setting))
      expect(refusal({ env: { [environmentName(key)]: text } })).toBe(
        `${key} (${environmentName(key)}): ${JSON.stringify(text)} is not allowed; allowed: ${rangeOf(setting)}.`,
      );
  });

  test("is refused with key and range when the file is wrong", () => {
    for (const value of wrongInFile(setting)) {
      const message = refusal({ fileText: inFile(key, value) });
      expect(message.startsWith(`${key} (file): `)).toBe(true);
      expect(message).toContain(rangeOf(setting));
    }
  });

  test("has a default that it would accept, and a help that is a sentence", () => {
    expect(read({}).values[key]).toEqual(setting.default);
    expect(setting.help).toMatch(/^\S.*\.$/);
    if (setting.kind === "number") {
      const limits = [setting.min, setting.default, setting.max];
      expect(limits).toEqual(limits.toSorted((a, b) => a - b));
    }
  });
});

test("names follow from the key", () => {
  expect(flagName("session.ttlMs")).toBe("session-ttl-ms");
  expect(environmentName("session.ttlMs")).toBe("FORELOCK_SESSION_TTL_MS");
  expect(environmentName("port")).toBe("FORELOCK_PORT");
  const names = KEYS.map(flagName);
  expect(new Set(names).size).toBe(names.length);
});

test("a flag goes before the environment, that before the file, that before the default", () => {
  const fileText = "[session]\nttlMs = 4_000\n[lock]\nwaitersMax = 4\n[operation]\nkeptMax = 4";
  const env = { FORELOCK_SESSION_TTL_MS: "3000", FORELOCK_LOCK_WAITERS_MAX: "3" };
  const { values, sourceByKey } = read({ flags: { sessionTtlMs: "2s" }, env, fileText });
  expect([values["session.ttlMs"], values["lock.waitersMax"], values["operation.keptMax"]]).toEqual([2_000, 3, 4]);
  expect(sourceByKey.get("session.ttlMs")).toBe("flag");
  expect(sourceByKey.get("lock.waitersMax")).toBe("environment");
  expect(sourceByKey.get("operation.keptMax")).toBe("file");
  expect(sourceByKey.get("port")).toBe("default");
});

test("amounts may carry their unit, and no other", () => {
  const { values } = read({ flags: { logSegmentBytes: "32MiB", sessionTtlMs: "1m", partitions: "1_000" } });
  expect([values["log.segmentBytes"], values["session.ttlMs"], values.partitions]).toEqual([33_554_432, 60_000, 1_000]);
  expect(refusal({ flags: { sessionTtlMs: "1MiB" } })).toContain("session.ttlMs");
  expect(refusal({ flags: { partitions: "4s" } })).toContain("partitions");
});

test("every complaint is told, not the first only", () => {
  const message = refusal({
    flags: { port: "99999" },
    env: { FORELOCK_DURABILITY: "none" },
    fileText: '[session]\nttlMS = 1\n[[principals]]\nname = "ana"\ntoken = "short"\nrights = {}',
  });
  expect(message).toContain("4 settings are wrong");
  for (const part of [
    "port (--port)",
    "durability (FORELOCK_DURABILITY)",
    "is session.ttlMs meant",
    "principals[0].token",
  ])
    expect(message).toContain(part);
});

test("the secret of a cluster comes from the file or the environment, is long enough, and is never shown", () => {
  const secret = "one that nobody guesses";
  expect(read({ fileText: `[cluster]\nsecret = "${secret}"` }).values["cluster.secret"]).toBe(secret);
  expect(read({ env: { FORELOCK_CLUSTER_SECRET: secret } }).values["cluster.secret"]).toBe(secret);
  const flagged = refusal({ flags: { clusterSecret: secret } });
  expect(flagged).toContain("not taken from a flag");
  const short = refusal({ env: { FORELOCK_CLUSTER_SECRET: "too short" } });
  expect(short).toContain("has 9 characters");
  expect(flagged + short).not.toMatch(/nobody|too short/);
});

test("a file that is not TOML is refused with the place", () => {
  expect(refusal({ fileText: "port = = 3" })).toMatch(/^file: is not TOML/);
});

test.each([
  ["session.ttlMs", { sessionTtlMs: "60s", sessionTtlMsMax: "30s" }],
  ["operation.keepMs", { operationKeepMs: "2h", operationKeepMsMax: "1h" }],
  ["edge.requestsPerConnectionMax", { edgeRequestsPerConnectionMax: "200", edgeRequestsMax: "100" }],
  ["log.segmentBytes", { logSegmentBytes: "64MiB", logSnapshotBytes: "32MiB" }],
  ["tls.key", { tlsCert: "cert.pem" }],
  ["tls.cert", { tlsKey: "key.pem" }],
  ["tls.ca", { tlsCert: "cert.pem", tlsKey: "key.pem", tlsClientCert: "required" }],
  ["tls.clientCert", { tlsCa: "ca.pem", tlsClientCert: "optional" }],
  ["host", { host: "0.0.0.0" }],
  ["files", { files: "a//b" }],
  ["compensation.allow", { compensationAllow: "https://shop.example,https://user:secret@shop.example" }],
  ["workers", { workers: "2", clusterEtcd: "127.0.0.1:2379", clusterNodeId: "a", clusterSan: "DNS:a" }],
  ["workers", { workers: "3", partitions: "2" }],
])("%s is refused where it contradicts another", (key, flags) => {
  expect(refusal({ flags }).startsWith(`${key}: `)).toBe(true);
});

test("an open address is accepted with TLS and principals, or on the operator's word", () => {
  const principals = '[[principals]]\nname = "ana"\ntoken = "0123456789abcdef"\nrights = { "" = ["admin"] }';
  const tls = { tlsCert: "cert.pem", tlsKey: "key.pem" };
  expect(read({ flags: { host: "0.0.0.0", allowInsecure: true } }).values.allowInsecure).toBe(true);
  expect(read({ flags: { host: "0.0.0.0", ...tls }, fileText: principals }).principals).toHaveLength(1);
  expect(refusal({ flags: { host: "0.0.0.0" }, fileText: principals })).toContain("TLS");
  expect(refusal({ flags: { host: "0.0.0.0", ...tls } })).toContain("principals");
});

test("principals come from the file with their rights", () => {
  const fileText = `[[principals]]
name = "worker"
token = "0123456789abcdef"
san = ["DNS:worker-1"]
rights = { "orders" = ["read", "lock"], "" = ["direct"] }`;
  expect(read({ fileText }).principals).toEqual([
    {
      name: "worker",
      token: "0123456789abcdef",
      tokenSha256: undefined,
      san: ["DNS:worker-1"],
      rights: [
        { prefix: "orders", right: "read" },
        { prefix: "orders", right: "lock" },
        { prefix: "", right: "direct" },
      ],
    },
  ]);
});

test.each([
  ["principals", "principals = 3"],
  ["principals[0]", 'principals = ["planted-secret"]'],
  ["principals[0].name", '[[principals]]\nname = "a b"\ntoken = "planted-secret-planted"\nrights = {}'],
  ["principals[0].name", '[[principals]]\ntoken = "planted-secret-planted"\nrights = {}'],
  ["principals[0].token", '[[principals]]\nname = "a"\ntoken = "planted-secret"\nrights = {}'],
  ["principals[0].token", '[[principals]]\nname = "a"\ntoken = ["planted-secret"]\nrights = {}'],
  ["principals[0].tokenSha256", '[[principals]]\nname = "a"\ntokenSha256 = "planted-secret"\nrights = {}'],
  ["principals[0].san", '[[principals]]\nname = "a"\nsan = "planted-secret"\nrights = {}'],
  ["principals[0].rights", '[[principals]]\nname = "a"\nsan = ["DNS:a"]'],
  ["principals[0].rights", '[[principals]]\nname = "a"\nsan = ["DNS:a"]\nrights = { "a//b" = ["read"] }'],
  ["principals[0].rights", '[[principals]]\nname = "a"\nsan = ["DNS:a"]\nrights = { "a" = ["own"] }'],
  ["principals[0].passwd", '[[principals]]\nname = "a"\nsan = ["DNS:a"]\nrights = {}\npasswd = "planted-secret"'],
  ["principals[0]", '[[principals]]\nname = "a"\nrights = {}'],
])("%s is refused, and no secret is shown", (key, fileText) => {
  const message = refusal({ fileText });
  expect(message).toContain(key);
  expect(message).not.toContain("planted");
});

test("two principals of one name are refused", () => {
  const one = '[[principals]]\nname = "ana"\nsan = ["DNS:a"]\nrights = {}\n';
  expect(refusal({ fileText: one + one })).toContain('"ana" is there twice');
});
