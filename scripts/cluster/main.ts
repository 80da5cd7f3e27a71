// main.ts: `npm run cluster`: three members of etcd and three nodes on this machine, to try a cluster out. Data is kept over restarts.
// Not for production: one disk has everything. Not here: children (children.ts), ports (ports.ts), waiting (ready.ts).
//   L1. Nothing is left running: nodes stop first, while etcd still answers them, then etcd; whoever does not stop is killed.
import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { ROOT } from "../workspace.ts";
import { Children } from "./children.ts";
import { choosePorts, type Ports } from "./ports.ts";
import { etcdServes, everythingServed } from "./ready.ts";

const HELP = `npm run cluster: three members of etcd and three nodes on this machine, to try a cluster out.

  npm run cluster
  npm run cluster -- --port 7500 --data /tmp/cluster

  --data FOLDER     where everything is kept (default: ./data/cluster)
  --port PORT       of the first node; the others have the next two (default: those of the last start, 7420 to 7422, or free ones)
  --etcd-port PORT  of the first of six for etcd, at the first start only (default: free ones)
`;

const NODES = ["a", "b", "c"] as const;
type NodeName = (typeof NODES)[number];
const MEMBERS = ["etcd-1", "etcd-2", "etcd-3"] as const;
const NODE_STOP_MS = 15_000;
const ETCD_STOP_MS = 5_000;

const MISSING = `etcd is not installed, and a cluster keeps its log there. On Debian and Ubuntu:

  sudo apt-get install etcd-server

(The package is called etcd on older releases.) Its own service is not used, and may be off. Then run npm run cluster again.
`;

interface Layout {
  readonly folder: string;
  readonly ports: Ports;
  readonly secret: string;
}

function layoutOf(): Promise<Layout> | undefined {
  const options = { data: { type: "string" }, port: { type: "string" }, "etcd-port": { type: "string" } } as const;
  const { values } = parseArgs({ options: { ...options, help: { type: "boolean", short: "h" } } });
  if (values.help === true) {
    process.stdout.write(HELP);
    return undefined;
  }
  const folder = resolve(ROOT, values.data ?? "data/cluster");
  mkdirSync(folder, { recursive: true });
  const wish = { node: portOf("--port", values.port), etcd: portOf("--etcd-port", values["etcd-port"]) };
  return choosePorts(folder, wish).then((ports) => ({ folder, ports, secret: secretOf(folder) }));
}

function portOf(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const port = Number(text);
  if (Number.isInteger(port) && port >= 1_024 && port <= 65_000) return port;
  throw new Error(`${flag} is "${text}": give a port from 1024 to 65000.`);
}

/** By which the nodes know one another: drawn at the first start. */
function secretOf(folder: string): string {
  const file = join(folder, "secret");
  if (!existsSync(file)) writeFileSync(file, randomBytes(24).toString("base64url"), { mode: 0o600 });
  return readFileSync(file, "utf8");
}

function startEtcd(children: Children, { folder, ports }: Layout): void {
  const peers = MEMBERS.map((name, index) => `${name}=${url(ports.peers[index])}`).join(",");
  for (const [index, name] of MEMBERS.entries()) {
    const [client, peer] = [url(ports.etcd[index]), url(ports.peers[index])];
    children.start(name, "etcd", [
      ...[
        "--name",
        name,
        "--data-dir",
        join(folder, name),
        "--initial-cluster",
        peers,
        "--logger",
        "zap",
        "--log-level",
        "error",
      ],
      ...["--listen-client-urls", client, "--advertise-client-urls", client],
      ...["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer],
    ]);
  }
}

function startNode(children: Children, { folder, ports, secret }: Layout, name: NodeName): void {
  const port = ports.nodes[NODES.indexOf(name)];
  const etcd = ports.etcd.map((each) => `127.0.0.1:${each}`).join(",");
  const own = ["--port", String(port), "--data", join(folder, name), "--cluster-node-id", name];
  const argv = [join(ROOT, "packages/server/bin/forelock.js"), "serve", ...own, "--cluster-etcd", etcd];
  children.start(name, process.execPath, argv, { FORELOCK_CLUSTER_SECRET: secret });
}

const url = (port: number | undefined): string => `http://127.0.0.1:${port}`;

function greeting({ folder, ports }: Layout, children: Children): string {
  const [a, b, c] = ports.nodes;
  const each = NODES.map((name, index) => `${name} on 127.0.0.1:${ports.nodes[index]}`).join(", ");
  return `
Forelock is serving as a cluster: ${each}
  data       ${folder}
  etcd       ${ports.etcd.map((port) => `127.0.0.1:${port}`).join(", ")}
  dashboard  http://127.0.0.1:${a}/#/cluster

Try in another terminal:
  npx forelock cluster status --endpoint 127.0.0.1:${a}
  npx forelock lock demo/1 --endpoint 127.0.0.1:${a} -- sleep 20          # through one node ...
  npx forelock lock demo/1 --endpoint 127.0.0.1:${b} -- echo 'my turn'    # ... and wait for it through another
  npx forelock cluster drain b --wait --reason 'a try' --endpoint 127.0.0.1:${c}
  kill -9 ${children.pidOf("b")}    # node b: the others take over within seconds; type b here, and Enter, to start it again

Ctrl-C stops it all.
`;
}

async function run(layout: Layout): Promise<number> {
  const children = new Children();
  const stopping = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => stopping.abort());
  const watched = AbortSignal.any([stopping.signal, children.failed]);
  try {
    process.stderr.write("Starting three members of etcd and three nodes ...\n");
    startEtcd(children, layout);
    await etcdServes(layout.ports.etcd.map(url), watched);
    for (const name of NODES) startNode(children, layout, name);
    await everythingServed(`127.0.0.1:${layout.ports.nodes[0]}`, NODES.length, watched);
    children.settled(); // From here on whoever ends was ended by someone: that is what there is to try.
    process.stdout.write(greeting(layout, children));
    await untilAborted(stopping.signal, (line) => {
      const name = NODES.find((each) => each === line.trim());
      if (name !== undefined && !children.isRunning(name)) startNode(children, layout, name);
    });
    return 0;
  } catch (error) {
    if (stopping.signal.aborted) return 0;
    process.stderr.write(`${children.failure ?? (error as Error).message}\n`);
    return 1;
  } finally {
    process.stderr.write("Stopping ...\n");
    await children.stop(NODES, NODE_STOP_MS); // L1
    await children.stop(MEMBERS, ETCD_STOP_MS);
    process.stderr.write("Stopped. The data is kept; npm run cluster goes on with it.\n");
  }
}

function untilAborted(signal: AbortSignal, onLine: (line: string) => void): Promise<void> {
  const lines = createInterface({ input: process.stdin, terminal: false });
  lines.on("line", onLine);
  return new Promise((done) => {
    const end = (): void => {
      lines.close();
      done();
    };
    if (signal.aborted) end();
    else signal.addEventListener("abort", end, { once: true });
  });
}

async function main(): Promise<number> {
  const layout = layoutOf();
  if (layout === undefined) return 0;
  if (spawnSync("etcd", ["--version"]).status === 0) return run(await layout);
  process.stderr.write(MISSING);
  return 1;
}

const code = await main().catch((error: unknown) => {
  process.stderr.write(`${(error as Error).message}\n`); // Cast: everything here throws errors.
  return 1;
});
process.exit(code); // Standard input would keep it.
