// version.ts: which versions of etcd may hold the log. Rows with their sources; the first that fits holds.
import { ForelockError } from "@forelock/protocol";
import type { Etcd } from "../../etcd/etcd.ts";

export interface VersionVerdict {
  /** Why the service must not run on it. */
  readonly refused?: string;
  /** What an operator should know. */
  readonly warned?: string;
}

interface VersionRow {
  readonly series: string;
  /** The highest patch level that the row is about. */
  readonly upTo: number;
  readonly verdict: VersionVerdict;
  readonly source: string;
}

const ROWS: readonly VersionRow[] = [
  {
    series: "3.5",
    upTo: 2,
    verdict: { refused: "a member that is killed under load can lose committed transactions; run 3.5.3 or later" },
    source: "https://github.com/etcd-io/etcd/issues/13766 and etcd's CHANGELOG/README.md",
  },
  {
    series: "3.5",
    upTo: 4,
    verdict: { warned: "a cluster of one member can lose data that it acknowledged; run 3.5.5 or later" },
    source: "https://github.com/etcd-io/etcd/issues/14370",
  },
  {
    series: "3.5",
    upTo: 5,
    verdict: {
      warned:
        "a member that crashes while it defragments can count other revisions than the others; run 3.5.6 or later",
    },
    source: "https://github.com/etcd-io/etcd/pull/14733",
  },
  {
    series: "3.5",
    upTo: 12,
    verdict: {
      warned:
        "watches can lose events after a compaction, and leases can be revoked by a former leader; run 3.5.13 or later",
    },
    source: "https://github.com/etcd-io/etcd/pull/17612 and https://github.com/etcd-io/etcd/pull/17425",
  },
  {
    series: "3.4",
    upTo: 7,
    verdict: { refused: "members can come to hold different data when authentication is on; run 3.4.8 or later" },
    source: "https://github.com/etcd-io/etcd/issues/11651 and etcd's CHANGELOG-3.4.md",
  },
  {
    series: "3.4",
    upTo: 20,
    verdict: {
      warned:
        "3.4 is old, and before 3.4.21 a cluster of one member can lose data that it acknowledged; run 3.5 or later",
    },
    source: "https://github.com/etcd-io/etcd/issues/14370",
  },
  {
    series: "3.4",
    upTo: Number.POSITIVE_INFINITY,
    verdict: { warned: "3.4 is old and gets few repairs; run 3.5 or later" },
    source: "https://etcd.io/docs/v3.5/op-guide/versioning/",
  },
];

const OLDEST = [3, 4] as const;

/**
 * @returns what an operator should be warned of, one line each
 * @throws ForelockError `not_supported` when a member that answers runs an unsafe version; EtcdError when none answers
 */
export async function checkMembers(etcd: Pick<Etcd, "status">): Promise<readonly string[]> {
  const verdicts = (await etcd.status()).map(({ version }) => checkVersion(version));
  const refused = verdicts.find((verdict) => verdict.refused !== undefined)?.refused;
  if (refused !== undefined) throw new ForelockError("not_supported", `A member must be updated first. ${refused}.`);
  return [...new Set(verdicts.flatMap(({ warned }) => warned ?? []))];
}

export function checkVersion(version: string): VersionVerdict {
  const found = /^(\d+)\.(\d+)\.(\d+)(-.+)?$/.exec(version);
  if (found === null) return { warned: `"${version}" is no version of etcd that is known` };
  const [major, minor, patch] = [Number(found[1]), Number(found[2]), Number(found[3])];
  if (major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1]))
    return { refused: `etcd ${version} is older than 3.4, the first that is supported` };
  const row = ROWS.find(({ series, upTo }) => series === `${major}.${minor}` && patch <= upTo);
  if (row !== undefined) return withVersion(version, row);
  return found[4] === undefined ? {} : { warned: `etcd ${version} is not a finished release` };
}

function withVersion(version: string, { verdict, source }: VersionRow): VersionVerdict {
  const tell = (why: string): string => `etcd ${version}: ${why} (${source})`;
  if (verdict.refused !== undefined) return { refused: tell(verdict.refused) };
  return { warned: tell(verdict.warned ?? "") };
}
