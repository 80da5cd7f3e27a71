// lstm-train.ts: finds weights of the network by Adam on random windows, and stops when what was held back gets no better.
// Not here: the network (lstm-network.ts), what it is fed (lstm.ts).
import { addGradient, lossOf, makeTape, type NetworkShape, run, weightsOf } from "./lstm-network.ts";
import { normal, seededRandom } from "./random.ts";

export interface Lessons {
  /** By step. */ readonly inputs: Float64Array;
  /** By step, NaN where the truth is not known. */ readonly targets: Float64Array;
  readonly steps: number;
  /** Steps from here on are held back: never learned from, they tell when to stop. */ readonly validFrom: number;
}

/** Steps of one window; its first ones only fill the state. */
export const WINDOW_STEPS = 48;
export const WARM_UP_STEPS = 16;
const WINDOWS_A_ROUND = 4;
const ROUNDS_MAX = 120;
/** Rounds between two looks at what was held back, and looks without gain before the end. */
const ROUNDS_A_LOOK = 10;
const LOOKS_WITHOUT_GAIN_MAX = 5;
const HELD_BACK_STEPS_MAX = 1200;
const LEARNING_RATE = 0.03;
const GRADIENT_MAX = 1;

/**
 * The weights that did best on what was held back. The untrained network answers 0 everywhere, and that is the first to beat.
 * @param seed chooses the first weights and the windows
 * @returns weights, and their loss per target over that of answering 0
 * Source: Kingma and Ba (2015), Adam.
 */
export function train(
  shape: NetworkShape,
  lessons: Lessons,
  seed: number,
): { readonly weights: Float64Array; readonly lossRatio: number } {
  const random = seededRandom(seed);
  const weights = firstWeights(shape, random);
  const gradient = new Float64Array(weights.length);
  const mean = new Float64Array(weights.length);
  const square = new Float64Array(weights.length);
  const tape = makeTape(shape, WINDOW_STEPS);
  const look = validation(shape, lessons);
  const zeroLoss = look(weights);
  let best = { weights: Float64Array.from(weights), loss: zeroLoss };
  let looksWithoutGain = 0;
  for (let round = 1; round <= ROUNDS_MAX && looksWithoutGain < LOOKS_WITHOUT_GAIN_MAX; round++) {
    gradient.fill(0);
    let count = 0;
    for (let window = 0; window < WINDOWS_A_ROUND; window++) {
      const from = Math.floor(random() * Math.max(1, lessons.validFrom - WINDOW_STEPS));
      const steps = Math.min(WINDOW_STEPS, lessons.validFrom - from);
      const lesson = { ...lessons, from, steps, warmUp: WARM_UP_STEPS };
      run(shape, weights, lesson, tape);
      count += lossOf(shape, lesson, tape).count;
      addGradient(shape, weights, { lesson, tape, gradient });
    }
    adamStep({ weights, gradient, mean, square, round, count: Math.max(1, count / shape.outputs) });
    if (round % ROUNDS_A_LOOK !== 0) continue;
    const loss = look(weights);
    if (loss < best.loss) {
      looksWithoutGain = loss < 0.999 * best.loss ? 0 : looksWithoutGain + 1;
      best = { weights: Float64Array.from(weights), loss };
    } else looksWithoutGain++;
  }
  return { weights: best.weights, lossRatio: zeroLoss > 0 ? best.loss / zeroLoss : 1 };
}

/** Small gates, open forget gates (so that the state lives from the first round on), and a read-out of 0. */
function firstWeights(shape: NetworkShape, random: () => number): Float64Array {
  const { inputs, units } = shape;
  const width = inputs + units + 1;
  const weights = new Float64Array(weightsOf(shape));
  for (let at = 0; at < 4 * units * width; at++) weights[at] = normal(random) / Math.sqrt(width);
  for (let unit = 0; unit < units; unit++) {
    for (let gate = 0; gate < 4; gate++) weights[(4 * unit + gate + 1) * width - 1] = gate === 1 ? 1 : 0;
  }
  return weights;
}

/** Mean loss on what was held back, in one run over it. */
function validation(shape: NetworkShape, lessons: Lessons): (weights: Float64Array) => number {
  const from = Math.max(0, lessons.validFrom - WARM_UP_STEPS, lessons.steps - HELD_BACK_STEPS_MAX);
  const lesson = { ...lessons, from, steps: lessons.steps - from, warmUp: WARM_UP_STEPS };
  const tape = makeTape(shape, lesson.steps);
  return (weights) => {
    run(shape, weights, lesson, tape);
    const { loss, count } = lossOf(shape, lesson, tape);
    return count > 0 && Number.isFinite(loss) ? loss / count : Infinity;
  };
}

function adamStep(options: {
  readonly weights: Float64Array;
  readonly gradient: Float64Array;
  readonly mean: Float64Array;
  readonly square: Float64Array;
  readonly round: number;
  readonly count: number;
}): void {
  const { weights, gradient, mean, square, round, count } = options;
  let norm = 0;
  for (let i = 0; i < gradient.length; i++) norm += ((gradient[i] ?? 0) / count) ** 2;
  const scale = Math.min(1, GRADIENT_MAX / Math.sqrt(norm + 1e-12)) / count;
  // The rate falls to a tenth: large steps find the valley, small ones its bottom.
  const rate = (LEARNING_RATE * 0.1 ** (round / ROUNDS_MAX) * Math.sqrt(1 - 0.999 ** round)) / (1 - 0.9 ** round);
  for (let i = 0; i < weights.length; i++) {
    const slope = (gradient[i] ?? 0) * scale;
    mean[i] = 0.9 * (mean[i] ?? 0) + 0.1 * slope;
    square[i] = 0.999 * (square[i] ?? 0) + 0.001 * slope * slope;
    weights[i] = (weights[i] ?? 0) - (rate * (mean[i] ?? 0)) / (Math.sqrt(square[i] ?? 0) + 1e-8);
  }
}
