// guard/guard.ts: for a resource of your own that a lock guards: refuses whoever comes with a token older than one it has seen.
//   G1. For each resource the accepted token never falls.
//   G2. Nothing is forgotten by itself: forgetting a token would let an older one in. At the limit new resources are refused.
import { ForelockError } from "@forelock/protocol";

export interface TokenGuardOptions {
  /** Resources to remember at once. Default 100,000. */
  readonly resourcesMax?: number;
}

export interface TokenGuard {
  /** Remembers the token. @throws ForelockError `stale_token` for one below the highest seen, `overloaded` at `resourcesMax` (G2) */
  check(resource: string, token: bigint): void;
  /** The highest token seen; undefined before the first. To be stored beside the resource where it must outlive the process. */
  latest(resource: string): bigint | undefined;
  /** For a resource that is gone for good. */
  forget(resource: string): void;
}

const RESOURCES_MAX = 100_000;

export function tokenGuard({ resourcesMax = RESOURCES_MAX }: TokenGuardOptions = {}): TokenGuard {
  const latestByResource = new Map<string, bigint>();
  return {
    check(resource, token) {
      const latest = latestByResource.get(resource);
      if (latest !== undefined && token < latest) {
        throw new ForelockError("stale_token", `${resource} was used with token ${latest} already; ${token} is older.`);
      }
      if (latest === undefined && latestByResource.size >= resourcesMax) {
        throw new ForelockError("overloaded", `The guard remembers ${resourcesMax} resources already (resourcesMax).`); // G2
      }
      latestByResource.set(resource, token); // G1
    },
    latest: (resource) => latestByResource.get(resource),
    forget: (resource) => void latestByResource.delete(resource),
  };
}
