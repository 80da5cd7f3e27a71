// lstm-network.ts: one layer of long short-term memory with a linear read-out, forward and backward, on plain typed arrays.
// Not here: what goes in and what is to come out (lstm.ts), the search for weights (lstm-train.ts).
//   N1. The gradient is the exact derivative of the loss: checked numerically in the test.

export interface NetworkShape {
  readonly inputs: number;
  readonly units: number;
  readonly outputs: number;
}

/** Weights in one array: for each unit its input, forget, output and candidate row, then one row per output. */
export function weightsOf({ inputs, units, outputs }: NetworkShape): number {
  return 4 * units * (inputs + units + 1) + outputs * (units + inputs + 1);
}

/** What one run leaves behind for the way back; made once, used for many runs. */
export interface Tape {
  /** By step, one row more than steps: the inputs, the hidden state before the step, and a one. */
  readonly joined: Float64Array;
  /** By step: activated gates, four per unit: input, forget, output, candidate. */ readonly gates: Float64Array;
  /** By step, one row more than steps: row 0 is the state before the first. */ readonly cells: Float64Array;
  readonly outputs: Float64Array;
  readonly cellSlope: Float64Array;
  readonly hiddenSlope: Float64Array;
  readonly nextSlope: Float64Array;
}

export function makeTape({ inputs, units, outputs }: NetworkShape, steps: number): Tape {
  const width = inputs + units + 1;
  return {
    joined: new Float64Array((steps + 1) * width).map((_, at) => (at % width === width - 1 ? 1 : 0)),
    gates: new Float64Array(steps * 4 * units),
    cells: new Float64Array((steps + 1) * units),
    outputs: new Float64Array(steps * outputs),
    cellSlope: new Float64Array(units),
    hiddenSlope: new Float64Array(units),
    nextSlope: new Float64Array(units),
  };
}

export interface Sequence {
  /** By step, `shape.inputs` each. */ readonly inputs: Float64Array;
  /** First step of it to be used. */ readonly from: number;
  readonly steps: number;
}

/**
 * Runs from an empty state; leaves states and outputs in the tape.
 * Source: Hochreiter and Schmidhuber (1997); forget gate, Gers et al. (2000).
 */
export function run(shape: NetworkShape, weights: Float64Array, sequence: Sequence, tape: Tape): void {
  const { inputs, units, outputs } = shape;
  const { joined, gates, cells } = tape;
  const { inputs: given, from, steps } = sequence;
  const width = inputs + units + 1;
  for (let step = 0; step < steps; step++) {
    const row = step * width;
    const next = row + width;
    for (let i = 0; i < inputs; i++) joined[row + i] = given[(from + step) * inputs + i] ?? 0;
    for (let unit = 0; unit < units; unit++) {
      const gate = 4 * (step * units + unit);
      const first = 4 * unit * width;
      const input = sigmoid(dot(weights, first, joined, row, width));
      const forget = sigmoid(dot(weights, first + width, joined, row, width));
      const output = sigmoid(dot(weights, first + 2 * width, joined, row, width));
      const candidate = tanh(dot(weights, first + 3 * width, joined, row, width));
      const cell = forget * (cells[step * units + unit] ?? 0) + input * candidate;
      gates[gate] = input;
      gates[gate + 1] = forget;
      gates[gate + 2] = output;
      gates[gate + 3] = candidate;
      cells[(step + 1) * units + unit] = cell;
      joined[next + inputs + unit] = output * tanh(cell);
    }
    let read = 4 * units * width;
    for (let output = 0; output < outputs; output++, read += width) {
      let sum = weights[read + width - 1] ?? 0;
      for (let i = 0; i < inputs; i++) sum += (weights[read + i] ?? 0) * (joined[row + i] ?? 0);
      for (let u = inputs; u < inputs + units; u++) sum += (weights[read + u] ?? 0) * (joined[next + u] ?? 0);
      tape.outputs[step * outputs + output] = sum;
    }
  }
}

function dot(left: Float64Array, leftAt: number, right: Float64Array, rightAt: number, count: number): number {
  let sum = 0;
  for (let i = 0; i < count; i++) sum += (left[leftAt + i] ?? 0) * (right[rightAt + i] ?? 0);
  return sum;
}

function sigmoid(value: number): number {
  return 1 / (1 + Math.exp(-value));
}

