// lock-actions.tsx: what an operator can do to one lock: warn its holders, release it, set its policy.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { plural } from "../format/format.ts";
import { ask } from "../wire/ask.ts";
import { ActionDialog } from "./action-dialog.tsx";
import { PolicyDialog } from "./policy-dialog.tsx";

type Open = "nothing" | "warn" | "release" | "policy";

export function LockActions({ name, isHeld }: { readonly name: string; readonly isHeld: boolean }): JSX.Element {
  const [open, setOpen] = useState<Open>("nothing");
  const close = (): void => setOpen("nothing");
  return (
    <fieldset class="buttons" aria-label="Actions">
      <button type="button" disabled={!isHeld} onClick={() => setOpen("warn")}>
        Warn …
      </button>
      <button type="button" class="danger" disabled={!isHeld} onClick={() => setOpen("release")}>
        Release …
      </button>
      <button type="button" onClick={() => setOpen("policy")}>
        Policy …
      </button>
      {open === "warn" && <WarnDialog name={name} onClose={close} />}
      {open === "release" && <ReleaseDialog name={name} onClose={close} />}
      {open === "policy" && <PolicyDialog prefix={name} isPrefixFree={false} onClose={close} />}
    </fieldset>
  );
}

interface DialogProps {
  readonly name: string;
  readonly onClose: () => void;
}

/** Of the protocol, in seconds: 100 ms to an hour. */
const COUNTDOWN_S_MIN = 0.1;
const COUNTDOWN_S_MAX = 3_600;

function WarnDialog({ name, onClose }: DialogProps): JSX.Element {
  const [seconds, setSeconds] = useState("");
  const act = async (reason: string): Promise<string> => {
    const reply = await ask("warn", { name, reason, ...countdownOf(seconds) });
    return `Warned ${plural(reply.warnings?.length ?? 0, "holder")} of ${name}.`;
  };
  return (
    <ActionDialog
      title={`Warn the holder of ${name}`}
      explanation="The holder is told to finish and release. What happens at the end of the countdown is up to the policy: under “enforce” the lock is taken from it."
      verb="Warn"
      act={act}
      onClose={onClose}
    >
      <label>
        Countdown in seconds
        <input
          type="number"
          min={COUNTDOWN_S_MIN}
          max={COUNTDOWN_S_MAX}
          step="any"
          value={seconds}
          placeholder="as the policy says"
          onInput={(event) => setSeconds(event.currentTarget.value)}
        />
      </label>
    </ActionDialog>
  );
}

function countdownOf(seconds: string): { readonly countdownMs?: number } {
  if (seconds === "") return {};
  const value = Number(seconds);
  if (value >= COUNTDOWN_S_MIN && value <= COUNTDOWN_S_MAX) return { countdownMs: Math.round(value * 1_000) };
  throw new Error(`The countdown is ${COUNTDOWN_S_MIN} to ${COUNTDOWN_S_MAX} seconds.`);
}

function ReleaseDialog({ name, onClose }: DialogProps): JSX.Element {
  const act = async (reason: string): Promise<string> => {
    const { released = [], undone = 0 } = await ask("force-release", { name, reason });
    const effects = undone === 0 ? "" : `, and ${plural(undone, "effect")} undone`;
    return `Released ${plural(released.length, "grant")} of ${name}${effects}.`;
  };
  return (
    <ActionDialog
      title={`Release ${name} by force`}
      explanation="All its holders lose it at once: their tokens are refused from then on, and the next in the queue is granted. What they do outside Forelock without showing their token may still happen."
      verb="Release"
      isDangerous
      act={act}
      onClose={onClose}
    />
  );
}
