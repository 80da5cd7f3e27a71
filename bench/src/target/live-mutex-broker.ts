// target/live-mutex-broker.ts: the broker of live-mutex as a process of its own: `node live-mutex-broker.js PORT`.

import { serveLiveMutex } from "./live-mutex.ts";

const port = process.argv[2];
await serveLiveMutex(Number(port));
process.stdout.write(`listening on 127.0.0.1:${port}\n`);
