// hosts.ts: where the processes of a cluster run: hosts of their own (namespaces.ts), or all on the loopback of this machine.

export interface Host {
  readonly name: string;
  readonly ip: string;
  /** What runs a program there. Empty: nothing. */
  readonly within: readonly string[];
}

/** Packets from one host to another. */
export interface Drop {
  readonly from: Host;
  readonly to: Host;
  /** Of a hundred; undefined: all. */
  readonly percent?: number;
}

export interface Cut {
  /** @returns how many packets it took */
  heal(): Promise<number>;
}

/** What only hosts of their own can suffer. */
export interface HostNetwork {
  drop(drops: readonly Drop[]): Promise<Cut>;
  /** Its cable is pulled. */
  unplug(host: Host): Promise<Cut>;
}

export interface Hosts {
  host(name: string): Host;
  /** Where the clients are: this process. */
  readonly here: Host;
  /** Undefined where all hosts are one. */
  readonly network: HostNetwork | undefined;
  close(): void;
}

/** Fallback: without rights, or without the programs. */
export function loopbackHosts(): Hosts {
  const host = (name: string): Host => ({ name, ip: "127.0.0.1", within: [] });
  return { host, here: host("clients"), network: undefined, close: () => {} };
}
