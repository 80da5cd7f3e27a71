// now.tsx: the locks by the pain they cause: who holds, for how long against the forecast, who waits.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { Part, Parts } from "../feed/screen.ts";
import { age, count, duration } from "../format/format.ts";
import { clientName, isDemo, type LockOrder, type LockRow, lockRowOf, sortLocks } from "../lock/lock-row.ts";
import { BandBar } from "../parts/band-bar.tsx";
import { Search } from "../parts/search.tsx";
import { Empty, Missing } from "../parts/state.tsx";
import { DemoTag, RiskScore, SilentTag, StateTag } from "../parts/tags.tsx";
import { hashOf } from "../route.ts";

export interface NowProps {
  readonly parts: Parts;
  readonly nowMs: number;
  readonly prefix: string;
  readonly onPrefix: (prefix: string) => void;
}

export function NowScreen({ parts, nowMs, prefix, onPrefix }: NowProps): JSX.Element {
  return (
    <section aria-labelledby="now-title">
      <div class="bar">
        <h1 id="now-title">Locks by pain</h1>
        <Search label="Name begins with" prefix={prefix} onPrefix={onPrefix} />
      </div>
      <Locks part={parts["locks"]} nowMs={nowMs} prefix={prefix} />
    </section>
  );
}

interface LocksProps {
  readonly part: Part | undefined;
  readonly nowMs: number;
  readonly prefix: string;
}

function Locks({ part, nowMs, prefix }: LocksProps): JSX.Element {
  const [order, setOrder] = useState<LockOrder>("pain");
  if (part?.kind !== "list") return <Missing part={part} />;
  const rows = sortLocks(
    [...part.rows.values()].map((row) => lockRowOf(row, nowMs)),
    order,
  );
  if (rows.length === 0 && prefix !== "")
    return <Empty title={`No lock that is held or waited for begins with “${prefix}”.`} />;
  if (rows.length === 0) {
    return (
      <Empty title="No lock is held.">
        Try <code>npx forelock lock orders/42 -- sleep 60</code> in a terminal.
      </Empty>
    );
  }
  return (
    <>
      <p class="note">
        {part.more
          ? `The ${count(rows.length)} with the most pain. Type how a name begins to find others.`
          : `${count(rows.length)} held or waited for.`}{" "}
        Pain is the waiting done so far by all who wait now.
      </p>
      <LockTable rows={rows} order={order} onOrder={setOrder} />
    </>
  );
}

interface LockTableProps {
  readonly rows: readonly LockRow[];
  readonly order: LockOrder;
  readonly onOrder: (order: LockOrder) => void;
}

function LockTable({ rows, order, onOrder }: LockTableProps): JSX.Element {
  const heading = (by: LockOrder, title: string, isNumber = true): JSX.Element => (
    <th
      scope="col"
      class={isNumber ? "number" : ""}
      aria-sort={order !== by ? undefined : by === "name" ? "ascending" : "descending"}
    >
      <button type="button" class="sort" onClick={() => onOrder(by)}>
        {title}
      </button>
    </th>
  );
  return (
    <div class="scroll">
      <table class="locks">
        <caption class="hidden-title">Locks that are held or waited for</caption>
        <thead>
          <tr>
            {heading("name", "Lock", false)}
            {heading("pain", "Pain")}
            {heading("waiting", "Waiting")}
            <th scope="col">Holder</th>
            {heading("held", "Held for")}
            <th scope="col">Age against forecast</th>
            <th scope="col" class="number">
              Risk
            </th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <LockLine key={row.name} row={row} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function LockLine({ row }: { readonly row: LockRow }): JSX.Element {
  const { name, holder, holders, heldMs, waiting, waitedMs, painMs, limit } = row;
  const others = holders > 1 ? ` and ${count(holders - 1)} more` : "";
  return (
    <tr>
      <th scope="row">
        <a href={hashOf({ screen: "lock", name })}>{name}</a> {isDemo(name) && <DemoTag />}{" "}
        {limit > 0 && <span class="tag">{count(limit)} permits</span>}
      </th>
      <td class="number strong">{waiting === 0 ? "" : duration(painMs)}</td>
      <td class="number">
        {waiting === 0 ? "" : <span title={`The first waits for ${age(waitedMs)}`}>{count(waiting)}</span>}
      </td>
      <td>
        {holder === undefined ? <span class="note">nobody</span> : clientName(holder) + others}{" "}
        {holder?.silent === true && <SilentTag />} <StateTag state={holder?.risk?.state} />
      </td>
      <td class="number">{holder === undefined ? "" : age(heldMs)}</td>
      <td>{holder === undefined ? "" : <BandBar heldMs={heldMs} forecast={holder.forecast} />}</td>
      <td class="number">
        <RiskScore risk={holder?.risk} />
      </td>
    </tr>
  );
}
