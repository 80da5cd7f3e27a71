// route.ts: which screen the address names, behind the `#`: so that back, forward and links work, and the server serves one page.
// Pure.

export type Route =
  | { readonly screen: "now" | "sessions" | "prediction" | "settings" | "cluster" | "files" }
  | { readonly screen: "lock"; readonly name: string };
export type ScreenName = Route["screen"];

/** In the order of the navigation. */
export const TITLES: Readonly<Record<ScreenName, string>> = {
  now: "Now",
  sessions: "Sessions",
  prediction: "Prediction",
  settings: "Settings",
  cluster: "Cluster",
  files: "Files",
  lock: "Lock",
};

/** An address that names nothing is *Now*. */
export function routeOf(hash: string): Route {
  const [, screen = "", rest = ""] = /^#\/([a-z]*)(?:\/(.*))?$/s.exec(hash) ?? [];
  if (screen === "lock" && rest !== "") return { screen, name: decode(rest) };
  switch (screen) {
    case "sessions":
    case "prediction":
    case "settings":
    case "cluster":
    case "files":
      return { screen };
    default:
      return { screen: "now" };
  }
}

export function hashOf(route: Route): string {
  if (route.screen === "lock") return `#/lock/${encodeURIComponent(route.name)}`;
  return route.screen === "now" ? "#/" : `#/${route.screen}`;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // Typed by hand: then it is meant as it stands.
  }
}
