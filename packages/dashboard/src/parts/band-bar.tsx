// band-bar.tsx: the age of a hold against the forecast of its end, as a bar.
import type { HoldForecast } from "@forelock/protocol";
import type { JSX } from "preact";
import { bandOf, restOf } from "../lock/band.ts";
import type { Json } from "../wire/json.ts";

export interface BandBarProps {
  readonly heldMs: number;
  readonly forecast: Json<HoldForecast> | undefined;
}

const WIDTH = 160;
const HEIGHT = 14;

export function BandBar({ heldMs, forecast }: BandBarProps): JSX.Element {
  const band = bandOf(heldMs, forecast);
  if (band === undefined) return <span class="note">no forecast yet</span>;
  const x = (place: number): number => place * WIDTH;
  return (
    <span class="band" title={band.words}>
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} width={WIDTH} height={HEIGHT} role="img" aria-label={band.words}>
        <rect class="band-track" x="0" y="5" width={WIDTH} height="4" rx="2" />
        <rect
          class="band-likely"
          x={x(band.p50)}
          y="2"
          width={Math.max(2, x(band.p90) - x(band.p50))}
          height="10"
          rx="2"
        />
        <rect class="band-tail" x={x(band.p90)} y="6" width={Math.max(0, x(band.p99) - x(band.p90))} height="2" />
        <rect class="band-age" x="0" y="5" width={x(band.age)} height="4" rx="2" />
        <circle class="band-now" cx={Math.max(3, Math.min(WIDTH - 3, x(band.age)))} cy="7" r="3.5" />
      </svg>
      <span aria-hidden="true">{restOf(heldMs, forecast)}</span>
    </span>
  );
}
