// testing/measure.ts: what one acquire and release costs this process, against a server that costs nothing here.
// `npm run measure -w packages/client`; not a test: it says how fast, not whether.
import { fork } from "node:child_process";
import { connect } from "../index.ts";
import { startEchoServer } from "./echo-server.ts";

const SECONDS = 3;
const IN_FLIGHT = [1, 16, 256, 1_024];

if (process.argv[2] === "serve") {
  process.send?.(await startEchoServer());
} else {
  const server = fork(process.argv[1] ?? "", ["serve"]);
  const port = await new Promise<number>((resolve) => server.once("message", (message) => resolve(Number(message))));
  await using client = await connect(`127.0.0.1:${port}`);
  for (const inFlight of IN_FLIGHT) {
    await cycles(inFlight, 0.5); // Warms up.
    const from = process.cpuUsage();
    const done = await cycles(inFlight, SECONDS);
    const { user, system } = process.cpuUsage(from);
    const cpuUs = (user + system) / done;
    const rate = Math.round(done / SECONDS);
    console.log(`${inFlight} in flight: ${rate} cycles/s, ${rate * 2} ops/s, ${cpuUs.toFixed(1)} us of CPU a cycle`);
  }
  server.kill();

  async function cycles(inFlight: number, seconds: number): Promise<number> {
    const until = performance.now() + seconds * 1_000;
    let done = 0;
    const loop = async (name: string): Promise<void> => {
      while (performance.now() < until) {
        const lock = await client.lock(name);
        await lock.release();
        done++;
      }
    };
    await Promise.all(Array.from({ length: inFlight }, (_, index) => loop(`orders/${index}`)));
    return done;
  }
}
