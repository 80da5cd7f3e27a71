// target/shared-lease.ts: the lock that one writes by hand on etcd when speed matters: one lease for the whole client, a key per
// lock that is put when it is absent and deleted at the release. No queue: a held name is refused.

import { loadPackage } from "./package.ts";
import type { LockClient } from "./target.ts";

export const SHARED_LEASE = "shared-lease";

interface Etcd3 {
  lease(ttlSeconds: number): { grant(): Promise<string>; revoke(): Promise<void> };
  if(key: string, column: "Create", is: "==", to: number): Condition;
  put(key: string): Put;
  delete(): { key(key: string): { exec(): Promise<unknown> } };
  close(): void;
}
interface Put {
  value(text: string): Put;
  lease(id: string): Put;
}
interface Condition {
  then(put: Put): { commit(): Promise<{ readonly succeeded: boolean }> };
}

const TTL_SECONDS = 60;

/** @param endpoint of one member, or of several with commas between */
export async function openSharedLeaseClient(endpoint: string): Promise<LockClient> {
  const { Etcd3 } = loadPackage("etcd3") as { Etcd3: new (options: { hosts: readonly string[] }) => Etcd3 }; // As its page documents.
  const client = new Etcd3({ hosts: endpoint.split(",").map((member) => `http://${member}`) });
  const lease = client.lease(TTL_SECONDS);
  const id = await lease.grant();
  return {
    async acquire(name) {
      const put = client.put(name).value("").lease(id);
      const { succeeded } = await client.if(name, "Create", "==", 0).then(put).commit();
      if (!succeeded) throw new Error(`${name} is held.`);
      return name;
    },
    release: (grant) =>
      client
        .delete()
        .key(grant as string)
        .exec(), // It came from acquire.
    async close() {
      await lease.revoke();
      client.close();
    },
  };
}
