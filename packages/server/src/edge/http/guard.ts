// guard.ts: keeps other people's web pages from speaking to this node through a browser. Not here: who a caller is
// (authenticate.ts).
//   B1. On loopback the header Host names this machine: a page whose name was made to point here (DNS rebinding) is refused.
//   B2. A change comes from no other origin: foreign Origin refused, JSON demanded, and no CORS header is ever sent.
import type { IncomingMessage } from "node:http";
import { shown } from "../names.ts";
import { type EdgeOptions, isLoopback } from "../options.ts";
import type { Refusal } from "../wire-error.ts";

const OWN_NAMES = ["localhost", "127.0.0.1", "[::1]"];
const CLIENT_SITES = new Set(["same-origin", "none"]);

export function guard(request: IncomingMessage, { host, hostNames }: EdgeOptions): Refusal | undefined {
  const named = (request.headers.host ?? "").toLowerCase();
  const name = named.replace(/:\d+$/, "");
  if (isLoopback(host) && ![...OWN_NAMES, ...hostNames].includes(name) && !isLoopback(name)) {
    return denied(`host: ${shown(named)} is not a name of this node; see the setting for host names.`); // B1
  }
  const { origin } = request.headers;
  if (origin !== undefined && originHost(origin) !== named) return denied(`origin: ${shown(origin)} is another site.`); // B2
  if (request.method !== "POST") return undefined;
  const site = request.headers["sec-fetch-site"];
  if (typeof site === "string" && !CLIENT_SITES.has(site)) return denied("sec-fetch-site: another site.");
  const type = (request.headers["content-type"] ?? "").split(";")[0]?.trim().toLowerCase();
  if (type === "application/json") return undefined;
  return {
    code: "bad_argument",
    message: `content-type: ${shown(type ?? "")}; allowed application/json (curl --json).`,
  };
}

function originHost(origin: string): string | undefined {
  return /^https?:\/\/([^/]+)$/.exec(origin.toLowerCase())?.[1];
}

function denied(message: string): Refusal {
  return { code: "permission_denied", message };
}
