// time-slider.tsx: looks back through what the log remembers. The right end is now.
import type { JSX } from "preact";
import { age, duration } from "../format/format.ts";
import { momentOf, neighbour, SLIDER_STEPS, stepOf } from "../history/moment.ts";
import type { History, HistoryState } from "../history/use-history.ts";

export interface TimeSliderProps {
  readonly state: HistoryState;
  /** 0: now. Else below it. */
  readonly atMs: number;
  readonly onMoment: (atMs: number) => void;
  readonly onLoad: () => void;
}

export function TimeSlider({ state, atMs, onMoment, onLoad }: TimeSliderProps): JSX.Element {
  if (state.kind !== "there") {
    return (
      <div class="slider">
        <button type="button" onClick={onLoad} disabled={state.kind === "asking"}>
          {state.kind === "asking" ? "Reading the log …" : "Look back"}
        </button>
        {state.kind === "failed" && (
          <span class="problem" role="alert">
            {state.why}
          </span>
        )}
      </div>
    );
  }
  return <Slider history={state.history} atMs={atMs} onMoment={onMoment} onLoad={onLoad} />;
}

interface SliderProps extends Omit<TimeSliderProps, "state"> {
  readonly history: History;
}

function Slider({ history, atMs, onMoment, onLoad }: SliderProps): JSX.Element {
  const { reachMs, entries, takenMs } = history;
  const times = entries.map(({ agoMs = 0 }) => -agoMs);
  const clock = new Date(takenMs + atMs).toLocaleTimeString();
  const words = atMs === 0 ? "now" : `${age(-atMs)} ago, ${clock}`;
  return (
    <fieldset class="slider" aria-label="Look back in time">
      <button type="button" onClick={() => onMoment(neighbour(times, atMs, -1))} aria-label="To the event before">
        ◀
      </button>
      <input
        type="range"
        min={0}
        max={SLIDER_STEPS}
        value={stepOf(atMs, reachMs)}
        aria-label="Moment"
        aria-valuetext={words}
        onInput={(event) => onMoment(momentOf(Number(event.currentTarget.value), reachMs))}
      />
      <button
        type="button"
        onClick={() => onMoment(neighbour(times, atMs, 1))}
        disabled={atMs === 0}
        aria-label="To the next event"
      >
        ▶
      </button>
      <output>{words}</output>
      {atMs !== 0 && (
        <button type="button" onClick={() => onMoment(0)}>
          Back to now
        </button>
      )}
      <button type="button" onClick={onLoad}>
        Read again
      </button>
      <span class="note">The log remembers {duration(reachMs)}.</span>
    </fieldset>
  );
}
