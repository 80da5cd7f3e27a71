// profile.ts: where processor time went, by function, from the profiles that node writes with --cpu-prof. Not here: starting
// anything under the profiler (scenario/profile.ts).

import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";

export interface FunctionCost {
  /** As in `flush  edge/tcp.js:88`, or `writeBuffer < writeSync  node:fs:928` for what is native. */
  readonly place: string;
  readonly selfMs: number;
  /** Of the samples that were not idle, in [0, 1]. */
  readonly shareRatio: number;
}
export interface ThreadProfile {
  readonly thread: string;
  readonly busyMs: number;
  readonly sampledMs: number;
  /** Costliest first. */
  readonly functions: readonly FunctionCost[];
}

/** The parts of the format that are read here: https://chromedevtools.github.io/devtools-protocol/tot/Profiler/#type-Profile */
export interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly children?: readonly number[];
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  }[];
  readonly samples: readonly number[];
  /** Microseconds since the sample before. */
  readonly timeDeltas: readonly number[];
}

const IDLE = "(idle)";

/** Self time by function, all its call sites together; but native functions by caller, because only that tells what they did. */
export function costsOf(profile: CpuProfile): {
  readonly busyMs: number;
  readonly sampledMs: number;
  readonly functions: readonly FunctionCost[];
} {
  const callerById = new Map(
    profile.nodes.flatMap((node) => (node.children ?? []).map((child) => [child, node] as const)),
  );
  const placeById = new Map(profile.nodes.map((node) => [node.id, placeOf(node, callerById.get(node.id))]));
  const selfUsByPlace = new Map<string, number>();
  let sampledUs = 0;
  profile.samples.forEach((id, index) => {
    const place = placeById.get(id) ?? "(unknown)";
    const us = Math.max(0, profile.timeDeltas[index] ?? 0); // V8 can note samples out of order.
    sampledUs += us;
    selfUsByPlace.set(place, (selfUsByPlace.get(place) ?? 0) + us);
  });
  const busyUs = sampledUs - (selfUsByPlace.get(IDLE) ?? 0);
  const functions = [...selfUsByPlace]
    .filter(([place]) => place !== IDLE)
    .map(([place, us]) => ({ place, selfMs: us / 1_000, shareRatio: busyUs === 0 ? 0 : us / busyUs }))
    .sort((a, b) => b.selfMs - a.selfMs);
  return { busyMs: busyUs / 1_000, sampledMs: sampledUs / 1_000, functions };
}

/** One profile per thread, busiest first. */
export function readProfiles(folder: string): readonly ThreadProfile[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith(".cpuprofile"))
    .map((file) => {
      // Written by node a moment ago, in the format that its documentation names.
      const profile = JSON.parse(readFileSync(join(folder, file), "utf8")) as CpuProfile;
      return { thread: basename(file, ".cpuprofile"), ...costsOf(profile) };
    })
    .sort((a, b) => b.busyMs - a.busyMs);
}

type ProfileNode = CpuProfile["nodes"][number];

function placeOf({ callFrame }: ProfileNode, caller: ProfileNode | undefined): string {
  const name = callFrame.functionName === "" ? "(anonymous)" : callFrame.functionName;
  if (callFrame.url !== "") return `${name}  ${locationOf(callFrame)}`;
  const isOfTheEngine = name.startsWith("("); // As in (garbage collector): whoever was interrupted has no part in it.
  if (isOfTheEngine || caller === undefined || caller.callFrame.url === "") return name;
  return `${name} < ${caller.callFrame.functionName}  ${locationOf(caller.callFrame)}`;
}

function locationOf({ url, lineNumber }: ProfileNode["callFrame"]): string {
  const path = url
    .replace(/^file:\/\//, "")
    .split("/")
    .slice(-3);
  return `${path.join("/")}:${lineNumber + 1}`;
}
