// tags.tsx: small marks beside a name: what state it is in. Never by colour alone.
import type { Risk } from "@forelock/protocol";
import type { JSX } from "preact";
import type { NodeState } from "../cluster/cluster.ts";
import { score } from "../format/format.ts";
import type { Json } from "../wire/json.ts";

export function DemoTag(): JSX.Element {
  return (
    <span class="tag demo" title="Made by the demo load">
      demo
    </span>
  );
}

export function SilentTag(): JSX.Element {
  return (
    <span class="tag warn" title="Not heard from for a third of its time to live">
      silent
    </span>
  );
}

/** What is being done about a risk: nothing to show while it is only held. */
export function StateTag({ state }: { readonly state: string | undefined }): JSX.Element | undefined {
  if (state === undefined || state === "" || state === "held" || state === "waiting") return undefined;
  const tone = state === "warned" ? "warn" : "calm";
  return <span class={`tag ${tone}`}>{state.replace("_", " ")}</span>;
}

/** A state in words, with a tone that says whether to look. */
export function Tone({ state: { words, tone } }: { readonly state: NodeState }): JSX.Element {
  return tone === "good" ? <span>{words}</span> : <span class={`tag ${tone}`}>{words}</span>;
}

export function RiskScore({ risk }: { readonly risk: Json<Risk> | undefined }): JSX.Element {
  if (risk === undefined) return <span class="note">–</span>;
  const { score: value = 0, threshold = 0 } = risk;
  const isAbove = threshold > 0 && value >= threshold;
  return (
    <span class={isAbove ? "risk above" : "risk"} title={risk.reason ?? ""}>
      {score(value)}
      <span class="note"> / {score(threshold)}</span>
      {isAbove && <span class="hidden-title"> above its threshold</span>}
    </span>
  );
}
