// tell.tsx: one line about what was just done, read out once. Not here: what goes wrong in a dialog (the dialog says it).
import { createContext, type JSX } from "preact";
import { useContext } from "preact/hooks";

/** Says one thing, in the place of what was said before. */
export type Tell = (text: string) => void;

export const TellContext = createContext<Tell>(() => {});

export const useTell = (): Tell => useContext(TellContext);

export function Told({ text, onClose }: { readonly text: string; readonly onClose: () => void }): JSX.Element {
  return (
    <div class={text === "" ? "told" : "told shown"} role="status">
      {text !== "" && (
        <>
          <span>{text}</span>
          <button type="button" onClick={onClose} aria-label="Close this message">
            ×
          </button>
        </>
      )}
    </div>
  );
}