/** Twice as fast as the built-in one, which is exact to the last digit near 0. */
function tanh(value: number): number {
  return 1 - 2 / (Math.exp(2 * value) + 1);
}

export interface Lesson extends Sequence {
  /** By step of the whole sequence, `shape.outputs` each; NaN: not known, costs nothing. */ readonly targets: Float64Array;
  /** Steps at the start of the run that cost nothing, so that the state can fill. */ readonly warmUp: number;
}

/** Sum of `sqrt(1 + error^2) - 1` over a run that is in the tape: square near zero, linear far away, so that outages do not teach. */
export function lossOf({ outputs }: NetworkShape, lesson: Lesson, tape: Tape): { loss: number; count: number } {
  let loss = 0;
  let count = 0;
  for (let at = lesson.warmUp * outputs; at < lesson.steps * outputs; at++) {
    const error = (tape.outputs[at] ?? 0) - (lesson.targets[lesson.from * outputs + at] ?? 0);
    if (Number.isNaN(error)) continue;
    loss += Math.sqrt(1 + error * error) - 1;
    count++;
  }
  return { loss, count };
}

/**
 * Adds to `gradient` the derivative of the loss of a run that is in the tape, by each weight.
 * Source: back-propagation through time, Werbos (1990).
 */
export function addGradient(
  shape: NetworkShape,
  weights: Float64Array,
  { lesson, tape, gradient }: { readonly lesson: Lesson; readonly tape: Tape; readonly gradient: Float64Array },
): void {
  const { inputs, units, outputs } = shape;
  const { joined, gates, cells, cellSlope, hiddenSlope, nextSlope } = tape;
  const { targets, from, warmUp } = lesson;
  const width = inputs + units + 1;
  const slopes = new Float64Array(4);
  cellSlope.fill(0);
  hiddenSlope.fill(0);
  for (let step = lesson.steps - 1; step >= 0; step--) {
    const row = step * width;
    const next = row + width;
    for (let output = 0; output < outputs && step >= warmUp; output++) {
      const target = targets[(from + step) * outputs + output] ?? Number.NaN;
      const error = (tape.outputs[step * outputs + output] ?? 0) - target;
      if (Number.isNaN(error)) continue;
      const slope = error / Math.sqrt(1 + error * error);
      const read = (4 * units + output) * width;
      addScaled(gradient, read, joined, row, inputs, slope);
      addScaled(gradient, read + inputs, joined, next + inputs, units + 1, slope);
      addScaled(hiddenSlope, 0, weights, read + inputs, units, slope);
    }
    nextSlope.fill(0);
    for (let unit = 0; unit < units; unit++) {
      const gate = 4 * (step * units + unit);
      const input = gates[gate] ?? 0;
      const forget = gates[gate + 1] ?? 0;
      const output = gates[gate + 2] ?? 0;
      const candidate = gates[gate + 3] ?? 0;
      const squashed = tanh(cells[(step + 1) * units + unit] ?? 0);
      const slope = hiddenSlope[unit] ?? 0;
      const inCell = (cellSlope[unit] ?? 0) + slope * output * (1 - squashed * squashed);
      cellSlope[unit] = inCell * forget;
      slopes[0] = inCell * candidate * input * (1 - input);
      slopes[1] = inCell * (cells[step * units + unit] ?? 0) * forget * (1 - forget);
      slopes[2] = slope * squashed * output * (1 - output);
      slopes[3] = inCell * input * (1 - candidate * candidate);
      for (let part = 0; part < 4; part++) {
        const gateRow = (4 * unit + part) * width;
        addScaled(gradient, gateRow, joined, row, width, slopes[part] ?? 0);
        addScaled(nextSlope, 0, weights, gateRow + inputs, units, slopes[part] ?? 0);
      }
    }
    hiddenSlope.set(nextSlope);
  }
}

/** `into[intoAt + i] += factor * values[at + i]`. Positional like `dot`: an object for each of a million calls costs as much as the sum. */
function addScaled(
  into: Float64Array,
  intoAt: number,
  values: Float64Array,
  at: number,
  count: number,
  factor: number,
): void {
  for (let i = 0; i < count; i++) into[intoAt + i] = (into[intoAt + i] ?? 0) + factor * (values[at + i] ?? 0);
}
