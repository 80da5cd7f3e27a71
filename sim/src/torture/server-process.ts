// server-process.ts: the real server as a process, on a free port of the loopback of where it runs.
import { type Clock, pause } from "../proxy/clock.ts";
import { Child } from "./child.ts";

export interface ServerCommand {
  /** Of the executable script of the server. */
  readonly script: string;
  readonly dataFolder: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Flags after `serve --port 0 --data DIR`. */
  readonly flags: readonly string[];
  /** What runs it, when it is not to run beside this process: `ip netns exec NAME`. */
  readonly within?: readonly string[];
}

export interface RunningServer {
  readonly port: number;
  readonly pid: number;
  /** How long it took until the address was printed. */
  readonly startMs: number;
}

const START_MS_MAX = 60_000;
const ADDRESS = /serving on (?:127\.0\.0\.1|localhost):(\d+)/;

export class ServerProcess extends Child {
  readonly #time: Clock;

  constructor(clock: Clock) {
    super(clock);
    this.#time = clock;
  }

  /** Not while one runs. @throws when it does not come up */
  async serve({ script, dataFolder, environment, flags, within = [] }: ServerCommand): Promise<RunningServer> {
    const startedMs = this.#time.monotonicMs();
    const command = [process.execPath, script, "serve", "--port", "0", "--data", dataFolder, ...flags];
    const [program = process.execPath, ...words] = [...within, ...command];
    this.start({ program, words, environment });
    const { pid } = this;
    for (;;) {
      const port = ADDRESS.exec(this.output)?.[1];
      const startMs = this.#time.monotonicMs() - startedMs;
      if (port !== undefined && pid !== undefined) return { port: Number(port), pid, startMs };
      const isOurs = this.pid === pid;
      const hasEnded = this.pid === undefined || !isOurs;
      if (hasEnded || startMs > START_MS_MAX) {
        const why = hasEnded ? (this.exit ?? "it was killed") : `printed no address within ${START_MS_MAX} ms`;
        const said = this.output;
        if (isOurs) await this.kill();
        throw new Error(`the server did not start: ${why}\n${said}`);
      }
      await pause(this.#time, 5);
    }
  }
}
