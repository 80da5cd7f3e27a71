// lock.tsx: one lock: why it is as it is, who holds, who waits and for how long, how long it is held as a rule, and what was before.
import type { GetProfileReply, Holder, Waiter, WhyReply } from "@forelock/protocol";
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Part, Parts } from "../feed/screen.ts";
import { age, count, durations, percent } from "../format/format.ts";
import { type Held, withHeld } from "../history/moment.ts";
import { useHistory } from "../history/use-history.ts";
import { clientName, isDemo } from "../lock/lock-row.ts";
import { BandBar } from "../parts/band-bar.tsx";
import { GanttChart } from "../parts/gantt-chart.tsx";
import { HoldHistogram } from "../parts/hold-histogram.tsx";
import { LockActions } from "../parts/lock-actions.tsx";
import { MomentNote } from "../parts/recorded-then.tsx";
import { RiskParts } from "../parts/risk-parts.tsx";
import { Missing } from "../parts/state.tsx";
import { DemoTag, RiskScore, SilentTag, StateTag } from "../parts/tags.tsx";
import { TimeSlider } from "../parts/time-slider.tsx";
import { hashOf } from "../route.ts";
import type { Json } from "../wire/json.ts";

export interface LockProps {
  readonly name: string;
  readonly parts: Parts;
  readonly nowMs: number;
}

export function LockScreen({ name, parts, nowMs }: LockProps): JSX.Element {
  const part = parts["why"];
  const why = part?.kind === "value" ? (part.row.json as Json<WhyReply>) : undefined; // The part `why` is this.
  const grownMs = part?.kind === "value" ? Math.max(0, nowMs - part.row.atMs) : 0;
  const holders = why?.holders ?? [];
  return (
    <section aria-labelledby="lock-title">
      <p class="note">
        <a href={hashOf({ screen: "now" })}>Now</a> /
      </p>
      <div class="bar">
        <h1 id="lock-title">
          {name} {isDemo(name) && <DemoTag />}
        </h1>
        <LockActions name={name} isHeld={holders.length > 0} />
      </div>
      {why === undefined ? (
        <Missing part={part} />
      ) : (
        <>
          <Why why={why} />
          <div class="cards">
            <Holders holders={holders} grownMs={grownMs} />
            <Queue why={why} grownMs={grownMs} />
            <Holds part={parts["profile"]} holder={holders[0]} grownMs={grownMs} />
            <Past name={name} holders={holders} grownMs={grownMs} />
          </div>
        </>
      )}
    </section>
  );
}

function Why({ why }: { readonly why: Json<WhyReply> }): JSX.Element {
  const { sentence = "", next = [], related = [] } = why;
  return (
    <div class="why">
      <p>{sentence}</p>
      {next.length > 0 && (
        <>
          <h2>What happens next</h2>
          <ul class="why-next">
            {next.map((each) => (
              <li key={each}>{each}</li>
            ))}
          </ul>
        </>
      )}
      {related.length > 0 && (
        <p class="note">
          In the same tree:{" "}
          {related.map((each) => (
            <a key={each} href={hashOf({ screen: "lock", name: each })}>
              {each}{" "}
            </a>
          ))}
        </p>
      )}
    </div>
  );
}

const modeTitle = (mode = "MODE_EXCLUSIVE"): string => mode.replace("MODE_", "").toLowerCase();

interface HoldersProps {
  readonly holders: readonly Json<Holder>[];
  readonly grownMs: number;
}

