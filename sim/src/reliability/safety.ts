// safety.ts: the figures of a torture run: how much was checked, under which faults, and what was found.
import type { TortureReport } from "../torture/play.ts";
import { hasFailed } from "../torture/summary.ts";
import { type Figure, figure, judged, towards } from "./figure.ts";

const UNKNOWN_SHARE_MAX = 0.2;
const FAULT_KINDS_MIN = 12;

/** Goals of a release that a single machine can meet; a slice only moves towards the large counts. */
export function safety(report: TortureReport): readonly Figure[] {
  const { check, problems, failures, faults, startsMs } = report;
  const happened = faults.filter((fault) => fault.happened);
  const count = (...kinds: readonly string[]): number => happened.filter(({ fault }) => kinds.includes(fault)).length;
  const kinds = new Set(happened.map(({ fault }) => fault));
  const unknownShare = check.unknown / Math.max(1, check.operations);
  const pairs = pairsOf(report);
  return [
    towards(figure("safety", "operations checked", check.operations, "operations"), "10,000,000 a release"),
    judged(figure("safety", "violations", check.violations.length, "violations"), "0", check.violations.length === 0),
    judged(
      figure("safety", "failures beside the history", failures.length + problems.length, "failures"),
      "0",
      !hasFailed(report),
    ),
    judged(
      figure("safety", "share unknown", unknownShare, ""),
      `< ${UNKNOWN_SHARE_MAX}`,
      unknownShare < UNKNOWN_SHARE_MAX,
    ),
    towards(
      figure("safety", "fault kinds that happened", kinds.size, "kinds"),
      `>= ${FAULT_KINDS_MIN}, each 200 times a release`,
    ),
    figure("safety", "faults that happened", happened.length, "faults"),
    figure("safety", "pairs of kinds that overlapped", pairs, "pairs"),
    towards(figure("crash", "kill -9", count("kill", "kill_twice", "lying_sync"), "times"), "5,000 a release"),
    towards(figure("crash", "power cuts", count("power_cut"), "times"), "500 a release, 20 in CI"),
    towards(figure("crash", "failed syncs and full disks", count("failing_sync", "full_disk"), "times"), ""),
    figure("crash", "slowest start", Math.max(0, ...startsMs), "ms"),
  ];
}

/** A run on a disk that lies and then loses power must find lost work: else the power cuts above prove nothing. */
export function alertness(report: TortureReport): readonly Figure[] {
  if (!report.faults.some(({ happened }) => happened)) return [];
  const found = report.check.violations.length;
  return [judged(figure("crash", "violations found on a disk that lies", found, "violations"), "> 0", found > 0)];
}

/** Kinds of different lanes meet: both were under way at one moment. */
function pairsOf({ faults }: TortureReport): number {
  const pairs = new Set<string>();
  for (const one of faults) {
    for (const other of faults) {
      const overlap = one.start_ns < other.end_ns && other.start_ns < one.end_ns;
      if (overlap && one.fault < other.fault && one.happened && other.happened)
        pairs.add(`${one.fault} ${other.fault}`);
    }
  }
  return pairs.size;
}
