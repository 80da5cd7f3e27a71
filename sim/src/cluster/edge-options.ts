// edge-options.ts: the edge of a simulated node, as a server with default settings and two principals has it.
import type { EdgeOptions, PrincipalOptions } from "forelock/internal";

export const SECRET = "the secret of the simulated cluster";
export const PRINCIPALS = ["ana", "bo"] as const;

const principal = (name: string): PrincipalOptions => ({
  name,
  token: `the token of ${name}, long enough`,
  tokenSha256: undefined,
  san: [],
  rights: (["read", "lock", "write", "operate", "admin", "direct"] as const).map((right) => ({ right, prefix: "" })),
});

export const EDGE_OPTIONS: EdgeOptions = {
  host: "127.0.0.1",
  port: 0,
  allowInsecure: false,
  hostNames: [],
  tls: undefined,
  principals: PRINCIPALS.map(principal),
  limits: {
    connectionsMax: 1_000,
    connectionsPerAddressMax: 1_000,
    connectionsPerPrincipalMax: 1_000,
    requestsMax: 10_000,
    requestsPerConnectionMax: 4_096,
    writeBufferBytesMax: 1_048_576,
    helloMs: 5_000,
    frameMs: 10_000,
    stopMs: 500,
    watchersMax: 1_000,
    watchersPerConnectionMax: 100,
    frameBytesMax: 1_048_576,
    frameOperationsMax: 1_000,
    appendBytesMax: 196_608,
    waitMsMax: 86_400_000,
    keepMsMax: 86_400_000,
    ttlMsMin: 1_000,
    ttlMsMax: 300_000,
    unansweredMax: 65_536,
  },
  pages: new Map(),
  version: "simulated",
};
