// options.ts: the limits of a forecaster, and what is believed before anything was seen. Not here: constants of the method, which
// stand beside the code that uses them.

export interface DurationForecasterOptions {
  /** Pairs of client and element that are remembered; at the limit the least recently used is forgotten. Default 16,384. */
  readonly pairsMax?: number;
  /** Clients that are remembered, in the same way. Default 4,096. */
  readonly clientsMax?: number;
  /** Elements that are remembered, in the same way. Default 16,384. */
  readonly elementsMax?: number;
  /** Holds that are known to be running; at the limit `begin` answers `undefined`. Default 65,536. */
  readonly runningMax?: number;
  /** Busy pairs whose last durations are kept in order, for models of series. 0: none. Default 64. */
  readonly seriesMax?: number;
  /** Durations kept of each such pair. Default 512. */
  readonly seriesLengthMax?: number;
  /** Median of the first forecast, before any duration was seen. Default 1,000. */
  readonly priorMedianMs?: number;
  /** Deviation of its natural logarithm. Default 2: nine of ten within a factor of 27. */
  readonly priorSigma?: number;
}

type Limits = Required<DurationForecasterOptions>;

const RANGES: Readonly<
  Record<keyof Limits, { readonly otherwise: number; readonly min: number; readonly max: number }>
> = {
  pairsMax: { otherwise: 16_384, min: 1, max: 2 ** 20 },
  clientsMax: { otherwise: 4_096, min: 1, max: 2 ** 20 },
  elementsMax: { otherwise: 16_384, min: 1, max: 2 ** 20 },
  runningMax: { otherwise: 65_536, min: 1, max: 2 ** 22 },
  seriesMax: { otherwise: 64, min: 0, max: 4_096 },
  seriesLengthMax: { otherwise: 512, min: 16, max: 65_536 },
  priorMedianMs: { otherwise: 1_000, min: 0.1, max: 86_400_000 },
  priorSigma: { otherwise: 2, min: 0.1, max: 10 },
};

/** Every option, in its range. Throws a RangeError that names the option, the value and the range. */
export function completeOptions(options: DurationForecasterOptions): Limits {
  const complete = (name: keyof Limits): number => {
    const { otherwise, min, max } = RANGES[name];
    const value = options[name] ?? otherwise;
    const isWhole = name === "priorMedianMs" || name === "priorSigma" || Number.isInteger(value);
    if (value >= min && value <= max && isWhole) return value;
    throw new RangeError(
      `${name} is ${value}; it must be ${name.endsWith("Max") ? "a whole number" : "a number"} from ${min} to ${max}.`,
    );
  };
  return {
    pairsMax: complete("pairsMax"),
    clientsMax: complete("clientsMax"),
    elementsMax: complete("elementsMax"),
    runningMax: complete("runningMax"),
    seriesMax: complete("seriesMax"),
    seriesLengthMax: complete("seriesLengthMax"),
    priorMedianMs: complete("priorMedianMs"),
    priorSigma: complete("priorSigma"),
  };
}
