// ask.ts: one call to the node that served this page, as POST /v1/<method> with JSON. Not here: the live stream (feed/).
//   K1. The bearer token stays in this tab: in sessionStorage, sent as a header, never in an address.
import type {
  ChangeClusterReply,
  ChangeClusterRequest,
  EndSessionReply,
  EndSessionRequest,
  ForceReleaseReply,
  ForceReleaseRequest,
  GetHistoryReply,
  GetHistoryRequest,
  ListLocksReply,
  ListLocksRequest,
  ListPoliciesReply,
  ListPoliciesRequest,
  SetPolicyReply,
  SetPolicyRequest,
  WarnReply,
  WarnRequest,
} from "@forelock/protocol";
import type { Json } from "./json.ts";

interface Methods {
  "list-policies": readonly [ListPoliciesRequest, ListPoliciesReply];
  "list-locks": readonly [ListLocksRequest, ListLocksReply];
  "force-release": readonly [ForceReleaseRequest, ForceReleaseReply];
  "end-session": readonly [EndSessionRequest, EndSessionReply];
  warn: readonly [WarnRequest, WarnReply];
  "set-policy": readonly [SetPolicyRequest, SetPolicyReply];
  "change-cluster": readonly [ChangeClusterRequest, ChangeClusterReply];
  "get-history": readonly [GetHistoryRequest, GetHistoryReply];
}
export type Method = keyof Methods;

/** What the node answered instead: a code of docs/errors.md, and its own words. `unreachable`: it did not answer. */
export class AskError extends Error {
  override readonly name = "AskError";
  readonly code: string;
  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

const TOKEN_KEY = "forelock-token";

/** K1 */
export function useToken(token: string): void {
  if (token === "") sessionStorage.removeItem(TOKEN_KEY);
  else sessionStorage.setItem(TOKEN_KEY, token);
}

export function hasToken(): boolean {
  return sessionStorage.getItem(TOKEN_KEY) !== null;
}

/** @throws AskError */
export async function ask<Name extends Method>(
  method: Name,
  body: Json<Methods[Name][0]>,
): Promise<Json<Methods[Name][1]>> {
  const init = { method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json" } };
  const response = await fetchHere(`/v1/${method}`, init);
  const reply: unknown = await response.json();
  return reply as Json<Methods[Name][1]>; // The node answers a method with its own reply.
}

/** A request with the token of this tab. @throws AskError for anything but success */
export async function fetchHere(
  path: string,
  init: RequestInit & { headers?: Record<string, string> },
): Promise<Response> {
  const token = sessionStorage.getItem(TOKEN_KEY);
  const headers = { ...init.headers, ...(token === null ? {} : { Authorization: `Bearer ${token}` }) };
  const response = await fetch(path, { ...init, headers, cache: "no-store" }).catch((cause: unknown) => {
    if (init.signal?.aborted) throw cause;
    throw new AskError("unreachable", "The server does not answer.", { cause });
  });
  if (response.ok) return response;
  const refused: unknown = await response.json().catch(() => undefined); // A proxy in between may answer in HTML.
  throw refusalOf(refused, response);
}

function refusalOf(refused: unknown, response: Response): AskError {
  const { code, message } = (refused ?? {}) as { readonly code?: unknown; readonly message?: unknown }; // Checked below.
  const fallback = response.status === 401 ? "unauthenticated" : "unreachable";
  return new AskError(
    typeof code === "string" ? code : fallback,
    typeof message === "string" ? message : `The server answered ${response.status} ${response.statusText}.`,
  );
}
