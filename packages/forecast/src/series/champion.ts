// champion.ts: which model is named as the one that speaks, and when that changes. Names and events only: the mix (mix.ts) listens
// to everybody at once and waits for nobody.
//   N1. The champion changes when another leads by LEAD for two half-lives on end, or when it may not be heard any more.

import { challengerWeight, isChallenged } from "./challenge.ts";
import type { Memory } from "./experts.ts";
import { ERROR_HALF_LIFE } from "./mix.ts";
import { AT, CHALLENGERS_MAX, EXPERTS, HORIZON_COUNT } from "./shape.ts";

const LEAD = 0.03;
const LEAD_STEPS = 2 * ERROR_HALF_LIFE;
/** Steps between two looks. */
export const LOOK_STEPS = 40;

/** Looks for a new champion. Returns the number of the old one when it changed; -1 otherwise. Numbers beyond EXPERTS are challengers. */
export function look(memory: Memory): number {
  const { numbers, at } = memory;
  const champion = numbers[at + AT.champion]! | 0;
  const models = isChallenged(memory) ? EXPERTS + CHALLENGERS_MAX : EXPERTS;
  let contender = champion;
  let most = -1;
  for (let model = 0; model < models; model += 1) {
    const weight = meanWeight(memory, model);
    if (weight > most) {
      most = weight;
      contender = model;
    }
  }
  const isMute = meanWeight(memory, champion) === 0;
  const leads = contender !== champion && meanError(memory, contender) <= (1 - LEAD) * meanError(memory, champion);
  const isSame = numbers[at + AT.contender] === contender;
  numbers[at + AT.contender] = contender;
  numbers[at + AT.leadSteps] = leads ? (isSame ? numbers[at + AT.leadSteps]! + LOOK_STEPS : LOOK_STEPS) : 0;
  if (!isMute && numbers[at + AT.leadSteps]! < LEAD_STEPS) return -1; // N1
  if (contender === champion) return -1;
  numbers[at + AT.champion] = contender;
  numbers[at + AT.leadSteps] = 0;
  return champion;
}

/** Mean absolute error over the scored horizons. That of a challenger is put as if it had spoken at every origin. */
export function meanError(memory: Memory, model: number): number {
  const { numbers, at } = memory;
  let sum = 0;
  for (let k = 0; k < HORIZON_COUNT; k += 1) {
    if (model < EXPERTS) {
      sum += numbers[at + AT.errors + k * EXPERTS + model]!;
    } else {
      const cell = k * CHALLENGERS_MAX + model - EXPERTS;
      const beside = numbers[at + AT.beside + cell]!;
      const ratio = beside > 0 ? numbers[at + AT.own + cell]! / beside : 1;
      sum += Math.min(1e3, ratio) * numbers[at + AT.hotErrors + k]!;
    }
  }
  return sum / HORIZON_COUNT;
}

/** Share of the whole mix, averaged over the scored horizons, in [0, 1]. */
function meanWeight(memory: Memory, model: number): number {
  const { numbers, at } = memory;
  let sum = 0;
  for (let k = 0; k < HORIZON_COUNT; k += 1) {
    let all = 1;
    if (isChallenged(memory))
      for (let index = 0; index < CHALLENGERS_MAX; index += 1) all += challengerWeight(memory, index, k, k);
    const weight =
      model < EXPERTS
        ? numbers[at + AT.weights + k * EXPERTS + model]!
        : challengerWeight(memory, model - EXPERTS, k, k);
    sum += weight / all;
  }
  return sum / HORIZON_COUNT;
}
