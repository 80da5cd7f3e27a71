// settings.tsx: the policy of every prefix: what may be done about risk, who said so, and why.
import type { ListPoliciesReply, PolicyInfo } from "@forelock/protocol";
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { Parts } from "../feed/screen.ts";
import { score } from "../format/format.ts";
import { PolicyDialog } from "../parts/policy-dialog.tsx";
import { Missing } from "../parts/state.tsx";
import { DemoTag } from "../parts/tags.tsx";
import { prefixTitle } from "../policy.ts";
import type { Json } from "../wire/json.ts";

interface Editing {
  readonly prefix: string;
  readonly isNew: boolean;
}

export function SettingsScreen({ parts }: { readonly parts: Parts }): JSX.Element {
  const part = parts["policies"];
  const [editing, setEditing] = useState<Editing>();
  const reply = part?.kind === "value" ? (part.row.json as Json<ListPoliciesReply>) : undefined; // The part `policies` is this.
  return (
    <section aria-labelledby="settings-title">
      <div class="bar">
        <h1 id="settings-title">Policy by prefix</h1>
        <button
          type="button"
          class="primary"
          disabled={reply === undefined}
          onClick={() => setEditing({ prefix: "", isNew: true })}
        >
          Set a policy …
        </button>
      </div>
      <p class="note">
        What may be done about a holder that others wait for. The longest prefix that sets a field wins. Start with
        “observe”, look at Prediction, then “warn”, then “enforce”.
      </p>
      {reply === undefined ? (
        <Missing part={part} />
      ) : (
        <PolicyTable policies={reply.policies ?? []} onEdit={(prefix) => setEditing({ prefix, isNew: false })} />
      )}
      {reply !== undefined && <Fields reply={reply} />}
      {editing !== undefined && (
        <PolicyDialog prefix={editing.prefix} isPrefixFree={editing.isNew} onClose={() => setEditing(undefined)} />
      )}
    </section>
  );
}

interface PolicyTableProps {
  readonly policies: readonly Json<PolicyInfo>[];
  readonly onEdit: (prefix: string) => void;
}

function PolicyTable({ policies, onEdit }: PolicyTableProps): JSX.Element {
  return (
    <div class="scroll">
      <table>
        <caption class="hidden-title">Policies</caption>
        <thead>
          <tr>
            <th scope="col">Prefix</th>
            <th scope="col">Policy</th>
            <th scope="col" class="number">
              Threshold now
            </th>
            <th scope="col">Set here</th>
            <th scope="col">By</th>
            <th scope="col">Reason</th>
            <th scope="col">
              <span class="hidden-title">Change</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {policies.map((policy) => (
            <PolicyLine key={policy.prefix ?? ""} policy={policy} onEdit={onEdit} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function PolicyLine({
  policy,
  onEdit,
}: {
  readonly policy: Json<PolicyInfo>;
  readonly onEdit: (prefix: string) => void;
}): JSX.Element {
  const { prefix = "", set = {}, effective = {}, threshold = 0, changedBy = "", changedMs = 0, reason = "" } = policy;
  const isDemo = prefix === "demo" || prefix.startsWith("demo/");
  return (
    <tr>
      <th scope="row">
        {prefixTitle(prefix)} {isDemo && <DemoTag />}
      </th>
      <td>{effective["policy"] ?? ""}</td>
      <td class="number">{score(threshold)}</td>
      <td class="wrap">
        {Object.keys(set).length === 0 ? (
          <span class="note">nothing</span>
        ) : (
          Object.entries(set)
            .map(([name, value]) => `${name} ${value}`)
            .join(", ")
        )}
      </td>
      <td>
        {changedBy} {changedMs > 0 && <span class="note">{new Date(changedMs).toLocaleString()}</span>}
      </td>
      <td class="wrap">{reason}</td>
      <td>
        <button type="button" onClick={() => onEdit(prefix)} aria-label={`Change the policy of ${prefixTitle(prefix)}`}>
          Change …
        </button>
      </td>
    </tr>
  );
}

/** What the words of a policy mean. */
function Fields({ reply }: { readonly reply: Json<ListPoliciesReply> }): JSX.Element {
  return (
    <details>
      <summary>What the fields mean</summary>
      <dl class="meanings">
        {(reply.fields ?? []).map(({ name = "", range = "", standard = "", description = "" }) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>
              {description}{" "}
              <span class="note">
                {range}; {standard} unless set.
              </span>
            </dd>
          </div>
        ))}
      </dl>
    </details>
  );
}
