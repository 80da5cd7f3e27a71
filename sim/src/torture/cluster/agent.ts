// agent.ts: the process that has the gate of a node on the node's host; asked by its parent (remote-gate.ts), and ended with it.
import { systemClock } from "../../proxy/clock.ts";
import { type Gate, LocalGate } from "./gate.ts";
import type { AgentAnswer, AgentRequest } from "./remote-gate.ts";

const clock = systemClock();
let gate: Gate | undefined;

async function answered({ ask }: AgentRequest): Promise<unknown> {
  if (ask.kind === "open") {
    const opened = await LocalGate.open(ask.order, clock);
    gate = opened;
    return { inbound: opened.inbound, etcd: opened.etcd };
  }
  if (gate === undefined) throw new Error("the gate is not open");
  switch (ask.kind) {
    case "aim":
      return gate.aim(ask.port);
    case "set":
      return gate.set(ask.link, ask.weather);
    case "reset":
      return gate.reset(ask.link);
    case "counts":
      return gate.counts(ask.link);
  }
}

const send = (answer: AgentAnswer): void => void process.send?.(answer);

process.on("message", (request: AgentRequest) => {
  answered(request).then(
    (value) => send({ id: request.id, value, failure: undefined }),
    (error: unknown) => send({ id: request.id, value: undefined, failure: String(error) }),
  );
});
process.on("disconnect", () => process.exit(0));
// Ctrl-C reaches the whole group: the parent ends this process when nothing needs it any more.
process.on("SIGINT", () => {});
