// cluster-tables.ts: a cluster as tables for people.
import type { ClusterMove, ClusterNode, ClusterPartition, ClusterReport, EtcdInfo, EtcdMember } from "@forelock/client";
import { formatDuration, formatLatency } from "./duration.ts";
import type { Output } from "./output.ts";
import { formatBytes, formatCount, plural, printable } from "./quantity.ts";
import { type Column, renderTable } from "./table.ts";

export interface ClusterView {
  /** Every partition, not only those that are not as they should be. */
  readonly isWhole: boolean;
}

export function clusterLines(report: ClusterReport, out: Output, { isWhole }: ClusterView): readonly string[] {
  const { palette } = out;
  const { cluster, nodes, partitions, etcd, moves, replicas } = report;
  const odd = partitions.filter((partition) => oddities(partition, replicas, nodes.length).length > 0);
  const shown = isWhole ? partitions : odd;
  const verdict =
    odd.length === 0 ? palette.good("all as they should be") : palette.warning(`${odd.length} not as they should be`);
  const title =
    cluster === ""
      ? `This server runs alone${nodes.length > 1 ? `, with ${nodes.length} workers` : ""}`
      : `Cluster ${printable(cluster)}, as node ${printable(report.node)} sees it`;
  return [
    palette.bold(title),
    "",
    ...table(out, NODE_COLUMNS, nodes.map(nodeRow)),
    ...(etcd === undefined ? [] : etcdLines(etcd, out)),
    "",
    `${plural(partitions.length, "partition")}, ${formatCount(replicas)} ${replicas === 1 ? "copy" : "copies"} of each: ${verdict}`,
    ...table(
      out,
      PARTITION_COLUMNS,
      shown.map((partition) => partitionRow(partition, replicas, nodes.length)),
    ),
    ...(moves.length === 0 ? [] : ["", ...table(out, MOVE_COLUMNS, moves.map(moveRow))]),
    ...(report.moreMoves ? [palette.dim("and more moves: raise --moves.")] : []),
  ];
}

function table(out: Output, columns: readonly Column[], rows: readonly (readonly string[])[]): readonly string[] {
  if (rows.length === 0) return [];
  const [titles = "", ...lines] = renderTable(columns, rows, out.width);
  return [out.palette.dim(titles), ...lines];
}

const NODE_COLUMNS: readonly Column[] = [
  { title: "NODE", align: "left" },
  { title: "ADDRESS", align: "left", shrinks: true },
  { title: "VERSION", align: "left" },
  { title: "STATE", align: "left" },
  { title: "OWNS", align: "right" },
  { title: "STANDS BY", align: "right" },
  { title: "HEARD", align: "left" },
];

function nodeRow(node: ClusterNode): readonly string[] {
  const { id, address, version, owned, standingBy, silentMs } = node;
  const counts = [formatCount(owned), formatCount(standingBy)];
  return [id, address, version, stateOf(node), ...counts, `${formatDuration(silentMs)} ago`];
}

/** In words. */
export function stateOf({ live, leaving, draining, answered, owned, suspectedBy }: ClusterNode): string {
  if (!live) return draining ? "silent, draining" : "silent";
  if (leaving) return "stopping";
  const state = draining ? (owned === 0 ? "drained" : "draining") : "live";
  const missed = suspectedBy.length === 0 ? "" : `, not heard by ${suspectedBy.join(" and ")}`;
  return `${state}${answered ? "" : ", does not answer"}${missed}`;
}

const ETCD_COLUMNS: readonly Column[] = [
  { title: "ETCD", align: "left", shrinks: true },
  { title: "VERSION", align: "left" },
  { title: "STATE", align: "left" },
  { title: "FILE", align: "right" },
  { title: "IN USE", align: "right" },
  { title: "QUOTA", align: "right" },
  { title: "ALARMS", align: "left" },
];