function Holders({ holders, grownMs }: HoldersProps): JSX.Element {
  const atRisk = holders.find(({ risk }) => risk !== undefined);
  return (
    <section class="card wide" aria-labelledby="holders-title">
      <h2 id="holders-title">{holders.length > 1 ? `${count(holders.length)} holders` : "Holder"}</h2>
      {holders.length === 0 ? (
        <p class="empty">Nobody holds it.</p>
      ) : (
        <div class="scroll">
          <table>
            <caption class="hidden-title">Holders</caption>
            <thead>
              <tr>
                <th scope="col">Client</th>
                <th scope="col">Mode</th>
                <th scope="col" class="number">
                  Held for
                </th>
                <th scope="col">Against forecast</th>
                <th scope="col" class="number">
                  Risk
                </th>
              </tr>
            </thead>
            <tbody>
              {holders.map((holder) => (
                <tr key={holder.token}>
                  <th scope="row" title={`session ${holder.session}`}>
                    {clientName(holder)} {holder.silent === true && <SilentTag />}{" "}
                    <StateTag state={holder.risk?.state} />
                    <span class="note token">token {holder.token}</span>
                  </th>
                  <td>{modeTitle(holder.mode)}</td>
                  <td class="number">{age((holder.heldMs ?? 0) + grownMs)}</td>
                  <td>
                    <BandBar heldMs={(holder.heldMs ?? 0) + grownMs} forecast={holder.forecast} />
                  </td>
                  <td class="number">
                    <RiskScore risk={holder.risk} />
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {atRisk?.risk !== undefined && <RiskParts risk={atRisk.risk} />}
    </section>
  );
}

function Queue({ why, grownMs }: { readonly why: Json<WhyReply>; readonly grownMs: number }): JSX.Element {
  const { waiters = [], waiting = 0 } = why;
  return (
    <section class="card" aria-labelledby="queue-title">
      <h2 id="queue-title">Queue</h2>
      {waiters.length === 0 ? (
        <p class="empty">Nobody waits.</p>
      ) : (
        <div class="scroll">
          <table>
            <caption class="hidden-title">Waiters in order</caption>
            <thead>
              <tr>
                <th scope="col" class="number">
                  Place
                </th>
                <th scope="col">Client</th>
                <th scope="col">Mode</th>
                <th scope="col" class="number">
                  Waited
                </th>
                <th scope="col" class="number">
                  Expected in
                </th>
                <th scope="col" class="number">
                  Risk
                </th>
              </tr>
            </thead>
            <tbody>
              {waiters.map((waiter) => (
                <WaiterLine key={waiter.reference} waiter={waiter} grownMs={grownMs} />
              ))}
            </tbody>
          </table>
        </div>
      )}
      {waiting > waiters.length && (
        <p class="note">
          The first {count(waiters.length)} of {count(waiting)}.
        </p>
      )}
    </section>
  );
}

function WaiterLine({ waiter, grownMs }: { readonly waiter: Json<Waiter>; readonly grownMs: number }): JSX.Element {
  const { position = 0, waitedMs = 0, eta, risk, silent, mode } = waiter;
  const left = (ms = 0): number => Math.max(0, ms - grownMs);
  return (
    <tr>
      <td class="number">{position}</td>
      <th scope="row" title={`session ${waiter.session}`}>
        {clientName(waiter)} {silent === true && <SilentTag />} <StateTag state={risk?.state} />
      </th>
      <td>{modeTitle(mode)}</td>
      <td class="number">{age(waitedMs + grownMs)}</td>
      <td class="number" title="Half of such waits end by the first, nine of ten by the second">
        {eta === undefined ? <span class="note">–</span> : durations(left(eta.p50Ms), left(eta.p90Ms))}
      </td>
      <td class="number">
        <RiskScore risk={risk} />
      </td>
    </tr>
  );
}

interface HoldsProps {
  readonly part: Part | undefined;
  readonly holder: Json<Holder> | undefined;
  readonly grownMs: number;
}

function Holds({ part, holder, grownMs }: HoldsProps): JSX.Element {
  const profile = part?.kind === "value" ? (part.row.json as Json<GetProfileReply>) : undefined; // The part `profile` is this.
  return (
    <section class="card" aria-labelledby="holds-title">
      <h2 id="holds-title">How long it is held</h2>
      {profile === undefined ? (
        <Missing part={part} />
      ) : (
        <>
          <HoldHistogram
            hold={profile.hold ?? {}}
            forecast={holder?.forecast}
            heldMs={holder === undefined ? undefined : (holder.heldMs ?? 0) + grownMs}
          />
          <p class="note">
            {(profile.arrivalsPerSecond ?? 0).toFixed(2)} requests a second; {percent(profile.contention ?? 0)} of them
            had to wait{profile.wait?.p90Ms === undefined ? "" : `, nine of ten within ${age(profile.wait.p90Ms)}`}.
          </p>
        </>
      )}
    </section>
  );
}

/** New holders mean that there is more to tell; the log is not read more often than this. */
const READ_AGAIN_MS = 5_000;

interface PastProps extends HoldersProps {
  readonly name: string;
}

function Past({ name, holders, grownMs }: PastProps): JSX.Element {
  const { state, load } = useHistory(name);
  const [atMs, setMoment] = useState(0);
  const tokens = holders.map(({ token }) => token).join(" ");
  const lastMs = useRef(Number.NEGATIVE_INFINITY);
  useEffect(() => {
    const waitMs = Math.max(0, lastMs.current + READ_AGAIN_MS - performance.now());
    const timer = setTimeout(() => {
      lastMs.current = performance.now();
      if (atMs === 0) load(); // Whoever looks back is not pulled away.
    }, waitMs);
    return () => clearTimeout(timer);
  }, [load, tokens, atMs === 0]);
  const history = state.kind === "there" ? state.history : undefined;
  const held = holders.map(({ session = "", client = "", token = "", heldMs = 0 }): Held => {
    const sinceAnswerMs = history === undefined ? 0 : performance.now() - history.takenAtMs;
    return { name, session, client, token, heldMs: Math.max(0, heldMs + grownMs - sinceAnswerMs) };
  });
  const spans = history === undefined ? [] : withHeld(history.spans, held);
  const oldestMs = Math.min(0, ...spans.map(({ fromMs }) => fromMs));
  const fromMs = Math.max(history === undefined ? 0 : -history.reachMs, Math.min(oldestMs, -60_000), atMs - WINDOW_MS);
  return (
    <section class="card wide" aria-labelledby="past-title">
      <div class="bar">
        <h2 id="past-title">Who held it, and who waited</h2>
        <TimeSlider state={state} atMs={atMs} onMoment={setMoment} onLoad={load} />
      </div>
      {history !== undefined && atMs < 0 && (
        <MomentNote spans={spans} atMs={atMs} clock={new Date(history.takenMs + atMs).toLocaleTimeString()} />
      )}
      {history !== undefined && (
        <GanttChart spans={spans} fromMs={fromMs} toMs={Math.min(0, atMs + WINDOW_MS / 4)} atMs={atMs} />
      )}
    </section>
  );
}

/** What fits the chart and can still be told apart. */
const WINDOW_MS = 600_000;
