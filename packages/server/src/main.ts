// main.ts: the program `forelock`: hands the real process to the command line, and ends with its exit code.
// A server's parts are loaded by `serve` only, and the client by the commands that talk to one.
import { readFileSync } from "node:fs";
import { runCli } from "./cli/cli.ts";
import { EXIT_CODES } from "./cli/exit-codes.ts";
import { processIo } from "./cli/process-io.ts";

/** Beside src and dist alike. */
function ownVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
  const { version } = manifest as { readonly version: string }; // Cast: our own package.json.
  return version;
}

process.on("uncaughtException", (error) => {
  process.stderr.write(`forelock: a bug: ${error.stack ?? error.message}\n`);
  process.exit(EXIT_CODES.internal.code);
});

const code = await runCli(process.argv.slice(2), {
  ...processIo(),
  version: ownVersion(),
  connect: async (target, options) => (await import("./cli/client-remote.ts")).connectRemote(target, options),
  serve: async (settings, io) => (await import("./serve.ts")).serve(settings, io),
});
// Not process.exitCode alone: standard input, or a half-open connection, may keep the loop alive for ever.
process.exit(code);
