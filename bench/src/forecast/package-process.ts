// package-process.ts: the process that runs forecasting packages for the back-test. One question at a time in, one answer out. Not
// here: scores (package-peers.ts).
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Answer, Question } from "./package-peers.ts";

const FORECAST_BY_PACKAGE = { arima, augurs } as const;

process.on("message", (question: Question) => {
  FORECAST_BY_PACKAGE[question.package](question)
    .then((points): Answer => {
      if (points.length < question.horizon || !points.every(Number.isFinite))
        return { failure: "it answered with no numbers" };
      return { points };
    })
    .catch((error: unknown): Answer => ({ failure: error instanceof Error ? error.message : String(error) }))
    .then((answer) => process.send?.(answer));
});

/** Its automatic, non-seasonal search: a seasonal one takes minutes at 288 steps a day. */
async function arima({ history, horizon }: Question): Promise<readonly number[]> {
  const { default: Arima } = await import("arima");
  const model = new Arima({ auto: true, p: 3, d: 1, q: 3, verbose: false });
  const [points] = model.train([...history]).predict(horizon);
  model.destroy();
  return Array.from(points);
}

/** Its decomposition by season with exponential smoothing of the rest; smoothing alone without a season. */
async function augurs({ history, seasonSteps, horizon }: Question): Promise<readonly number[]> {
  if (seasonSteps === 0 || history.length < 3 * seasonSteps) {
    const ets = await import("@bsull/augurs/ets");
    ets.initSync({ module: wasmOf("ets") });
    const model = new ets.AutoETS(1, "ZZN");
    model.fit([...history]);
    return model.predict(horizon).point;
  }
  const mstl = await import("@bsull/augurs/mstl");
  mstl.initSync({ module: wasmOf("mstl") });
  const model = mstl.MSTL.ets([seasonSteps]);
  model.fit([...history]);
  return model.predict(horizon).point;
}

function wasmOf(name: "ets" | "mstl"): Uint8Array {
  const script = fileURLToPath(import.meta.resolve(`@bsull/augurs/${name}`));
  return readFileSync(script.replace(/\.js$/, "_bg.wasm"));
}
