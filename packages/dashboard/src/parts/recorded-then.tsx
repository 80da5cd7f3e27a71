// recorded-then.tsx: what the log recorded of a holder at a moment of the past, and that it is no more than that.
import type { JSX } from "preact";
import { age, duration } from "../format/format.ts";
import { holdsAt } from "../history/moment.ts";
import { type Recorded, recordedAt } from "../history/recorded.ts";
import type { Span } from "../history/spans.ts";
import { clientName } from "../lock/lock-row.ts";
import { RiskParts } from "./risk-parts.tsx";
import { RiskScore, StateTag } from "./tags.tsx";

export function RecordedThen({ recorded }: { readonly recorded: Recorded | undefined }): JSX.Element {
  if (recorded === undefined) return <span class="note">nothing</span>;
  const { risk, sinceMs, leftMs } = recorded;
  return (
    <>
      <RiskScore risk={risk} /> <span class="note">{`warned ${age(sinceMs)} before${endOf(leftMs)}`}</span>
    </>
  );
}

const endOf = (leftMs: number | undefined): string =>
  leftMs === undefined ? "" : `, to be forced in ${duration(leftMs)}`;

const HOLDERS_MAX = 8;

export interface MomentNoteProps {
  readonly spans: readonly Span[];
  readonly atMs: number;
  /** Wall clock of the moment. */
  readonly clock: string;
}

/** Of one lock, with the parts of each score. */
export function MomentNote({ spans, atMs, clock }: MomentNoteProps): JSX.Element {
  const holds = holdsAt(spans, atMs);
  return (
    <section class="moment" aria-label="As the log recorded it">
      <p>
        At {clock}
        {holds.length === 0 ? " nobody held it." : ":"}
      </p>
      {holds.slice(0, HOLDERS_MAX).map((hold) => {
        const recorded = recordedAt(hold, atMs);
        return (
          <div key={`${hold.token}${hold.session}${hold.fromMs}`}>
            <p>
              {clientName(hold)} had held it for {hold.isCut && "at least "}
              {age(atMs - hold.fromMs)}. <StateTag state={recorded?.state} /> <span class="note">Recorded then:</span>{" "}
              <RecordedThen recorded={recorded} />
            </p>
            {recorded?.risk !== undefined && (
              <details>
                <summary>The score as it was recorded</summary>
                <RiskParts risk={recorded.risk} />
              </details>
            )}
          </div>
        );
      })}
    </section>
  );
}
