// disk.ts: faults of the disk: no space, a sync that fails, a sync that lies, and power cuts.
//   D1. After a failed sync or a full disk the server must not acknowledge anything more from that log stream: it is restarted.
//   D2. A disk that lies loses nothing while the machine stays up: kill -9 after it must find everything.
import { pause } from "../../proxy/clock.ts";
import { between } from "../../proxy/random.ts";
import type { Fault, FaultContext } from "./fault.ts";

const BITES_MS_MAX = 3_000;

/** Waits until the server says that it stopped, or has ended. @returns what it said */
async function untilStopped({ scene, clock }: FaultContext): Promise<string | undefined> {
  const untilMs = clock.monotonicMs() + BITES_MS_MAX;
  while (clock.monotonicMs() < untilMs) {
    if (scene.server.exit !== undefined) return scene.server.exit;
    const health = await scene.health();
    if (health.kind === "stopped") return health.why;
    await pause(clock, 50);
  }
  return undefined;
}

export const failingSync: Fault = {
  kind: "failing_sync",
  lane: "process",
  weight: 2,
  unavailable: ({ shim, missing }) => (shim === undefined ? missing.get("shim") : undefined),
  inflict: async (context) => {
    const { scene, random } = context;
    const before = scene.shim?.counts().failed ?? 0;
    scene.shim?.set("fail_sync", between(random, 0, 200));
    const stopped = await untilStopped(context);
    const failed = (scene.shim?.counts().failed ?? 0) - before;
    await scene.restart();
    if (failed === 0) return undefined;
    return `${failed} failed; ${stopped === undefined ? "THE SERVER DID NOT SAY THAT IT STOPPED" : `the server said: ${stopped}`}`;
  },
};

export const lyingSync: Fault = {
  kind: "lying_sync",
  lane: "process",
  weight: 1,
  unavailable: failingSync.unavailable,
  inflict: async ({ scene, clock, random }) => {
    const before = scene.shim?.counts().lied ?? 0;
    scene.shim?.set("lie");
    await pause(clock, between(random, 200, 1_500));
    const lied = (scene.shim?.counts().lied ?? 0) - before;
    await scene.down(); // D2
    scene.shim?.set("honest");
    scene.place.settle(); // Else a later power cut would lose what was lied about, and be in its right.
    await scene.start();
    return lied > 0 ? `${lied} lies, then kill -9` : undefined;
  },
};

/** Real where an image can be mounted, else by the shim. */
export const fullDisk: Fault = {
  kind: "full_disk",
  lane: "process",
  weight: 1,
  unavailable: ({ place, shim, missing }) =>
    place.fill === undefined && shim === undefined ? missing.get("shim") : undefined,
  inflict: async (context) => {
    const { scene, clock, random } = context;
    const { fill } = scene.place;
    if (fill === undefined) {
      const before = scene.shim?.counts().refused ?? 0;
      scene.shim?.set("no_space", between(random, 0, 50));
      await untilStopped(context);
      const refused = (scene.shim?.counts().refused ?? 0) - before;
      await scene.restart();
      return refused > 0 ? `${refused} writes refused` : undefined;
    }
    const free = fill();
    await pause(clock, between(random, 500, 2_000));
    const health = await scene.health();
    const works = scene.server.exit === undefined && health.kind === "works";
    const seen = scene.server.exit ?? (health.kind === "stopped" ? health.why : health.kind);
    free();
    if (!works) await scene.restart();
    return `no block free; the server: ${seen}`;
  },
};

export const powerCut: Fault = {
  kind: "power_cut",
  lane: "process",
  weight: 3,
  unavailable: ({ place, missing }) => (place.cutPower === undefined ? missing.get("image") : undefined),
  inflict: async ({ scene }) => {
    const { cutPower } = scene.place;
    if (cutPower === undefined || scene.server.pid === undefined) return undefined;
    scene.server.freeze();
    await cutPower(() => scene.down());
    await scene.start();
    return "came up from what had reached the disk";
  },
};

/** Never in a normal run: the disk lies and then loses power, so acknowledged work *is* lost. Shows that the run can turn red. */
export const lyingPowerCut: Fault = {
  kind: "lying_power_cut",
  lane: "process",
  weight: 1,
  unavailable: (scene) => powerCut.unavailable(scene) ?? failingSync.unavailable(scene),
  inflict: async ({ scene, clock }) => {
    scene.shim?.set("lie");
    await pause(clock, 1_000);
    scene.server.freeze();
    await scene.place.cutPower?.(() => scene.down());
    scene.shim?.set("honest");
    await scene.start();
    return "lied, then lost power";
  },
};
