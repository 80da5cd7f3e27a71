// search.tsx: finds names by how they begin. The node looks, so that what is far down is found too.
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

export interface SearchProps {
  readonly label: string;
  readonly prefix: string;
  readonly onPrefix: (prefix: string) => void;
}

/** One look at a pause in the typing, not at each letter. */
const PAUSE_MS = 250;

export function Search({ label, prefix, onPrefix }: SearchProps): JSX.Element {
  const [text, setText] = useState(prefix);
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (text === prefix) return;
    const timer = setTimeout(() => onPrefix(text), PAUSE_MS);
    return () => clearTimeout(timer);
  }, [text]);
  useEffect(() => {
    const focus = (event: KeyboardEvent): void => {
      const isTyping = event.target instanceof HTMLElement && /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName);
      if (event.key !== "/" || isTyping || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      field.current?.focus();
    };
    addEventListener("keydown", focus);
    return () => removeEventListener("keydown", focus);
  }, []);
  return (
    <label class="search">
      <span>{label}</span>
      <input
        ref={field}
        type="search"
        value={text}
        placeholder="press / to search"
        spellcheck={false}
        onInput={(event) => setText(event.currentTarget.value)}
      />
    </label>
  );
}
