// move-timeline.tsx: which partitions have moved of late: a line for each node, beneath it the same as a table.
import type { ClusterMove } from "@forelock/protocol";
import type { JSX } from "preact";
import { isOfNode, lanesOf, moveWords } from "../cluster/cluster.ts";
import { count, duration, plural } from "../format/format.ts";
import type { Json } from "../wire/json.ts";

const WIDTH = 1_000;
const LABEL = 120;
const LANE = 24;
const AXIS = 22;

export interface MoveTimelineProps {
  /** The newest first. */
  readonly moves: readonly Json<ClusterMove>[];
  readonly more: boolean;
}

export function MoveTimeline({ moves, more }: MoveTimelineProps): JSX.Element {
  if (moves.length === 0) return <p class="empty">Nothing has moved since the nodes were started.</p>;
  const { nodes, marks, fromMs, toMs } = lanesOf(moves);
  const height = nodes.length * LANE + AXIS;
  const x = (place: number): number => LABEL + 8 + place * (WIDTH - LABEL - 16);
  return (
    <>
      <svg class="moves" viewBox={`0 0 ${WIDTH} ${height}`} role="img" aria-label={summary(moves, toMs - fromMs)}>
        {nodes.map((node, lane) => (
          <g key={node}>
            <text class="gantt-label" x="0" y={lane * LANE + 16}>
              {node.length > 16 ? `${node.slice(0, 15)}…` : node}
            </text>
            <line class="gantt-grid" x1={x(0)} x2={x(1)} y1={lane * LANE + 12} y2={lane * LANE + 12} />
          </g>
        ))}
        {marks.map(({ place, lane, kind, title }, index) => (
          <circle
            // Two moves may be alike in all that is told of them.
            key={index}
            class={`move ${kind}`}
            cx={x(place)}
            cy={lane * LANE + 12}
            r="4.5"
          >
            <title>{title}</title>
          </circle>
        ))}
        <text class="gantt-tick" x={x(0)} y={height - 4}>
          {timeOf(fromMs)}
        </text>
        <text class="gantt-tick" x={x(1)} y={height - 4} text-anchor="end">
          {timeOf(toMs)}
        </text>
      </svg>
      <p class="legend note">
        <span class="key received" /> received or given <span class="key took_over" /> taken over from a silent node{" "}
        <span class="key lost" /> lost to another <span class="key suspected" /> a node not heard from
        {more && " · older ones are left out"}
      </p>
      <MoveTable moves={moves} />
    </>
  );
}

const timeOf = (ms: number): string => new Date(ms).toLocaleTimeString();

function summary(moves: readonly Json<ClusterMove>[], spanMs: number): string {
  const taken = moves.filter(({ kind }) => kind === "took_over").length;
  const missed = moves.filter(({ kind }) => kind === "suspected").length;
  const suspicions = missed === 0 ? "" : ` ${plural(missed, "time")} a node was not heard from.`;
  const moved = moves.filter((move) => !isOfNode(move)).length;
  return `${plural(moved, "move")} within ${duration(spanMs)}, ${taken} of them taken over.${suspicions} The table below says the same.`;
}

function MoveTable({ moves }: Pick<MoveTimelineProps, "moves">): JSX.Element {
  return (
    <details>
      <summary>As a table</summary>
      <div class="scroll">
        <table>
          <caption class="hidden-title">Moves of partitions, the newest first</caption>
          <thead>
            <tr>
              <th scope="col">When</th>
              <th scope="col" class="number">
                Partition
              </th>
              <th scope="col">What</th>
              <th scope="col" class="number">
                Epoch
              </th>
              <th scope="col" class="number">
                Took
              </th>
            </tr>
          </thead>
          <tbody>
            {moves.map((move, index) => (
              <tr key={index}>
                <td>{new Date(Number(move.atMs ?? 0)).toLocaleString()}</td>
                <th scope="row" class="number">
                  {isOfNode(move) ? "" : (move.partition ?? 0)}
                </th>
                <td class="wrap">{moveWords(move)}</td>
                <td class="number">{isOfNode(move) ? "" : count(move.epoch ?? 0)}</td>
                <td class="number">{duration(move.tookMs ?? 0)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </details>
  );
}
