// ports.ts: which ports a cluster on one machine has: those of its last start, those it is told, or free ones.
//   P1. The members of etcd remember one another's addresses in their data: their ports never change after the first start.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";

export interface Ports {
  /** For clients, by member. */
  readonly etcd: readonly number[];
  /** For one another, by member. */
  readonly peers: readonly number[];
  readonly nodes: readonly number[];
}

export interface PortWish {
  /** The first of three. */
  readonly node: number | undefined;
  /** The first of six. */
  readonly etcd: number | undefined;
}

const COUNT = 3;
const NODE_PORT = 7_420;

/** Reads what the folder remembers, and writes what was chosen. @throws Error that names the port that cannot be had */
export async function choosePorts(folder: string, wish: PortWish): Promise<Ports> {
  const file = join(folder, "ports.json");
  const before = existsSync(file) ? portsIn(file) : undefined;
  if (before !== undefined && wish.etcd !== undefined && wish.etcd !== before.etcd[0])
    throw new Error(`--etcd-port is ${wish.etcd}: the etcd in ${folder} has ${before.etcd[0]}, which cannot change.`);
  const etcd = before?.etcd ?? (await chosen(wish.etcd, []));
  const peers = before?.peers ?? (await chosen(wish.etcd === undefined ? undefined : wish.etcd + COUNT, etcd));
  for (const port of [...etcd, ...peers]) await refuseTaken(port, "etcd's"); // P1
  const nodes = await nodePorts(wish.node, before?.nodes, [...etcd, ...peers]);
  const ports = { etcd, peers, nodes };
  writeFileSync(file, `${JSON.stringify(ports)}\n`);
  return ports;
}

function portsIn(file: string): Ports {
  const ports = JSON.parse(readFileSync(file, "utf8")) as Partial<Ports>; // Checked below.
  const isWhole = (list: readonly number[] | undefined): boolean =>
    list?.length === COUNT && list.every(Number.isInteger);
  if (isWhole(ports.etcd) && isWhole(ports.peers) && isWhole(ports.nodes)) return ports as Ports;
  throw new Error(`${file} does not hold three ports of each kind: mend it, or remove the folder to begin anew.`);
}

async function nodePorts(
  first: number | undefined,
  before: readonly number[] | undefined,
  taken: readonly number[],
): Promise<readonly number[]> {
  if (first !== undefined) {
    const told = row(first);
    for (const port of told) await refuseTaken(port, "a node's");
    return told;
  }
  const usual = before ?? row(NODE_PORT);
  const isFree = await Promise.all(usual.map(isFreePort));
  return isFree.every(Boolean) ? usual : chosen(undefined, taken);
}

const row = (first: number): readonly number[] => Array.from({ length: COUNT }, (_, index) => first + index);

async function refuseTaken(port: number, whose: string): Promise<void> {
  if (await isFreePort(port)) return;
  throw new Error(`Port ${port}, which is to be ${whose}, is taken: does another npm run cluster use this folder?`);
}

function isFreePort(port: number): Promise<boolean> {
  return listen(port).then(
    () => true,
    () => false,
  );
}

async function chosen(first: number | undefined, taken: readonly number[]): Promise<readonly number[]> {
  if (first !== undefined) return row(first);
  const found: number[] = [];
  while (found.length < COUNT) {
    const port = await listen(0);
    if (!found.includes(port) && !taken.includes(port)) found.push(port);
  }
  return found;
}

/** Listens for a moment. @returns the port */
function listen(port: number): Promise<number> {
  const server = createServer();
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => (typeof address === "object" && address !== null ? resolve(address.port) : reject()));
    });
  });
}
