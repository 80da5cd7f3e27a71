// namespaces.ts: a network namespace for each host, a bridge in one more, and this process at the bridge too.
//   N1. Names have this process's id in them. Those of a run that is gone are removed before the next begins.
//   N2. Everything is removed at the end, also when this process ends by an error.
import { readFileSync } from "node:fs";
import { run, runNow } from "./command.ts";
import type { Cut, Drop, Host, HostNetwork, Hosts } from "./hosts.ts";

const NAME = /^forelock-(\d+)-/;
const SWITCH = "sw";
const INSIDE = "eth0";
const UPLINK = "uplink";
/** 198.18.0.0/15 is set aside for tests of networks (RFC 2544). */
const SUBNETS = 512;
const HERE = 1;
const FIRST = 11;

/** @param names of the hosts @returns why it cannot be done here, in place of hosts */
export async function namespaceHosts(names: readonly string[]): Promise<Hosts | string> {
  const missing = unable();
  if (missing !== undefined) return missing;
  removeStale();
  const subnet = freeSubnet(process.pid);
  const hosts = new Map(names.map((name, index) => [name, hostOf(name, `${subnet}.${FIRST + index}`)]));
  const close = (): void => {
    process.off("exit", close);
    removeAll(String(process.pid));
  };
  process.on("exit", close); // N2
  try {
    await build(subnet, [...hosts.values()]);
  } catch (error) {
    close();
    return error instanceof Error ? error.message : String(error);
  }
  return {
    host: (name) => {
      const host = hosts.get(name);
      if (host === undefined) throw new Error(`not a host of this run: ${name}`);
      return host;
    },
    here: { name: "clients", ip: `${subnet}.${HERE}`, within: [] },
    network: new NamespaceNetwork(),
    close,
  };
}

function unable(): string | undefined {
  if (process.getuid?.() !== 0) return "hosts of their own need root";
  if (runNow("ip", ["netns", "list"]).failure !== undefined) return "no `ip netns` (package iproute2)";
  if (runNow("nft", ["--version"]).failure !== undefined) return "no `nft` (package nftables)";
  return undefined;
}

const namespaceOf = (name: string): string => `forelock-${process.pid}-${name}`;
/** Of the bridge's end of a cable. Fifteen characters at most. */
const portOf = (name: string): string => `f${process.pid}${name}`;

function hostOf(name: string, ip: string): Host {
  return { name, ip, within: ["ip", "netns", "exec", namespaceOf(name)] };
}

async function build(subnet: string, hosts: readonly Host[]): Promise<void> {
  const ip = (line: string): Promise<string> => run("ip", line.split(" "));
  const bridge = namespaceOf(SWITCH);
  await ip(`netns add ${bridge}`);
  await ip(`-n ${bridge} link add br0 type bridge`);
  await ip(`-n ${bridge} link set br0 up`);
  for (const { name, ip: address } of hosts) {
    const own = namespaceOf(name);
    await ip(`netns add ${own}`);
    await ip(`link add ${portOf(name)} netns ${bridge} type veth peer name ${INSIDE} netns ${own}`);
    await ip(`-n ${bridge} link set ${portOf(name)} master br0 up`);
    await ip(`-n ${own} addr add ${address}/24 dev ${INSIDE}`);
    await ip(`-n ${own} link set ${INSIDE} up`);
    await ip(`-n ${own} link set lo up`);
  }
  await ip(`link add ${portOf("r")} type veth peer name ${UPLINK} netns ${bridge}`);
  await ip(`-n ${bridge} link set ${UPLINK} master br0 up`);
  await ip(`addr add ${subnet}.${HERE}/24 dev ${portOf("r")}`);
  await ip(`link set ${portOf("r")} up`);
}

/** @param near where to begin, so that runs side by side do not look at the same */
function freeSubnet(near: number): string {
  const taken = runNow("ip", ["-4", "-o", "addr"]).out;
  for (let offset = 0; offset < SUBNETS; offset += 1) {
    const number = (near + offset) % SUBNETS;
    const subnet = `198.${18 + (number >> 8)}.${number & 255}`;
    if (!taken.includes(`${subnet}.`)) return subnet;
  }
  throw new Error("every network of 198.18.0.0/15 is taken");
}

/** N1 */
function removeStale(): void {
  const owners = namespaces().flatMap((name) => NAME.exec(name)?.[1] ?? []);
  for (const pid of new Set(owners)) if (!isTorture(pid)) removeAll(pid);
}

function isTorture(pid: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("torture") && pid !== String(process.pid);
  } catch {
    return false; // It is gone.
  }
}

function namespaces(): readonly string[] {
  const { out } = runNow("ip", ["netns", "list"]);
  return out.split("\n").flatMap((line) => line.split(" ")[0] || []);
}

/** What still runs there is ended, or the namespace would outlive its name. */
function removeAll(pid: string): void {
  for (const name of namespaces()) {
    if (NAME.exec(name)?.[1] !== pid) continue;
    for (const process of runNow("ip", ["netns", "pids", name]).out.split("\n")) {
      if (process !== "") runNow("kill", ["-9", process]);
    }
    runNow("ip", ["netns", "del", name]);
  }
  runNow("ip", ["link", "del", `f${pid}r`]); // Mostly gone with its other end.
}

class NamespaceNetwork implements HostNetwork {
  #cuts = 0;

  async drop(drops: readonly Drop[]): Promise<Cut> {
    this.#cuts += 1;
    const table = `cut${this.#cuts}`;
    const places = [...new Set(drops.map(placeOf))];
    await Promise.all(
      places.map((at) =>
        nft(
          at,
          tableOf(
            table,
            drops.filter((drop) => placeOf(drop) === at),
          ),
        ),
      ),
    );
    const heal = async (): Promise<number> => {
      const taken = await Promise.all(
        places.map(async (at) => {
          const packets = packetsIn(await nft(at, `list table inet ${table}\n`));
          await nft(at, `delete table inet ${table}\n`);
          return packets;
        }),
      );
      return taken.reduce((sum, packets) => sum + packets, 0);
    };
    return { heal };
  }

  async unplug({ name }: Host): Promise<Cut> {
    const link = ["-n", namespaceOf(SWITCH), "link", "set", portOf(name)];
    await run("ip", [...link, "down"]);
    return {
      heal: async () => {
        await run("ip", [...link, "up"]);
        return 1;
      },
    };
  }
}

/** Where packets arrive; the tables of the machine itself, where the clients are, stay untouched. */
function placeOf({ from, to }: Drop): Host {
  return to.within.length > 0 ? to : from;
}

function nft({ within }: Host, script: string): Promise<string> {
  const [program = "nft", ...words] = [...within, "nft", "-f", "-"];
  return run(program, words, script);
}

function tableOf(table: string, drops: readonly Drop[]): string {
  const chains = (["input", "output"] as const).map((hook) => {
    const rules = drops.flatMap((drop) => {
      const isArrival = placeOf(drop) === drop.to;
      if (isArrival !== (hook === "input")) return [];
      const some = drop.percent === undefined ? "" : `numgen random mod 100 < ${drop.percent} `;
      const which = isArrival ? `ip saddr ${drop.from.ip}` : `ip daddr ${drop.to.ip}`;
      return [`    ${which} ${some}counter drop`];
    });
    return `  chain at_${hook} {\n    type filter hook ${hook} priority 0;\n${rules.join("\n")}\n  }\n`;
  });
  return `table inet ${table} {\n${chains.join("")}}\n`;
}

function packetsIn(listing: string): number {
  return [...listing.matchAll(/packets (\d+)/g)].reduce((sum, [, packets]) => sum + Number(packets), 0);
}
