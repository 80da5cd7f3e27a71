// machine.ts: what the numbers were measured on. Not a name, address or path of the machine: results are published.

import { arch, cpus, platform, release, totalmem } from "node:os";
import type { Scratch } from "./scratch.ts";
import { pause } from "./server-process.ts";

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly platform: string;
  readonly node: string;
  /** Of the folder that held every server's data: the number of statfs(2), by name where it is a common one. */
  readonly fileSystem: string;
  /** Of all processor time, in [0, 1], that others used just before the run. */
  readonly busyRatio: number;
}

/** Above this, rates say more about the neighbours than about the targets. */
export const BUSY_RATIO_MAX = 0.1;
const BUSY_WATCH_MS = 2_000;

const FILE_SYSTEMS: Readonly<Record<string, string>> = {
  "0xef53": "ext4",
  "0x58465342": "xfs",
  "0x9123683e": "btrfs",
  "0x794c7630": "overlay",
  "0x2fc12fc1": "zfs",
};

export async function describeMachine(scratch: Scratch): Promise<Machine> {
  const processors = cpus();
  return {
    cpu: processors[0]?.model.trim() ?? arch(),
    cores: processors.length,
    memoryBytes: totalmem(),
    platform: `${platform()} ${release()} ${arch()}`,
    node: process.version,
    fileSystem: FILE_SYSTEMS[scratch.fileSystem] ?? scratch.fileSystem,
    busyRatio: await busyRatio(),
  };
}

export async function busyRatio(): Promise<number> {
  const before = processorMs();
  await pause(BUSY_WATCH_MS);
  const after = processorMs();
  return (after.busy - before.busy) / Math.max(1, after.all - before.all);
}

function processorMs(): { readonly busy: number; readonly all: number } {
  let [busy, all] = [0, 0];
  for (const { times } of cpus()) {
    const used = times.user + times.nice + times.sys + times.irq;
    busy += used;
    all += used + times.idle;
  }
  return { busy, all };
}
