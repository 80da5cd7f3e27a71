// theme.tsx: light, dark, or as the system says. The choice stays in this browser.
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";

const KEY = "forelock-theme";
const CHOICES = { system: "System", light: "Light", dark: "Dark" } as const;
type Choice = keyof typeof CHOICES;

export function ThemeChoice(): JSX.Element {
  const [choice, setChoice] = useState<Choice>(() => choiceOf(localStorage.getItem(KEY)));
  useEffect(() => {
    const { dataset } = document.documentElement;
    if (choice === "system") {
      delete dataset["theme"];
      localStorage.removeItem(KEY);
    } else {
      dataset["theme"] = choice;
      localStorage.setItem(KEY, choice);
    }
    // Canvases do not follow style sheets by themselves.
    dispatchEvent(new Event("forelock-theme"));
  }, [choice]);
  return (
    <label class="theme">
      <span class="hidden-title">Theme</span>
      <select value={choice} onChange={(event) => setChoice(choiceOf(event.currentTarget.value))}>
        {Object.entries(CHOICES).map(([value, title]) => (
          <option key={value} value={value}>
            {title}
          </option>
        ))}
      </select>
    </label>
  );
}

const choiceOf = (text: string | null): Choice => (text === "light" || text === "dark" ? text : "system");
