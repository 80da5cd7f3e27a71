// greeting.ts: what `npm start` and `forelock serve` say when the server is up: where, on what, and what to try.
import type { Settings } from "../settings/read.ts";
import { DEFAULT_ENDPOINT } from "./context.ts";

/** Lines for people; the server's own log goes to stderr. */
export function greeting(address: string, { values }: Pick<Settings, "values">): readonly string[] {
  const endpoint = address === DEFAULT_ENDPOINT ? "" : ` --endpoint ${address}`;
  const scheme = values["tls.cert"] === "" ? "http" : "https";
  const durability =
    values.durability === "durable"
      ? "durable: what is acknowledged is on disk"
      : "relaxed: a power cut can lose the last answers";
  return [
    `Forelock is serving on ${address}`,
    `  data        ${values.data}`,
    `  durability  ${durability}`,
    `  dashboard   ${scheme}://${address}/`,
    "",
    "Try in another terminal:",
    `  npx forelock lock file_0${endpoint} -- sh -c 'echo hello | npx forelock append file_0'`,
    `  npx forelock cat file_0${endpoint}`,
    `  npx forelock shell${endpoint}`,
    "",
    "Ctrl-C stops it.",
  ];
}
