// sign-in.tsx: asks for the bearer token when the node wants one. It stays in this tab (wire/ask.ts, K1).
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { hasToken, useToken as keepToken } from "../wire/ask.ts";

export function SignIn({ why, onToken }: { readonly why: string; readonly onToken: () => void }): JSX.Element {
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => field.current?.focus(), []);
  return (
    <form
      class="sign-in"
      aria-label="Sign in"
      onSubmit={(event) => {
        event.preventDefault();
        keepToken(field.current?.value.trim() ?? "");
        onToken();
      }}
    >
      <h2>This server asks for a token</h2>
      {hasToken() && <p role="alert">{why}</p>}
      <label>
        Bearer token of a principal
        <input ref={field} type="password" autocomplete="off" required />
      </label>
      <p class="note">It is kept in this tab only, and sent to this server only.</p>
      <button type="submit" class="primary">
        Sign in
      </button>
    </form>
  );
}
