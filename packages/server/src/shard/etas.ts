// etas.ts: TEMP
import type { Wait } from "../partition/state.ts";
export class Etas {
  of(_wait: Wait): { readonly p50Ms: number; readonly p90Ms: number } | undefined {
    return undefined;
  }
}
