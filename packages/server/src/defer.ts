// defer.ts: turns of partitions, soon and together, but not all of them at once when there are many. Not here: what a turn does.
//   F1. In the order in which they were asked for, each once, whatever fails among them.
//   F2. What was asked for in one turn of the event loop runs in one go, with no promise job in between, so that partitions whose
//       turns come together share one write of the log.
//   F3. When that takes longer than a slice, what has been decided is written and answered first: a client then works on the first
//       answers while the server works on the rest, where one of them would wait for the other all the time.
//   F4. A slice lasts as long as the pause that follows it (a write, its answers, a look at the sockets), so that a slow disk is not
//       written to more often than it pays. Pauses of the past fade while nothing is cut: else one slow write would make slices so
//       long that none is cut, and no shorter pause seen, ever again.
//   F5. So many run in any slice: a machine that has others to run makes a millisecond of nothing.

const SLICE_MS_MIN = 1;
const SLICE_MS_MAX = 16;
/** A quarter of the partitions. */
const SLICE_RUNS_MIN = 16;
/** What the newest pause counts among those before it. */
const PAUSE_SHARE = 1 / 8;

/**
 * @param ask calls back once the input that is there has been read and all promise jobs have run
 * @param nowMs of a clock that does not fall: nothing that is decided depends on it
 */
export function slicedDefer(ask: (run: () => void) => void, nowMs: () => number): (run: () => void) => void {
  let deferred: (() => void)[] = [];
  let isAsked = false;
  let pauseMs = 0;
  let cutAtMs: number | undefined;

  const askOnce = (): void => {
    if (isAsked) return;
    isAsked = true;
    ask(runSlice);
  };

  const runSlice = (): void => {
    isAsked = false;
    const due = deferred;
    deferred = [];
    const startMs = nowMs();
    if (cutAtMs !== undefined) pauseMs += (startMs - cutAtMs - pauseMs) * PAUSE_SHARE;
    cutAtMs = undefined;
    const endMs = startMs + Math.min(SLICE_MS_MAX, Math.max(SLICE_MS_MIN, pauseMs)); // F4
    let at = 0;
    try {
      while (at < due.length) {
        due[at++]?.();
        if (at >= SLICE_RUNS_MIN && nowMs() >= endMs) break; // F5
      }
    } finally {
      if (at < due.length) {
        deferred = [...due.slice(at), ...deferred]; // F1
        cutAtMs = nowMs();
        askOnce();
      } else pauseMs -= pauseMs * PAUSE_SHARE;
    }
  };

  return (run) => {
    deferred.push(run);
    askOnce();
  };
}
