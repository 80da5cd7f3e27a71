// kinds.ts: the faults of one server, and the lanes they are in.

import { choose } from "../../proxy/random.ts";
import type { Scene } from "../scene.ts";
import { onLoopback } from "../wire.ts";
import { failingSync, fullDisk, lyingPowerCut, lyingSync, powerCut } from "./disk.ts";
import type { Fault, Lane } from "./fault.ts";
import { halfClose, reset, storms } from "./network.ts";
import { forcedRelease } from "./operator.ts";
import { freeze, kill, killTwice, terminate } from "./process.ts";

/** All but those that are meant to break the promises. */
export const FAULTS: readonly Fault[] = [
  kill,
  killTwice,
  freeze,
  terminate,
  powerCut,
  failingSync,
  lyingSync,
  fullDisk,
  ...storms,
  reset,
  halfClose,
  forcedRelease(({ scene, random }) => {
    const { port } = choose(random, scene.proxies);
    return () => onLoopback(port);
  }),
];
export const ALL_FAULTS: readonly Fault[] = [...FAULTS, lyingPowerCut];

const carries = ({ port }: Scene): boolean => port !== undefined;

export const LANES: readonly Lane[] = [
  { name: "process", calmMs: [1_500, 4_000], target: "n1", isReady: () => true },
  { name: "network", calmMs: [500, 2_000], target: "proxy", isReady: carries },
  { name: "operator", calmMs: [300, 1_200], target: "n1", isReady: carries },
];
