// state.tsx: what stands in place of a part that is not there: not yet, not for you, or nothing to show.
import type { ComponentChildren, JSX } from "preact";
import type { Part } from "../feed/screen.ts";

/** @param part undefined: it has not come yet */
export function Missing({ part }: { readonly part: Part | undefined }): JSX.Element {
  if (part?.kind !== "error") return <p class="empty">Loading …</p>;
  if (part.code === "not_supported") return <p class="empty">This server does not offer this yet.</p>;
  return (
    <p class="empty" role="alert">
      {part.message} <span class="note">({part.code})</span>
    </p>
  );
}

export function Empty({
  title,
  children,
}: {
  readonly title: string;
  readonly children?: ComponentChildren;
}): JSX.Element {
  return (
    <div class="empty">
      <p>{title}</p>
      {children !== undefined && <p class="note">{children}</p>}
    </div>
  );
}
