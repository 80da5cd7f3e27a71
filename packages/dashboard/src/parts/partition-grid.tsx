// partition-grid.tsx: every partition as a cell in the colour of its owner. One stop for the keyboard: arrows go from cell to cell.
import type { JSX } from "preact";
import { useRef, useState } from "preact/hooks";
import { oddityOf, type PartitionRow, partitionWords, standbyWords } from "../cluster/cluster.ts";
import { count } from "../format/format.ts";

export interface PartitionGridProps {
  readonly rows: readonly PartitionRow[];
  /** A class by owner. */
  readonly hues: ReadonlyMap<string, string>;
  /** Copies that there can be of each. */
  readonly copies: number;
  /** Asks for a move. Undefined: there is nothing to choose, and cells are no buttons. */
  readonly onMove?: ((partition: number) => void) | undefined;
}

export function PartitionGrid({ rows, hues, copies, onMove }: PartitionGridProps): JSX.Element {
  const [at, setAt] = useState(0);
  const grid = useRef<HTMLUListElement>(null);
  const go = (event: KeyboardEvent): void => {
    const next = indexAfter(event.key, at, rows.length, columnsOf(grid.current));
    if (next === undefined) return;
    event.preventDefault();
    setAt(next);
    grid.current?.querySelectorAll("button")[next]?.focus();
  };
  return (
    <ul ref={grid} class="partitions" aria-label="Partitions" onKeyDown={go}>
      {rows.map((row, index) => (
        <li key={row.partition}>
          {onMove === undefined ? (
            <div class={classOf(row, hues, copies)}>
              <Cell row={row} copies={copies} />
            </div>
          ) : (
            <button
              type="button"
              class={classOf(row, hues, copies)}
              tabIndex={index === at ? 0 : -1}
              aria-label={`${partitionWords(row, copies)}. Move …`}
              onFocus={() => setAt(index)}
              onClick={() => onMove(row.partition)}
            >
              <Cell row={row} copies={copies} />
            </button>
          )}
        </li>
      ))}
    </ul>
  );
}

function Cell({ row, copies }: { readonly row: PartitionRow; readonly copies: number }): JSX.Element {
  return (
    <>
      <span class="partition-name">
        {row.partition} <strong>{row.owner === "" ? "none" : row.owner}</strong>
      </span>
      <span>
        epoch {count(row.epoch)} · {count(row.sequence)}
      </span>
      <span>{oddityOf(row, copies) || standbyWords(row.standbys)}</span>
    </>
  );
}

function classOf(row: PartitionRow, hues: ReadonlyMap<string, string>, copies: number): string {
  const oddity = oddityOf(row, copies) === "" ? "" : " odd";
  return `partition ${row.owner === "" ? "owner-none" : (hues.get(row.owner) ?? "")}${oddity}`;
}

/** As the window lays them out. */
function columnsOf(grid: HTMLUListElement | null): number {
  const cells = [...(grid?.children ?? [])];
  const top = cells[0]?.getBoundingClientRect().top;
  return Math.max(1, cells.filter((cell) => cell.getBoundingClientRect().top === top).length);
}

/** Undefined: the key does not move. */
function indexAfter(key: string, at: number, length: number, columns: number): number | undefined {
  const wished = { ArrowRight: at + 1, ArrowLeft: at - 1, ArrowDown: at + columns, ArrowUp: at - columns, Home: 0 };
  const next = key === "End" ? length - 1 : wished[key as keyof typeof wished]; // Looked up: another key gives nothing.
  return next === undefined ? undefined : Math.min(length - 1, Math.max(0, next));
}
