// sniff.ts: which carrier the first bytes of a connection belong to. Not here: sockets (listener.ts).

export type Carrying = "native" | "http2" | "http1" | "tls" | "unknown" | "undecided";

const TLS_HANDSHAKE = 0x16;
const HTTP2_PREFACE = "PRI";

/** `undecided`: more bytes are needed; at most 3 are. */
export function sniff(bytes: Uint8Array): Carrying {
  const first = bytes[0];
  if (first === undefined) return "undecided";
  if (first === 0) return "native"; // The top byte of a length up to 16 MiB.
  if (first === TLS_HANDSHAKE) return "tls";
  if (first < 0x41 || first > 0x5a) return "unknown";
  // "PRI" opens HTTP/2; POST, PUT and PATCH begin alike.
  for (let at = 0; at < HTTP2_PREFACE.length; at++) {
    if (at >= bytes.length) return "undecided";
    if (bytes[at] !== HTTP2_PREFACE.charCodeAt(at)) return "http1";
  }
  return "http2";
}
