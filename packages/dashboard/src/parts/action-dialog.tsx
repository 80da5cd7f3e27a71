// action-dialog.tsx: asks for the reason of an operator's act before it is done; the server keeps it in its log.
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { useTell } from "./tell.tsx";

/** Of the protocol: 1 to 256 bytes. */
const REASON_BYTES_MAX = 256;

export interface ActionDialogProps {
  readonly title: string;
  readonly explanation: string;
  /** On the button. */
  readonly verb: string;
  readonly isDangerous?: boolean;
  /** Further fields. */
  readonly children?: ComponentChildren;
  /** Does it. @returns what to tell; rejects with what to show */
  readonly act: (reason: string) => Promise<string>;
  readonly onClose: () => void;
}

export function ActionDialog(props: ActionDialogProps): JSX.Element {
  const { title, explanation, verb, isDangerous = false, children, act, onClose } = props;
  const dialog = useRef<HTMLDialogElement>(null);
  const [reason, setReason] = useState("");
  const [problem, setProblem] = useState("");
  const [isBusy, setBusy] = useState(false);
  const tell = useTell();
  const titleId = useId();
  useEffect(() => dialog.current?.showModal(), []); // The browser keeps the focus inside, and gives it back at the end.
  const submit = async (): Promise<void> => {
    setProblem(problemOf(reason));
    if (problemOf(reason) !== "") return;
    setBusy(true);
    try {
      tell(await act(reason.trim()));
      dialog.current?.close();
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error));
      setBusy(false);
    }
  };
  return (
    <dialog ref={dialog} aria-labelledby={titleId} onClose={onClose}>
      <form
        method="dialog"
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          void submit();
        }}
      >
        <h2 id={titleId}>{title}</h2>
        <p class="note">{explanation}</p>
        {children}
        <label>
          Reason, kept in the log
          <input
            type="text"
            value={reason}
            required
            autocomplete="off"
            placeholder="why, for those who ask later"
            onInput={(event) => setReason(event.currentTarget.value)}
          />
        </label>
        {problem !== "" && (
          <p class="problem" role="alert">
            {problem}
          </p>
        )}
        <div class="buttons">
          <button type="button" onClick={() => dialog.current?.close()}>
            Cancel
          </button>
          <button type="submit" class={isDangerous ? "danger" : "primary"} disabled={isBusy}>
            {verb}
          </button>
        </div>
      </form>
    </dialog>
  );
}

function problemOf(reason: string): string {
  const bytes = new TextEncoder().encode(reason.trim()).length;
  if (bytes === 0) return "Give a reason.";
  return bytes > REASON_BYTES_MAX ? `The reason is ${bytes} bytes long; at most ${REASON_BYTES_MAX}.` : "";
}
