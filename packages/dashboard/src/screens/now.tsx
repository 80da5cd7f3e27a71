// now.tsx: the locks by the pain they cause: who holds, for how long against the forecast, who waits.
import type { JSX } from "preact";
import { useMemo, useState } from "preact/hooks";
import type { Part, Parts } from "../feed/screen.ts";
import { age, count, duration, plural } from "../format/format.ts";
import { type Held, locksAt, type PastRow, withHeld } from "../history/moment.ts";
import { type History, useHistory } from "../history/use-history.ts";
import { clientName, isDemo, type LockOrder, type LockRow, lockRowOf, sortLocks } from "../lock/lock-row.ts";
import { BandBar } from "../parts/band-bar.tsx";
import { RecordedThen } from "../parts/recorded-then.tsx";
import { Search } from "../parts/search.tsx";
import { Empty, Missing } from "../parts/state.tsx";
import { DemoTag, RiskScore, SilentTag, StateTag } from "../parts/tags.tsx";
import { TimeSlider } from "../parts/time-slider.tsx";
import { hashOf } from "../route.ts";

export interface NowProps {
  readonly parts: Parts;
  readonly nowMs: number;
  readonly prefix: string;
  readonly onPrefix: (prefix: string) => void;
}

export function NowScreen({ parts, nowMs, prefix, onPrefix }: NowProps): JSX.Element {
  const { state, load } = useHistory("");
  const [atMs, setMoment] = useState(0);
  const isPast = state.kind === "there" && atMs < 0;
  return (
    <section aria-labelledby="now-title">
      <div class="bar">
        <h1 id="now-title">Locks by pain</h1>
        <TimeSlider state={state} atMs={atMs} onMoment={setMoment} onLoad={load} />
        <Search label="Name begins with" prefix={prefix} onPrefix={onPrefix} />
      </div>
      {isPast ? (
        <PastLocks
          history={state.history}
          held={heldOf(parts["locks"], state.history.takenAtMs)}
          atMs={atMs}
          prefix={prefix}
        />
      ) : (
        <Locks part={parts["locks"]} nowMs={nowMs} prefix={prefix} />
      )}
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

interface PastLocksProps {
  readonly history: History;
  readonly held: readonly Held[];
  readonly atMs: number;
  readonly prefix: string;
}

/** Rows that a browser lays out at ease. */
const PAST_ROWS_MAX = 200;

function PastLocks({ history, held, atMs, prefix }: PastLocksProps): JSX.Element {
  const [order, setOrder] = useState<LockOrder>("pain");
  const spans = useMemo(() => withHeld(history.spans, held), [history]);
  const all = useMemo(() => locksAt(spans, atMs).filter(({ name }) => name.startsWith(prefix)), [spans, atMs, prefix]);
  const clock = new Date(history.takenMs + atMs).toLocaleTimeString();
  return (
    <>
      <p class="banner">
        As it was at {clock}, {duration(-atMs)} ago: {plural(all.length, "lock")} held or waited for. The log keeps no
        forecasts; of holders that had been warned it has the score and the reason, which are shown as they were
        recorded.
      </p>
      {all.length === 0 ? (
        <Empty title="The log tells of no lock at that moment." />
      ) : (
        <LockTable rows={sortLocks(all, order).slice(0, PAST_ROWS_MAX)} order={order} onOrder={setOrder} isPast />
      )}
    </>
  );
}

/** What is held now, with its age at the moment of the history's answer. */
function heldOf(part: Part | undefined, takenAtMs: number): readonly Held[] {
  if (part?.kind !== "list") return [];
  return [...part.rows.values()].flatMap((row) => {
    const { name, holder, heldMs } = lockRowOf(row, Math.max(row.atMs, takenAtMs));
    if (holder === undefined) return [];
    const { session = "", client = "", token = "" } = holder;
    const sinceMs = Math.max(0, row.atMs - takenAtMs);
    return heldMs < sinceMs ? [] : [{ name, session, client, token, heldMs: heldMs - sinceMs }];
  });
}

interface LockTableProps {
  readonly rows: readonly LockRow[];
  readonly order: LockOrder;
  readonly onOrder: (order: LockOrder) => void;
  /** Without forecasts, which are of now. */
  readonly isPast?: boolean;
}

function LockTable({ rows, order, onOrder, isPast = false }: LockTableProps): JSX.Element {
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
            <th scope="col">{isPast ? "Recorded then" : "Age against forecast"}</th>
            {!isPast && (
              <th scope="col" class="number">
                Risk
              </th>
            )}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <LockLine key={row.name} row={row} isPast={isPast} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

interface LockLineProps {
  readonly row: LockRow & Partial<PastRow>;
  readonly isPast: boolean;
}

function LockLine({ row, isPast }: LockLineProps): JSX.Element {
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
      <td>
        {holder !== undefined && isPast && <RecordedThen recorded={row.recorded} />}
        {holder !== undefined && !isPast && <BandBar heldMs={heldMs} forecast={holder.forecast} />}
      </td>
      {!isPast && (
        <td class="number">
          <RiskScore risk={holder?.risk} />
        </td>
      )}
    </tr>
  );
}
