// prediction.tsx: how far the forecasts can be trusted, what was done on their word, and whether it was right.
import type { Calibration, Decision, GetPredictionReply, PredictionTotals } from "@forelock/protocol";
import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import type UPlot from "uplot";
import type { Parts } from "../feed/screen.ts";
import { count, percent } from "../format/format.ts";
import { isDemo } from "../lock/lock-row.ts";
import { axisStyle, type Colours, Plot } from "../parts/plot.tsx";
import { Missing } from "../parts/state.tsx";
import { DemoTag, RiskScore } from "../parts/tags.tsx";
import { prefixTitle } from "../policy.ts";
import { calibrationPoints, figuresOf } from "../prediction.ts";
import { hashOf } from "../route.ts";
import type { Json } from "../wire/json.ts";

export function PredictionScreen({ parts }: { readonly parts: Parts }): JSX.Element {
  const part = parts["prediction"];
  const prediction = part?.kind === "value" ? (part.row.json as Json<GetPredictionReply>) : undefined; // The part `prediction` is this.
  return (
    <section aria-labelledby="prediction-title">
      <h1 id="prediction-title">Prediction</h1>
      {prediction === undefined ? (
        <Missing part={part} />
      ) : (
        <>
          <Totals totals={prediction.totals ?? {}} />
          <div class="cards">
            <CalibrationCard calibrations={prediction.calibrations ?? []} />
            <Decisions decisions={prediction.decisions ?? []} />
          </div>
        </>
      )}
    </section>
  );
}

function Totals({ totals }: { readonly totals: Json<PredictionTotals> }): JSX.Element {
  return (
    <dl class="figures" aria-label="What came of it, since the server began to count">
      {figuresOf(totals).map(({ title, value, help }) => (
        <div key={title}>
          <dt>{title}</dt>
          <dd>{value}</dd>
          <dd class="note">{help}</dd>
        </div>
      ))}
    </dl>
  );
}

function CalibrationCard({ calibrations }: { readonly calibrations: readonly Json<Calibration>[] }): JSX.Element {
  const points = useMemo(() => calibrationPoints(calibrations), [calibrations]);
  return (
    <section class="card wide" aria-labelledby="calibration-title">
      <h2 id="calibration-title">Calibration</h2>
      {calibrations.length === 0 ? (
        <p class="empty">No forecast has been measured against the truth yet.</p>
      ) : (
        <div class="beside">
          <div>
            <Plot
              label="Calibration: how often the truth lay at or below each forecast quantile. On the diagonal a forecast is honest. The table below has the numbers."
              height={260}
              data={points}
              options={calibrationOptions}
            />
            <p class="legend note">
              <span class="key series-hold" /> holds <span class="key series-eta" /> waits (ETA) · on the line is
              honest; above it, too cautious; below, too hopeful
            </p>
          </div>
          <CalibrationTable calibrations={calibrations} />
        </div>
      )}
    </section>
  );
}

function calibrationOptions(colours: Colours): Omit<UPlot.Options, "width" | "height"> {
  const axis = {
    ...axisStyle(colours),
    values: (_plot: UPlot, splits: number[]) => splits.map((value) => `${Math.round(value * 100)} %`),
  };
  const dots = (colour: string): UPlot.Series => ({
    stroke: colour,
    fill: colour,
    width: 0,
    paths: () => null, // uPlot's word for no line.
    points: { show: true, size: 9, fill: colour, stroke: colours.ground },
  });
  return {
    legend: { show: false },
    cursor: { show: false },
    scales: { x: { time: false, range: [0, 1.02] }, y: { range: [0, 1.02] } },
    axes: [
      { ...axis, label: "forecast quantile", labelFont: axis.font, labelSize: 20 },
      { ...axis, size: 52, label: "true so often", labelFont: axis.font, labelSize: 20 },
    ],
    series: [
      {},
      { stroke: colours.quiet, width: 1, dash: [4, 4], points: { show: false }, spanGaps: true },
      dots(colours.accent),
      dots(colours.second),
    ],
  };
}

function CalibrationTable({ calibrations }: { readonly calibrations: readonly Json<Calibration>[] }): JSX.Element {
  return (
    <div class="scroll">
      <table>
        <caption class="hidden-title">Calibration in numbers</caption>
        <thead>
          <tr>
            <th scope="col">Forecast of</th>
            <th scope="col" class="number">
              Quantile
            </th>
            <th scope="col" class="number">
              True so often
            </th>
            <th scope="col" class="number">
              Forecasts
            </th>
          </tr>
        </thead>
        <tbody>
          {calibrations.map(({ of = "", quantile = 0, coverage = 0, observations = 0 }) => (
            <tr key={`${of}${quantile}`}>
              <th scope="row">{of === "eta" ? "wait (ETA)" : of}</th>
              <td class="number">{percent(quantile)}</td>
              <td class="number">{percent(coverage)}</td>
              <td class="number">{count(observations)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Decisions({ decisions }: { readonly decisions: readonly Json<Decision>[] }): JSX.Element {
  return (
    <section class="card wide" aria-labelledby="decisions-title">
      <h2 id="decisions-title">Decisions, the newest first</h2>
      {decisions.length === 0 ? (
        <p class="empty">Nothing was done, and under “observe” nothing would have been.</p>
      ) : (
        <div class="scroll">
          <table>
            <caption class="hidden-title">What was done, or would have been, and what came of it</caption>
            <thead>
              <tr>
                <th scope="col">When</th>
                <th scope="col">What</th>
                <th scope="col">Lock or prefix</th>
                <th scope="col">Client</th>
                <th scope="col" class="number">
                  Score
                </th>
                <th scope="col">Outcome</th>
                <th scope="col">Why</th>
              </tr>
            </thead>
            <tbody>
              {decisions.map((decision, index) => (
                <DecisionLine key={`${decision.atMs}${decision.name}${decision.token}${index}`} decision={decision} />
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}

/** Decisions about a prefix, not about a lock. */
const ofPrefix = new Set(["threshold", "policy", "promoted", "demoted"]);

function DecisionLine({ decision }: { readonly decision: Json<Decision> }): JSX.Element {
  const { atMs = 0, kind = "", name = "", client = "", risk, outcome = "", reason = "" } = decision;
  const at = new Date(atMs);
  const tone = outcome === "wrong" || outcome === "ignored" ? "tag warn" : outcome === "forced" ? "tag bad" : "tag";
  return (
    <tr>
      <td>
        <time dateTime={at.toISOString()} title={at.toLocaleString()}>
          {at.toLocaleTimeString()}
        </time>
      </td>
      <td>{kind.replace("_", " ")}</td>
      <th scope="row">
        {ofPrefix.has(kind) ? prefixTitle(name) : <a href={hashOf({ screen: "lock", name })}>{name}</a>}{" "}
        {isDemo(name) && <DemoTag />}
      </th>
      <td>{client}</td>
      <td class="number">
        <RiskScore risk={risk} />
      </td>
      <td>{outcome !== "" && <span class={tone}>{outcome}</span>}</td>
      <td class="wrap">{reason}</td>
    </tr>
  );
}
