// sessions.tsx: the clients: how they beat, how likely they are gone, what they hold, and the means to end one.
import type { SessionInfo } from "@forelock/protocol";
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { Parts, Row } from "../feed/screen.ts";
import { age, count, duration, percent, plural, shortId } from "../format/format.ts";
import { isDemoClient } from "../lock/lock-row.ts";
import { ActionDialog } from "../parts/action-dialog.tsx";
import { HeldLocks } from "../parts/held-locks.tsx";
import { RiskParts } from "../parts/risk-parts.tsx";
import { Empty, Missing } from "../parts/state.tsx";
import { DemoTag, RiskScore } from "../parts/tags.tsx";
import { ask } from "../wire/ask.ts";
import type { Json } from "../wire/json.ts";

export interface SessionsProps {
  readonly parts: Parts;
  readonly nowMs: number;
}

export function SessionsScreen({ parts, nowMs }: SessionsProps): JSX.Element {
  const part = parts["sessions"];
  const [filter, setFilter] = useState("");
  return (
    <section aria-labelledby="sessions-title">
      <div class="bar">
        <h1 id="sessions-title">Sessions</h1>
        <label class="search">
          <span>Client or session contains</span>
          <input
            type="search"
            value={filter}
            spellcheck={false}
            onInput={(event) => setFilter(event.currentTarget.value)}
          />
        </label>
      </div>
      {part?.kind !== "list" ? (
        <Missing part={part} />
      ) : (
        <>
          {part.more && <p class="note">The first {count(part.rows.size)} by id.</p>}
          <SessionTable rows={[...part.rows.values()].filter((row) => matches(row, filter))} nowMs={nowMs} />
        </>
      )}
    </section>
  );
}

const infoOf = (row: Row): Json<SessionInfo> => row.json as Json<SessionInfo>; // The part `sessions` is made of these.

function matches(row: Row, filter: string): boolean {
  const { session = "", client = "", principal = "" } = infoOf(row);
  return [session, client, principal].some((text) => text.toLowerCase().includes(filter.toLowerCase()));
}

function SessionTable({ rows, nowMs }: { readonly rows: readonly Row[]; readonly nowMs: number }): JSX.Element {
  const [open, setOpen] = useState("");
  if (rows.length === 0) return <Empty title="No session." />;
  return (
    <div class="scroll">
      <table>
        <caption class="hidden-title">Open sessions</caption>
        <thead>
          <tr>
            <th scope="col">Client</th>
            <th scope="col">Session</th>
            <th scope="col" class="number">
              Holds
            </th>
            <th scope="col" class="number">
              Waits
            </th>
            <th scope="col" class="number">
              Heard
            </th>
            <th scope="col" class="number">
              Jitter
            </th>
            <th scope="col" class="number">
              Loop lag
            </th>
            <th scope="col" class="number">
              Suspicion
            </th>
            <th scope="col">Says it is</th>
            <th scope="col" class="number">
              Risk
            </th>
            <th scope="col">
              <span class="hidden-title">Details</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <SessionLine
              key={infoOf(row).session}
              row={row}
              nowMs={nowMs}
              isOpen={open === infoOf(row).session}
              onOpen={(isOpen) => setOpen(isOpen ? (infoOf(row).session ?? "") : "")}
            />
          ))}
        </tbody>
      </table>
    </div>
  );
}

interface LineProps {
  readonly row: Row;
  readonly nowMs: number;
  readonly isOpen: boolean;
  readonly onOpen: (isOpen: boolean) => void;
}

const HEALTH = { HEALTH_OK: "ok", HEALTH_DEGRADED: "degraded", HEALTH_FAILING: "failing" } as const;

function SessionLine({ row, nowMs, isOpen, onOpen }: LineProps): JSX.Element {
  const info = infoOf(row);
  const { session = "", client = "", application = "", ttlMs = 0, grants = 0, waits = 0, waiting = false } = info;
  const silentMs = (info.silentMs ?? 0) + Math.max(0, nowMs - row.atMs);
  const health = HEALTH[(info.health ?? "HEALTH_OK") as keyof typeof HEALTH] ?? "unknown"; // Looked up: another name is unknown.
  const title = client === "" ? "no name" : client;
  return (
    <>
      <tr>
        <th scope="row">
          {title} {isDemoClient(client) && <DemoTag />} {application !== "" && <span class="note">{application}</span>}
        </th>
        <td title={session}>
          <code>{shortId(session)}</code>
        </td>
        <td class="number">{count(grants)}</td>
        <td class="number">{count(waits)}</td>
        <td class="number" title={`Ends after ${duration(ttlMs)} of silence`}>
          {age(silentMs)} ago {waiting && <span class="tag warn">passed over</span>}
        </td>
        <td class="number">{duration(info.jitterMs ?? 0)}</td>
        <td class="number">{duration(info.lagMs ?? 0)}</td>
        <td class="number">{percent(info.suspicion ?? 0)}</td>
        <td>{health === "ok" ? "ok" : <span class="tag warn">{health}</span>}</td>
        <td class="number">
          <RiskScore risk={info.risk} />
        </td>
        <td>
          <button
            type="button"
            aria-expanded={isOpen}
            aria-label={`Details of ${title}, ${shortId(session)}`}
            onClick={() => onOpen(!isOpen)}
          >
            {isOpen ? "Less" : "More"}
          </button>
        </td>
      </tr>
      {isOpen && (
        <tr class="details">
          <td colSpan={11}>
            <SessionDetails info={info} />
          </td>
        </tr>
      )}
    </>
  );
}

function SessionDetails({ info }: { readonly info: Json<SessionInfo> }): JSX.Element {
  const { session = "", principal = "", ttlMs = 0, grants = 0, risk } = info;
  const [isEnding, setEnding] = useState(false);
  const act = async (reason: string): Promise<string> => {
    const reply = await ask("end-session", { session, reason });
    return `Ended session ${shortId(session)}: ${plural(reply.grants ?? 0, "grant")} freed.`;
  };
  return (
    <div class="session-details">
      <div>
        <h3>Session</h3>
        <p>
          <code>{session}</code> of principal {principal}, ends after {duration(ttlMs)} of silence.
        </p>
        <button type="button" class="danger" onClick={() => setEnding(true)}>
          End session …
        </button>
        {isEnding && (
          <ActionDialog
            title={`End session ${shortId(session)}`}
            explanation={`All its grants (${count(grants)}) are freed and its waits cancelled. The client learns of it with its next request.`}
            verb="End session"
            isDangerous
            act={act}
            onClose={() => setEnding(false)}
          />
        )}
      </div>
      <div>
        <h3>Locks held</h3>
        <HeldLocks session={session} grants={grants} />
      </div>
      {risk !== undefined && (
        <div>
          <h3>Risk of its riskiest grant</h3>
          <RiskParts risk={risk} />
        </div>
      )}
    </div>
  );
}
