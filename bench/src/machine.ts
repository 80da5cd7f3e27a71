// machine.ts: what the numbers were measured on. Not a name, address or path of the machine: results are published.

import { arch, cpus, platform, release, totalmem } from "node:os";
import type { Scratch } from "./scratch.ts";

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly platform: string;
  readonly node: string;
  /** Of the folder that held every server's data: the number of statfs(2), by name where it is a common one. */
  readonly fileSystem: string;
}

const FILE_SYSTEMS: Readonly<Record<string, string>> = {
  "0xef53": "ext4",
  "0x58465342": "xfs",
  "0x9123683e": "btrfs",
  "0x794c7630": "overlay",
  "0x2fc12fc1": "zfs",
};

export function describeMachine(scratch: Scratch): Machine {
  const processors = cpus();
  return {
    cpu: processors[0]?.model.trim() ?? arch(),
    cores: processors.length,
    memoryBytes: totalmem(),
    platform: `${platform()} ${release()} ${arch()}`,
    node: process.version,
    fileSystem: FILE_SYSTEMS[scratch.fileSystem] ?? scratch.fileSystem,
  };
}
