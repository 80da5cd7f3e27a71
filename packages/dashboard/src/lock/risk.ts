// risk.ts: the parts of a risk score with their shares in it. Pure. The score itself comes from the server.
import type { Risk } from "@forelock/protocol";
import type { Json } from "../wire/json.ts";

export interface Share {
  readonly name: string;
  /** 0 to 1. */
  readonly value: number;
  readonly weight: number;
  /** weight x value over the sum of the weights: the shares add up to the score. */
  readonly share: number;
}

/** The largest share first. */
export function sharesOf({ parts = [] }: Json<Risk>): readonly Share[] {
  const weights = parts.reduce((sum, { weight = 0 }) => sum + weight, 0);
  return parts
    .map(({ name = "", value = 0, weight = 0 }) => ({
      name,
      value,
      weight,
      share: weights === 0 ? 0 : (weight * value) / weights,
    }))
    .sort((a, b) => b.share - a.share);
}
