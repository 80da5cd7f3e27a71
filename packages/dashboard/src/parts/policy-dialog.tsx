// policy-dialog.tsx: changes the policy of a prefix, field by field, with a reason.
import type { ListPoliciesReply, PolicyField } from "@forelock/protocol";
import type { JSX } from "preact";
import { useEffect, useId, useState } from "preact/hooks";
import { plural } from "../format/format.ts";
import { changesOf, choicesOf, policyFor, prefixesOf, prefixTitle } from "../policy.ts";
import { ask } from "../wire/ask.ts";
import type { Json } from "../wire/json.ts";
import { ActionDialog } from "./action-dialog.tsx";

export interface PolicyDialogProps {
  /** A lock's name, or a prefix. */
  readonly prefix: string;
  /** The prefix can be typed; else it is this one or one of those above it. */
  readonly isPrefixFree: boolean;
  readonly onClose: () => void;
}

export function PolicyDialog({ prefix: start, isPrefixFree, onClose }: PolicyDialogProps): JSX.Element {
  const prefixId = useId();
  const [prefix, setPrefix] = useState(start);
  const [typed, setTyped] = useState<Readonly<Record<string, string>>>({});
  const [policies, setPolicies] = useState<Json<ListPoliciesReply> | Error>();
  useEffect(() => {
    ask("list-policies", {}).then(setPolicies, (error: Error) => setPolicies(error));
  }, []);
  const known = policies instanceof Error ? undefined : policies;
  const own = known?.policies?.find((policy) => (policy.prefix ?? "") === prefix)?.set ?? {};
  const effective = policyFor(known?.policies ?? [], prefix)?.effective ?? {};
  const act = async (reason: string): Promise<string> => {
    const set = changesOf(own, typed);
    if (Object.keys(set).length === 0) throw new Error("Nothing is changed.");
    await ask("set-policy", { prefix: prefix.trim(), set, reason });
    return `Changed ${plural(Object.keys(set).length, "field")} of the policy of ${prefixTitle(prefix)}.`;
  };
  const fieldOf = (field: Json<PolicyField>): JSX.Element => {
    const { name = "", standard = "" } = field;
    return (
      <Field
        key={name}
        field={field}
        value={typed[name] ?? own[name] ?? ""}
        fallback={effective[name] ?? standard}
        onValue={(value) => setTyped({ ...typed, [name]: value })}
      />
    );
  };
  const choosePrefix = (value: string): void => {
    setPrefix(value);
    setTyped({});
  };
  return (
    <ActionDialog
      title="Set the policy"
      explanation="It holds for every name below the prefix that has no longer prefix of its own. An empty field takes what the shorter prefix says."
      verb="Set"
      act={act}
      onClose={onClose}
    >
      <div class="field">
        <label for={prefixId}>Prefix</label>
        {isPrefixFree ? (
          <input
            id={prefixId}
            type="text"
            value={prefix}
            spellcheck={false}
            onInput={(event) => choosePrefix(event.currentTarget.value)}
          />
        ) : (
          <select id={prefixId} value={prefix} onChange={(event) => choosePrefix(event.currentTarget.value)}>
            {prefixesOf(start).map((each) => (
              <option key={each} value={each}>
                {prefixTitle(each)}
              </option>
            ))}
          </select>
        )}
      </div>
      {policies instanceof Error && (
        <p class="problem" role="alert">
          {policies.message}
        </p>
      )}
      <div class="fields">{known?.fields?.filter(isMain).map(fieldOf)}</div>
      <details>
        <summary>All fields</summary>
        <div class="fields">{known?.fields?.filter((field) => !isMain(field)).map(fieldOf)}</div>
      </details>
    </ActionDialog>
  );
}

/** What an operator changes first. */
const MAIN_FIELDS = ["policy", "threshold", "countdownMs"];
const isMain = ({ name = "" }: Json<PolicyField>): boolean => MAIN_FIELDS.includes(name);

interface FieldProps {
  readonly field: Json<PolicyField>;
  readonly value: string;
  /** What holds while the field is empty. */
  readonly fallback: string;
  readonly onValue: (value: string) => void;
}

function Field({ field, value, fallback, onValue }: FieldProps): JSX.Element {
  const choices = choicesOf(field);
  const id = useId();
  return (
    <div class="field">
      <label for={id}>
        {field.name} <span class="note">{choices.length > 0 ? "" : field.range}</span>
      </label>
      {choices.length > 0 ? (
        <select
          id={id}
          aria-describedby={`${id}-help`}
          value={value}
          onChange={(event) => onValue(event.currentTarget.value)}
        >
          <option value="">as above: {fallback}</option>
          {choices.map((choice) => (
            <option key={choice} value={choice}>
              {choice}
            </option>
          ))}
        </select>
      ) : (
        <input
          id={id}
          aria-describedby={`${id}-help`}
          type="text"
          value={value}
          placeholder={`as above: ${fallback}`}
          spellcheck={false}
          onInput={(event) => onValue(event.currentTarget.value)}
        />
      )}
      <span class="note" id={`${id}-help`}>
        {field.description}
      </span>
    </div>
  );
}
