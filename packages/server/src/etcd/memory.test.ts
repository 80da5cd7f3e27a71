import { ManualClock } from "../shard/testing/world.ts";
import { etcdContract } from "./contract.ts";
import { MemoryEtcd, MemoryEtcdStore } from "./memory.ts";

etcdContract("MemoryEtcd", async () => {
  const clock = new ManualClock();
  const store = new MemoryEtcdStore({ clock });
  return {
    open: () => new MemoryEtcd({ store }),
    pass: async (ms) => clock.advance(ms),
    [Symbol.asyncDispose]: async () => {},
  };
});
