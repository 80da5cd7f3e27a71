// bare/main.ts: the bare server as a process of its own: `node main.js [JOURNAL]`. Prints its port, ends on SIGTERM.

import { Journal } from "./journal.ts";
import { startBareServer } from "./server.ts";

const path = process.argv[2];
const server = await startBareServer(path === undefined ? undefined : new Journal(path));
process.stdout.write(`listening on 127.0.0.1:${server.port}\n`);
process.once("SIGTERM", () => process.exit(0));
