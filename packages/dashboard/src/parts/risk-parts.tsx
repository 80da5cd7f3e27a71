// risk-parts.tsx: what a risk score is made of: each part's value, weight and factor, so that nobody has to trust a bare number.
import type { Risk } from "@forelock/protocol";
import type { JSX } from "preact";
import { duration, score } from "../format/format.ts";
import { factorsOf } from "../lock/risk.ts";
import type { Json } from "../wire/json.ts";

export function RiskParts({ risk }: { readonly risk: Json<Risk> }): JSX.Element {
  const { score: value = 0, threshold = 0, policy = "", countdownMs = 0, reason = "", parts = [] } = risk;
  return (
    <div class="risk-parts">
      <p>
        Score <strong>{score(value)}</strong>, threshold {score(threshold)}, policy {policy || "unknown"}
        {countdownMs > 0 && (
          <>
            , <strong>{duration(countdownMs)}</strong> until it is forced
          </>
        )}
        .
      </p>
      {reason !== "" && <p class="note">{reason}</p>}
      {parts.length > 0 && <p class="note">The factors multiply to the score: the smallest keeps it down the most.</p>}
      <table>
        <caption class="hidden-title">Parts of the risk score: their factors multiply to it</caption>
        <thead>
          <tr>
            <th scope="col">Part</th>
            <th scope="col" class="number">
              Value
            </th>
            <th scope="col" class="number">
              Weight
            </th>
            <th scope="col">Factor</th>
          </tr>
        </thead>
        <tbody>
          {factorsOf(risk).map(({ name, value: part, weight, factor }) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              <td class="number">{score(part)}</td>
              <td class="number">{weight}</td>
              <td>
                <svg
                  class="share"
                  viewBox="0 0 100 8"
                  width="100"
                  height="8"
                  preserveAspectRatio="none"
                  aria-hidden="true"
                >
                  <rect class="band-track" width="100" height="8" rx="2" />
                  <rect class="share-bar" width={100 * Math.min(1, factor)} height="8" rx="2" />
                </svg>{" "}
                {score(factor)}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
