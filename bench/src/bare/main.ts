// bare/main.ts: the bare server as a process of its own: `node main.js [JOURNAL loop|pool]`. Prints its port, ends on SIGTERM.

import { Journal } from "./journal.ts";
import { startBareServer } from "./server.ts";

const [path, thread] = process.argv.slice(2);
const journal = path === undefined ? undefined : new Journal(path, thread === "loop" ? "loop" : "pool");
const server = await startBareServer(journal);
process.stdout.write(`listening on 127.0.0.1:${server.port}\n`);
process.once("SIGTERM", () => process.exit(0));