function etcdLines({ members, unreachable, admission, admissionReason }: EtcdInfo, out: Output): readonly string[] {
  const { palette } = out;
  return [
    "",
    ...table(out, ETCD_COLUMNS, members.map(memberRow)),
    ...(unreachable === "" ? [] : [palette.bad(`etcd cannot be asked: ${printable(unreachable)}`)]),
    ...(admission === "open" ? [] : [palette.bad(`Growth is refused: ${printable(admissionReason)}`)]),
  ];
}

function memberRow(member: EtcdMember): readonly string[] {
  const { endpoint, version, answered, leader, hasLeader, fileBytes, inUseBytes, quotaBytes, alarms, errors } = member;
  if (!answered) return [endpoint, "", "does not answer", "", "", "", ""];
  const state = leader ? "leader" : hasLeader ? "follower" : "has no leader";
  const bytes = [fileBytes, inUseBytes, quotaBytes].map(formatBytes);
  return [endpoint, version, state, ...bytes, [...new Set([...alarms, ...errors])].join(", ")];
}

const PARTITION_COLUMNS: readonly Column[] = [
  { title: "PARTITION", align: "right" },
  { title: "OWNER", align: "left" },
  { title: "EPOCH", align: "right" },
  { title: "RECORD", align: "right" },
  { title: "STANDBYS", align: "left" },
  { title: "NOTE", align: "left", shrinks: true },
];

function partitionRow(row: ClusterPartition, replicas: number, nodes: number): readonly string[] {
  const standbys = row.standbys.map(({ node, lag }) => (lag === 0 ? node : `${node} (${formatCount(lag)} behind)`));
  const pinned = row.pinned === "" ? [] : [`moved to ${row.pinned} by hand`];
  return [
    formatCount(row.partition),
    row.owner === "" ? "none" : row.owner,
    formatCount(row.epoch),
    formatCount(row.sequence),
    standbys.join(", "),
    [...oddities(row, replicas, nodes), ...pinned].join("; "),
  ];
}

/** A standby may be this many records behind under load. */
const LAG_MAX = 1_000;

/** What is not as it should be, in words. */
export function oddities(row: ClusterPartition, replicas: number, nodes: number): readonly string[] {
  const copies = Math.min(replicas, nodes);
  const behind = row.standbys.filter(({ lag }) => lag > LAG_MAX).map(({ node }) => node);
  return [
    ...(row.owner === "" ? ["has no owner"] : []),
    ...(row.owner !== "" && row.wishedOwner !== "" && row.wishedOwner !== row.owner
      ? [`is to go to ${row.wishedOwner}`]
      : []),
    ...(row.owner !== "" && row.standbys.length + 1 < copies ? ["lacks a standby"] : []),
    ...(behind.length > 0 ? [`${behind.join(", ")} far behind`] : []),
  ];
}

const MOVE_COLUMNS: readonly Column[] = [
  { title: "WHEN", align: "left" },
  { title: "PARTITION", align: "right" },
  { title: "WHAT", align: "left", shrinks: true },
  { title: "EPOCH", align: "right" },
  { title: "TOOK", align: "right" },
];

function moveRow(move: ClusterMove): readonly string[] {
  const at = new Date(move.atMs).toISOString();
  const [partition, epoch] = isOfNode(move) ? ["", ""] : [formatCount(move.partition), formatCount(move.epoch)];
  return [at, partition, moveText(move), epoch, formatLatency(move.tookMs)];
}

/** Of a whole node, and of no partition. */
const isOfNode = ({ kind }: ClusterMove): boolean => kind === "suspected" || kind === "heard";

/** In words. A kind that this program does not know stands as it is. */
export function moveText({ kind, node, other }: ClusterMove): string {
  switch (kind) {
    case "took_over":
      return other === "" ? `${node} took it over` : `${node} took it over from ${other}, which was silent`;
    case "received":
      return `${node} was given it`;
    case "gave":
      return `${node} gave it to ${other}`;
    case "fenced":
    case "lost":
      return `${node} found that ${other === "" ? "another node" : other} owns it`;
    case "suspected":
      return `${node} does not hear ${other}`;
    case "heard":
      return `${node} hears ${other} again`;
    default:
      return `${node} ${kind} ${other}`.trimEnd();
  }
}
