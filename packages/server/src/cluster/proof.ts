// proof.ts: what a node shows when it says a Hello for a client of its own: that it knows the secret of the cluster.
//   P1. The secret itself is never sent. The proof covers everything that the Hello claims, so that none of it can be exchanged.
//   P2. A proof holds for AGE_MS_MAX around its moment, at the node that it names, and once (edge/forwarding.ts keeps the nonces).
import { createHmac, timingSafeEqual } from "node:crypto";
import type { Forwarded, Hello } from "@forelock/protocol";

/** Nodes whose wall clocks differ by more do not understand each other. */
export const AGE_MS_MAX = 60_000;
export const NONCE_BYTES = 16;
const LABEL = "forelock/1 forwarded";

type Claims = Omit<Forwarded, "proof">;

/** The proof of `claims` in a Hello, which says nothing else that rights depend on but its session and purpose. */
export function proofOf(secret: string, claims: Claims, hello: Pick<Hello, "purpose" | "sessionId">): Buffer {
  const mac = createHmac("sha256", secret);
  const fields = [
    ...[LABEL, claims.node, claims.to, claims.nonce, String(claims.atMs), claims.principal, claims.remoteAddress],
    ...[String(claims.resumed), String(hello.purpose), hello.sessionId],
  ];
  for (const field of fields) {
    const bytes = typeof field === "string" ? Buffer.from(field) : field;
    mac.update(`${bytes.length}:`); // So that no field can reach into the next.
    mac.update(bytes);
  }
  return mac.digest();
}

/** In time that does not tell how much was right. */
export function isProof(secret: string, hello: Hello, forwarded: Forwarded): boolean {
  const expected = proofOf(secret, forwarded, hello);
  return forwarded.proof.length === expected.length && timingSafeEqual(forwarded.proof, expected);
}
