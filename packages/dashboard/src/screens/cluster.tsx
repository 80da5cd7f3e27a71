// cluster.tsx: several nodes as one service: who is there, who owns what, how etcd is, what moved; and the means to steer it.
import type { ClusterNode, EtcdInfo, EtcdMember, GetClusterReply } from "@forelock/protocol";
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { ableNodes, copiesOf, huesOf, memberState, nodeState, oddityOf, partitionRow } from "../cluster/cluster.ts";
import type { Parts } from "../feed/screen.ts";
import { age, bytes, count, plural } from "../format/format.ts";
import { type Change, ClusterDialog } from "../parts/cluster-dialogs.tsx";
import { MoveTimeline } from "../parts/move-timeline.tsx";
import { PartitionGrid } from "../parts/partition-grid.tsx";
import { Missing } from "../parts/state.tsx";
import { Tone } from "../parts/tags.tsx";
import type { Json } from "../wire/json.ts";

export interface ClusterProps {
  readonly parts: Parts;
  readonly nowMs: number;
}

export function ClusterScreen({ parts, nowMs }: ClusterProps): JSX.Element {
  const part = parts["cluster"];
  if (part?.kind !== "value")
    return (
      <section aria-labelledby="cluster-title">
        <h1 id="cluster-title">Cluster</h1>
        <Missing part={part} />
      </section>
    );
  // The part `cluster` is this.
  return <Whole report={part.row.json as Json<GetClusterReply>} sinceMs={Math.max(0, nowMs - part.row.atMs)} />;
}

/** A server that runs alone tells of its workers as nodes. */
function aloneText(nodes: number): string {
  if (nodes === 1) return "This server runs alone: it is its one node, and owns every partition.";
  return `This server runs alone, with ${nodes} workers: partitions move between them for their load, or by forelock cluster move.`;
}

function Whole({ report, sinceMs }: { readonly report: Json<GetClusterReply>; readonly sinceMs: number }): JSX.Element {
  const { cluster = "", node = "", nodes = [], etcd, moves = [], moreMoves = false } = report;
  const [change, setChange] = useState<Change>();
  const isAlone = cluster === "";
  const rows = (report.partitions ?? []).map(partitionRow);
  const copies = copiesOf(report);
  const odd = rows.filter((row) => oddityOf(row, copies) !== "").length;
  const owner = change?.action === "move" ? (rows.find((row) => row.partition === change.partition)?.owner ?? "") : "";
  return (
    <section class="cluster" aria-labelledby="cluster-title">
      <div class="bar">
        <h1 id="cluster-title">Cluster{isAlone ? "" : ` ${cluster}`}</h1>
        {!isAlone && (
          <button type="button" onClick={() => setChange({ action: "rebalance" })}>
            Rebalance …
          </button>
        )}
      </div>
      <p class="note">
        {isAlone
          ? aloneText(nodes.length)
          : `As node ${node} sees it. A node that is silent is replaced after ${age(report.leaseMs ?? 0)}.`}
      </p>
      <NodeTable nodes={nodes} sinceMs={sinceMs} hues={huesOf(nodes)} onChange={isAlone ? undefined : setChange} />
      <div class="card wide">
        <h2>
          {plural(rows.length, "partition")},{" "}
          {odd === 0 ? "all as they should be" : `${count(odd)} not as they should be`}
        </h2>
        <p class="note">
          In the colour of the owner, with epoch, last record and standbys.{" "}
          {!isAlone && "Choose one to move it; arrow keys go from one to the next."}
        </p>
        <PartitionGrid
          rows={rows}
          hues={huesOf(nodes)}
          copies={copies}
          onMove={isAlone ? undefined : (partition) => setChange({ action: "move", partition })}
        />
      </div>
      {etcd !== undefined && <Etcd etcd={etcd} />}
      {(!isAlone || nodes.length > 1) && (
        <div class="card wide">
          <h2>Moves</h2>
          <MoveTimeline moves={moves} more={moreMoves} />
        </div>
      )}
      {change !== undefined && (
        <ClusterDialog change={change} able={ableNodes(nodes)} owner={owner} onClose={() => setChange(undefined)} />
      )}
    </section>
  );
}

interface NodeTableProps {
  readonly nodes: readonly Json<ClusterNode>[];
  /** Since this was told. */
  readonly sinceMs: number;
  readonly hues: ReadonlyMap<string, string>;
  readonly onChange: ((change: Change) => void) | undefined;
}

