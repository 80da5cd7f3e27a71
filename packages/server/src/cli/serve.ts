// serve.ts: `forelock serve`: reads the settings, starts a node, and waits until it has stopped.
import { type ForelockCommand, type Invocation, makeLocalCommand, onRun } from "./command.ts";

export function serveCommand(invocation: Invocation): ForelockCommand {
  const command = makeLocalCommand({
    usage: "serve",
    summary: "Start a server",
    examples: ["forelock serve", "forelock serve --port 0 --data ./data"],
  });
  return onRun(command, invocation, async () => {
    throw new Error("serve is not wired yet");
  });
}
