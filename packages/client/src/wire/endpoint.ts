// wire/endpoint.ts: where a server listens, from `host:port`.
import { ForelockError } from "@forelock/protocol";

export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

const DEFAULT_PORT = 7420;

/**
 * Accepts `host`, `host:port`, `[::1]`, `[::1]:port`, and `:port` for this machine.
 * @throws ForelockError `bad_argument`
 */
export function parseEndpoint(text: string): Endpoint {
  const match = /^(?:\[([^\]]+)\]|([^:[\]/]*))(?::(\d{1,5}))?$/.exec(text.trim());
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3] ?? DEFAULT_PORT);
  if (host === undefined || port < 1 || port > 65_535 || text.trim() === "") {
    throw new ForelockError("bad_argument", `endpoints: "${text}" must be host:port, with a port from 1 to 65535.`);
  }
  return { host: host === "" ? "127.0.0.1" : host, port };
}