function NodeTable({ nodes, sinceMs, hues, onChange }: NodeTableProps): JSX.Element {
  return (
    <div class="scroll">
      <table>
        <caption class="hidden-title">Nodes</caption>
        <thead>
          <tr>
            <th scope="col">Node</th>
            <th scope="col">Address</th>
            <th scope="col">Version</th>
            <th scope="col">State</th>
            <th scope="col" class="number">
              Owns
            </th>
            <th scope="col" class="number">
              Stands by
            </th>
            <th scope="col" class="number">
              Heard
            </th>
            {onChange !== undefined && (
              <th scope="col">
                <span class="hidden-title">Actions</span>
              </th>
            )}
          </tr>
        </thead>
        <tbody>
          {nodes.map((node) => (
            <NodeLine
              key={node.id}
              node={node}
              sinceMs={sinceMs}
              hue={hues.get(node.id ?? "") ?? ""}
              onChange={onChange}
            />
          ))}
        </tbody>
      </table>
    </div>
  );
}

interface NodeLineProps extends Pick<NodeTableProps, "sinceMs" | "onChange"> {
  readonly node: Json<ClusterNode>;
  readonly hue: string;
}

function NodeLine({ node, sinceMs, hue, onChange }: NodeLineProps): JSX.Element {
  const { id = "", address = "", version = "", owned = 0, standingBy = 0, silentMs = 0, draining = false } = node;
  // Of a live node it is less than its lease; how much just now changes faster than it is told.
  const heard = node.live ? "just now" : `${age(Number(silentMs) + sinceMs)} ago`;
  return (
    <tr>
      <th scope="row">
        <span class={`swatch ${hue}`} aria-hidden="true" /> {id}
      </th>
      <td>{address}</td>
      <td>{version}</td>
      <td>
        <Tone state={nodeState(node)} />
      </td>
      <td class="number">{count(owned)}</td>
      <td class="number">{count(standingBy)}</td>
      <td class="number">{heard}</td>
      {onChange !== undefined && (
        <td>
          <button
            type="button"
            aria-label={draining ? `Take ${id} back` : `Drain ${id}`}
            onClick={() => onChange({ action: draining ? "undrain" : "drain", node: id })}
          >
            {draining ? "Take back …" : "Drain …"}
          </button>
        </td>
      )}
    </tr>
  );
}

function Etcd({ etcd }: { readonly etcd: Json<EtcdInfo> }): JSX.Element {
  const { members = [], unreachable = "", admission = "", admissionReason = "" } = etcd;
  return (
    <div class="card wide">
      <h2>etcd</h2>
      {unreachable !== "" && <p class="problem">It cannot be asked: {unreachable}</p>}
      {admission === "growth_refused" && <p class="problem">Growth is refused: {admissionReason}</p>}
      <div class="scroll">
        <table>
          <caption class="hidden-title">Members of etcd</caption>
          <thead>
            <tr>
              <th scope="col">Member</th>
              <th scope="col">Version</th>
              <th scope="col">State</th>
              <th scope="col" class="number">
                File
              </th>
              <th scope="col" class="number">
                In use
              </th>
              <th scope="col" class="number">
                Quota
              </th>
              <th scope="col">Alarms</th>
            </tr>
          </thead>
          <tbody>
            {members.map((member) => (
              <MemberLine key={member.endpoint} member={member} />
            ))}
          </tbody>
        </table>
      </div>
    </div>
  );
}

function MemberLine({ member }: { readonly member: Json<EtcdMember> }): JSX.Element {
  const { endpoint = "", version = "", answered = false, alarms = [], errors = [] } = member;
  const sizes = [member.fileBytes, member.inUseBytes, member.quotaBytes].map((size) =>
    answered ? bytes(Number(size ?? 0)) : "",
  );
  const complaints = [...new Set([...alarms, ...errors])];
  return (
    <tr>
      <th scope="row">{endpoint}</th>
      <td>{version}</td>
      <td>
        <Tone state={memberState(member)} />
      </td>
      <td class="number">{sizes[0]}</td>
      <td class="number">{sizes[1]}</td>
      <td class="number">{sizes[2]}</td>
      <td class="wrap">{complaints.length === 0 ? "none" : <span class="tag bad">{complaints.join(", ")}</span>}</td>
    </tr>
  );
}
