// remote-gate.ts: the gate of a node on another host: an agent there, and what is asked of it.
import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Weather, WeatherCounts } from "../../proxy/weather.ts";
import type { Endpoint } from "../wire.ts";
import type { Gate, GateOrder, LinkName } from "./gate.ts";
import type { Host } from "./hosts.ts";

type Ask =
  | { readonly kind: "open"; readonly order: GateOrder }
  | { readonly kind: "aim"; readonly port: number | undefined }
  | { readonly kind: "set"; readonly link: LinkName; readonly weather: Weather | undefined }
  | { readonly kind: "reset"; readonly link: LinkName }
  | { readonly kind: "counts"; readonly link: LinkName };

export interface AgentRequest {
  readonly id: number;
  readonly ask: Ask;
}

export interface AgentAnswer {
  readonly id: number;
  readonly value: unknown;
  readonly failure: string | undefined;
}

const AGENT = fileURLToPath(new URL("./agent.js", import.meta.url));

export class RemoteGate implements Gate {
  readonly #agent: ChildProcess;
  readonly #asked = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>();
  #id = 0;
  #known: Pick<Gate, "inbound" | "etcd"> = { inbound: { host: "", port: 0 }, etcd: [] };

  private constructor(agent: ChildProcess) {
    this.#agent = agent;
    agent.on("message", ({ id, value, failure }: AgentAnswer) => {
      const asked = this.#asked.get(id);
      this.#asked.delete(id);
      if (failure === undefined) asked?.resolve(value);
      else asked?.reject(new Error(failure));
    });
    agent.on("error", (error) => this.#lost(error));
    agent.on("exit", () => this.#lost(new Error("the agent of a gate has ended")));
  }

  static async open(order: GateOrder, { within }: Host): Promise<RemoteGate> {
    const [program = process.execPath, ...words] = [...within, process.execPath, AGENT];
    const gate = new RemoteGate(spawn(program, words, { stdio: ["ignore", "inherit", "inherit", "ipc"] }));
    gate.#known = (await gate.#ask({ kind: "open", order })) as Pick<Gate, "inbound" | "etcd">; // As agent.ts answers.
    return gate;
  }

  get inbound(): Endpoint {
    return this.#known.inbound;
  }

  get etcd(): readonly Endpoint[] {
    return this.#known.etcd;
  }

  async aim(port: number | undefined): Promise<void> {
    await this.#ask({ kind: "aim", port });
  }

  async set(link: LinkName, weather: Weather | undefined): Promise<void> {
    await this.#ask({ kind: "set", link, weather });
  }

  async reset(link: LinkName): Promise<number> {
    return (await this.#ask({ kind: "reset", link })) as number; // As agent.ts answers.
  }

  async counts(link: LinkName): Promise<WeatherCounts> {
    return (await this.#ask({ kind: "counts", link })) as WeatherCounts; // As agent.ts answers.
  }

  async close(): Promise<void> {
    if (this.#agent.exitCode !== null || this.#agent.signalCode !== null) return;
    const gone = new Promise((resolve) => this.#agent.once("exit", resolve));
    this.#agent.kill("SIGKILL");
    await gone;
  }

  #ask(ask: Ask): Promise<unknown> {
    this.#id += 1;
    const id = this.#id;
    return new Promise((resolve, reject) => {
      this.#asked.set(id, { resolve, reject });
      this.#agent.send({ id, ask } satisfies AgentRequest, (error) => {
        if (error === null) return;
        this.#asked.delete(id);
        reject(error);
      });
    });
  }

  #lost(error: Error): void {
    for (const { reject } of this.#asked.values()) reject(error);
    this.#asked.clear();
  }
}
