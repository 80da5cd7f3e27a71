// connect.ts: where a program begins.
import type { ForelockClient } from "./client.ts";
import { systemEnvironment } from "./environment.ts";
import { openClient } from "./open-client.ts";
import type { ConnectOptions } from "./options.ts";
import { startThreadHeartbeats } from "./session/heartbeat-thread.ts";
import { settingsFrom } from "./settings.ts";

/**
 * Connects and opens a session, or resumes the one given. The client keeps the process alive until it is closed.
 * @param options endpoints alone, as in `connect("127.0.0.1:7420")`, or everything
 * @throws ForelockError `bad_argument`, `unauthenticated`, `unavailable`, or for a given session `session_expired`, `session_unknown`
 */
export async function connect(options: string | ConnectOptions = {}): Promise<ForelockClient> {
  const all = typeof options === "string" ? { endpoints: options } : options;
  return openClient(systemEnvironment(startThreadHeartbeats), settingsFrom(all), all.signal);
}
