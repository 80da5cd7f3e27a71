// testing/scene.ts: a fake server and clients of it, with fast retries and without threads, gone at the end of the test.
import { type Environment, systemEnvironment } from "../environment.ts";
import { type OpenClient, openClient } from "../open-client.ts";
import type { ConnectOptions } from "../options.ts";
import { startPulse } from "../session/pulse.ts";
import { settingsFrom } from "../settings.ts";
import { FakeServer } from "./fake-server.ts";

/** Heartbeats on the test's own thread: the same code, and no thread to wait for. */
export const testEnvironment: Environment = (() => {
  const environment = systemEnvironment((order, listener) => startPulse(environment, order, listener));
  return environment;
})();

export class Scene implements AsyncDisposable {
  readonly server: FakeServer;
  readonly #clients: OpenClient[] = [];

  private constructor(server: FakeServer) {
    this.server = server;
  }

  static async open(): Promise<Scene> {
    return new Scene(await FakeServer.start());
  }

  async client(options: ConnectOptions = {}, environment: Partial<Environment> = {}): Promise<OpenClient> {
    const settings = settingsFrom({
      endpoints: this.server.endpoint,
      retry: { pauseMs: 1, pauseMsMax: 20, totalMs: 10_000, attemptsMax: 1_000 },
      ...options,
    });
    const client = await openClient({ ...testEnvironment, ...environment }, settings);
    this.#clients.push(client);
    return client;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients) await client.detach();
    await this.server.stop();
  }
}

/** Waits until `claim` holds, asking again at each turn of the loop; the runner's timeout ends it. */
export async function eventually(claim: () => boolean): Promise<void> {
  while (!claim()) await new Promise((resolve) => setTimeout(resolve, 2));
}
