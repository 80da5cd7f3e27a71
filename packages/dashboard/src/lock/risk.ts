// risk.ts: the parts of a risk score with what each does to it. Pure. The score itself comes from the server.
import type { Risk } from "@forelock/protocol";
import type { Json } from "../wire/json.ts";

export interface Factor {
  readonly name: string;
  /** 0 to 1. */
  readonly value: number;
  readonly weight: number;
  /** value to the power of weight over the sum of the weights: the factors multiply to the score. */
  readonly factor: number;
}

/** First what keeps the score down the most. */
export function factorsOf({ parts = [] }: Json<Risk>): readonly Factor[] {
  const weights = parts.reduce((sum, { weight = 0 }) => sum + weight, 0);
  return parts
    .map(({ name = "", value = 0, weight = 0 }) => ({
      name,
      value,
      weight,
      factor: weight === 0 ? 1 : value ** (weight / weights), // Without a weight it has no say, whatever its value.
    }))
    .sort((a, b) => a.factor - b.factor);
}
