// dial.ts: how a node connects to the port of a peer: plain, or by TLS with its own certificate. Not here: what it says then (link.ts).
import { connect, isIP, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { PeerAddress } from "./owners.ts";

/** PEM texts. */
export interface DialTls {
  /** Who signs the certificates of the nodes. */
  readonly ca: string;
  /** What this node shows: its peers may know it by that (`cluster.san`). */
  readonly cert: string;
  readonly key: string;
}

/** @param tls undefined where the nodes listen without TLS */
export function dialer(tls: DialTls | undefined): (peer: PeerAddress) => Socket {
  if (tls === undefined) return ({ host, port }) => connect({ host, port });
  return ({ host, port }) => {
    // The certificate must name the host that was dialled, as for any client. An address has no server name of its own.
    const name = isIP(host) === 0 ? { servername: host } : {};
    return connectTls({ host, port, ...tls, ...name, ALPNProtocols: ["forelock/1"], minVersion: "TLSv1.2" });
  };
}
